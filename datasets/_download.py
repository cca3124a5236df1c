"""Files from where they are published: verified, from the first mirror that has them, and resumed where they were cut off.

pooch and torchvision begin a file that was cut off anew, and know no second address for it.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from benchmark.contract import BadInput
from benchmark.contract.text import one_line

from ._archives import unpack

ATTEMPTS = 3
"""At each mirror; every one goes on where the last was cut off."""
TIMEOUT = 30.0
"""Seconds without an answer."""
BLOCK = 1 << 20
LARGEST = 2**30
"""Bytes of a file; what is published has a quarter of it at most."""


@dataclass(frozen=True)
class Remote:
    """A file as it is published."""

    path: str  #: where it is put, below the data root
    mirrors: tuple[str, ...]  #: its addresses, the first one first
    sha256: str

    @property
    def name(self) -> str:
        """Without folders."""
        return Path(self.path).name


def github(repository: str, path: str) -> tuple[str, ...]:
    """Where a file of a public repository, `owner/name@commit`, is had: from GitHub, and from jsDelivr, which mirrors it."""
    name, _, commit = repository.partition("@")
    return f"https://raw.githubusercontent.com/{name}/{commit}/{path}", f"https://cdn.jsdelivr.net/gh/{repository}/{path}"


def fetch(remote: Remote, root: Path) -> Path:
    """The file below the data root, fetched if it is not there. Raises BadInput, which says of each mirror why not.

    What has come so far is kept as `NAME.part`, and goes on from there the next time. One process at a time fetches a file.
    """
    target = root / remote.path
    if target.is_file():
        return target
    reasons = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _unfinished(target) as file:
            if target.is_file():  # another process was first
                return target
            for url in remote.mirrors:
                if not (reason := _from_mirror(url, remote, file)):
                    os.fsync(file.fileno())
                    _part(target).replace(target)
                    return target
                reasons.append(f"{url}: {reason}")
    except OSError as error:
        raise BadInput(f"{target} cannot be written ({error.strerror})") from None
    for folder in target.parents[: len(target.relative_to(root).parents) - 1]:
        with suppress(OSError):  # what was made for it and is empty goes
            folder.rmdir()
    raise BadInput(f"{remote.name} could not be fetched into {target.parent}; {'; '.join(reasons)}")


def fetch_what_can_be_done_without(remotes: Sequence[Remote], root: Path) -> list[str]:
    """Fetches what is not there; gives a line for each that cannot be had."""
    lines = []
    for remote in remotes:
        try:
            fetch(remote, root)
        except BadInput as error:
            lines.append(f"going on without it: {error}")
    return lines


def unpack_first(archives: Sequence[Remote], root: Path) -> None:
    """Unpacks the archive that lies below the data root, or else fetches the first, and removes it when it is unpacked.

    Raises BadInput, with nothing unpacked, for one that is not as it was published.
    """
    here = next((remote for remote in archives if (root / remote.path).is_file()), None)
    remote = here or archives[0]
    file = fetch(remote, root)
    with file.open("rb") as content:
        if (found := _sha256(content)) != remote.sha256:
            raise BadInput(f"{file}: its sha256 is {found}; wanted that of the published archive, {remote.sha256}; remove it")
    unpack(file, root)
    if here is None:
        file.unlink()


def _from_mirror(url: str, remote: Remote, file: BinaryIO) -> str:
    """Brings the unfinished file to its end; gives why that could not be done, or nothing."""
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            if not _is_whole(file, remote):  # as it is after a kill between the last byte and the renaming
                _get(url, file, remote.name)
            if _is_whole(file, remote):
                return ""
            file.truncate(0)
            reason = f"it is not the published file (sha256 {remote.sha256})"
        except HTTPError as error:
            reason = one_line(f"{error.code} {error.reason}")
            if error.code == 416:  # there is more of the unfinished file than of the whole one
                file.truncate(0)
            elif error.code < 500:
                return reason
        except (HTTPException, OSError, ValueError) as error:
            if isinstance(error, OSError) and error.filename is not None:
                raise
            reason = one_line(str(error)) or type(error).__name__
    return reason


def _get(url: str, file: BinaryIO, name: str) -> None:
    """Appends what is missing. Raises OSError where it is cut off."""
    have = file.seek(0, os.SEEK_END)
    headers = {"User-Agent": "noisy-label-benchmark"} | ({"Range": f"bytes={have}-"} if have else {})
    with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as answer:
        if have and not (answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")):
            file.truncate(0)
            if answer.status == 206:
                raise OSError("another part came than was asked for")
            have = 0
        length = answer.headers.get("Content-Length", "")
        wanted = have + int(length) if length.isdecimal() else None
        with _progress(name, have, wanted) as advance:
            while block := answer.read(BLOCK):
                have += len(block)
                if have > LARGEST:
                    file.truncate(0)
                    raise OSError(f"more came than {LARGEST:,} bytes")
                file.write(block)
                advance(len(block))
        file.flush()
        if wanted is not None and (got := file.seek(0, os.SEEK_END)) != wanted:
            raise OSError(f"cut off after {got:,} of {wanted:,} bytes")


def _is_whole(file: BinaryIO, remote: Remote) -> bool:
    return file.seek(0, os.SEEK_END) > 0 and _sha256(file) == remote.sha256


def _sha256(file: BinaryIO) -> str:
    """Of a whole file."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


@contextmanager
def _unfinished(target: Path) -> Iterator[BinaryIO]:
    """What has come so far of a file, to append to; it waits until no other process has it, and leaves no empty one."""
    part = _part(target)
    with part.open("ab+") as file:
        _wait_for(file)
        try:
            yield file
        finally:
            if part.is_file() and os.path.samestat(part.stat(), os.fstat(file.fileno())) and not part.stat().st_size:
                part.unlink()


def _wait_for(file: BinaryIO) -> None:
    try:
        import fcntl
    except ImportError:  # Windows does not let a second process write an open file
        return
    fcntl.flock(file, fcntl.LOCK_EX)


@contextmanager
def _progress(name: str, have: int, wanted: int | None) -> Iterator[Any]:
    """Gives what is called with the bytes that have come; a bar on a terminal, a line elsewhere."""
    if not sys.stderr.isatty():
        print(f"fetching {name}{f' from byte {have:,} on' if have else ''}", file=sys.stderr)
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = TextColumn("fetching {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=wanted, completed=have)
        yield lambda count: bar.advance(task, count)
