"""Label noise: (kind, rate, seed) turns reference labels into given ones, frozen as an artefact that labs can exchange."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from .contract.errors import BadInput, need_file, unknown
from .streams import numpy_stream

Labels = NDArray[np.int64]


def symmetric(labels: Labels, rate: float, num_classes: int, rng: np.random.Generator) -> Labels:
    """One coin a sample; heads (probability `rate`): a label drawn uniformly from the other K - 1 classes.

    The law of the FER papers (SCN's generate.py) and of Co-teaching.
    """
    flip = rng.random(len(labels)) < rate
    shift = rng.integers(1, num_classes, len(labels))
    return np.where(flip, (labels + shift) % num_classes, labels)


def symmetric_inclusive(labels: Labels, rate: float, num_classes: int, rng: np.random.Generator) -> Labels:
    """One coin a sample; heads: a label drawn uniformly from all K classes, so that only rate * (1 - 1/K) change.

    The convention of DivideMix, ELR and SOP.
    """
    flip = rng.random(len(labels)) < rate
    return np.where(flip, rng.integers(0, num_classes, len(labels)), labels)


GENERATED: Mapping[str, Callable[[Labels, float, int, np.random.Generator], Labels]] = {
    "symmetric": symmetric,
    "symmetric-inclusive": symmetric_inclusive,
}
"""The kinds that take a rate."""

HUMAN = "human"  # `human` and every `human-…` are label sets that a dataset brings
FILE = "file"


def file_kind(file: Path) -> str:
    """What the labels of a file are called: `file:<name>`; an artefact, which is named by its sha256, by its first digits."""
    return f"{FILE}:{file.stem[:12] if re.fullmatch('[0-9a-f]{64}', file.stem) else file.stem}"


def takes_rate(kind: str) -> bool:
    """Whether a noise kind needs a rate; human labels and files bring their own. Raises BadInput for a kind that cannot be."""
    if kind in (FILE, HUMAN) or kind.startswith(f"{HUMAN}-"):
        return False
    if kind in GENERATED:
        return True
    raise unknown("noise kind", kind, [*GENERATED, HUMAN, FILE])


class Header(BaseModel):
    """What stands beside the labels in an artefact."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    rate: float | None  #: a fraction; None where the kind brings its own
    seed: int | None  #: None where nothing was drawn
    dataset: str
    dataset_sha256: str
    num_classes: int


@dataclass(frozen=True)
class Noise:
    """Given labels with where they come from; the same for every method within a seed."""

    header: Header
    given: Labels  #: (N,)
    transition: NDArray[np.float64]  #: (K, K), row: reference label, column: share of its samples given this label
    realised: float  #: the fraction of samples whose given label is not the reference label

    @property
    def sha256(self) -> str:
        """Of the header and the labels: it names the artefact."""
        words = json.dumps(self.header.model_dump(), sort_keys=True).encode()
        return hashlib.sha256(words + np.ascontiguousarray(self.given, dtype="<i8").tobytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """The artefact as an .npz file."""
        buffer = io.BytesIO()
        header = {**self.header.model_dump(), "realised": self.realised, "sha256": self.sha256}
        np.savez_compressed(
            buffer,
            given=self.given,
            transition=self.transition,
            header=np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
        )
        return buffer.getvalue()


def frozen(header: Header, reference: Labels, given: Labels) -> Noise:
    """A `Noise` with its realised rate and transition matrix measured."""
    K = header.num_classes
    counts = np.zeros((K, K))
    np.add.at(counts, (reference, given), 1)
    rows = counts.sum(axis=1, keepdims=True)
    transition = np.divide(counts, rows, out=np.eye(K), where=rows > 0)
    return Noise(header, given.astype(np.int64), transition, float(np.mean(reference != given)) if len(given) else 0.0)


def make(
    kind: str,
    rate: float | None,
    seed: int,
    *,
    dataset: str,
    dataset_sha256: str,
    reference: Labels,
    num_classes: int,
    human_labels: Mapping[str, Labels],
    file: Path | None = None,
) -> Noise:
    """The given labels of one dataset under one noise and one seed. `rate` is a fraction. Raises BadInput."""
    drawn = kind in GENERATED
    if drawn:
        assert rate is not None
        given = GENERATED[kind](reference, rate, num_classes, numpy_stream(seed, f"noise/{kind}"))
    elif kind == FILE:
        assert file is not None
        given = read_labels(file, len(reference), num_classes, dataset_sha256)
        kind = file_kind(file)
    elif kind in human_labels:
        given = human_labels[kind]
    else:
        have = f"it has {', '.join(sorted(human_labels))}" if human_labels else "none lie with its images"
        raise BadInput(f"{dataset} has no human labels of the kind '{kind}'; {have}")
    header = Header(
        kind=kind,
        rate=rate if drawn else None,
        seed=seed if drawn else None,
        dataset=dataset,
        dataset_sha256=dataset_sha256,
        num_classes=num_classes,
    )
    return frozen(header, reference, given)


def read_labels(file: Path, count: int, num_classes: int, dataset_sha256: str) -> Labels:
    """Given labels from a file: an artefact (.npz), or text with one label from 0 a line, in the order of the training set.

    Raises BadInput where the file does not fit the dataset.
    """
    need_file("noise file", file)
    if file.suffix == ".npz":
        header, given = read_artefact(file)
        if header.dataset_sha256 != dataset_sha256:
            raise BadInput(f"noise file {file}: it was made for other data ({header.dataset}) than the dataset at hand")
    else:
        try:
            words = file.read_text(encoding="utf-8-sig").split()
        except UnicodeDecodeError:
            words = ["?"]
        except OSError as error:
            raise BadInput(f"noise file {file}: it cannot be read ({error.strerror})") from None
        if not all(re.fullmatch(r"-?[0-9]{1,9}", word) for word in words):
            raise BadInput(f"noise file {file}: wanted one whole number a line, a label counted from 0")
        given = np.array([int(word) for word in words], dtype=np.int64)
    if len(given) != count:
        raise BadInput(f"noise file {file}: it has {len(given)} labels, and the training set has {count} images")
    if len(given) and not (given.min() >= 0 and given.max() < num_classes):
        row = int(np.argmax((given < 0) | (given >= num_classes)))
        raise BadInput(f"noise file {file}: label {given[row]} in place {row + 1}; wanted 0 to {num_classes - 1}")
    return given


def read_artefact(file: Path) -> tuple[Header, Labels]:
    """Header and labels of an .npz artefact, checked against its own hash. Raises BadInput where it is damaged."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            stored = json.loads(arrays["header"].tobytes())
            given = arrays["given"].astype(np.int64)
            if given.ndim != 1:
                raise ValueError(f"labels of shape {given.shape}")
        sha256 = stored.pop("sha256")
        stored.pop("realised")
        header = Header(**stored)
    except Exception:  # zip, numpy, json and pydantic each raise types of their own
        raise BadInput(f"noise file {file}: it is not a noise artefact of this suite, or it is damaged") from None
    if Noise(header, given, np.empty((0, 0)), 0.0).sha256 != sha256:
        raise BadInput(f"noise file {file}: its labels do not match its own sha256: it was changed or is damaged")
    return header, given
