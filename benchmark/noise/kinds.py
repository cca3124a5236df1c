"""Noise by the name of its kind: what each needs to be told, and the labels that it makes."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..contract.errors import BadInput, need_file, unknown
from ..contract.files import text_of
from ..contract.text import one_line
from ..streams import numpy_stream
from .artefact import Header, Noise, Outside, frozen, read_artefact
from .laws import ABOUT, MISTAKES, RATED, RATELESS, Known, Labels
from .lists import Names, read_list

HUMAN = "human"  # `human` and every `human-…` are label sets that a dataset brings
ASYMMETRIC = "asymmetric"  # so are `asymmetric` and every `asymmetric-…`, as maps of what is mistaken for what
FILE = "file"
CONFUSION = "confusion"
OPEN_SET = "open-set"
LARGEST_COUNT = 1e15  # in a matrix; the sum of a row of larger numbers might be none
EXACT = "-exact"
FROM_OUTSIDE = re.compile(rf"{OPEN_SET}({EXACT})?:(.+)")


@dataclass(frozen=True)
class Facts:
    """What noise is made of: a dataset's training set, and for some kinds a file or images of another one."""

    dataset: str
    dataset_sha256: str
    labels: Labels  #: (N,), the reference labels
    classes: tuple[str, ...]
    images: NDArray[np.uint8] | None = None  #: (N, H, W, C)
    votes: NDArray[np.int64] | None = None  #: (N, K)
    names: Names | None = None  #: of the images
    human_labels: Mapping[str, Labels] = field(default_factory=dict)
    mistakes: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)  #: (K, K) by kind
    file: Path | None = None
    source_count: int = 0  #: images of the dataset that an open set takes images from
    source_sha256: str | None = None


def takes_rate(kind: str) -> bool:
    """Whether a noise kind needs a rate; the others bring their own. Raises BadInput for a kind that cannot be."""
    if kind in (FILE, HUMAN, *RATELESS) or kind.startswith(f"{HUMAN}-"):
        return False
    if kind in RATED or _is_asymmetric(kind) or source_of(kind):
        return True
    if kind.partition(":")[0] in (OPEN_SET, OPEN_SET + EXACT):
        raise BadInput(f"the noise kind '{OPEN_SET}' wants a dataset that its images come from, as in {OPEN_SET}:cifar100")
    raise unknown("noise kind", kind, [*RATED, *RATELESS, ASYMMETRIC, f"{ASYMMETRIC}{EXACT}", OPEN_SET, HUMAN, FILE])


def is_drawn(kind: str) -> bool:
    """Whether a seed decides the labels of a noise kind."""
    return takes_rate(kind) or kind in RATELESS


def brings_file(kind: str) -> bool:
    """Whether the labels come from a file."""
    return kind in (FILE, CONFUSION)


def source_of(kind: str) -> str | None:
    """The dataset that images from outside come from: `cifar100@10k` of `open-set:cifar100@10k` and `open-set-exact:…`."""
    return found[2] if (found := FROM_OUTSIDE.fullmatch(kind)) else None


def file_kind(kind: str, file: Path) -> str:
    """What the labels of a file are called: `file:<name>`; an artefact, which is named by its sha256, by its first digits."""
    return f"{kind}:{file.stem[:12] if re.fullmatch('[0-9a-f]{64}', file.stem) else file.stem}"


def listed() -> dict[str, str]:
    """Every kind with one line."""
    lines = dict(ABOUT)
    lines[f"KIND{EXACT}"] = f"of the kinds with a coin (and {OPEN_SET}{EXACT}:DATASET): an exact count of samples instead"
    lines[f"{OPEN_SET}:DATASET"] = "one coin a sample; heads replaces its image by one of another dataset, and keeps the label"
    lines[HUMAN] = "labels that people really gave; a dataset's own, human or human-NAME, as its card says"
    lines[FILE] = "given labels from --noise-file: an artefact (.npz), or a list (a label from 0 a line; NAME LABEL a line)"
    return lines


