"""Paths as users give them, and files that are written whole."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .contract.errors import BadInput
from .contract.text import cut, has_controls


def whole_path(what: str, text: str, base: Path | None = None) -> Path:
    """The absolute path that `text` means below `base` (the working folder); there need be nothing at it. Raises BadInput."""
    if has_controls(text):
        raise BadInput(f"{what} {text}: wanted a path of printable characters")
    if not text.strip():
        raise BadInput(f"{what}: got an empty name where a path was wanted")
    try:
        path = ((base or Path()) / text).resolve()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a loop of links
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise BadInput(f"{what} {cut(text)}: {reason}") from None
    return path


def file_name(text: str) -> str:
    """A name for a file or folder made of any text, which leads nowhere else: `a/b:c@1k` is `a-b-c@1k`."""
    return re.sub(r"[^\w.@-]", "-", text)


def is_file_name(text: str) -> bool:
    """Whether a text names something right in a folder, here and on Windows."""
    return text not in ("", ".", "..") and not re.search(r"[/\\:\x00]", text)


def need_writable(what: str, folder: Path) -> None:
    """Raises BadInput, which begins with `what`, where no file can be written below a folder; leaves no trace."""
    above = folder
    try:
        while not above.exists():
            above = above.parent
        if folder.is_symlink() and not folder.exists():
            raise BadInput(f"{what} {folder}: it is a link to nothing")
        if folder.exists() and not folder.is_dir():
            raise BadInput(f"{what} {folder}: it is a file")
        if not above.is_dir():
            raise BadInput(f"{what} {folder}: {above} is a file")
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise BadInput(f"{what} {folder}: it cannot be written ({error.strerror})") from None


def write_whole(path: Path, content: bytes, *, lasting: bool = True, anew: bool = True) -> None:
    """Writes a file so that at any moment it is either the old one, the new one, or not there; its folder is made `anew`.

    What is not `lasting`, because it can be made again, is not waited for until it is on the disk; a power cut may halve it.
    """
    if anew:
        path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(prefix=f".{path.name}{PART}", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        Path(part).chmod(0o644)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    if lasting:
        _sync_folder(path.parent)


PART = "-part-"
"""In the name of a file that is being written."""


def has_parts(folder: Path) -> bool:
    """Whether there is anything for `remove_parts` to remove, or anybody writing."""
    return any(_parts(folder))


def remove_parts(folder: Path) -> None:
    """Removes the files that processes which were killed have left half written in a folder. Nobody may be writing there.

    A link is not followed: what lies where it leads is another's.
    """
    if folder.is_symlink():
        return
    for part in _parts(folder):
        part.unlink(missing_ok=True)


def _parts(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob(f".*{PART}*") if path.is_file())  # a folder of such a name is another's


def _sync_folder(folder: Path) -> None:
    """Waits until a new name in a folder is on the disk, so that of two files the first is not lost with the second kept."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows, which has no such thing
        return
    try:
        os.fsync(descriptor)
    except OSError:  # not every file system can
        pass
    finally:
        os.close(descriptor)
