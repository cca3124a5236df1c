"""Reads integer arrays out of a file that `torch.save` wrote, without running anything that the file names.

A pickle is a program: loading one may call whatever it names. The loader here knows the few names that a numpy array needs, and
even these lead to the stand-ins below, which take down what the file says (a type code, a shape, raw bytes) and call nothing.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import BadInput
from benchmark.contract.errors import told

LARGEST = 2**26
"""Bytes of a pickle, unpacked: CIFAR-10N's has a thirtieth of it."""
_CODES = {f"{sign}{size}" for sign in "iu" for size in (1, 2, 4, 8)}


class _Dtype:
    """Stands for `numpy.dtype`: `code` such as "i8", then a state whose second entry is the byte order."""

    def __init__(self, code: str, *_: bool):
        if code not in _CODES:
            raise pickle.UnpicklingError(f"it holds an array of type '{code}'; wanted whole numbers")
        self.code, self.order = code, "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]


class _Array:
    """Stands for `numpy.ndarray`: empty at first, then filled from a state (version, shape, dtype, is_fortran, bytes)."""

    value: NDArray[Any]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, raw = state
        flat = np.frombuffer(raw, dtype=np.dtype(f"{dtype.order}{dtype.code}"))
        self.value = flat.reshape(shape, order="F" if is_fortran else "C")


def _reconstruct(*_: object) -> _Array:
    """Stands for numpy's function of this name, which makes the empty array that a state then fills."""
    return _Array()


def _encode(text: str, _: str) -> bytes:
    """Stands for `_codecs.encode`: old pickle protocols write bytes as Latin-1 text."""
    return text.encode("latin-1")


_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,  # numpy 1
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,  # numpy 2
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs") from None


def _as_array(value: Any) -> NDArray[np.int64]:
    if isinstance(value, list) and all(type(number) is int for number in value):
        return np.array(value, np.int64)
    array: NDArray[np.int64] = value.value.astype(np.int64)
    return array


def load_arrays(file: Path) -> dict[str, NDArray[np.int64]]:
    """The arrays by name of a `torch.save`d dictionary (zip format); a list of whole numbers (CIFAR-100N has some) is one too.

    Raises BadInput for whatever is anything else.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            (member,) = (member for member in archive.infolist() if member.filename.endswith("/data.pkl"))
            if member.file_size > LARGEST:
                raise pickle.UnpicklingError(f"it is larger than {LARGEST:,} bytes")
            content = archive.read(member)
        _check_places(content)
        loaded = _ArrayUnpickler(io.BytesIO(content)).load()
        return {str(name): _as_array(value) for name, value in loaded.items()}
    except Exception as error:  # a damaged or hostile pickle can raise nearly anything
        reason = told(error)
        raise BadInput(f"{file}: wanted a dictionary of integer arrays as torch.save writes it; {reason}") from None


def _check_places(content: bytes) -> None:
    """Raises UnpicklingError for a pickle that keeps things in places beyond its length: Python makes room for all before."""
    for operation, place, _ in pickletools.genops(content):
        if operation.name.endswith("PUT") and isinstance(place, int) and place > max(255, len(content)):
            raise pickle.UnpicklingError(f"it has {len(content)} bytes, and a place number {place}")
