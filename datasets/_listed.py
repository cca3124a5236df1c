"""Datasets whose images are files, each with a label from a list, a table or the name of its folder."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import BadInput, Box, Data, Dataset, Finding, Seen, Split, decode_one, duplicates
from benchmark.contract.files import files_below, image_size, is_image, links_up_below
from benchmark.contract.images import exists, is_file, on_all_cores

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
    published: ClassVar[Mapping[str, int]] = {}  #: images by split, where the distribution has them in one number only

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

    def parts(self) -> Sequence[Path]:
        """What lies below the data root of the distribution; where none of it does, it is not there at all."""
        return [needed(self.root, self.name, self.card.access)]

    def not_followed(self) -> Sequence[Path]:
        """Links in those folders that lead to a folder above, and would bring in what lies beside."""
        return [link for folder in self.folders() if folder.is_dir() for link in links_up_below(folder)]

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
        """The lists and all images. Raises BadInput for what `read` would refuse, but the pixels: a cache must not hide it."""
        return [*self.lists(), *dict.fromkeys(row.path for row in self.usable()[0])]

    def read(self) -> Data:
        """All images, in the order of the rows. Raises BadInput for the first row that cannot be used."""
        rows, again = self.usable()
        train, test = (self._split([row for row in rows if row.split == split]) for split in (TRAIN, TEST))
        notes = [*self.notes(), *self._count_notes(rows)]
        if links := self.not_followed():
            notes.append(f"{len(links)} links are not followed, since each leads to a folder above it ({links[0]})")
        if again:
            notes.append(f"{len(again)} rows list an image again, and are not used ({again[0].where})")
        if leaked := _also_in_training(train, test):
            notes.append(
                f"{len(leaked)} of {len(test)} test images have the exact pixels of a training image, {sum(leaked)} of them "
                f"under another label; python -m benchmark data check {self.name} names them"
            )
        return Data(train, test, self.classes(), notes=tuple(notes), mistakes=self.mistakes())

    def usable(self) -> tuple[list[Row], list[Row]]:
        """The rows that give an image each, and those that say the same once more. Raises BadInput for what cannot be used."""
        classes = self.classes()
        rows = list(self.rows())
        for row in rows:
            if fault := row.fault or _label_fault(row, len(classes)) or _file_fault(row):
                raise BadInput(f"{row.where}: {fault}")
        rows, again = _once(rows)
        for finding in self._lacks(rows):
            raise BadInput(f"{self.name}: {finding.detail}")
        return rows, again

    def _lacks(self, rows: Sequence[Row]) -> Iterator[Finding]:
        """What the rows do not have together: images of each split and for each class, boxes and votes for all or for none."""
        for split in (TRAIN, TEST):
            part = [row for row in rows if row.split == split]
            if not part:
                yield Finding("split without image", split, f"there is no {split} image in {self.root}")
            for what, count in (
                ("a box", sum(r.box is not None for r in part)),
                ("votes", sum(r.votes is not None for r in part)),
            ):
                if 0 < count < len(part):
                    detail = f"{count} of {len(part)} {split} rows have {what}, and others none; wanted all or none"
                    yield Finding("rows differ", split, detail)
        trained = {row.label for row in rows if row.split == TRAIN}
        for label, name in enumerate(self.classes()):
            if label not in trained:
                yield Finding("class without image", name, f"the class '{name}' has no training image in {self.root}")

    def _count_notes(self, rows: Sequence[Row]) -> Iterator[str]:
        counts = Counter(row.split for row in rows)
        for split, published in self.published.items():
            if counts[split] != published:
                yield f"{split}: {counts[split]} images, where {published} were published: a subset, or a list that was cut"

    def _split(self, rows: Sequence[Row]) -> Split:
        boxes = [row.box for row in rows if row.box is not None]
        votes = [row.votes for row in rows if row.votes is not None]
        images = self.decode([row.path for row in rows], self.side(), self.channels, boxes or None)
        labels = np.array([row.label for row in rows], np.int64)
        return Split(
            images, labels, np.array(votes, np.int64) if votes else None, names_for_lists([row.path for row in rows], self.root)
        )

    def findings(self) -> Iterator[Finding]:
        """Every row and every image, one by one. Raises BadInput where nothing of the distribution is there."""
        try:
            rows, count = list(self.rows()), len(self.classes())
            there = [folder for folder in self.folders() if folder.is_dir()]
            found = {path: is_image(path) for folder in there for path in files_below(folder)}
            links = self.not_followed()
        except BadInput as error:
            if not any(map(exists, self.parts())):
                raise
            yield Finding("unreadable", self.name, str(error))
            return
        for row in rows:
            if row.fault:
                yield Finding("unusable row", row.where, row.fault)
            elif fault := _label_fault(row, count):
                yield Finding("label out of range", row.where, fault)
        rows = [row for row in rows if not row.fault]
        for (path, _), times in Counter((row.path, row.box) for row in rows).items():
            if times > 1:
                yield Finding("listed twice", str(path), f"{times} rows")
        listed = {(row.path, row.box): row for row in rows}
        for split, wanted in self.published.items():
            if (number := sum(row.split == split for row in listed.values())) != wanted:
                where = ", ".join(map(str, self.lists())) or str(self.root)
                yield Finding("wrong count", where, f"{split}: wanted {wanted} images, found {number}")
        yield from self._lacks(rows)
        labelled = {row.path for row in rows} | set(self.unused())
        for path, image in found.items():
            if not image:
                yield Finding("no image", str(path), "by the ending of its name")
            elif path not in labelled:
                yield Finding("image without label", str(path))
        for path in links:
            yield Finding("link not followed", str(path), "it leads to a folder above")
        yield from self._image_findings(list(listed.values()))

    def _image_findings(self, rows: Sequence[Row]) -> Iterator[Finding]:
        for row in rows:
            if fault := _file_fault(row):
                yield Finding("not a file" if exists(row.path) else "label without image", row.where, fault)
        rows = [row for row in rows if is_file(row.path)]
        side, channels = self.side(), self.channels

        def looked_at(row: Row) -> tuple[tuple[int, int], bytes] | str:
            """The size of a row's file and a hash of its pixels, or why it has none."""
            try:
                return image_size(row.path), sha256(decode_one(row.path, side, channels, row.box).tobytes()).digest()
            except BadInput as error:
                return str(error).removeprefix(str(row.path)).lstrip(": ")

        seen: list[Seen] = []
        for row, found in zip(rows, on_all_cores(looked_at, rows), strict=True):
            if isinstance(found, str):
                yield Finding("undecodable", str(row.path), found)
                continue
            size, pixels = found
            if self.file_size and size != self.file_size:
                wanted = f"{size[0]}x{size[1]}; wanted {self.file_size[0]}x{self.file_size[1]}"
                yield Finding("wrong size", str(row.path), wanted)
            seen.append(Seen(pixels, row.split, -1 if row.label is None else row.label, str(row.path)))
        yield from duplicates(seen)


