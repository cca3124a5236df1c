"""A lock that works on folders which machines share: a file that names its owner, and whose time is its owner's heartbeat.

The system's own locks are let go by themselves when a process dies, but many network file systems do not have them, or keep
them to one machine. Here a lock is taken over from an owner that is dead, where that can be seen from this machine, or whose
heart has not beaten for as long as somebody watched; no two clocks need agree.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

BEAT = 5.0
"""Seconds between two heartbeats."""
MOST = 2**12
"""Characters of a lock's file."""
LOOKS = 5
"""At a file that cannot be read, before it counts as another's."""
STALE = 60.0
"""Seconds without one, as long as somebody watched, after which an owner is taken for dead."""


@dataclass(frozen=True)
class Owner:
    """The process that holds a lock."""

    host: str
    system: str  #: the kernel's boot and name space, within which a process's number means something
    pid: int
    born: str  #: when the process began, as its system tells it: numbers are used again
    token: str  #: of this very claim

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.pid else "a process unknown"

    def is_dead(self) -> bool:
        """Whether that is certain, because it was a process of this system."""
        return self.system == _system() and _born(self.pid) not in (self.born, HIDDEN)


HIDDEN = "hidden"
"""When a process began that is there, and of which its system tells another user no more (`/proc` mounted with `hidepid`)."""
UNKNOWN = Owner("", "", 0, "", "unknown")
"""Of a lock whose file cannot be read: its owner was killed between making it and writing it."""


class Lock:
    """A lock, held by one process at a time."""

    def __init__(self, path: Path):
        self.path = path
        self._mine: Owner | None = None
        self._stop = threading.Event()
        self._watched: tuple[str, int] | None = None
        self._since = 0.0

    def owner(self) -> Owner | None:
        """Who holds it; None where nobody does."""
        try:
            with self.path.open(encoding="utf-8") as file:
                owner = Owner(**json.loads(file.read(MOST)))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, RecursionError):
            return UNKNOWN
        is_whole = all(type(value) is (int if name == "pid" else str) for name, value in asdict(owner).items())
        return owner if is_whole and 0 <= owner.pid < 2**31 and re.fullmatch(r"\w{1,64}", owner.token) else UNKNOWN

    def other(self) -> Owner | None:
        """Who holds it and is alive, as far as is known: whoever asks again and again learns after STALE seconds at most."""
        owner = self.owner()
        if owner is None or owner.is_dead() or owner == self._mine:
            return None
        try:
            seen = owner.token, self.path.stat().st_mtime_ns
        except OSError:
            return None
        if seen != self._watched:
            self._watched, self._since = seen, time.monotonic()
        return None if time.monotonic() - self._since > STALE else owner

    def claim(self, over: str | None = None) -> bool:
        """Takes the lock where it is free, or from an owner that is gone; gives whether that was done.

        `over`: the token of an owner that was watched, and is gone. Raises OSError where nothing can be written.
        """
        mine = Owner(socket.gethostname(), _system(), os.getpid(), _born(os.getpid()), uuid.uuid4().hex)
        owner = self.owner()
        if owner is None:
            taken = self._create(mine)
        else:
            gone = owner.token == over or self.other() is None
            taken = gone and self._take_over(owner, mine)
        if taken:
            self._mine, self._stop = mine, threading.Event()
            threading.Thread(target=self._beat, args=(self._stop,), daemon=True).start()
        return taken

    def is_mine(self) -> bool:
        """Whether this process still holds it: one that was stopped for long may have lost it."""
        for _ in range(LOOKS):  # one failed look at a network's folder loses nothing
            if (owner := self.owner()) != UNKNOWN:
                return owner is not None and owner == self._mine
            time.sleep(BEAT / 100)
        return False

    def release(self) -> None:
        """Lets it go, if it is still held."""
        mine, self._mine = self._mine, None
        if mine is None:
            return
        self._stop.set()
        with contextlib.suppress(OSError), self._marked(mine) as alone:
            if alone and self.owner() == mine:
                self.path.unlink()

    def wait(self) -> None:
        """Takes the lock as soon as that can be. Raises OSError where nothing can be written."""
        while not self.claim():
            time.sleep(0.05)

    def _create(self, mine: Owner) -> bool:
        try:
            with self.path.open("x", encoding="utf-8") as file:
                file.write(json.dumps(asdict(mine)))
        except FileExistsError:
            return False
        except OSError:  # a full disk, for one: half a lock would keep everybody off until it is stale
            with contextlib.suppress(OSError):
                self.path.unlink()
            raise
        return True

    def _take_over(self, owner: Owner, mine: Owner) -> bool:
        with self._marked(owner) as alone:
            if not alone or self.owner() != owner:  # another was faster
                return False
            part = self.path.with_name(f".{self.path.name}-{mine.token}")
            part.write_text(json.dumps(asdict(mine)), encoding="utf-8")
            part.replace(self.path)
        return True

    @contextmanager
    def _marked(self, owner: Owner) -> Iterator[bool]:
        """Whether this process is alone in ending this owner's claim: only one can make a file of its name."""
        marker = self.path.with_name(f".{self.path.name}-of-{owner.token}")
        try:
            marker.open("x").close()
        except FileExistsError:
            with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=self.path.parent) as now:
                if os.fstat(now.fileno()).st_mtime - marker.stat().st_mtime > STALE:  # its maker died in the moment after
                    marker.unlink()
            yield False
            return
        try:
            yield True
        finally:
            marker.unlink(missing_ok=True)

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(BEAT):
            if self.owner() not in (self._mine, UNKNOWN):  # one failed look at a network's folder must not end it
                return
            with contextlib.suppress(OSError):
                os.utime(self.path)


def _system() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115  # a Path would read it as a file's name
    except OSError:  # not Linux
        return platform.node()


def _born(pid: int) -> str:
    """When a process began, as far as the system tells; empty where it has ended."""
    if os.name == "nt":
        return "alive"  # only its heartbeat tells
    if not Path("/proc/self/stat").is_file():
        return "alive" if _is_there(pid) else ""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return HIDDEN if _is_there(pid) else ""
    state, *rest = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else rest[18]  # proc(5): a zombie has ended, and the 22nd field is `starttime`


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        pass
    return True
