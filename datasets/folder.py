"""Your own images, in a folder for each class.

The data root is the folder itself:

    train/CLASS/*, test/CLASS/*     a split of your own (`val` stands for `test` where that is missing), or else
    CLASS/*                         all images, of which a share of each class becomes the test set

Names may be in any script; classes are in the order of their names. Folders within a class belong to it, links are followed,
hidden files are left out. With a note, so is what is no image by the ending of its name, and a link to a folder that it lies
in, which would bring the images of other classes into one.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from benchmark.contract import BadInput, Card
from benchmark.contract.files import files_below, folders_in, header, is_image, leads_up
from benchmark.contract.images import without_warnings
from benchmark.contract.text import has_controls

from ._listed import TEST, TRAIN, ListedDataset, Row, needed

LARGEST_SIDE = 224
LOOKED_AT = 200
GREY = frozenset(("1", "L", "LA", "I", "I;16", "I;16B"))
"""PIL's modes of images that know no colour."""
SPLITS = {"train": TRAIN, "test": TEST, "val": TEST, "valid": TEST, "validation": TEST}
"""What a split's folder may be called, the names that go before first."""


@dataclass(frozen=True)
class Config:
    """Options of a folder of images."""

    side: Annotated[int, Field(ge=0, le=4096)] = 0  # pixels each image is brought to; 0: the images' usual one, at most 224
    colour: Literal["auto", "rgb", "grey"] = "auto"  # auto: grey where all images are
    test: Annotated[float, Field(ge=1, le=90)] = 20.0  # percent of each class for the test, where there is no split


class Folder(ListedDataset):
    """A folder of images of your own, sorted by class."""

    name = "folder"
    card = Card(
        summary="your own images: --data-root DIR with train/CLASS/* and test/CLASS/*, or CLASS/* and a share for the test",
        citation="none",
        source="your own",
        licence="your own",
        access="--data-root DIR, with train/CLASS/* and test/CLASS/*, or CLASS/* alone",
    )
    Config = Config

    def classes(self) -> tuple[str, ...]:
        return self._classes

    def rows(self) -> Sequence[Row]:
        return self._rows

    def folders(self) -> Sequence[Path]:
        return [folder for _, _, folder in self._class_folders]

    def side(self) -> int:
        return int(self.config.side) or self._usual_side

    @property
    def channels(self) -> int:  # type: ignore[override]
        """1 or 3."""
        return self._channels

    def not_followed(self) -> Sequence[Path]:
        places = dict.fromkeys((self._root, *self._places.values()))
        links = [path for place in places for path in sorted(place.iterdir()) if path.is_dir() and leads_up(path, place)]
        return [*links, *super().not_followed()]

    def notes(self) -> Iterator[str]:
        others = [path for folder in self.folders() for path in files_below(folder) if not is_image(path)]
        others += [path for place in self._places.values() for path in place.iterdir() if is_image(path) and path.is_file()]
        if others:
            yield f"{len(others)} files are not used, which are no images by their endings or lie in no class ({others[0]})"
        unused = {f.name for f in folders_in(self._root) if f.name.lower() in SPLITS} - {p.name for p in self._places.values()}
        if unused and self._places.keys() != {""}:
            yield f"of {self._root}, {', '.join(sorted(unused))} is not used"

    @cached_property
    def _root(self) -> Path:
        return needed(self.root, self.name, self.card.access)

    @cached_property
    def _places(self) -> dict[str, Path]:
        """The folders of classes by split; the whole root under "" where it has no split."""
        found: dict[str, Path] = {}
        for name, split in SPLITS.items():
            places = [f for f in folders_in(self._root) if f.name.lower() == name and folders_in(f)]
            if len(places) > 1:
                raise BadInput(f"{self._root}: it has both {places[0].name} and {places[1].name}; wanted one of them")
            if places:
                found.setdefault(split, places[0])
        if len(found) == 1:
            (there,) = found.values()
            raise BadInput(f"{self._root}: it has {there.name}/CLASS and no other split; wanted {TRAIN} and {TEST}, or CLASS/*")
        return found or {"": self._root}

    @cached_property
    def _class_folders(self) -> list[tuple[str, str, Path]]:
        """(split or "", class, folder) of each folder of a class."""
        return [
            (split, unicodedata.normalize("NFC", folder.name), folder)  # macOS writes an umlaut as two characters
            for split, place in self._places.items()
            for folder in folders_in(place)
        ]

    @cached_property
    def _classes(self) -> tuple[str, ...]:
        return checked_classes(str(self._root), {name for _, name, _ in self._class_folders}, "a folder for each")

    @cached_property
    def _rows(self) -> list[Row]:
        label = {name: k for k, name in enumerate(self._classes)}
        rows = []
        for split, name, folder in self._class_folders:
            paths = [path for path in files_below(folder) if is_image(path)]
            if not paths and not split:
                raise BadInput(f"{folder}: there is no image in it; wanted a folder for each class, and no other")
            held_out = set() if split else held_out_of(paths, self._root, self.config.test)
            rows += [Row(split or (TEST if p in held_out else TRAIN), p, label[name], str(p)) for p in paths]
        return rows

    @cached_property
    def _usual_side(self) -> int:
        paths = [row.path for row in self.rows()]
        with without_warnings():
            sides = sorted(min(size) for size, _ in headers(paths[:: max(1, len(paths) // LOOKED_AT)]))
        return min(LARGEST_SIDE, sides[len(sides) // 2]) if sides else LARGEST_SIDE

    @cached_property
    def _channels(self) -> int:
        if self.config.colour == "auto":
            with without_warnings():
                return 1 if all(mode in GREY for _, mode in headers([row.path for row in self.rows()])) else 3
        return 1 if self.config.colour == "grey" else 3


def headers(paths: Iterable[Path]) -> Iterator[tuple[tuple[int, int], str]]:
    """What `header` says of the files; those that it cannot read are left out, for it is decoding that refuses them."""
    for path in paths:
        with suppress(BadInput):
            yield header(path)


def checked_classes(where: str, names: Iterable[str], wanted: str) -> tuple[str, ...]:
    """The names of classes in order. Raises BadInput for fewer than two, and for names that cannot be told apart by sight."""
    classes = tuple(sorted(names))
    if bad := next(filter(has_controls, classes), None):
        raise BadInput(f"{where}: the class {bad!a} has a control character in its name")
    if len(classes) < 2:
        raise BadInput(f"{where}: it has {len(classes)} classes; wanted at least two, and {wanted}")
    spelt: dict[str, str] = {}
    for name in classes:
        if (other := spelt.setdefault(name.casefold(), name)) != name:
            raise BadInput(f"{where}: the classes '{other}' and '{name}' differ in case alone; wanted one spelling")
    return classes


def held_out_of(paths: Sequence[Path], root: Path, percent: float) -> set[Path]:
    """The share of the images of one class that is for the test; one at least where there are two, and never all.

    It is chosen by a hash of the names below `root`, so that most of it stays when images are added.
    """
    ranked = sorted(paths, key=lambda path: hashlib.sha256(path.relative_to(root).as_posix().encode()).digest())
    return set(ranked[: min(max(1, round(len(paths) * percent / 100)), len(paths) - 1)])
