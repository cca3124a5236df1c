"""Arrays out of an .npz file from anyone: a file that is small packed may be larger than the memory unpacked."""

from __future__ import annotations

import zipfile
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**28
"""Bytes of all arrays together, unpacked, where a caller knows no better."""
MOST = 100
"""Arrays in a file."""


def read_npz(file: Path, largest: int = LARGEST, wanted: Container[str] | None = None) -> Mapping[str, NDArray[Any]]:
    """The arrays that are `wanted` (all, if None) by name. Raises ValueError for more than `largest` bytes in the file; zip,
    zlib and numpy raise types of their own.

    Objects, which would have to be unpickled, are refused by numpy.
    """
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
    if len(members) > MOST or sum(member.file_size for member in members) > largest:  # no more of a member is read than that
        raise ValueError(f"it has {len(members)} arrays, or more than {largest:,} bytes of them")
    with np.load(file, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored if wanted is None or name in wanted}