def _label_fault(row: Row, count: int) -> str:
    return "" if row.label is not None and 0 <= row.label < count else f"its label is none of the {count} classes"


def _file_fault(row: Row) -> str:
    if is_file(row.path):
        return ""
    named = row.where == str(row.path)
    if exists(row.path):
        return "it is no file" if named else f"{row.path} is no file"
    return "there is no image" if named else f"there is no image {row.path}"


def _once(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The first row of each image, or box of it, and those that repeat it. Raises BadInput for one that contradicts it."""
    first: dict[tuple[Path, Box | None], Row] = {}
    again = []
    for row in rows:
        before = first.setdefault((row.path, row.box), row)
        if before is row:
            continue
        for what in ("label", "split", "votes"):
            if getattr(before, what) != getattr(row, what):
                raise BadInput(f"{row.where}: {row.path} has another {what} than before ({before.where})")
        again.append(row)
    return list(first.values()), again


def _also_in_training(train: Split, test: Split) -> list[bool]:
    """For each test image whose exact pixels are in training, whether it has another label there."""
    labels: dict[bytes, set[int]] = {}
    for image, label in zip(train.images, train.labels, strict=True):
        labels.setdefault(sha256(image.tobytes()).digest(), set()).add(int(label))
    seen = (
        (labels.get(sha256(image.tobytes()).digest()), int(label))
        for image, label in zip(test.images, test.labels, strict=True)
    )
    return [known != {label} for known, label in seen if known]


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


def need_any(parts: Sequence[Path], access: str) -> None:
    """Raises BadInput, with how to get it, where nothing is at any of the paths."""
    if not any(map(exists, parts)):
        raise BadInput(f"{parts[0]} is missing: {access}")
