"""AffectNet's faces that people labelled, with seven expressions or eight; the validation set is the test set.

Below the data root lies `affectnet/` in one of its layouts, which is found by itself:

    train_set/images/7.jpg, train_set/annotations/7_exp.npy     the same in val_set/: the newer release
    training.csv, validation.csv, Manually_Annotated_Images/    the older one: whole photographs, cut to the face box
    train_class/class000/*, val_class/class000/*                a folder for each class, by AffectNet's labels
    train/0/*, val/0/*                                          the same

AffectNet's labels are 0 neutral, 1 happiness, 2 sadness, 3 surprise, 4 fear, 5 disgust, 6 anger, 7 contempt, 8 none,
9 uncertain, 10 no face. Images with labels that are not in use are left out and counted.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import BadInput, Card, Count
from benchmark.contract.images import is_file

from ._affectnet import EMPTY, LAYOUTS, Layout, layout_of
from ._listed import TEST, TRAIN, ListedDataset, Row, needed
from ._mistakes import expression_mistakes

CLASSES = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
"""By AffectNet's labels."""
LEFT_OUT = {8: "none", 9: "uncertain", 10: "no face"}


@dataclass(frozen=True)
class Config:
    """Options of AffectNet."""

    classes: int = 7  # 7: without contempt; 8: with it
    side: Count = 112  # pixels that each image is brought to; the papers' 224 take 43 GB of cache for 287,651 images

    def __post_init__(self) -> None:
        """Raises BadInput for a number of classes that AffectNet is not used with."""
        if self.classes not in (7, 8):
            raise BadInput(f"affectnet.classes is {self.classes}; wanted 7 (without contempt) or 8")


class AffectNet(ListedDataset):
    """Seven or eight facial expressions, in colour."""

    name = "affectnet"
    card = Card(
        summary="AffectNet, labelled by people: 283,901 training faces with seven expressions, or 287,651 with eight; 500 a "
        "class are the test",
        citation="Mollahosseini, Hasani and Mahoor, AffectNet: A Database for Facial Expression, Valence, and Arousal "
        "Computing in the Wild, IEEE Transactions on Affective Computing, 2017",
        source="http://mohammadmahoor.com/affectnet/",
        licence="for research only, after an agreement that a professor or the head of a laboratory signs",
        defects=(
            "nearly every image was labelled by one person only; where two did, they agreed on about 60 % of the images",
            "classes are uneven: 134,415 training images of happiness, 3,803 of disgust, 3,750 of contempt; in the test even",
            "the test set is the published validation set, as in the papers",
            f"the release with training.csv has an empty file for {EMPTY}; it is left out",
        ),
        access="ask for it at http://mohammadmahoor.com/affectnet/; put train_set and val_set, or training.csv, validation.csv "
        "and Manually_Annotated_Images, or train_class and val_class, into affectnet/",
    )
    Config = Config

    def classes(self) -> tuple[str, ...]:
        return CLASSES[: self.config.classes]

    def side(self) -> int:
        return int(self.config.side)

    def lists(self) -> Sequence[Path]:
        return self._layout.lists(self._folder)

    def parts(self) -> Sequence[Path]:
        return [layout.place(self._folder, split) for layout in LAYOUTS for split in (TRAIN, TEST)]

    def folders(self) -> Sequence[Path]:
        return self._layout.folders(self._folder)

    def rows(self) -> Sequence[Row]:
        return self._sorted[0]

    def unused(self) -> Sequence[Path]:
        return [row.path for row, _ in self._sorted[1]]

    def notes(self) -> Iterator[str]:
        counts = Counter((row.split, why) for row, why in self._sorted[1])
        for split in (TRAIN, TEST):
            if reasons := [f"{count} {why}" for (part, why), count in sorted(counts.items()) if part == split]:
                yield f"{split}: images left out by their labels: {', '.join(reasons)}"

    def mistakes(self) -> dict[str, NDArray[np.float64]]:
        return expression_mistakes(self.classes())

    @cached_property
    def _folder(self) -> Path:
        root = needed(self.root, self.name, self.card.access)
        return Path(os.path.normpath(root / "affectnet"))

    @cached_property
    def _layout(self) -> Layout:
        layout = layout_of(self._folder)
        if layout is None:
            raise BadInput(f"{self._folder} is missing, or holds none of AffectNet's layouts; {self.card.access}")
        return layout

    @cached_property
    def _sorted(self) -> tuple[list[Row], list[tuple[Row, str]]]:
        """The rows in use, and those that are not, each with the reason."""
        used, unused = [], []
        reasons = LEFT_OUT | {label: name for label, name in enumerate(CLASSES) if label >= self.config.classes}
        for split in (TRAIN, TEST):
            for row in self._layout.rows(self._folder, split):
                why = (row.left_out or reasons.get(row.label)) if row.label is not None and not row.fault else None
                if why := why or without_content(row.path):
                    unused.append((row, why))
                else:
                    used.append(row)
        return used, unused


def without_content(path: Path) -> str | None:
    """Why an image is left out, if it is the one whose file is empty in the distribution."""
    if not path.as_posix().endswith(f"/{EMPTY}") or (is_file(path) and path.stat().st_size):
        return None
    return f"empty in the distribution ({EMPTY})"
