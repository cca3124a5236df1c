"""TOML from anyone, read within limits: what is larger, deeper or longer than any sweep is refused before it costs anything."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from .contract.errors import BadInput, need_file
from .contract.files import text_of
from .contract.text import one_line

LARGEST = 2**20
"""Bytes: a sweep names a few hundred methods, files and seeds, and ten thousand seeds are a tenth of this."""
DEEPEST = 32
"""Parts of a dotted key; a sweep has three. tomllib's time grows with their square."""

_PART = r"""(?:[\w-]++|"(?:[^"\\\n]++|\\.)*+"|'[^'\n]*+')"""
_TOO_DEEP = re.compile(rf"""(?<![\w"'-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{DEEPEST}}}""")
_INTEGERS = range(-(2**63), 2**63)  # TOML's own


def read(what: str, file: Path) -> dict[str, Any]:
    """What a TOML file says. Raises BadInput, which begins with `what`, for one that is missing, and as `parsed` does."""
    need_file(what, file)
    try:
        text = text_of(file, LARGEST)
    except BadInput as error:
        raise BadInput(f"{what} {error}") from None
    try:
        return parsed(text)
    except BadInput as error:
        raise BadInput(f"{what} {file}: {error}") from None


def parsed(text: str) -> dict[str, Any]:
    """What a TOML text says. Raises BadInput, which says what is wrong with it, for text that is none or beyond the limits."""
    if len(text.encode(errors="replace")) > LARGEST:
        raise BadInput(f"it is larger than {LARGEST:,} bytes")
    if _TOO_DEEP.search(text):
        raise BadInput(f"a key in it has more than {DEEPEST} parts")
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of more digits than Python reads
        raise BadInput(f"it is not TOML ({one_line(str(error))})") from None
    _check_integers(content)
    return content


def _check_integers(content: dict[str, Any]) -> None:
    """Raises BadInput for an integer that TOML does not promise, and that nothing else could write down again."""
    left: list[Any] = [content]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list):
            left += value
        elif isinstance(value, int) and value not in _INTEGERS:
            raise BadInput("an integer in it has more than 64 bits")
