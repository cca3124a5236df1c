"""Numbers and names in sentences."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """`1 run`, `3 runs`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """A text in which nothing can move the cursor or begin a line, whatever a user's names hold."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
