"""Given labels as a frozen file that labs can exchange."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ..contract.errors import BadInput
from ..contract.text import has_controls
from ..npz import read_npz
from .laws import Labels

OUTSIDE = -1
"""The reference label of an image that shows none of the classes."""


def _printable(text: str) -> str:
    if has_controls(text):
        raise ValueError("wanted no control characters")
    return text


Words = Annotated[str, AfterValidator(_printable)]


class Header(BaseModel):
    """What stands beside the labels in an artefact."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Words
    rate: float | None = Field(ge=0, le=1)  #: a fraction; None where the kind brings its own
    seed: int | None = Field(ge=0)  #: None where nothing was drawn
    dataset: Words
    dataset_sha256: Words  #: of the training images in use, their reference labels, and the rest of the set
    classes: tuple[Words, ...] = Field(min_length=2)
    source_sha256: Words | None = None  #: of the dataset that images from outside come from


@dataclass(frozen=True)
class Outside:
    """Training images that are replaced by those of another dataset, which show none of the classes; their labels stay."""

    replaced: NDArray[np.int64]  #: (M,) places in the training set, rising
    source: NDArray[np.int64]  #: (M,) places in the training set of the other dataset


@dataclass(frozen=True)
class Noise:
    """Given labels with where they come from; the same for every method within a seed."""

    header: Header
    given: Labels  #: (N,)
    counts: NDArray[np.int64]  #: (K, K), how many samples of each reference label (row) have each given label (column)
    outside: Outside | None = None  #: in no row

    @property
    def transition(self) -> NDArray[np.float64]:
        """(K, K), row: reference label, column: the share of its samples with this given label; one of no sample stays."""
        rows = self.counts.sum(axis=1, keepdims=True)
        shares: NDArray[np.float64] = np.divide(self.counts, rows, out=np.eye(len(rows)), where=rows > 0)
        return shares

    @property
    def realised(self) -> float:
        """The fraction of samples whose given label is not the reference label; those from outside have none."""
        return float((len(self.given) - self.counts.trace()) / len(self.given)) if len(self.given) else 0.0

    @cached_property
    def sha256(self) -> str:
        """Of all that it says: it names the artefact."""
        content = hashlib.sha256(json.dumps(self.header.model_dump(), sort_keys=True).encode())
        for array in self._arrays().values():
            content.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
        return content.hexdigest()

    def to_bytes(self) -> bytes:
        """The artefact as an .npz file."""
        buffer = io.BytesIO()
        header = json.dumps({**self.header.model_dump(), "sha256": self.sha256})
        np.savez_compressed(buffer, header=np.frombuffer(header.encode(), dtype=np.uint8), **self._arrays())  # type: ignore[arg-type]
        return buffer.getvalue()

    def _arrays(self) -> dict[str, NDArray[np.int64]]:
        outside = vars(self.outside) if self.outside else {}
        return {"given": self.given, "counts": self.counts, **outside}


def judged_by(reference: Labels, outside: Outside | None) -> Labels:
    """The reference labels (N,), `OUTSIDE` for images from outside."""
    if outside is None:
        return reference
    reference = reference.copy()
    reference[outside.replaced] = OUTSIDE
    return reference


def frozen(header: Header, reference: Labels, given: Labels, outside: Outside | None = None) -> Noise:
    """A `Noise`, counted; images from outside count as wrong, in no row."""
    K = len(header.classes)
    counts = np.zeros((K, K), np.int64)
    judge = judged_by(reference, outside)
    inside = judge != OUTSIDE
    np.add.at(counts, (judge[inside], given[inside]), 1)
    return Noise(header, given.astype(np.int64), counts, outside)


def read_artefact(file: Path) -> Noise:
    """What an .npz artefact holds, checked against its own hash. Raises BadInput where it is damaged, or cannot be."""
    try:
        stored = dict(read_npz(file))
        words = json.loads(stored.pop("header").tobytes())
        arrays = {name: _whole_numbers(array) for name, array in stored.items()}
        sha256 = words.pop("sha256")
        outside = Outside(arrays.pop("replaced"), arrays.pop("source")) if "source" in arrays else None
        noise = Noise(Header(**words), **arrays, outside=outside)
        whole = _is_whole(noise)
    except Exception:  # zip, numpy, json and pydantic each raise types of their own
        raise BadInput(f"noise file {file}: it is not a noise artefact of this suite, or it is damaged") from None
    if not whole:
        raise BadInput(f"noise file {file}: its labels, counts and classes do not belong together")
    if noise.sha256 != sha256:
        raise BadInput(f"noise file {file}: its labels do not match its own sha256: it was changed or is damaged")
    return noise


def _whole_numbers(array: NDArray[Any]) -> NDArray[np.int64]:
    if array.dtype.kind not in "iu":
        raise ValueError(f"an array of {array.dtype}")
    return array.astype(np.int64)


def _is_whole(noise: Noise) -> bool:
    """Whether its labels are of its classes, and its counts and places those of its labels."""
    K, N = len(noise.header.classes), len(noise.given)
    outside = noise.outside or Outside(np.array([], np.int64), np.array([], np.int64))
    shapes = (noise.given.ndim, noise.counts.shape, outside.replaced.ndim) == (1, (K, K), 1)
    if not shapes or outside.source.shape != outside.replaced.shape:
        return False
    if min(array.min(initial=0) for array in (noise.given, noise.counts, outside.replaced, outside.source)) < 0:
        return False
    if (np.diff(outside.replaced) <= 0).any() or outside.replaced.max(initial=-1) >= N or noise.given.max(initial=0) >= K:
        return False
    inside = np.delete(noise.given, outside.replaced)
    return bool((np.bincount(inside, minlength=K) == noise.counts.sum(axis=0)).all())
