"""Datasets whose images are files, each with a label from a list, a table or the name of its folder."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import BadInput, Box, Data, Dataset, Finding, Seen, Split, decode_one, duplicates
from benchmark.contract.files import files_below, image_size, is_image

TRAIN, TEST = "train", "test"


@dataclass(frozen=True)
class Row:
    """One labelled image as its distribution lists it, right or wrong."""

    split: str  #: train or test
    path: Path
    label: int | None  #: from 0; None where it is no class
    where: str  #: the row in words, for a message
    votes: Sequence[int] | None = None  #: all rows of a split have them, or none
    box: Box | None = None  #: all rows of a split have one, or none
    fault: str = ""  #: what else keeps it from being used, in words
    left_out: str = ""  #: why its plugin does not use it, though nothing is wrong with it


class ListedDataset(Dataset):
    """A plugin gives its classes, its rows and the folders in which every image should have one; all else is here."""

    channels: ClassVar[int] = 3
    file_size: ClassVar[tuple[int, int] | None] = None  #: (width, height) that every file should have

    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, by label."""

    @abstractmethod
    def rows(self) -> Iterable[Row]:
        """Every labelled image. Raises BadInput where the list itself is missing or cannot be read."""

    @abstractmethod
    def side(self) -> int:
        """Of the square that each image becomes, in pixels."""

    def lists(self) -> Sequence[Path]:
        """The files that `rows` reads, beside the images."""
        return ()

    def folders(self) -> Sequence[Path]:
        """In which every image should have a row."""
        return ()

    def unused(self) -> Iterable[Path]:
        """Images in those folders that have a label, and are left out on purpose."""
        return ()

    def notes(self) -> Iterable[str]:
        """What a user should be told each time."""
        return ()

    def mistakes(self) -> dict[str, NDArray[np.float64]]:
        """What each class is mistaken for, as `Data` says."""
        return {}

    def sources(self) -> Sequence[Path]:
        """The lists and all images; it is `read` that names a missing one, with its row."""
        return [*self.lists(), *dict.fromkeys(row.path for row in self.rows() if row.path.is_file())]

    def read(self) -> Data:
        """All images, in the order of the rows. Raises BadInput for the first row that cannot be used."""
        classes = self.classes()
        rows = list(self.rows())
        for row in rows:
            if fault := row.fault or _label_fault(row, len(classes)):
                raise BadInput(f"{row.where}: {fault}")
            if not row.path.is_file():
                raise BadInput(f"{row.where}: there is no image {row.path}")
        _refuse_contradictions(rows)
        parts = {split: [row for row in rows if row.split == split] for split in (TRAIN, TEST)}
        for split, part in parts.items():
            if not part:
                raise BadInput(f"{self.name}: there is no {split} image in {self.root}")
        trained = {row.label for row in parts[TRAIN]}
        if untrained := [name for label, name in enumerate(classes) if label not in trained]:
            raise BadInput(f"{self.name}: the class '{untrained[0]}' has no training image in {self.root}")
        train, test = self._split(parts[TRAIN]), self._split(parts[TEST])
        return Data(train, test, classes, notes=tuple(self.notes()), mistakes=self.mistakes())

    def _split(self, rows: Sequence[Row]) -> Split:
        boxes = [row.box for row in rows if row.box is not None]
        votes = [row.votes for row in rows if row.votes is not None]
        if len(boxes) not in (0, len(rows)) or len(votes) not in (0, len(rows)):
            raise BadInput(f"{self.name}: some of its rows have a box, or votes, and others none; wanted all or none")
        images = self.decode([row.path for row in rows], self.side(), self.channels, boxes or None)
        labels = np.array([row.label for row in rows], np.int64)
        return Split(
            images, labels, np.array(votes, np.int64) if votes else None, names_for_lists([row.path for row in rows], self.root)
        )

    def findings(self) -> Iterator[Finding]:
        """Every row and every image, one by one."""
        try:
            rows, count = list(self.rows()), len(self.classes())
            there = [folder for folder in self.folders() if folder.is_dir()]
            found = {path: is_image(path) for folder in there for path in files_below(folder)}
        except BadInput as error:
            yield Finding("unreadable", self.name, str(error))
            return
        for row in rows:
            if row.fault:
                yield Finding("unusable row", row.where, row.fault)
            elif fault := _label_fault(row, count):
                yield Finding("label out of range", row.where, fault)
        for path, times in Counter(row.path for row in rows if not row.fault).items():
            if times > 1:
                yield Finding("listed twice", str(path), f"{times} rows")
        trained = {row.label for row in rows if row.split == TRAIN and not row.fault}
        for label, name in enumerate(self.classes()):
            if label not in trained:
                yield Finding("class without image", name, f"none for training in {self.root}")
        listed = {row.path: row for row in rows if not row.fault}
        unused = set(self.unused())
        for path, image in found.items():
            if not image:
                yield Finding("no image", str(path), "by the ending of its name")
            elif path not in listed and path not in unused:
                yield Finding("image without label", str(path))
        yield from self._image_findings(listed)

    def _image_findings(self, listed: dict[Path, Row]) -> Iterator[Finding]:
        seen: list[Seen] = []
        for path, row in listed.items():
            if not path.is_file():
                yield Finding("label without image", row.where, f"there is no {path}")
                continue
            try:
                size = image_size(path)
                pixels = decode_one(path, self.side(), self.channels, row.box)
            except BadInput as error:
                yield Finding("undecodable", str(path), str(error))
                continue
            if self.file_size and size != self.file_size:
                yield Finding("wrong size", str(path), f"{size[0]}x{size[1]}; wanted {self.file_size[0]}x{self.file_size[1]}")
            seen.append(Seen(sha256(pixels.tobytes()).digest(), row.split, -1 if row.label is None else row.label, str(path)))
        yield from duplicates(seen)


def _label_fault(row: Row, count: int) -> str:
    return "" if row.label is not None and 0 <= row.label < count else f"its label is none of the {count} classes"


def _refuse_contradictions(rows: Sequence[Row]) -> None:
    """Raises BadInput where one image, or one box of it, has two labels or is in both splits."""
    seen: dict[tuple[Path, Box | None], Row] = {}
    for row in rows:
        first = seen.setdefault((row.path, row.box), row)
        if (first.label, first.split) != (row.label, row.split):
            what = "label" if first.label != row.label else "split"
            raise BadInput(f"{row.where}: {row.path} has another {what} than before ({first.where})")


def names_for_lists(paths: Sequence[Path], root: Path | None) -> NDArray[np.str_] | None:
    """The paths (N,) of images below the data root, by which noise lists know them; None where one stands there twice."""
    names = [(path.relative_to(root) if root and path.is_relative_to(root) else path).as_posix() for path in paths]
    return np.array(names) if len(set(names)) == len(names) else None


def whole(text: str, first: int = 0) -> int | None:
    """The label from 0 that a text means, whose labels begin with `first`; None where it is no number."""
    text = text.strip()
    return int(text) - first if text.isdecimal() and text.isascii() and len(text) < 10 else None


def needed(root: Path | None, name: str, access: str) -> Path:
    """The data root of a set that needs one. Raises BadInput with how to get it."""
    if root is None:
        raise BadInput(
            f"{name} needs the folder that its files lie below: give --data-root DIR or set BENCHMARK_DATA; {access}"
        )
    if not root.is_dir():
        raise BadInput(f"{name}: there is no folder {root}")
    return root
