"""The two files of FER2013 and FER+, row by row: faces with FER2013's own labels, and the votes that FER+ asked for."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import BadInput, Finding

EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
UNKNOWN = len(EMOTIONS)  # the first of the two columns after the emotions; the other is NF
FACES_HEADER = ("emotion", "pixels", "Usage")
VOTES_HEADER = ("Usage", "Image name", *EMOTIONS, "unknown", "NF")
USAGES = TRAINING, PUBLIC, PRIVATE = "Training", "PublicTest", "PrivateTest"
PUBLISHED = {TRAINING: 28_709, PUBLIC: 3_589, PRIVATE: 3_589}
"""Rows of either file, by Usage."""
TAGGERS = 10
SMALL_NUMBERS = {str(number): number for number in range(TAGGERS + 1)}
SIDE = 48
COMPETITION = "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge"
KAGGLE = f"fer2013.tar.gz of Kaggle's competition ({COMPETITION}), whose rules have to be accepted"
LICENCE = "Kaggle's competition rules, accepted by a click, no open licence"
CITATION = "Goodfellow et al., Challenges in Representation Learning, ICONIP 2013"
CROSSING = (
    "557 groups of pixel-identical images cross FER2013's splits (270 training/public, 278 training/private, 43 "
    "public/private); those of training and the test split in use leave training unless keep_duplicates is set"
)
CONTRADICTIONS = "57 groups of pixel-identical images carry different FER2013 labels"
FACES, VOTES = Path("fer2013/fer2013.csv"), Path("fer2013/fer2013new.csv")
FER2013_CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""In FER2013's order, whose labels begin with 0."""
T = TypeVar("T", bound=tuple[Any, ...])


def usages(evaluate_on: Literal["private", "public"]) -> tuple[str, str]:
    """What the files call the training and the test split."""
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


def count_notes(file: Path, usage: NDArray[np.str_], published: Mapping[str, int]) -> list[str]:
    """A note for each Usage of which a file, whose rows have `usage` (N,), has more or fewer rows than were published."""
    return [
        f"{part}: {file.name} has {found} rows, where {wanted} were published: a subset, or a file that was cut"
        for part, wanted, found in wrong_counts(usage, published)
    ]


def count_findings(file: Path, usage: Iterable[str], published: Mapping[str, int]) -> list[Finding]:
    """The same as findings."""
    return [
        Finding("wrong count", str(file), f"{part}: wanted {wanted} rows, found {found}")
        for part, wanted, found in wrong_counts(usage, published)
    ]


def wrong_counts(usage: Iterable[str], published: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """(Usage, rows published, rows found) where the two differ."""
    found = Counter(map(str, usage))
    return [(part, wanted, found[part]) for part, wanted in published.items() if found[part] != wanted]


def check_join(faces_file: Path, usage: NDArray[np.str_], votes_file: Path, voted_usage: NDArray[np.str_]) -> None:
    """Raises BadInput where the rows of the two files, with Usage (N,) and (M,), cannot be about the same images."""
    if len(voted_usage) != len(usage):
        raise BadInput(f"{votes_file} has {len(voted_usage)} rows and {faces_file} {len(usage)}; wanted as many, row for row")
    if different := np.flatnonzero(usage != voted_usage).tolist():
        raise BadInput(
            f"{votes_file}: row {different[0] + 1} has another Usage than in {faces_file}: the order of rows differs"
        )


def read_faces(file: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_]]:
    """Images (N, 48, 48, 1), FER2013's labels (N,) and Usage (N,) of fer2013.csv."""
    found = [face(place, fields) for _, place, fields in rows(file, FACES_HEADER)]
    images, labels, usages = zip(*found, strict=True) if found else ((), (), ())
    return np.array(images, np.uint8).reshape(-1, SIDE, SIDE, 1), np.array(labels, np.int64), np.array(usages, np.str_)


