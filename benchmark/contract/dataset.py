"""What a dataset is: uint8 images, the labels that judge, the votes where humans gave any."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .config import NoOptions


@dataclass(frozen=True)
class Split:
    """Images of one split, with what is known of each."""

    images: NDArray[np.uint8]  #: (N, H, W, C), C is 1 or 3
    labels: NDArray[np.int64]  #: (N,), the reference labels, in [0, K)
    votes: NDArray[np.int64] | None = None  #: (N, K) how many humans chose each class in use, where they were asked
    names: NDArray[np.str_] | None = None  #: (N,) of the images, where noise lists may name them

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64]) -> Split:
        """The samples at `index` (M,), in that order."""
        rest = (None if array is None else array[index] for array in (self.votes, self.names))
        return Split(self.images[index], self.labels[index], *rest)  # type: ignore[arg-type]


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


class Dataset(ABC):
    """Base of all datasets. A plugin sets `name` and `card`, lists its files in `sources` and reads them in `read`.

    `read` is called once; its result goes into a memory-mapped cache under a key made of the options, the contents of all
    `sources` and the plugin's own code, and every run and process maps the same arrays.
    """

    name: ClassVar[str]
    card: ClassVar[Card]
    Config: ClassVar[type] = NoOptions  #: a frozen dataclass of options, set with `--set NAME.OPTION=VALUE`
    flip_keeps_label: ClassVar[bool] = True  #: whether a mirrored image still shows its class (digits do not)

    def __init__(self, config: Any, root: Path | None):
        """`config`: an instance of `Config`; `root`: the data root, under which a distribution lies as it was published."""
        self.config, self.root = config, root

    def sources(self) -> Sequence[Path]:
        """Every file that `read` opens. Raises BadInput, with how to get it, where one is missing."""
        return ()

    @abstractmethod
    def read(self) -> Data:
        """Reads everything into memory. Raises BadInput where a file is not what it should be."""
