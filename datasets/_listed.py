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

from benchmark.contract import BadInput, Box, Data, Dataset, Finding, Seen, Split, decode_one, duplicates

ENDINGS = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"))
"""Of files that are taken for images."""
TRAIN, TEST = "train", "test"


@dataclass(frozen=True)
class Row:
    """One labelled image as its distribution lists it, right or wrong."""

    split: str  #: train or test
    path: Path
    label: int | None  #: from 0; None where it is no whole number
    where: str  #: the row in words, for a message
    votes: Sequence[int] | None = None
    box: Box | None = None


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

    def sources(self) -> Sequence[Path]:
        """The lists and all images."""
        return [*self.lists(), *dict.fromkeys(row.path for row in self.rows())]

    def read(self) -> Data:
        """All images, in the order of the rows. Raises BadInput for the first row that cannot be used."""
        classes = self.classes()
        rows = list(self.rows())
        for row in rows:
            if row.label is None or not 0 <= row.label < len(classes):
                raise BadInput(f"{row.where}: its label is none of the {len(classes)} classes")
            if not row.path.is_file():
                raise BadInput(f"{row.where}: there is no image {row.path}")
        parts = {split: [row for row in rows if row.split == split] for split in (TRAIN, TEST)}
        for split, part in parts.items():
            if not part:
                raise BadInput(f"{self.name}: there is no {split} image in {self.root}")
        return Data(self._split(parts[TRAIN]), self._split(parts[TEST]), classes)

    def _split(self, rows: Sequence[Row]) -> Split:
        boxes = [row.box for row in rows if row.box is not None]
        images = self.decode([row.path for row in rows], self.side(), self.channels, boxes or None)
        labels = np.array([row.label for row in rows], np.int64)
        votes = [row.votes for row in rows if row.votes is not None]
        names = np.array([row.path.name for row in rows])
        return Split(images, labels, np.array(votes, np.int64) if votes else None, names)

    def findings(self) -> Iterator[Finding]:
        """Every row and every image, one by one."""
        rows, count = list(self.rows()), len(self.classes())
        for row in rows:
            if row.label is None or not 0 <= row.label < count:
                yield Finding("label out of range", row.where, f"wanted one of {count} classes")
        for path, times in Counter(row.path for row in rows).items():
            if times > 1:
                yield Finding("listed twice", str(path), f"{times} rows")
        listed = {row.path: row for row in rows}
        for folder in self.folders():
            for path in images_below(folder):
                if path not in listed:
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


def images_below(folder: Path) -> list[Path]:
    """The images in a folder and its folders, by name; hidden files are none."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and not p.name.startswith(".") and p.is_file())


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) of an image file. Raises BadInput."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.size
    except Exception as error:  # PIL's decoders raise types of their own
        raise BadInput(f"{path} cannot be decoded: {' '.join(str(error).split())}") from None


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
    return root
