"""Label lists as text: in the order of the training set, or by the names of its images as the FER papers exchange them.

    3                                   one label from 0 a line, in order
    train_00001.jpg 5                   SCN's RAF-DB lists: labels from 1
    /data/train_00001_aligned.jpg 4     EAC's: whole paths, labels from 0

Whether labels begin with 0 or 1 is read from the labels themselves: where 0 occurs they begin with it, where K occurs with 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from ..contract.errors import BadInput
from .laws import Labels

ALIGNED = "_aligned"
"""What RAF-DB's aligned images have at the end of their names, and its lists mostly have not."""


def read_list(file: Path, names: Sequence[str] | None, count: int, num_classes: int) -> tuple[Labels, tuple[str, ...]]:
    """Given labels (N,) and what a user should be told, from a text file. Raises BadInput where it does not fit the dataset.

    `names`: of the training images, where they have any; rows of other images are left out, and told.
    """
    try:
        lines = [line.split() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise BadInput(f"noise file {file}: it is no text") from None
    except OSError as error:
        raise BadInput(f"noise file {file}: it cannot be read ({error.strerror})") from None
    if lines and all(len(words) == 2 for words in lines) and not all(words[0].isdecimal() for words in lines):
        return _by_name(file, [(words[0], words[1]) for words in lines], names, num_classes)
    labels = _numbers(file, [word for words in lines for word in words])
    if len(labels) != count:
        raise BadInput(f"noise file {file}: it has {len(labels)} labels, and the training set has {count} images")
    _check_range(file, labels, num_classes)
    return labels, ()


def _by_name(
    file: Path, rows: Sequence[tuple[str, str]], names: Sequence[str] | None, num_classes: int
) -> tuple[Labels, tuple[str, ...]]:
    if names is None:
        raise BadInput(f"noise file {file}: it names images, and those of this dataset have no names")
    labels = _numbers(file, [label for _, label in rows])
    place = {plain_name(name): k for k, name in enumerate(names)}
    given = np.full(len(names), -1, np.int64)
    elsewhere = 0
    first = first_label(file, labels, num_classes)
    _check_range(file, labels, num_classes, first)
    for (name, _), label in zip(rows, labels - first, strict=True):
        k = place.get(plain_name(name))
        if k is None:
            elsewhere += 1
        elif given[k] not in (-1, label):
            raise BadInput(f"noise file {file}: {name} has two labels, {given[k] + first} and {label + first}")
        else:
            given[k] = label
    if missing := int(np.sum(given < 0)):
        example = names[int(np.argmax(given < 0))]
        raise BadInput(f"noise file {file}: {missing} of {len(names)} training images have no label in it ({example}, …)")
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


def list_text(labels: Labels, names: Sequence[str] | None, first: int) -> str:
    """Labels (N,) as a list: `NAME LABEL` a line, or the label alone where there are no names; labels begin with `first`.

    Names are as SCN's lists have them, without RAF-DB's `_aligned`.
    """
    if names is None:
        return "".join(f"{label + first}\n" for label in labels)
    plain = [plain_name(name) + PurePosixPath(name).suffix for name in names]
    return "".join(f"{name} {label + first}\n" for name, label in zip(plain, labels, strict=True))


def _numbers(file: Path, words: Sequence[str]) -> Labels:
    if not all(re.fullmatch(r"-?[0-9]{1,9}", word) for word in words):
        raise BadInput(f"noise file {file}: wanted one whole number a line, a label counted from 0, or a name and a label")
    return np.array([int(word) for word in words], dtype=np.int64)


def _check_range(file: Path, labels: Labels, num_classes: int, first: int = 0) -> None:
    last = first + num_classes - 1
    if outside := np.flatnonzero((labels < first) | (labels > last)).tolist():
        row = outside[0]
        raise BadInput(f"noise file {file}: label {labels[row]} in place {row + 1}; wanted {first} to {last}")
