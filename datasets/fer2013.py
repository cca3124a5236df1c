"""FER2013 with its own labels: faces from the web, each labelled once, as the challenge of 2013 published them.

Below the data root lies `fer2013/fer2013.csv` (emotion, pixels, Usage). Its own labels are the reference here, and they are
noisy themselves: `ferplus` judges the same images by ten votes each, and has these labels as its noise kind `human`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import BadInput, Card, Data, Dataset, Finding, Seen, Split, duplicates

from ._fer_files import (
    CITATION,
    COMPETITION,
    CONTRADICTIONS,
    CROSSING,
    FACES,
    FACES_HEADER,
    FER2013_CLASSES,
    KAGGLE,
    LICENCE,
    PUBLISHED,
    count_findings,
    count_notes,
    every_row,
    face,
    read_faces,
    usages,
    without_leaks,
)
from ._listed import needed
from ._mistakes import expression_mistakes


@dataclass(frozen=True)
class Config:
    """Options of FER2013."""

    evaluate_on: Literal["private", "public"] = "private"  # choose recipes on public, report private
    keep_duplicates: bool = False  # whether training images whose exact pixels occur in the test split stay


class FER2013(Dataset):
    """Seven facial expressions, 48×48 grey."""

    name = "fer2013"
    card = Card(
        summary="FER2013: 35,887 faces with seven expressions, 48×48 grey, its own labels; 28,709 train, 3,589 private and "
        "3,589 public test",
        citation=CITATION,
        source=COMPETITION,
        licence=LICENCE,
        defects=(
            "the labels are noisy: of the training images', 32 % contradict the majority of FER+'s ten votes; see ferplus",
            CROSSING,
            CONTRADICTIONS,
            "12 images are of one even grey, and are kept",
            "classes are uneven: 7,215 training images of happiness, 436 of disgust",
        ),
        access=f"get {KAGGLE}; put fer2013.csv into fer2013/ below the data root",
    )
    Config = Config
    published: ClassVar[Mapping[str, int]] = PUBLISHED  #: rows by Usage, by which a file that was cut is known

    def sources(self) -> Sequence[Path]:
        """The one file."""
        file = needed(self.root, self.name, self.card.access) / FACES
        if not file.is_file():
            raise BadInput(f"{file} is missing: {self.card.access}")
        return [file]

    def read(self) -> Data:
        """Training and test split in the order of the file."""
        (file,) = self.sources()
        images, labels, usage = read_faces(file)
        parts = usages(self.config.evaluate_on)
        train, test = (np.flatnonzero(usage == part) for part in parts)
        for part, index in zip(parts, (train, test), strict=True):
            if not len(index):
                raise BadInput(f"{file}: there is no {part} image in it")
        notes = count_notes(file, usage, self.published)
        if not self.config.keep_duplicates:
            train, note = without_leaks(images, train, test, parts[1])
            notes.append(note)

        def split(index: NDArray[np.intp]) -> Split:
            return Split(images[index], labels[index])

        mistakes = expression_mistakes(FER2013_CLASSES)
        return Data(split(train), split(test), FER2013_CLASSES, notes=tuple(notes), mistakes=mistakes)

    def findings(self) -> Iterator[Finding]:
        """Every row that cannot be read or is missing, and of all rows, those with the same pixels: `read` leaves some out."""
        (file,) = self.sources()
        faces, damaged = every_row(file, FACES_HEADER, face)
        yield from damaged or count_findings(file, (usage for _, _, usage in faces.values()), self.published)
        yield from duplicates(
            Seen(image.tobytes(), usage, label, f"{file.name}, row {number} ({usage})")
            for number, (image, label, usage) in faces.items()
        )
