"""The commands: each reads its options and calls a function that a Python user can call too."""
