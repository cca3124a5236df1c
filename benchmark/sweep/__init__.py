"""From a grid to finished runs."""
