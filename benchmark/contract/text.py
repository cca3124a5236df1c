"""Text from outside, made fit to be shown: names, values and messages that someone else has written."""

from __future__ import annotations

import re

CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves a terminal's cursor or changes its settings, ends a line, turns the direction of text, or is half a character."""
NAME = re.compile(r"[a-z0-9][a-z0-9:_-]*")
"""What a plugin may be called."""
MOST = 80
"""Characters of a value in a message."""
_NUMBERS = re.compile(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?( to [-+]?[0-9.]+)?( \*)?")


def has_controls(text: str) -> bool:
    """Whether a text has characters in it that nobody sees and a terminal obeys."""
    return CONTROLS.search(text) is not None


def printable(text: str, keep: str = "") -> str:
    """The text with `\\x1b` and the like in place of such characters, but those of `keep`."""
    return CONTROLS.sub(lambda found: found[0] if found[0] in keep else found[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """The text in one printable line."""
    return printable(" ".join(text.split()))


def cut(text: str) -> str:
    """The beginning of a text that would make a message too long."""
    return text if len(text) <= MOST else f"{text[:MOST]}…"


def no_tags(text: str) -> str:
    """Text for Markdown, which lets HTML pass."""
    return re.sub(r"<(?=[A-Za-z/!?])", r"\\<", text)


def no_formula(cell: object) -> object:
    """A cell of a CSV file, a text after `'` where spreadsheets would take it for a formula; what numbers look like stays."""
    if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not _NUMBERS.fullmatch(cell):
        return f"'{cell}"
    return cell


def written(value: object) -> str:
    """A value as Python writes it, for a message, whatever it is."""
    try:
        return cut(repr(value))
    except Exception:  # numbers of thousands of digits, and what a plugin's own type raises
        return f"a {type(value).__name__}"
