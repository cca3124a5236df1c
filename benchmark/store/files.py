"""Files of plain data: read with one line for whatever is wrong with them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from ..contract.errors import BadInput

T = TypeVar("T")


def read_text(path: Path) -> str:
    """The content of a text file. Raises BadInput."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {' '.join(str(error).split())}") from None


@cache
def _checked(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)  # costly to make, and a table reads the metrics of every run


def read_json(path: Path, kind: type[T]) -> T:
    """The content of a file, of the kind that it must be. Raises BadInput."""
    try:
        content: T = _checked(kind).validate_json(read_text(path))  # type: ignore[arg-type]  # a type is hashable
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"{path} is damaged: {f'{where}: ' if where else ''}{first['msg']}") from None
    return content


def as_json(data: Any) -> bytes:
    """Plain data as a file for people and programs."""
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()


def npz(arrays: Mapping[str, Any]) -> bytes:
    """Arrays as an .npz file; those that are None are left out."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: array for name, array in arrays.items() if array is not None})
    return buffer.getvalue()
