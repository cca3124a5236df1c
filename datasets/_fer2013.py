"""What FER2013 and FER+ share: the reader of `fer2013/fer2013.csv` (emotion, pixels, Usage), and images that it has twice."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import BadInput, Finding

CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""In FER2013's order, whose labels begin with 0."""
FACES = Path("fer2013/fer2013.csv")
FACES_HEADER = ("emotion", "pixels", "Usage")
USAGES = TRAINING, PUBLIC, PRIVATE = "Training", "PublicTest", "PrivateTest"
SIDE = 48
LARGEST_NUMBER = 10
SMALL_NUMBERS = {str(number): number for number in range(LARGEST_NUMBER + 1)}
COMPETITION = "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge"
FACES_ACCESS = f"fer2013.tar.gz of Kaggle's competition ({COMPETITION})"
LICENCE = "Kaggle's competition rules, accepted by a click, no open licence"
CITATION = "Goodfellow et al., Challenges in Representation Learning, ICONIP 2013"
CROSSING = (
    "557 groups of pixel-identical images cross FER2013's splits (270 training/public, 278 training/private, 43 "
    "public/private); those of training and the test split in use leave training unless keep_duplicates is set"
)
CONTRADICTIONS = "57 groups of pixel-identical images carry different FER2013 labels"


def usages(evaluate_on: Literal["private", "public"]) -> tuple[str, str]:
    """What fer2013.csv calls the training and the test split."""
    return TRAINING, PRIVATE if evaluate_on == "private" else PUBLIC


def without_leaks(
    images: NDArray[np.uint8], train: NDArray[np.intp], test: NDArray[np.intp], part: str
) -> tuple[NDArray[np.intp], str]:
    """The rows `train` whose exact pixels are not among those of `test`, and a note with the count of the others.

    `images`: (N, …) of all rows; `train`, `test`: rows; `part`: what the test split is called.
    """
    leaked = occurs_in(images[train], images[test])
    return train[~leaked], f"{TRAINING}: {leaked.sum()} images taken out, since their exact pixels are also in {part}"


def occurs_in(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether each of the images (N, …) has its exact pixels among the others (M, …): (N,)."""
    seen = {other.tobytes() for other in others}
    return np.array([image.tobytes() in seen for image in images], dtype=bool)


def twins(file: Path, images: NDArray[np.uint8], labels: NDArray[np.int64], usage: NDArray[np.str_]) -> Iterator[Finding]:
    """A finding for each group of rows of `file` with the same pixels."""
    groups: dict[bytes, list[int]] = {}
    for row, image in enumerate(images):
        groups.setdefault(image.tobytes(), []).append(row)
    for rows in groups.values():
        if len(rows) > 1:
            kind = "duplicate" if len(set(usage[rows])) == 1 else "duplicate across splits"
            others = ", ".join(f"row {row + 1} ({usage[row]})" for row in rows[1:])
            differ = "; their labels differ" if len(set(labels[rows])) > 1 else ""
            yield Finding(kind, f"{file}, row {rows[0] + 1} ({usage[rows[0]]})", f"the same pixels as {others}{differ}")


def read_faces(file: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_]]:
    """Images (N, 48, 48, 1), labels (N,) and Usage (N,) of fer2013.csv. Raises BadInput for the first row that is bad."""
    images, labels, used = [], [], []
    for place, usage, (emotion, pixels, _) in csv_rows(file, FACES_HEADER):
        try:
            values = np.fromstring(pixels, dtype=np.int64, sep=" ")  # many times as fast as split() and int()
        except ValueError:
            raise BadInput(f"{place}: wanted pixels from 0 to 255, found what is no number") from None
        if len(values) != SIDE * SIDE:
            raise BadInput(f"{place}: wanted {SIDE * SIDE} pixels, found {len(values)}")
        if values.min() < 0 or values.max() > 255:
            raise BadInput(f"{place}: wanted pixels from 0 to 255, found {values.min()} to {values.max()}")
        images.append(values.astype(np.uint8))
        labels.append(whole_number(place, "emotion", emotion, len(CLASSES) - 1))
        used.append(usage)
    return np.array(images, np.uint8).reshape(-1, SIDE, SIDE, 1), np.array(labels, np.int64), np.array(used, np.str_)


def csv_rows(file: Path, header: Sequence[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Each row after the header: its place in words for a message, its Usage, all its fields. Raises BadInput."""
    try:
        with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            reader = csv.reader(stream)
            found = next(reader, [])
            if [name.strip() for name in found] != list(header):
                raise BadInput(f"{file}: wanted the columns {','.join(header)}; found {','.join(found)[:200] or 'none'}")
            for number, fields in enumerate(reader, 1):
                place = f"{file}, row {number}"
                if len(fields) != len(header):
                    raise BadInput(f"{place}: wanted {len(header)} fields, found {len(fields)}; is the file truncated?")
                usage = fields[header.index("Usage")].strip()
                if usage not in USAGES:
                    raise BadInput(f"{place}: Usage is '{usage[:40]}'; wanted {', '.join(USAGES)}")
                yield place, usage, fields
    except (OSError, csv.Error) as error:
        raise BadInput(f"{file}: it cannot be read as CSV; {error}") from None


def whole_number(place: str, what: str, text: str, largest: int) -> int:
    """The number that the text is. Raises BadInput where it is none from 0 to `largest`, at most 10."""
    number = SMALL_NUMBERS.get(text.strip(), -1)
    if not 0 <= number <= largest:
        raise BadInput(f"{place}: {what} is '{text[:40]}'; wanted a whole number from 0 to {largest}")
    return number
