"""What a dataset is: uint8 images, the labels that judge, the votes where humans gave any."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .config import NoOptions
from .errors import BadInput
from .images import Box, decode


@dataclass(frozen=True)
class Split:
    """Images of one split, with what is known of each."""

    images: NDArray[np.uint8]  #: (N, H, W, C), C is 1 or 3
    labels: NDArray[np.int64]  #: (N,), the reference labels, in [0, K)
    votes: NDArray[np.int64] | None = None  #: (N, K) how many humans chose each class in use, where they were asked
    names: NDArray[np.str_] | None = None  #: (N,) of the images, where noise lists may name them

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64], images: NDArray[np.uint8] | None = None) -> Split:
        """The samples at `index` (M,), in that order; `images` (M, H, W, C): theirs, where they are at hand."""
        rest = (None if array is None else array[index] for array in (self.votes, self.names))
        return Split(self.images[index] if images is None else images, self.labels[index], *rest)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Data:
    """A whole dataset, as read."""

    train: Split
    test: Split
    classes: tuple[str, ...]
    human_labels: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """(N,) labels that people really gave to the training images, by the noise kind that uses them (`human`, `human-worst`)."""
    notes: tuple[str, ...] = ()
    """What a user should be told each time: counts of images that were left out, and why."""
    mistakes: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """(K, K) what each class (row) is mistaken for, by the noise kind that uses it (`asymmetric`, `asymmetric-NAME`): rows are
    distributions over the other classes, or all zeros for a class that is not mistaken."""


@dataclass(frozen=True)
class Card:
    """What to know of a dataset before its numbers are believed."""

    summary: str
    citation: str
    source: str  #: where it is described or had
    licence: str
    defects: tuple[str, ...] = ()
    access: str = ""  #: how to get it, and what to put where below the data root; empty for one that needs nothing
    publishable: bool = False  #: whether the licence lets everybody print single images


@dataclass(frozen=True)
class Finding:
    """One thing that `data check` found wrong with a distribution."""

    kind: str  #: `missing`, `undecodable`, `wrong size`, `wrong count`, `label without image`, …
    where: str  #: the file, or the row of a list
    detail: str = ""


@dataclass(frozen=True)
class Seen:
    """One image that duplicates are looked for among."""

    pixels: bytes
    split: str
    label: int
    where: str


def duplicates(images: Iterable[Seen]) -> Iterator[Finding]:
    """A finding for each group of images with the same pixels: `duplicate across splits`, or `duplicate` within one."""
    groups: dict[bytes, list[tuple[str, int, str]]] = {}
    for image in images:
        groups.setdefault(sha256(image.pixels).digest(), []).append((image.split, image.label, image.where))
    for group in groups.values():
        if len(group) > 1:
            splits, labels = {split for split, _, _ in group}, {label for _, label, _ in group}
            kind = "duplicate" if len(splits) == 1 else "duplicate across splits"
            others = ", ".join(where for _, _, where in group[1:])
            yield Finding(
                kind, group[0][2], f"the same pixels as {others}" + ("; their labels differ" if len(labels) > 1 else "")
            )


class Dataset(ABC):
    """Base of all datasets. A plugin sets `name` and `card`, lists its files in `sources` and reads them in `read`.

    `read` is called once; its result goes into a memory-mapped cache under a key made of the options, the contents of all
    `sources` and the plugin's own code, and every run and process maps the same arrays.
    """

    name: ClassVar[str]
    card: ClassVar[Card]
    Config: ClassVar[type] = NoOptions  #: a frozen dataclass of options, set with `--set NAME.OPTION=VALUE`
    images_of: ClassVar[str | None] = None  #: the dataset that shows the same images, where they are another's
    flip_keeps_label: ClassVar[bool] = True  #: whether a mirrored image still shows its class (digits do not)

    def __init__(self, config: Any, root: Path | None):
        """`config`: an instance of `Config`; `root`: the data root, under which a distribution lies as it was published."""
        self.config, self.root = config, root
        self.scratch: Path | None = None  #: set by the suite before `read`: a folder for large arrays on their way to the cache

    def sources(self) -> Sequence[Path]:
        """Every file that `read` opens. Raises BadInput, with how to get it, where one is missing."""
        return ()

    @abstractmethod
    def read(self) -> Data:
        """Reads everything. Raises BadInput where a file is not what it should be."""

    def download(self) -> Sequence[str]:
        """Brings what is not there of the distribution below the data root, where that is allowed.

        Gives a line for each file that could not be had and can be done without. Raises BadInput for one that cannot.
        """
        return ()

    def findings(self) -> Iterator[Finding]:
        """What is wrong with the distribution, all of it, where `read` would stop at the first.

        Raises BadInput, with how to get it, where nothing of it is there; else nothing is raised.
        """
        self.sources()
        try:
            data = self.read()
        except BadInput as error:
            yield Finding("unreadable", self.name, str(error))
            return
        yield from duplicates(
            Seen(image.tobytes(), which, int(label), f"{which} image {k + 1}" if split.names is None else str(split.names[k]))
            for which, split in (("train", data.train), ("test", data.test))
            for k, (image, label) in enumerate(zip(split.images, split.labels, strict=True))
        )

    def decode(self, paths: Sequence[Path], side: int, channels: int, boxes: Sequence[Box] | None = None) -> NDArray[np.uint8]:
        """Images (N, side, side, channels) from files, as `images.decode` says, into the scratch folder where there is one."""
        into = self.scratch / f"decoded-{len(list(self.scratch.iterdir()))}.npy" if self.scratch else None
        return decode(paths, side, channels, boxes, into)
