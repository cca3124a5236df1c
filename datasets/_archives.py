"""Archives from elsewhere, unpacked so that nothing of theirs can lie outside the folder that was meant.

An archive is unpacked whole beside its place and then moved there: where anything is wrong with it, nothing of it is left.
"""

from __future__ import annotations

import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

from benchmark.contract import BadInput
from benchmark.contract.text import cut, one_line

MOST = 1_000_000
"""Files and folders: Tiny ImageNet has 120,000."""
LARGEST = 2**34
"""Bytes, unpacked."""


def unpack(archive: Path, into: Path) -> list[Path]:
    """Unpacks a zip or tar archive, compressed or not, into a folder; gives the files and folders that are new in it.

    Raises BadInput, with nothing unpacked, for an archive that is damaged, encrypted or larger than `MOST`, `LARGEST` or the
    disk, for a member that is a link or a device or whose name leads out of the folder, and where a file of the archive would
    replace another.
    """
    try:
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=into) as there:
            _extract(archive, Path(there))
            names = sorted(path.name for path in Path(there).iterdir())
            if taken := [name for name in names if (into / name).exists()]:
                raise BadInput(f"{into / taken[0]} is there already; remove it, or leave {archive.name} packed")
            for name in names:
                (Path(there) / name).rename(into / name)
    except BadInput:
        raise
    except Exception as error:  # what zlib, lzma, zipfile, tarfile and the disk raise has no common base
        raise BadInput(f"{archive} cannot be unpacked: {one_line(str(error)) or type(error).__name__}") from None
    return [into / name for name in names]


def _extract(archive: Path, into: Path) -> None:
    if not archive.is_file():
        raise BadInput(f"{archive} is missing")
    if tarfile.is_tarfile(archive):  # first: a tar that ends with a zip would pass for one
        with tarfile.open(archive) as tar:
            # Each is checked before the next is looked for: to skip a large one, all of it has to be decompressed.
            _check(archive, into, ((m.name, m.size, not (m.isreg() or m.isdir())) for m in tar))
            tar.extractall(into, tar.getmembers(), filter="data")
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            infos = zipped.infolist()
            _check(archive, into, ((i.filename, i.file_size, _is_special(i)) for i in infos))
            zipped.extractall(into, infos)  # checks each member's CRC
    else:
        raise BadInput(f"{archive} is neither a zip nor a tar archive, or is damaged")


def _check(archive: Path, into: Path, members: Iterable[tuple[str, int, bool]]) -> None:
    """Raises BadInput where a member (name, size in bytes, whether it is no plain file or folder) may not be unpacked."""
    total, most = 0, min(LARGEST, free := shutil.disk_usage(into).free)
    for count, (name, size, special) in enumerate(members, 1):
        if special:
            raise BadInput(f"{archive}: '{cut(name)}' in it is a link or a device; wanted plain files and folders")
        if leads_out(name):
            raise BadInput(f"{archive}: '{cut(name)}' in it would lie outside the folder that it is unpacked into")
        total += size
        if total > most:
            room = f"the disk of {into.parent} has {free:,} left" if most == free else f"wanted at most {LARGEST:,}"
            raise BadInput(f"{archive}: it needs {total:,} bytes or more, and {room}")
        if count > MOST:
            raise BadInput(f"{archive}: it has more than {MOST:,} files and folders")


def leads_out(name: str) -> bool:
    """Whether the name of a member may mean a place outside its folder, on this system or on Windows."""
    paths = PurePosixPath(name), PureWindowsPath(name)
    return any(path.is_absolute() or path.drive or path.root or ".." in path.parts for path in paths)


def _is_special(info: zipfile.ZipInfo) -> bool:
    """Whether a zip's member is anything but a file or a folder, by what Unix noted of it."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    return kind not in (0, stat.S_IFREG, stat.S_IFDIR)
