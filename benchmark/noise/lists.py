"""Label lists as text: in the order of the training set, or by the names of its images as the FER papers exchange them.

    3                                   one label from 0 a line, in order
    train_00001.jpg 5                   SCN's RAF-DB lists: labels from 1
    /data/train_00001_aligned.jpg 4     EAC's: whole paths, labels from 0

Whether labels begin with 0 or 1 is read from the labels of the training images: where 0 occurs they begin with it, where K
occurs with 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from ..contract.errors import BadInput
from ..contract.files import text_of
from .laws import Labels

ALIGNED = "_aligned"
"""What RAF-DB's aligned images have at the end of their names, and its lists mostly have not."""


@dataclass(frozen=True)
class Names:
    """The paths of images below their data root, by which lists know them."""

    training: Sequence[str]
    test: Sequence[str] = ()  #: lists that corrupt these too are known by them

    def places(self, rows: Sequence[str]) -> list[int | None]:
        """Which training image each row of a list names; None for one that names none. Raises BadInput for several.

        What is compared is the file's name without its ending and RAF-DB's `_aligned`; of images that share it, the one whose
        path has most in common with the row's, from its end.
        """
        known: dict[str, list[int]] = {}
        everything = [*self.training, *self.test]
        for k, name in enumerate(everything):
            known.setdefault(plain_name(name), []).append(k)
        found: list[int | None] = []
        for row in rows:
            candidates = known.get(plain_name(row), [])
            if len(candidates) > 1:
                likeness = [_likeness(row, everything[k]) for k in candidates]
                candidates = [k for k, alike in zip(candidates, likeness, strict=True) if alike == max(likeness)]
            if len(candidates) > 1:
                which = " and ".join(everything[k] for k in candidates[:2])
                raise BadInput(f"{row} may be {which}; wanted as much of its path as tells them apart")
            found.append(candidates[0] if candidates and candidates[0] < len(self.training) else None)
        return found

    def short(self) -> list[str]:
        """Of the training images: names as SCN's lists have them, or whole paths where these could not be told apart."""
        names = [PurePosixPath(name) for name in (*self.training, *self.test)]
        plain = [plain_name(name.name) for name in names]
        if len(set(plain)) < len(plain):
            return list(self.training)
        return [stem + name.suffix for stem, name in zip(plain, names, strict=True)][: len(self.training)]


def _likeness(row: str, name: str) -> tuple[int, bool]:
    """How many folders two paths share from their ends on, and whether they call the file the same."""
    *theirs, file = row.replace("\\", "/").split("/")
    *ours, own = name.split("/")
    shared = 0
    for a, b in zip(reversed(theirs), reversed(ours), strict=False):
        if a != b:
            break
        shared += 1
    return shared, file == own


def read_list(file: Path, names: Names | None, count: int, num_classes: int) -> tuple[Labels, tuple[str, ...]]:
    """Given labels (N,) and what a user should be told, from a text file. Raises BadInput where it does not fit the dataset.

    Rows of other images than the training ones are left out, whatever their labels, and told.
    """
    try:
        lines = [line.strip() for line in text_of(file).splitlines() if line.strip()]
    except BadInput as error:
        raise BadInput(f"noise file {error}") from None
    rows = [line.rsplit(None, 1) for line in lines]
    if rows and all(len(row) == 2 for row in rows) and not all(word.isdecimal() for row in rows for word in row[0].split()):
        return _by_name(file, [(name, label) for name, label in rows], names, num_classes)
    labels = _numbers(file, [word for line in lines for word in line.split()])
    if len(labels) != count:
        raise BadInput(f"noise file {file}: it has {len(labels)} labels, and the training set has {count} images")
    _check_range(file, labels, num_classes)
    return labels, ()


def _by_name(
    file: Path, rows: Sequence[tuple[str, str]], names: Names | None, num_classes: int
) -> tuple[Labels, tuple[str, ...]]:
    if names is None:
        raise BadInput(f"noise file {file}: it names images, and those of this dataset have no names")
    try:
        places = names.places([name for name, _ in rows])
    except BadInput as error:
        raise BadInput(f"noise file {file}: {error}") from None
    of_training = [(k, name, label) for k, (name, label) in zip(places, rows, strict=True) if k is not None]
    labels = _numbers(file, [label for _, _, label in of_training])
    first = first_label(file, labels, num_classes)
    _check_range(file, labels, num_classes, first)
    given = np.full(len(names.training), -1, np.int64)
    for (k, name, _), label in zip(of_training, labels - first, strict=True):
        if given[k] not in (-1, label):
            raise BadInput(f"noise file {file}: {name} has two labels, {given[k] + first} and {label + first}")
        given[k] = label
    if missing := int(np.sum(given < 0)):
        example = names.training[int(np.argmax(given < 0))]
        raise BadInput(f"noise file {file}: {missing} of {len(given)} training images have no label in it ({example}, …)")
    elsewhere = len(rows) - len(of_training)
    told = f"{file.name}: {elsewhere} of its {len(rows)} rows are of no training image, and are not used"
    return given, (told,) if elsewhere else ()


def first_label(file: Path, labels: Labels, num_classes: int) -> Literal[0, 1]:
    """What the labels begin with. Raises BadInput where they do not tell."""
    if len(labels) and labels.min() >= 1:
        if labels.max() >= num_classes:
            return 1
        raise BadInput(
            f"noise file {file}: its labels go from {labels.min()} to {labels.max()}, which does not tell whether they "
            f"begin with 0 or 1; wanted 0 or {num_classes} among them"
        )
    return 0


def plain_name(name: str) -> str:
    """What is compared of a name: without folders, ending and RAF-DB's `_aligned`."""
    return PurePosixPath(name.replace("\\", "/")).stem.removesuffix(ALIGNED)


def list_text(labels: Labels, names: Names | None, first: int) -> str:
    """Labels (N,) as a list: `NAME LABEL` a line, or the label alone where there are no names; labels begin with `first`."""
    if names is None:
        return "".join(f"{label + first}\n" for label in labels)
    return "".join(f"{name} {label + first}\n" for name, label in zip(names.short(), labels, strict=True))


def _numbers(file: Path, words: Sequence[str]) -> Labels:
    if not all(re.fullmatch(r"-?[0-9]{1,9}", word) for word in words):
        raise BadInput(f"noise file {file}: wanted one whole number a line, a label counted from 0, or a name and a label")
    return np.array([int(word) for word in words], dtype=np.int64)


def _check_range(file: Path, labels: Labels, num_classes: int, first: int = 0) -> None:
    last = first + num_classes - 1
    if outside := np.flatnonzero((labels < first) | (labels > last)).tolist():
        row = outside[0]
        raise BadInput(f"noise file {file}: label {labels[row]} in place {row + 1}; wanted {first} to {last}")
