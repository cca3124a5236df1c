"""How fast the suite trains, and how much of that is the machine's own speed: measured through the harness itself."""
