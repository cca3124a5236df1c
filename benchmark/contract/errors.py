"""Bad input: everything a user can get wrong ends as one of these, in one line that says what was given and what was wanted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BadInput(Exception):
    """What a user gave cannot be used; the message is one line, fit to be shown as it is."""


def told(error: BaseException) -> str:
    """What was raised, in one line: `ValueError: what it says`."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def unknown(what: str, given: str, valid: Iterable[str]) -> BadInput:
    """The error for a name that does not exist: it names the nearest valid one, or all of them where they are few."""
    names = sorted(valid)
    near = difflib.get_close_matches(given.lower(), names, n=1, cutoff=0.5)
    if near:
        return BadInput(f"no {what} is called '{given}'; did you mean '{near[0]}'?")
    listing = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return BadInput(f"no {what} is called '{given}'; there are: {listing or 'none'}")
