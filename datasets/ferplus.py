"""FER2013's faces with the votes of FER+: ten people said of each image what they saw, and FER2013's own label is a noisy one.

Below the data root lie `fer2013/fer2013.csv` (emotion, pixels, Usage) and `fer2013/fer2013new.csv` (Usage, image name, votes),
joined by row: the numbers in the image names are not row numbers, 173 names are blank and four occur twice.

The reference label is the winner of the vote over all ten columns: the eight emotions, "unknown" and "NF" (not a face).

    majority   votes that stand alone are dropped; the winner has more than half of those that remain, or the image is "unknown"
               (the rule of the authors' own code)
    argmax     the column with most votes, the first of equals

Only images whose winner is an emotion in use are kept.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import BadInput, Card, Data, Dataset, Split

from ._mistakes import expression_mistakes

EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
UNKNOWN = len(EMOTIONS)  # the first of the two columns after the emotions; the other is NF
FACES_HEADER = ("emotion", "pixels", "Usage")
VOTES_HEADER = ("Usage", "Image name", *EMOTIONS, "unknown", "NF")
USAGES = TRAINING, PUBLIC, PRIVATE = "Training", "PublicTest", "PrivateTest"
TAGGERS = 10
SMALL_NUMBERS = {str(number): number for number in range(TAGGERS + 1)}
SIDE = 48

FER2013_TO_FERPLUS = np.array([4, 5, 6, 1, 3, 2, 0])
"""FER2013's classes (angry, disgust, fear, happy, sad, surprise, neutral) as FER+ counts them."""


@dataclass(frozen=True)
class Config:
    """Options of FER+."""

    classes: int = 7  # 7: without contempt, which FER2013's own labels do not know; 8: with it
    rule: Literal["majority", "argmax"] = "majority"  # what wins a vote
    evaluate_on: Literal["private", "public"] = "private"  # choose recipes on public, report private
    keep_duplicates: bool = False  # whether training images whose exact pixels occur in the test split stay

    def __post_init__(self) -> None:
        """Raises BadInput for a number of classes that FER+ does not have."""
        if self.classes not in (7, 8):
            raise BadInput(f"ferplus.classes is {self.classes}; wanted 7 (without contempt) or 8")


class FERPlus(Dataset):
    """Seven or eight facial expressions, 48×48 grey, with ten votes an image."""

    name = "ferplus"
    card = Card(
        summary="FER+: FER2013's 35,887 faces, 48×48 grey, with ten votes an image; noise kind human is FER2013's own labels",
        citation="Barsoum et al., Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label "
        "Distribution, ICMI 2016; FER2013: Goodfellow et al., Challenges in Representation Learning, ICONIP 2013",
        source="https://github.com/microsoft/FERPlus; "
        "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge",
        licence="votes: MIT; images: Kaggle's competition rules, accepted by a click, no open licence",
        defects=(
            "557 groups of pixel-identical images cross FER2013's splits (270 training/public, 278 training/private, 43 "
            "public/private); those of training and the test split in use leave training unless keep_duplicates is set",
            "57 groups of pixel-identical images carry different FER2013 labels",
            "12 images are of one even grey; neither rule keeps any of them",
            "disgust, fear and contempt are rare: 119, 532 and 119 of 25,060 training images under the majority rule",
            "argmax breaks ties by column order, so it favours neutral",
        ),
    )
    Config = Config

    def sources(self) -> Sequence[Path]:
        """The two files."""
        if self.root is None:
            raise BadInput("ferplus needs the folder that its files lie below: give --data-root DIR or set BENCHMARK_DATA")
        files = {
            self.root / "fer2013" / "fer2013.csv": "fer2013.tar.gz of Kaggle's competition "
            "'challenges-in-representation-learning-facial-expression-recognition-challenge'",
            self.root / "fer2013" / "fer2013new.csv": "https://github.com/microsoft/FERPlus",
        }
        for file, origin in files.items():
            if not file.is_file():
                raise BadInput(f"{file} is missing: get it from {origin}")
        return list(files)

    def read(self) -> Data:
        """The images that the rule keeps, in the order of the file."""
        faces_file, votes_file = self.sources()
        images, fer2013, usage = read_faces(faces_file)
        votes, voted_usage = read_votes(votes_file)
        if len(votes) != len(images):
            raise BadInput(f"{votes_file} has {len(votes)} rows and {faces_file} {len(images)}; wanted as many, row for row")
        if different := np.flatnonzero(usage != voted_usage).tolist():
            raise BadInput(
                f"{votes_file}: row {different[0] + 1} has another Usage than in {faces_file}: the order of rows differs"
            )

        winner = winners(votes, self.config.rule)
        parts = (TRAINING, PRIVATE if self.config.evaluate_on == "private" else PUBLIC)
        train, test = (np.flatnonzero((usage == part) & (winner < self.config.classes)) for part in parts)
        notes = []
        for part, index in zip(parts, (train, test), strict=True):
            if not len(index):
                raise BadInput(f"{faces_file}: no {part} image is left with a winner among the {self.config.classes} emotions")
            notes.append(
                f"{part}: {np.sum(usage == part) - len(index)} of {np.sum(usage == part)} images left out, since none of the "
                f"{self.config.classes} emotions wins their votes ({self.config.rule})"
            )
        if not self.config.keep_duplicates:
            leaked = occurs_in(images[train], images[test])
            train = train[~leaked]
            notes.append(f"{TRAINING}: {leaked.sum()} images taken out, since their exact pixels are also in {parts[1]}")

        def split(index: NDArray[np.intp]) -> Split:
            return Split(images[index], winner[index], votes[index, : self.config.classes])

        classes = EMOTIONS[: self.config.classes]
        human = {"human": fer2013[train]}
        return Data(split(train), split(test), classes, human, tuple(notes), expression_mistakes(classes))


