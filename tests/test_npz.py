"""Arrays out of an .npz file: as they were stored, and no more of them than the caller has room for."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmark.npz import MOST, read_npz


def test_what_was_stored_is_read(tmp_path: Path):
    arrays = {"a": np.arange(5), "b": np.eye(2, dtype=np.float16), "c": np.array(["x"])}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        found = read_npz(tmp_path / "a.npz")
        assert found.keys() == arrays.keys()
        assert all(np.array_equal(found[name], array) for name, array in arrays.items())


def test_what_would_fill_the_memory_is_refused_before_it_is_unpacked(tmp_path: Path):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(10_000_000, np.uint8))
    assert (tmp_path / "a.npz").stat().st_size < 20_000
    with pytest.raises(ValueError, match="more than 1,000,000 bytes"):
        read_npz(tmp_path / "a.npz", 1_000_000)


def test_too_many_arrays_are_refused(tmp_path: Path):
    np.savez(tmp_path / "a.npz", **{f"a{k}": np.zeros(1) for k in range(MOST + 1)})
    with pytest.raises(ValueError, match="101 arrays"):
        read_npz(tmp_path / "a.npz")


def test_objects_are_not_unpickled(tmp_path: Path):
    np.savez(tmp_path / "a.npz", a=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        read_npz(tmp_path / "a.npz")


def test_a_size_that_a_zip_claims_is_all_that_is_read_of_it(tmp_path: Path):
    """A member that says it is small and is not."""
    file = tmp_path / "a.npz"
    np.savez_compressed(file, a=np.zeros(10_000_000, np.uint8))
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        (member,) = archive.infolist()
    place = content.index(b"PK\x01\x02") + 24  # in the list at the end, which is what counts
    assert int.from_bytes(content[place : place + 4], "little") == member.file_size
    content[place : place + 4] = (1000).to_bytes(4, "little")
    file.write_bytes(content)
    with pytest.raises(Exception, match=r"(?i)crc|eof|read|expected"):
        read_npz(file, 10_000)
