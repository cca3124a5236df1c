"""MNIST and the sets that took over its files: four idx files of small grey images and their labels, packed by gzip or not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import BadInput, Data, Dataset, Finding, Split

from ._download import Remote, fetch
from ._listed import need_any, needed

SIDE = 28
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


class IdxDataset(Dataset):
    """A plugin says where its files lie and what its classes are."""

    mirrors: ClassVar[tuple[str, ...]]  #: folders of the packed files
    sha256s: ClassVar[tuple[str, str, str, str]]  #: of the packed files
    folders: ClassVar[tuple[str, ...]]  #: below the data root; the first is where torchvision has them
    classes: ClassVar[tuple[str, ...]]
    counts: ClassVar[tuple[int, int]] = (60_000, 10_000)  #: of training and test images

    def mistakes(self) -> dict[str, NDArray[np.float64]]:
        """(K, K) by noise kind, as `Data.mistakes`."""
        return {}

    def sources(self) -> Sequence[Path]:
        """The four files."""
        files = self._files()
        for file in files:
            if not file.is_file():
                raise BadInput(f"{file} is missing: {self.card.access}")
        return files

    def read(self) -> Data:
        """All images, in the order of the files."""
        files = self.sources()
        arrays = [read_idx(file, shape) for file, shape in zip(files, self._shapes(), strict=True)]
        for file, labels in zip(files[1::2], arrays[1::2], strict=True):
            check_labels(file, labels, len(self.classes))
        train, test = (Split(arrays[k][..., None], arrays[k + 1].astype(np.int64)) for k in (0, 2))
        return Data(train, test, self.classes, mistakes=self.mistakes())

    def download(self) -> list[str]:
        """Fetches those of the files that are not there, packed."""
        for file, name, sha256 in zip(self._files(), FILES, self.sha256s, strict=True):
            if not file.is_file():
                place = file.parent.relative_to(self._root()) / f"{name}.gz"
                fetch(Remote(place.as_posix(), tuple(f"{folder}/{name}.gz" for folder in self.mirrors), sha256), self._root())
        return []

    def findings(self) -> Iterator[Finding]:
        """Every file that is missing or damaged; where none is, images that are there twice."""
        files = self._files()
        need_any(files, self.card.access)
        yield from [fault for fault in map(self._fault, files, self._shapes()) if fault] or super().findings()

    def _root(self) -> Path:
        return needed(self.root, self.name, self.card.access)

    def _files(self) -> list[Path]:
        """The four files in the folder that has most of them, packed where they are not there unpacked."""
        places = [[self._present(self._root() / folder / name) for name in FILES] for folder in self.folders]
        return max(places, key=lambda files: sum(file.is_file() for file in files))

    @staticmethod
    def _present(file: Path) -> Path:
        packed = file.with_name(f"{file.name}.gz")
        return packed if packed.is_file() and not file.is_file() else file

    def _shapes(self) -> list[tuple[int, ...]]:
        return [shape for count in self.counts for shape in ((count, SIDE, SIDE), (count,))]

    def _fault(self, file: Path, shape: tuple[int, ...]) -> Finding | None:
        if not file.is_file():
            return Finding("missing", str(file), self.card.access)
        try:
            array = read_idx(file, shape)
            if array.ndim == 1:
                check_labels(file, array, len(self.classes))
        except BadInput as error:
            return Finding("damaged", str(file), str(error).removeprefix(f"{file}: "))
        return None


def read_idx(file: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The array of bytes of an idx file, which has to have this shape. Raises BadInput.

    The file: two zero bytes, 8 for bytes, how many dimensions; each of them in four bytes, highest first; the values.
    """
    length = 4 + 4 * len(shape) + int(np.prod(shape))
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            content = stream.read(length + 1)  # one more, so that a longer file is seen, and gzip checks its sum at the end
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{file}: it cannot be read: {' '.join(str(error).split())}; truncated, or another file") from None
    magic = bytes((0, 0, 8, len(shape)))
    if content[:4] != magic:
        raise BadInput(f"{file}: wanted the magic number 0x{magic.hex()}, found 0x{content[:4].hex()}: no idx file, or another")
    found = tuple(int(number) for number in np.frombuffer(content[4 : 4 + 4 * len(shape)].ljust(4 * len(shape), b"\0"), ">u4"))
    if found != shape:
        wanted = " × ".join(map(str, shape))
        raise BadInput(f"{file}: wanted {wanted} values, found {' × '.join(map(str, found))} in its header")
    if len(content) != length:
        size = f"{len(content)}" if len(content) < length else "more"
        raise BadInput(f"{file}: wanted {length} bytes, found {size}: truncated, or another file")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def check_labels(file: Path, labels: NDArray[np.uint8], num_classes: int) -> None:
    """Raises BadInput where a label is not one of the classes."""
    if bad := np.flatnonzero(labels >= num_classes).tolist():
        raise BadInput(f"{file}: label {labels[bad[0]]} of image {bad[0] + 1}; wanted 0 to {num_classes - 1}")