def winners(votes: NDArray[np.int64], rule: Literal["majority", "argmax"]) -> NDArray[np.int64]:
    """The winning column (N,) of each row of votes (N, 10)."""
    if rule == "majority":
        votes = np.where(votes == 1, 0, votes)
    winner: NDArray[np.int64] = votes.argmax(axis=1)
    won = 2 * votes.max(axis=1) > votes.sum(axis=1)
    return winner if rule == "argmax" else np.where(won, winner, UNKNOWN)


def occurs_in(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether each of the images (N, …) has its exact pixels among the others (M, …): (N,)."""
    seen = {other.tobytes() for other in others}
    return np.array([image.tobytes() in seen for image in images], dtype=bool)


def read_faces(file: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_]]:
    """Images (N, 48, 48, 1), FER2013's labels (N,) in FER+'s order, and Usage (N,) of fer2013.csv."""
    images, labels, usages = [], [], []
    for place, usage, (emotion, pixels, _) in rows(file, FACES_HEADER):
        try:
            values = np.fromstring(pixels, dtype=np.int64, sep=" ")  # many times as fast as split() and int()
        except ValueError:
            raise BadInput(f"{place}: wanted pixels from 0 to 255, found what is no number") from None
        if len(values) != SIDE * SIDE:
            raise BadInput(f"{place}: wanted {SIDE * SIDE} pixels, found {len(values)}")
        if values.min() < 0 or values.max() > 255:
            raise BadInput(f"{place}: wanted pixels from 0 to 255, found {values.min()} to {values.max()}")
        images.append(values.astype(np.uint8))
        labels.append(FER2013_TO_FERPLUS[whole_number(place, "emotion", emotion, 6)])
        usages.append(usage)
    return np.array(images, np.uint8).reshape(-1, SIDE, SIDE, 1), np.array(labels, np.int64), np.array(usages, np.str_)


def read_votes(file: Path) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Votes (N, 10) for the eight emotions, unknown and NF, and Usage (N,) of fer2013new.csv."""
    votes, usages = [], []
    for place, usage, (_, _, *counts) in rows(file, VOTES_HEADER):
        votes.append([whole_number(place, "vote", count, TAGGERS) for count in counts])
        usages.append(usage)
    return np.array(votes, np.int64).reshape(-1, len(VOTES_HEADER) - 2), np.array(usages, np.str_)


def rows(file: Path, header: Sequence[str]) -> Iterator[tuple[str, str, list[str]]]:
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
    """The number that the text is. Raises BadInput where it is none from 0 to `largest`."""
    number = SMALL_NUMBERS.get(text.strip(), -1)
    if not 0 <= number <= largest:
        raise BadInput(f"{place}: {what} is '{text[:40]}'; wanted a whole number from 0 to {largest}")
    return number
