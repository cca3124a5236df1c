"""A folder that is read as if somebody had laid traps in it: no link is followed, and nothing but plain files is opened."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

MOST = 256 * 2**20
"""Bytes of a file that is read whole: a grid of 100,000 runs has fewer."""
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class Unreadable(Exception):
    """What cannot be looked into, and so neither be trusted nor called damaged; the message says why."""


class Tree:
    """What lies below `root`, by the names on the way to it."""

    def __init__(self, root: Path):
        self.root = root

    def names(self, *place: str) -> dict[str, os.stat_result]:
        """What lies in a folder, by name and in order; of links the link itself. Raises Unreadable."""
        folder = self._folder(*place)
        found: dict[str, os.stat_result] = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):  # somebody who is at work here has moved it
                        found[entry.name] = entry.stat(follow_symlinks=False)
        except OSError as error:
            raise Unreadable(f"it cannot be read ({error.strerror})") from None
        return dict(sorted(found.items()))

    @contextmanager
    def opened(self, *place: str) -> Iterator[BinaryIO]:
        """A plain file. Raises Unreadable, also for what goes wrong while it is read."""
        path = self._folder(*place[:-1]) / place[-1]
        try:
            if path.is_symlink():
                raise Unreadable(_LINK)
            descriptor = os.open(path, _FLAGS)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise Unreadable("it is no plain file")
            with os.fdopen(descriptor, "rb") as file:
                yield file
        except OSError as error:
            raise Unreadable(f"it cannot be read ({error.strerror})") from None

    def plain(self, *place: str) -> Path:
        """The path of a plain file that can be read whole. Raises Unreadable."""
        with self.opened(*place) as file:
            if (size := os.fstat(file.fileno()).st_size) > MOST:
                raise Unreadable(f"it has {size} bytes, more than any that the suite writes")
        return self.root.joinpath(*place)

    def delete(self, *place: str) -> None:
        """Removes a plain file; one that is gone already will do. Raises Unreadable where it is none, or cannot be removed."""
        path = self._folder(*place[:-1]) / place[-1]
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                raise Unreadable("it is no plain file any more")
            path.unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            raise Unreadable(f"it cannot be deleted ({error.strerror})") from None

    def prune(self, *place: str) -> None:
        """Removes a folder, where it is empty."""
        with contextlib.suppress(OSError, Unreadable):
            self._folder(*place).rmdir()

    def _folder(self, *place: str) -> Path:
        """A folder, each of those above it a folder too, and none a link. Raises Unreadable."""
        path = self.root
        for name in place:
            path = path / name
            try:
                mode = path.lstat().st_mode
            except OSError as error:
                raise Unreadable(f"it cannot be read ({error.strerror})") from None
            if not stat.S_ISDIR(mode):
                raise Unreadable(_LINK if stat.S_ISLNK(mode) else "it is no folder")
        return path


_LINK = "it is a link, and links are not followed"
