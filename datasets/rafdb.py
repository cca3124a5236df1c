"""RAF-DB, basic expressions: 15,339 aligned faces from the web, labelled by about forty people each.

Below the data root, as the RUL repository lays it out:

    raf-basic/EmoLabel/list_patition_label.txt          `train_00001.jpg 5` a line, labels from 1 (the name is spelt so)
    raf-basic/Image/aligned/train_00001_aligned.jpg     100×100, in colour
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import BadInput, Card, Count
from benchmark.contract.files import text_of

from ._listed import TEST, TRAIN, ListedDataset, Row, needed, whole
from ._mistakes import expression_mistakes

CLASSES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
"""In RAF-DB's order, whose labels begin with 1."""
LIST, IMAGES = Path("raf-basic/EmoLabel/list_patition_label.txt"), Path("raf-basic/Image/aligned")

LINE = re.compile(rf"(({TRAIN}|{TEST})_[0-9]+)\.jpg\s+(\S+)")


@dataclass(frozen=True)
class Config:
    """Options of RAF-DB."""

    side: Count = 100  # pixels that each image is brought to; the RUL code's is 224


class RAFDB(ListedDataset):
    """Seven basic expressions, 100×100 in colour."""

    name = "rafdb"
    card = Card(
        summary="RAF-DB: 15,339 aligned faces with seven basic expressions, 100×100 RGB; 12,271 train, 3,068 are the test",
        citation="Li, Deng and Du, Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition "
        "in the Wild, CVPR 2017",
        source="http://www.whdeld.net/RAF/",
        licence="for research that is not commercial, after a signed agreement",
        defects=(
            "classes are uneven: 4,772 training images of happiness, 281 of fear",
            "the test set is as uneven, so accuracy flatters what favours happiness; see macro_acc",
        ),
        access="ask its authors (http://www.whdeld.net/RAF/) for the password of the basic set; put list_patition_label.txt "
        "into raf-basic/EmoLabel and the aligned images into raf-basic/Image/aligned",
    )
    Config = Config
    file_size: ClassVar[tuple[int, int]] = (100, 100)
    published: ClassVar[Mapping[str, int]] = {TRAIN: 12_271, TEST: 3_068}

    def classes(self) -> tuple[str, ...]:
        return CLASSES

    def side(self) -> int:
        return int(self.config.side)

    def lists(self) -> Sequence[Path]:
        file = needed(self.root, self.name, self.card.access) / LIST
        if not file.is_file():
            raise BadInput(f"{file} is missing; {self.card.access}")
        return [file]

    def parts(self) -> Sequence[Path]:
        root = needed(self.root, self.name, self.card.access)
        return [root / LIST, root / IMAGES]

    def folders(self) -> Sequence[Path]:
        return [needed(self.root, self.name, self.card.access) / IMAGES]

    def rows(self) -> Iterator[Row]:
        (file,), (folder,) = self.lists(), self.folders()
        if not folder.is_dir():
            raise BadInput(f"{folder} is missing; {self.card.access}")
        for number, line in enumerate(text_of(file).splitlines(), 1):
            where = f"{file}, line {number}"
            if found := LINE.fullmatch(line.strip()):
                name, split, label = found.groups()
                yield Row(split, folder / f"{name}_aligned.jpg", whole(label, 1), where)
            elif line.strip():
                fault = f"it is '{line.strip()[:60]}'; wanted train_NUMBER.jpg or test_NUMBER.jpg, and a label"
                yield Row(TRAIN, folder, None, where, fault=fault)

    def mistakes(self) -> dict[str, NDArray[np.float64]]:
        return expression_mistakes(CLASSES)
