"""Bad input: everything a user can get wrong ends as one of these, in one line that says what was given and what was wanted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from .text import cut, one_line


class BadInput(Exception):
    """What a user gave cannot be used; the message is one line, fit to be shown as it is."""


def told(error: BaseException) -> str:
    """What was raised, in one line: `ValueError: what it says`."""
    text = one_line(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def need_file(what: str, file: Path) -> None:
    """Raises BadInput, which begins with `what`, where there is no file at that path."""
    if not file.is_file():
        raise BadInput(f"{what} {file}: {'it is a folder; wanted a file' if file.is_dir() else 'there is no such file'}")


def need_folder(what: str, folder: Path) -> None:
    """Raises BadInput, which begins with `what`, where there is no folder at that path."""
    if not folder.is_dir():
        raise BadInput(f"{what} {folder}: {'it is a file; wanted a folder' if folder.is_file() else 'there is no such folder'}")


def unknown(what: str, given: str, valid: Iterable[str]) -> BadInput:
    """The error for a name that does not exist: it names the nearest valid one, or all of them where they are few."""
    names = sorted(valid)
    near = difflib.get_close_matches(given.lower(), names, n=1, cutoff=0.5)
    if near:
        return BadInput(f"no {what} is called '{cut(given)}'; did you mean '{near[0]}'?")
    listing = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return BadInput(f"no {what} is called '{cut(given)}'; there are: {listing or 'none'}")