def read_votes(file: Path) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Votes (N, 10) for the eight emotions, unknown and NF, and Usage (N,) of fer2013new.csv."""
    found = [ten_votes(place, fields) for _, place, fields in rows(file, VOTES_HEADER)]
    votes, usages = zip(*found, strict=True) if found else ((), ())
    return np.array(votes, np.int64).reshape(-1, len(VOTES_HEADER) - 2), np.array(usages, np.str_)


def every_row(file: Path, header: Sequence[str], read: Callable[[str, list[str]], T]) -> tuple[dict[int, T], list[Finding]]:
    """What `read` makes of each row, by its number from 1, and a finding for each that cannot be read."""
    found: dict[int, T] = {}
    damaged: list[Finding] = []
    try:
        for number, place, fields in rows(file, header):
            try:
                found[number] = read(place, fields)
            except BadInput as error:
                damaged.append(Finding("damaged row", place, str(error).removeprefix(f"{place}: ")))
    except BadInput as error:
        damaged.append(Finding("unreadable", str(file), str(error).removeprefix(f"{file}: ")))
    return found, damaged


def rows(file: Path, header: Sequence[str]) -> Iterator[tuple[int, str, list[str]]]:
    """Each row after the header: its number from 1, its place in words for a message, its fields. Raises BadInput."""
    try:
        with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            reader = csv.reader(stream)
            found = next(reader, [])
            if [name.strip() for name in found] != list(header):
                raise BadInput(f"{file}: wanted the columns {','.join(header)}; found {','.join(found)[:200] or 'none'}")
            for number, fields in enumerate(reader, 1):
                yield number, f"{file}, row {number}", fields
    except (OSError, csv.Error) as error:
        raise BadInput(f"{file}: it cannot be read as CSV; {error}") from None


def face(place: str, fields: list[str]) -> tuple[NDArray[np.uint8], int, str]:
    """The image (2304,), FER2013's label and the Usage of a row of fer2013.csv. Raises BadInput."""
    usage = usage_of(place, fields, FACES_HEADER)
    emotion, pixels, _ = fields
    try:
        values = np.fromstring(pixels, dtype=np.int64, sep=" ")  # many times as fast as split() and int()
    except ValueError:
        raise BadInput(f"{place}: wanted pixels from 0 to 255, found what is no number") from None
    if len(values) != SIDE * SIDE:
        raise BadInput(f"{place}: wanted {SIDE * SIDE} pixels, found {len(values)}")
    if values.min() < 0 or values.max() > 255:
        raise BadInput(f"{place}: wanted pixels from 0 to 255, found {values.min()} to {values.max()}")
    return values.astype(np.uint8), whole_number(place, "emotion", emotion, len(FER2013_CLASSES) - 1), usage


def ten_votes(place: str, fields: list[str]) -> tuple[list[int], str]:
    """The votes (10,) and the Usage of a row of fer2013new.csv. Raises BadInput."""
    usage = usage_of(place, fields, VOTES_HEADER)
    return [whole_number(place, "vote", count, TAGGERS) for count in fields[2:]], usage


def usage_of(place: str, fields: list[str], header: Sequence[str]) -> str:
    """The Usage of a row. Raises BadInput where it is none, or the row has too few fields or too many."""
    if len(fields) != len(header):
        raise BadInput(f"{place}: wanted {len(header)} fields, found {len(fields)}; is the file truncated?")
    usage = fields[header.index("Usage")].strip()
    if usage not in USAGES:
        raise BadInput(f"{place}: Usage is '{usage[:40]}'; wanted {', '.join(USAGES)}")
    return usage


def whole_number(place: str, what: str, text: str, largest: int) -> int:
    """The number that the text is. Raises BadInput where it is none from 0 to `largest`."""
    number = SMALL_NUMBERS.get(text.strip(), -1)
    if not 0 <= number <= largest:
        raise BadInput(f"{place}: {what} is '{text[:40]}'; wanted a whole number from 0 to {largest}")
    return number
