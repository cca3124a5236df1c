"""AffectNet as it lies on disk: three layouts, each read as rows whose labels are AffectNet's own, from 0 to 10."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.contract import BadInput, Box
from benchmark.contract.files import files_below, folders_in, images_below
from benchmark.contract.images import is_file
from benchmark.contract.text import one_line

from ._listed import TEST, TRAIN, Row, whole
from ._table import below, table_rows

EMPTY = "103/29a31ebf1567693f4644c8ba3476ca9a72ee07fe67a5860d98707a0a.jpg"
"""An image that training.csv names, and whose file is empty in the distribution."""
IMAGES = "Manually_Annotated_Images"
BOX = ("face_x", "face_y", "face_width", "face_height")
COLUMNS = ("subdirectory_filepath", *BOX, "expression")
LAST = "_exp.npy"


@dataclass(frozen=True)
class Layout:
    """One way in which AffectNet lies below a folder; `train` and `test` are folders, or tables with one folder of images."""

    train: str
    test: str

    def place(self, folder: Path, split: str) -> Path:
        """Where a split lies."""
        return folder / (self.train if split == TRAIN else self.test)

    def lists(self, folder: Path) -> Sequence[Path]:
        """The files with labels, beside the images."""
        return ()

    def folders(self, folder: Path) -> Sequence[Path]:
        """In which every image should have a label."""
        return [self.place(folder, TRAIN), self.place(folder, TEST)]

    def rows(self, folder: Path, split: str) -> Iterator[Row]:
        """Every image of a split with AffectNet's own label; `folder` is a path without dots. Raises BadInput."""
        raise NotImplementedError


class ByFolder(Layout):
    """A folder for each class, `class003` or `3`."""

    def rows(self, folder: Path, split: str) -> Iterator[Row]:
        for inner in folders_in(self.place(folder, split)):
            found = re.fullmatch(r"(?:class)?0*([0-9]+)", inner.name.lower())
            if found is None or int(found[1]) > 10:
                raise BadInput(f"{inner}: wanted folders called class000 to class010, or 0 to 10, by AffectNet's labels")
            yield from (Row(split, path, int(found[1]), str(path)) for path in images_below(inner))


class ByTable(Layout):
    """`training.csv` and `validation.csv`, and whole photographs with a box for each face."""

    def lists(self, folder: Path) -> Sequence[Path]:
        return [self.place(folder, TRAIN), self.place(folder, TEST)]

    def folders(self, folder: Path) -> Sequence[Path]:
        return [folder / IMAGES]

    def rows(self, folder: Path, split: str) -> Iterator[Row]:
        images = folder / IMAGES
        for where, row, fault in table_rows(self.place(folder, split), COLUMNS):
            name, label = row["subdirectory_filepath"], whole(row["expression"])
            path = below(images, name)
            if not name or path is None:
                fault = fault or f"its image '{name[:60]}' lies not in {images}"
            box, fault_of_box = face_box(row)
            in_use = label is not None and label < 8
            left_out = "without a face box" if in_use and box is None and not fault_of_box else ""
            fault = fault or (fault_of_box if in_use else "")
            yield Row(split, path or images, label, where, box=box, fault=fault, left_out=left_out)


class ByArray(Layout):
    """`train_set/images/7.jpg` with `train_set/annotations/7_exp.npy`."""

    def lists(self, folder: Path) -> Sequence[Path]:
        return [file for split in (TRAIN, TEST) for file in self._annotations(folder, split)]

    def folders(self, folder: Path) -> Sequence[Path]:
        return [self.place(folder, split) / "images" for split in (TRAIN, TEST)]

    def rows(self, folder: Path, split: str) -> Iterator[Row]:
        images = self.place(folder, split) / "images"
        by_name = {path.stem: path for path in images_below(images)}
        for file in self._annotations(folder, split):
            name = file.name.removesuffix(LAST)
            label, fault = label_of(file)
            yield Row(split, by_name.get(name, images / f"{name}.jpg"), label, str(file), fault=fault)

    def _annotations(self, folder: Path, split: str) -> list[Path]:
        return [file for file in files_below(self.place(folder, split) / "annotations") if file.name.endswith(LAST)]


LAYOUTS = (
    ByArray("train_set", "val_set"),
    ByTable("training.csv", "validation.csv"),
    ByFolder("train_class", "val_class"),
    ByFolder("train", "val"),
)


def layout_of(folder: Path) -> Layout | None:
    """In which way AffectNet lies in a folder; None where it does not. Raises BadInput for two ways at once, or half of one."""
    found = [layout for layout in LAYOUTS if layout.place(folder, TRAIN).exists() or layout.place(folder, TEST).exists()]
    if len(found) > 1:
        raise BadInput(f"{folder}: it has both {found[0].train} and {found[1].train}; wanted one layout")
    for place in (layout.place(folder, split) for layout in found for split in (TRAIN, TEST)):
        if not place.exists():
            raise BadInput(f"{place} is missing")
    return found[0] if found else None


def face_box(row: dict[str, str]) -> tuple[Box | None, str]:
    """The box of a table's row, and what is wrong with it; neither, where the row says that there is none."""
    words = [row[name] for name in BOX]
    if row["face_width"].upper() in ("", "NULL") or row["face_width"].startswith("-"):
        return None, ""
    if not all(re.fullmatch(r"-?[0-9]{1,9}", word) for word in words):
        return None, f"its face box is {', '.join(words)[:60]}; wanted four whole numbers"
    left, top, width, height = map(int, words)
    if width == 0 or height <= 0:
        return None, f"its face box is {width} wide and {height} high"
    return (left, top, left + width, top + height), ""


def label_of(file: Path) -> tuple[int | None, str]:
    """The label in an array file, and what is wrong with it: a whole number, or a text that is one."""
    if not is_file(file):
        return None, "it is no file"
    try:
        value = np.load(file, allow_pickle=False)
        text = str(value.item())
    except Exception as error:  # whatever numpy raises over a file that is not its own
        return None, f"it cannot be read as one label: {one_line(str(error))}"
    return whole(text.removesuffix(".0")), ""
