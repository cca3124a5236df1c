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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import BadInput, Card, Data, Dataset, Finding, Seen, Split, duplicates

from ._download import Remote, fetch_what_can_be_done_without, github
from ._fer_files import (
    CITATION,
    COMPETITION,
    CONTRADICTIONS,
    CROSSING,
    EMOTIONS,
    FACES,
    FACES_HEADER,
    FER2013_CLASSES,
    KAGGLE,
    LICENCE,
    PUBLISHED,
    UNKNOWN,
    VOTES,
    VOTES_HEADER,
    check_join,
    count_findings,
    count_notes,
    every_row,
    face,
    read_faces,
    read_votes,
    ten_votes,
    usages,
    without_leaks,
)
from ._listed import need_any, needed
from ._mistakes import expression_mistakes

FER2013_TO_FERPLUS = np.array([EMOTIONS.index(name) for name in FER2013_CLASSES])
"""FER2013's labels as FER+ counts them."""
PUBLISHED_VOTES = Remote(
    VOTES.as_posix(),
    github("microsoft/FERPlus@ae2128abf776409c93e50cf7c9d87180673314e6", "fer2013new.csv"),
    "9206e20d62f56475939f516847d61753e4860caeac9718b560129541b776fc2c",
)


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
    images_of = "fer2013"
    card = Card(
        summary="FER+: FER2013's 35,887 faces with seven or eight expressions, 48×48 grey, 28,709 train, 3,589 public and "
        "3,589 private test, with ten votes an image; noise kind human is FER2013's own labels",
        citation="Barsoum et al., Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label "
        f"Distribution, ICMI 2016; FER2013: {CITATION}",
        source=f"https://github.com/microsoft/FERPlus; {COMPETITION}",
        licence=f"votes: MIT; images: {LICENCE}",
        defects=(
            CROSSING,
            CONTRADICTIONS,
            "12 images are of one even grey; neither rule keeps any of them",
            "disgust, fear and contempt are rare: 119, 532 and 119 of 25,060 training images under the majority rule",
            "argmax breaks ties by column order, so it favours neutral",
        ),
        access=f"get fer2013.csv, in {KAGGLE}, and fer2013new.csv of https://github.com/microsoft/FERPlus; put both into "
        "fer2013 below the data root",
    )
    Config = Config
    published: ClassVar[Mapping[str, int]] = PUBLISHED  #: rows by Usage, by which a file that was cut is known

    def sources(self) -> Sequence[Path]:
        """The two files."""
        files = self._files()
        for file, origin in files.items():
            if not file.is_file():
                raise BadInput(f"{file} is missing: get it from {origin}")
        return list(files)

    def _files(self) -> dict[Path, str]:
        """The two files, and where each is had."""
        root = needed(self.root, self.name, self.card.access)
        return {root / FACES: KAGGLE, root / VOTES: "https://github.com/microsoft/FERPlus"}

    def read(self) -> Data:
        """The images that the rule keeps, in the order of the file."""
        faces_file, votes_file = self.sources()
        images, fer2013, usage = read_faces(faces_file)
        votes, voted_usage = read_votes(votes_file)
        check_join(faces_file, usage, votes_file, voted_usage)
        winner = winners(votes, self.config.rule)
        parts = usages(self.config.evaluate_on)
        train, test = (np.flatnonzero((usage == part) & (winner < self.config.classes)) for part in parts)
        notes = count_notes(faces_file, usage, self.published)
        for part, index in zip(parts, (train, test), strict=True):
            if not len(index):
                raise BadInput(f"{faces_file}: no {part} image is left with a winner among the {self.config.classes} emotions")
            notes.append(
                f"{part}: {np.sum(usage == part) - len(index)} of {np.sum(usage == part)} images left out, since none of the "
                f"{self.config.classes} emotions wins their votes ({self.config.rule})"
            )
        if not self.config.keep_duplicates:
            train, note = without_leaks(images, train, test, parts[1])
            notes.append(note)

        def split(index: NDArray[np.intp]) -> Split:
            return Split(images[index], winner[index], votes[index, : self.config.classes])

        classes = EMOTIONS[: self.config.classes]
        human = {"human": FER2013_TO_FERPLUS[fer2013[train]]}
        return Data(split(train), split(test), classes, human, tuple(notes), expression_mistakes(classes))

    def download(self) -> list[str]:
        """Fetches the votes; the faces are had from Kaggle alone."""
        return fetch_what_can_be_done_without([PUBLISHED_VOTES], needed(self.root, self.name, self.card.access))

    def findings(self) -> Iterator[Finding]:
        """Every file that is missing and every row that cannot be read; then, of all rows, those with the same pixels.

        `read` leaves images out, and with them most of the duplicates.
        """
        files = self._files()
        need_any(list(files), self.card.access)
        missing = [
            Finding("missing", str(file), f"get it from {origin}") for file, origin in files.items() if not file.is_file()
        ]
        if missing:
            yield from missing
            return
        faces_file, votes_file = files
        faces, damaged = every_row(faces_file, FACES_HEADER, face)
        votes, also_damaged = every_row(votes_file, VOTES_HEADER, ten_votes)
        yield from damaged or count_findings(faces_file, (row[-1] for row in faces.values()), self.published)
        yield from also_damaged or count_findings(votes_file, (row[-1] for row in votes.values()), self.published)
        if not damaged and not also_damaged:
            usage, voted_usage = (np.array([row[-1] for row in found.values()], np.str_) for found in (faces, votes))
            try:
                check_join(faces_file, usage, votes_file, voted_usage)
            except BadInput as error:
                yield Finding("files do not match", str(votes_file), str(error))
        yield from duplicates(
            Seen(image.tobytes(), usage, label, f"{faces_file.name}, row {number} ({usage})")
            for number, (image, label, usage) in faces.items()
        )


def winners(votes: NDArray[np.int64], rule: Literal["majority", "argmax"]) -> NDArray[np.int64]:
    """The winning column (N,) of each row of votes (N, 10)."""
    if rule == "majority":
        votes = np.where(votes == 1, 0, votes)
    winner: NDArray[np.int64] = votes.argmax(axis=1)
    won = 2 * votes.max(axis=1) > votes.sum(axis=1)
    return winner if rule == "argmax" else np.where(won, winner, UNKNOWN)
