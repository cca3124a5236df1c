"""Your own images, in a folder for each class.

The data root is the folder itself:

    train/CLASS/*, test/CLASS/*     a split of your own, or else
    CLASS/*                         all images, of which a share of each class becomes the test set

Names may be in any script; classes are in the order of their names.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from benchmark.contract import BadInput, Card

from ._listed import TEST, TRAIN, ListedDataset, Row, image_size, images_below, needed

LARGEST_SIDE = 224
LOOKED_AT = 200


@dataclass(frozen=True)
class Config:
    """Options of a folder of images."""

    side: Annotated[int, Field(ge=0, le=4096)] = (
        0  # pixels that each image is brought to; 0: the images' usual one, at most 224
    )
    colour: Literal["auto", "rgb", "grey"] = "auto"  # auto: grey where the first images are
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

    @cached_property
    def _places(self) -> dict[str, Path]:
        """The folders of classes by split; the whole root under "" where it has no split."""
        root = needed(self.root, self.name, self.card.access)
        split = {name: root / name for name in (TRAIN, TEST) if (root / name).is_dir()}
        if len(split) == 1:
            (there,) = split
            raise BadInput(
                f"{root}: it has a folder {there} and none for the other split; wanted {TRAIN} and {TEST}, or classes"
            )
        return split or {"": root}

    @cached_property
    def _classes(self) -> tuple[str, ...]:
        found = {
            f.name for place in self._places.values() for f in place.iterdir() if f.is_dir() and not f.name.startswith(".")
        }
        if len(found) < 2:
            raise BadInput(f"{self.root}: {len(found)} folders of classes in it; wanted at least two")
        return tuple(sorted(found))

    def classes(self) -> tuple[str, ...]:
        return self._classes

    def folders(self) -> Sequence[Path]:
        return [place / name for place in self._places.values() for name in self._classes if (place / name).is_dir()]

    def rows(self) -> Iterator[Row]:
        for split, place in self._places.items():
            for label, name in enumerate(self._classes):
                paths = images_below(place / name)
                held_out = set() if split else set(chosen(paths, place, self.config.test))
                for path in paths:
                    yield Row(split or (TEST if path in held_out else TRAIN), path, label, str(path))

    def _first(self) -> list[Path]:
        rows = [row.path for row in self.rows()]
        if not rows:
            raise BadInput(f"{self.root}: there is no image in its folders")
        return rows[:: max(1, len(rows) // LOOKED_AT)]

    def side(self) -> int:
        if self.config.side:
            return int(self.config.side)
        sides = sorted(min(image_size(path)) for path in self._first())
        return min(LARGEST_SIDE, sides[len(sides) // 2])

    @property
    def channels(self) -> int:  # type: ignore[override]
        """1 or 3."""
        if self.config.colour != "auto":
            return 1 if self.config.colour == "grey" else 3
        return 1 if Counter(is_grey(path) for path in self._first())[False] == 0 else 3


def chosen(paths: Sequence[Path], root: Path, percent: float) -> list[Path]:
    """The share of `paths` that is held out: by a hash of their names, so that it stays when images are added."""
    ranked = sorted(paths, key=lambda path: hashlib.sha256(path.relative_to(root).as_posix().encode()).digest())
    return ranked[: max(1, round(len(paths) * percent / 100)) if len(paths) > 1 else 0]


def is_grey(path: Path) -> bool:
    """Whether an image file knows no colour. Raises BadInput."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.mode in ("1", "L", "LA", "I", "I;16", "F")
    except Exception as error:  # PIL's decoders raise types of their own
        raise BadInput(f"{path} cannot be decoded: {' '.join(str(error).split())}") from None
