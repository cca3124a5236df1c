"""Paths as users give them, on the command line or in a file of settings."""

from __future__ import annotations

from pathlib import Path

from .contract.errors import BadInput


def whole_path(what: str, text: str, base: Path | None = None) -> Path:
    """The absolute path that `text` means below `base` (the working folder); there need be nothing at it. Raises BadInput."""
    if not text.isprintable():
        raise BadInput(f"{what} {text}: wanted a path of printable characters")
    if not text:
        raise BadInput(f"{what}: got an empty name where a path was wanted")
    try:
        path = ((base or Path()) / text).resolve()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a loop of links
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise BadInput(f"{what} {text if len(text) < 80 else text[:80] + '…'}: {reason}") from None
    return path