def make(kind: str, rate: float | None, seed: int, facts: Facts) -> tuple[Noise, tuple[str, ...]]:
    """The noise of one kind, rate (a fraction) and seed, and what a user should be told of it. Raises BadInput."""
    K, drawn = len(facts.classes), is_drawn(kind)
    notes: tuple[str, ...] = ()
    outside: Outside | None = None
    stream = numpy_stream(seed, f"noise/{kind}")
    known = Known(facts.labels, K, facts.images, facts.votes)
    if kind in RATED:
        assert rate is not None
        given = RATED[kind](known, rate, stream)
    elif _is_asymmetric(kind):
        assert rate is not None
        end = EXACT if kind.endswith(EXACT) else ""
        known = Known(facts.labels, K, matrix=_mistakes(kind.removesuffix(EXACT), facts))
        given = MISTAKES[end](known, rate, stream)
    elif source_of(kind):
        assert rate is not None
        given, outside = facts.labels, _replaced(kind, rate, facts, stream)
    elif kind == FILE:
        assert facts.file is not None
        given, notes = read_labels(facts.file, facts)
        kind = file_kind(FILE, facts.file)
    elif kind == CONFUSION:
        assert facts.file is not None
        given = RATELESS[kind](Known(facts.labels, K, matrix=read_matrix(facts.file, K)), stream)
        kind = file_kind(CONFUSION, facts.file)
    elif kind == "votes":
        if facts.votes is None:
            raise BadInput(f"the noise kind 'votes' needs votes for the training images, and {facts.dataset} has none")
        given = RATELESS[kind](known, stream)
    elif kind in facts.human_labels:
        given = facts.human_labels[kind]
    else:
        have = f"it has {', '.join(sorted(facts.human_labels))}" if facts.human_labels else "none lie with its images"
        raise BadInput(f"{facts.dataset} has no human labels of the kind '{kind}'; {have}")
    header = Header(
        kind=kind,
        rate=rate,
        seed=seed if drawn else None,
        dataset=facts.dataset,
        dataset_sha256=facts.dataset_sha256,
        classes=facts.classes,
        source_sha256=facts.source_sha256 if outside else None,
    )
    return frozen(header, facts.labels, given, outside), notes


def _is_asymmetric(kind: str) -> bool:
    return kind == ASYMMETRIC or kind.startswith(f"{ASYMMETRIC}-")


def _mistakes(kind: str, facts: Facts) -> NDArray[np.float64]:
    if kind not in facts.mistakes:
        have = f"it has {', '.join(sorted(facts.mistakes))}" if facts.mistakes else "it has none"
        raise BadInput(f"{facts.dataset} has no map of mistakes called '{kind}'; {have}")
    return facts.mistakes[kind]


def _replaced(kind: str, rate: float, facts: Facts, stream: np.random.Generator) -> Outside:
    N = len(facts.labels)
    if kind.startswith(OPEN_SET + EXACT):
        replaced = np.sort(stream.permutation(N)[: round(rate * N)])
    else:
        replaced = np.flatnonzero(stream.random(N) < rate)
    if len(replaced) > facts.source_count:
        wanted = f"{len(replaced)} images are to be replaced, and {source_of(kind)} has {facts.source_count} for it"
        raise BadInput(f"noise kind '{kind}' at {rate * 100:g} %: {wanted}")
    return Outside(replaced, stream.permutation(facts.source_count)[: len(replaced)])


def read_labels(file: Path, facts: Facts) -> tuple[Labels, tuple[str, ...]]:
    """Given labels from an artefact (.npz) or a text list. Raises BadInput where the file does not fit the dataset."""
    need_file("noise file", file)
    count, K = len(facts.labels), len(facts.classes)
    if file.suffix != ".npz":
        return read_list(file, facts.names, count, K)
    noise = read_artefact(file)
    if noise.header.dataset_sha256 != facts.dataset_sha256 or len(noise.given) != count:
        raise BadInput(
            f"noise file {file}: it was made for other data, {len(noise.given)} training images of {noise.header.dataset}; "
            f"these are {count} of {facts.dataset}"
        )
    if noise.header.classes != facts.classes:
        raise BadInput(f"noise file {file}: its classes are called {', '.join(noise.header.classes)[:80]}; not so these")
    if noise.outside is not None:
        raise BadInput(f"noise file {file}: it replaces images; run its kind, {noise.header.kind}, instead")
    return noise.given, ()


def read_matrix(file: Path, num_classes: int) -> NDArray[np.float64]:
    """A transition matrix (K, K) from a CSV of numbers, whose rows are brought to sum 1. Raises BadInput."""
    need_file("noise file", file)
    try:
        rows = [[float(cell) for cell in row] for row in csv.reader(text_of(file).splitlines()) if row]
    except BadInput as error:
        raise BadInput(f"noise file {error}") from None
    except (ValueError, csv.Error) as error:
        raise BadInput(f"noise file {file}: wanted a CSV of numbers ({one_line(str(error))})") from None
    if len(rows) != num_classes or any(len(row) != num_classes for row in rows):
        shape = f"{len(rows)} rows of {'/'.join(sorted({str(len(row)) for row in rows})) or 'no'} numbers"
        raise BadInput(f"noise file {file}: it has {shape}; wanted a matrix of {num_classes} x {num_classes}")
    matrix = np.array(rows, np.float64)
    if not (matrix >= 0).all() or matrix.max() > LARGEST_COUNT or (matrix.sum(axis=1) == 0).any():
        raise BadInput(f"noise file {file}: wanted rows of numbers from 0 to {LARGEST_COUNT:g}, in each at least one above 0")
    scaled: NDArray[np.float64] = matrix / matrix.sum(axis=1, keepdims=True)
    return scaled
