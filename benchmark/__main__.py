"""`python -m benchmark`."""

from .cli import main

main()
