"""Given labels as a frozen file that labs can exchange."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ..contract.errors import BadInput
from .laws import Labels

OUTSIDE = -1
"""The reference label of an image that shows none of the classes."""


class Header(BaseModel):
    """What stands beside the labels in an artefact."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    rate: float | None  #: a fraction; None where the kind brings its own
    seed: int | None  #: None where nothing was drawn
    dataset: str
    dataset_sha256: str
    num_classes: int
    source_sha256: str | None = None  #: of the dataset that images from outside come from

    def words(self) -> dict[str, Any]:
        """As plain data; what was added after the first version stands there only where it says something."""
        words = self.model_dump()
        return words if self.source_sha256 else {k: v for k, v in words.items() if k != "source_sha256"}


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
    transition: NDArray[np.float64]  #: (K, K), row: reference label, column: share of its samples given this label
    realised: float  #: the fraction of samples whose given label is not the reference label
    outside: Outside | None = None

    @property
    def sha256(self) -> str:
        """Of the header and the labels: it names the artefact."""
        content = hashlib.sha256(json.dumps(self.header.words(), sort_keys=True).encode())
        for array in (self.given, *(vars(self.outside).values() if self.outside else ())):
            content.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
        return content.hexdigest()

    def to_bytes(self) -> bytes:
        """The artefact as an .npz file."""
        buffer = io.BytesIO()
        header = {**self.header.words(), "realised": self.realised, "sha256": self.sha256}
        outside = vars(self.outside) if self.outside else {}
        words = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
        np.savez_compressed(buffer, given=self.given, transition=self.transition, header=words, **outside)
        return buffer.getvalue()


def judged_by(reference: Labels, outside: Outside | None) -> Labels:
    """The reference labels (N,), `OUTSIDE` for images from outside."""
    if outside is None:
        return reference
    reference = reference.copy()
    reference[outside.replaced] = OUTSIDE
    return reference


def frozen(header: Header, reference: Labels, given: Labels, outside: Outside | None = None) -> Noise:
    """A `Noise` with its realised rate and transition matrix measured; images from outside count as wrong, in no row."""
    K = header.num_classes
    reference = judged_by(reference, outside)
    counts = np.zeros((K, K))
    inside = reference != OUTSIDE
    np.add.at(counts, (reference[inside], given[inside]), 1)
    rows = counts.sum(axis=1, keepdims=True)
    transition = np.divide(counts, rows, out=np.eye(K), where=rows > 0)
    realised = float(np.mean(reference != given)) if len(given) else 0.0
    return Noise(header, given.astype(np.int64), transition, realised, outside)


def read_artefact(file: Path) -> Noise:
    """What an .npz artefact holds, checked against its own hash. Raises BadInput where it is damaged.

    The hash covers header, labels and images from outside; the rate and the matrix stand beside for people to read.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            stored = json.loads(arrays["header"].tobytes())
            given = arrays["given"].astype(np.int64)
            outside = (
                Outside(*(arrays[name].astype(np.int64) for name in ("replaced", "source"))) if "source" in arrays else None
            )
            transition = arrays["transition"].astype(np.float64)
        if given.ndim != 1:
            raise ValueError(f"labels of shape {given.shape}")
        sha256, realised = stored.pop("sha256"), float(stored.pop("realised"))
        noise = Noise(Header(**stored), given, transition, realised, outside)
        if transition.shape != (noise.header.num_classes,) * 2:
            raise ValueError(f"a matrix of shape {transition.shape}")
    except Exception:  # zip, numpy, json and pydantic each raise types of their own
        raise BadInput(f"noise file {file}: it is not a noise artefact of this suite, or it is damaged") from None
    if noise.sha256 != sha256:
        raise BadInput(f"noise file {file}: its labels do not match its own sha256: it was changed or is damaged")
    return noise
