"""Tiny ImageNet: two hundred classes of ImageNet, made small.

Below the data root lies what the official archive holds:

    tiny-imagenet-200/wnids.txt                          the WordNet id of each class, one a line
    tiny-imagenet-200/words.txt                          `n01443537<tab>goldfish, Carassius auratus` a line
    tiny-imagenet-200/train/n01443537/images/*.JPEG      500 a class
    tiny-imagenet-200/val/val_annotations.txt            `val_0.JPEG<tab>n03444034<tab>…` a line, 50 a class
    tiny-imagenet-200/val/images/*.JPEG

The labels of the archive's own test images were never published: its validation images are the test set here, as in papers.
Classes are in the order of their ids, and training images in the order of their names, as torchvision's ImageFolder has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from benchmark.contract import BadInput, Card, Finding
from benchmark.contract.files import images_below, text_of
from benchmark.contract.images import exists
from benchmark.contract.text import cut

from ._download import Remote, unpack_first
from ._listed import TEST, TRAIN, ListedDataset, Row, needed

FOLDER = "tiny-imagenet-200"
ARCHIVE = Remote(
    f"{FOLDER}.zip",
    tuple(f"{scheme}://cs231n.stanford.edu/{FOLDER}.zip" for scheme in ("https", "http")),
    "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821",
)
"""Its authors gave no digest; several projects that verify it wrote this one down."""


class TinyImageNet(ListedDataset):
    """Two hundred classes of photographs, 64×64 in colour."""

    name = "tiny-imagenet"
    card = Card(
        summary="Tiny ImageNet: 110,000 photographs in 200 classes of ImageNet, 64×64 RGB; 100,000 train, the 10,000 "
        "validation images are the test",
        citation="Le and Yang, Tiny ImageNet Visual Recognition Challenge, Stanford CS231N, 2015; "
        "ImageNet: Deng et al., ImageNet: A Large-Scale Hierarchical Image Database, CVPR 2009",
        source="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        licence="none stated; ImageNet's terms allow research and education that are not commercial",
        defects=(
            "the archive's own test images have no published labels: what is the test here was made to choose methods by",
            "some images are grey; they are read as colour",
        ),
        access="get http://cs231n.stanford.edu/tiny-imagenet-200.zip and unzip it in the data root, which makes the folder "
        "tiny-imagenet-200; or have both done by python -m benchmark data prepare tiny-imagenet",
    )
    file_size: ClassVar[tuple[int, int]] = (64, 64)
    num_classes: ClassVar[int] = 200
    per_class: ClassVar[tuple[int, int]] = (500, 50)  #: training and test images of each class

    def classes(self) -> tuple[str, ...]:
        """The first name that words.txt has for each class."""
        return tuple(self._names)

    def side(self) -> int:
        return 64

    def lists(self) -> Sequence[Path]:
        folder = self._folder()
        files = [folder / "wnids.txt", folder / "words.txt", folder / "val" / "val_annotations.txt"]
        for file in files:
            if not file.is_file():
                raise BadInput(f"{file} is missing; {self.card.access}")
        return files

    def parts(self) -> Sequence[Path]:
        return [self._folder()]

    def folders(self) -> Sequence[Path]:
        folder = self._folder()
        return [*(folder / "train" / wnid / "images" for wnid in self._wnids), folder / "val" / "images"]

    def rows(self) -> Iterator[Row]:
        for label, paths in enumerate(self._training.values()):
            yield from (Row(TRAIN, path, label, str(path)) for path in paths)
        _, _, file = self.lists()
        labels = {wnid: label for label, wnid in enumerate(self._wnids)}
        for number, line in enumerate(lines_of(file), 1):
            where = f"{file}, line {number}"
            name, *rest = line.split("\t")
            if not rest or not re.fullmatch(r"val_[0-9]+\.JPEG", name):
                raise BadInput(f"{where}: '{line[:60]}'; wanted an image's name and its class's id; is the file truncated?")
            yield Row(TEST, file.parent / "images" / name, labels.get(rest[0]), where)

    def usable(self) -> tuple[list[Row], list[Row]]:
        for finding in self._wrong_counts():
            raise BadInput(f"{finding.where}: {finding.detail}; is it unpacked whole?")
        return super().usable()

    def findings(self) -> Iterator[Finding]:
        """Every class with too few or too many images, then every row and every image; or the list that cannot be read."""
        try:
            yield from self._wrong_counts()
            yield from super().findings()
        except BadInput as error:
            if not any(map(exists, self.parts())):
                raise
            yield Finding("unreadable", self.name, str(error))

    def download(self) -> list[str]:
        """Unpacks the archive, fetched where it does not lie below the data root."""
        if not self._folder().is_dir():
            unpack_first((ARCHIVE,), self._folder().parent)
        return []

    def _wrong_counts(self) -> Iterator[Finding]:
        for folder, paths in self._training.items():
            if len(paths) != self.per_class[0]:
                yield Finding("wrong count", str(folder), f"wanted {self.per_class[0]} images, found {len(paths)}")
        file, wanted = self.lists()[2], self.per_class[1] * self.num_classes
        if (found := len(lines_of(file))) != wanted:
            yield Finding("wrong count", str(file), f"wanted {wanted} lines, found {found}")

    def _folder(self) -> Path:
        return needed(self.root, self.name, self.card.access) / FOLDER

    @cached_property
    def _wnids(self) -> list[str]:
        """The ids of the classes, in the order of the labels."""
        file = self.lists()[0]
        wnids = sorted(set(lines_of(file)))
        if bad := next((wnid for wnid in wnids if not re.fullmatch("n[0-9]{8}", wnid)), None):  # it names a folder
            raise BadInput(f"{file}: '{cut(bad)}' in it is no id of WordNet, such as n01443537")
        if len(wnids) != self.num_classes:
            raise BadInput(f"{file}: wanted {self.num_classes} ids, one a line; found {len(wnids)}")
        return wnids

    @cached_property
    def _training(self) -> dict[Path, list[Path]]:
        """The training images of each class, by their folder."""
        return {folder: images_below(folder) if folder.is_dir() else [] for folder in self.folders()[:-1]}

    @cached_property
    def _names(self) -> list[str]:
        file = self.lists()[1]
        words = dict(line.split("\t", 1) for line in lines_of(file) if "\t" in line)
        for wnid in self._wnids:
            if wnid not in words:
                raise BadInput(f"{file}: it has no line for {wnid}, which is in wnids.txt; is the file truncated?")
        return [words[wnid].split(",")[0].strip() for wnid in self._wnids]


def lines_of(file: Path) -> list[str]:
    """The lines of a text file that have anything in them. Raises BadInput where it is no text."""
    return [line.rstrip() for line in text_of(file).splitlines() if line.strip()]
