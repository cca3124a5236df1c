"""What CIFAR-10 and CIFAR-100 share: the binary and the python layout, and the human labels of CIFAR-N."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import BadInput, Data, Dataset, Finding, Split
from benchmark.contract.text import cut

from ._download import Remote, fetch_what_can_be_done_without, unpack_first
from ._listed import need_any, needed
from ._pickle import load_arrays

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

PIXELS = 3 * 32 * 32
MINDSPORE = "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets"
"""Where MindSpore's tutorials have the binary versions from."""
CIFAR_N = "UCSC-REAL/cifar-10-100n@49df7d8a69e355470c77c1c2f2424916325a394b"


class CIFARDataset(Dataset):
    """A plugin names its files, says what labels a record holds, and what people said of the images."""

    official: ClassVar[str]  #: the class of torchvision that reads the python version
    archives: ClassVar[tuple[Remote, Remote]]  #: of the binary and of the python version
    binary: ClassVar[str]  #: the folder of the binary version
    python: ClassVar[str]  #: the folder of the python version
    python_files: ClassVar[tuple[str, ...]]
    names: ClassVar[Mapping[str, tuple[str, ...]]]  #: text files of the binary version, and their lines; first the classes
    label_bytes: ClassVar[int] = 1  #: in front of each image of the binary version
    binary_md5s: ClassVar[
        Mapping[str, str]
    ] = {}  #: of its .bin files, where they are known; torchvision knows the python version's
    people: ClassVar[tuple[Remote, ...]]  #: files with what people said of the images, which it can do without

    @abstractmethod
    def records(self) -> Mapping[str, int]:
        """How many images each .bin file has, in the order in which they are read; the last is the test set."""

    @abstractmethod
    def labels_of(self, file: Path, columns: NDArray[np.uint8]) -> Labels:
        """Labels (N,) from the label bytes (N, label_bytes) of a .bin file. Raises BadInput for what cannot be."""

    @abstractmethod
    def human_labels(self, labels: Labels) -> dict[str, Labels]:
        """Labels (N,) by noise kind, for training images with the reference labels `labels` (N,); none without their file."""

    @abstractmethod
    def mistakes(self) -> dict[str, NDArray[np.float64]]:
        """(K, K) by noise kind, as `Data.mistakes`."""

    def votes(self, labels: Labels) -> Labels | None:
        """How many people chose each class (N, K), for test images with the reference labels `labels` (N,), where known."""
        return None

    def sources(self) -> Sequence[Path]:
        """The files of the layout that is there, and those of the human labels that are."""
        files = self._files()
        for file in files:
            if not file.is_file():
                raise BadInput(f"{file} is missing: {self._how_to_get(file)}")
        return [*files, *(file for remote in self.people if (file := self.folder() / remote.path).is_file())]

    def read(self) -> Data:
        """All images, from whichever layout is there, in the order of the files: the human labels rely on it."""
        files = self.sources()
        if self._is_python(files):
            parts = read_python(self.folder(), self.official, self.python)
        else:
            folder = self.folder() / self.binary
            for name, wanted in self.names.items():
                check_names(folder / name, wanted)
            parts = [self._read_binary(folder / name, count) for name, count in self.records().items()]
        images, labels = (np.concatenate(column) for column in zip(*parts[:-1], strict=True))
        test_images, test_labels = parts[-1]
        test = Split(test_images, test_labels, self.votes(test_labels))
        classes = next(iter(self.names.values()))
        return Data(Split(images, labels), test, classes, self.human_labels(labels), mistakes=self.mistakes())

    def download(self) -> list[str]:
        """Unpacks the archive that is there, or fetches the binary version; and fetches what people said."""
        root = self.folder()
        if not all(file.is_file() for file in self._files()):
            unpack_first(self.archives, root)
        return fetch_what_can_be_done_without(self.people, root)

    def findings(self) -> Iterator[Finding]:
        """Every file that is missing or damaged; where none is, what the human labels lack, or images that are there twice."""
        files = self._files()
        need_any(files, self._how_to_get(files[0]))
        yield from [fault for file in files if (fault := self._fault(file))] or super().findings()

    def folder(self) -> Path:
        """The data root. Raises BadInput where there is none."""
        return needed(self.root, self.name, self.card.access)

    def _files(self) -> list[Path]:
        """The files of the layout that is there, or of the one to get."""
        root = self.folder()
        if (root / self.binary).is_dir() or not (root / self.python).is_dir():
            return [root / self.binary / name for name in (*self.records(), *self.names)]
        return [root / self.python / name for name in self.python_files]

    def _is_python(self, files: Sequence[Path]) -> bool:
        return files[0].parent.name == self.python

    def _how_to_get(self, file: Path) -> str:
        binary, python = (remote.mirrors[0] for remote in self.archives)
        fetch = "" if file.parent.is_dir() else f"; or let it be fetched: python -m benchmark data prepare {self.name}"
        return (
            f"unpack {python if self._is_python([file]) else binary} into {self.root}, "
            f"which makes the folder {file.parent.name}{fetch}"
        )

    def _fault(self, file: Path) -> Finding | None:
        if not file.is_file():
            return Finding("missing", str(file), self._how_to_get(file))
        kind = "damaged"
        try:
            if self._is_python([file]):
                check_md5(file, md5s(self.official)[file.name])
            elif file.name in self.names:
                check_names(file, self.names[file.name])
            else:
                self._read_binary(file, self.records()[file.name])
                if md5 := self.binary_md5s.get(file.name):
                    kind = "other content"  # of the right size, with labels that can be
                    check_md5(file, md5)
        except BadInput as error:
            return Finding(kind, str(file), str(error).removeprefix(f"{file}: "))
        return None

    def _read_binary(self, file: Path, records: int) -> tuple[Images, Labels]:
        images, columns = read_binary(file, records, self.label_bytes)
        return images, self.labels_of(file, columns)


def toronto(name: str, sha256: str, *mirrors: str) -> Remote:
    """An archive of CIFAR's own page, which gives an md5 alone; the sha256 is what TensorFlow Datasets and Keras verify."""
    return Remote(
        name, (f"https://www.cs.toronto.edu/~kriz/{name}", f"https://cave.cs.toronto.edu/kriz/{name}", *mirrors), sha256
    )


def read_binary(file: Path, records: int, label_bytes: int) -> tuple[Images, NDArray[np.uint8]]:
    """Images (N, 32, 32, 3) and label bytes (N, L) of one .bin file: records of L bytes and 3,072 more, all R, all G, all B."""
    length = label_bytes + PIXELS
    size, found = records * length, file.stat().st_size
    if found != size:
        raise BadInput(
            f"{file}: wanted {size} bytes ({records} records of {length}), found {found}: truncated, or another file"
        )
    rows = np.fromfile(file, dtype=np.uint8).reshape(records, length)
    images = rows[:, label_bytes:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), rows[:, :label_bytes]


def read_python(root: Path, official: str, folder: str) -> list[tuple[Images, Labels]]:
    """Images and labels of the training set and of the test set, by torchvision, which unpickles nothing of unknown md5."""
    from torchvision import datasets

    for name, md5 in md5s(official).items():
        check_md5(root / folder / name, md5)
    splits = (getattr(datasets, official)(root, train=train) for train in (True, False))
    return [(np.ascontiguousarray(split.data), np.array(split.targets, dtype=np.int64)) for split in splits]


def md5s(official: str) -> dict[str, str]:
    """The md5 of each file of the python version, as torchvision knows it."""
    from torchvision import datasets

    known = getattr(datasets, official)
    return {**dict(known.train_list), **dict(known.test_list), known.meta["filename"]: known.meta["md5"]}


def check_md5(file: Path, md5: str) -> None:
    """Raises BadInput where a file has another md5."""
    from torchvision.datasets.utils import check_integrity

    if not check_integrity(file, md5):
        raise BadInput(f"{file}: wanted md5 {md5}, found another: truncated, or another file")


def check_names(file: Path, wanted: Sequence[str]) -> None:
    """Raises BadInput where a text file does not have these names, one a line, in this order."""
    names = file.read_text(encoding="utf-8", errors="replace").split()
    if names != list(wanted):
        line = next((k for k, pair in enumerate(zip(names, wanted, strict=False)) if pair[0] != pair[1]), None)
        if line is None:
            raise BadInput(f"{file}: wanted {len(wanted)} names, found {len(names)}; is the file truncated?")
        raise BadInput(f"{file}: wanted '{wanted[line]}' as name {line + 1}, found '{names[line][:60]}'")


def read_cifar_n(file: Path, labels: Labels, kinds: Mapping[str, str], num_classes: int) -> dict[str, Labels]:
    """Human labels (N,) by noise kind, for training images with the reference labels `labels` (N,).

    `kinds` has the name of each one's array. Raises BadInput where one is missing, or was made for images in another order.
    """
    arrays = load_arrays(file)
    for name in ("clean_label", *kinds.values()):
        if name not in arrays:
            raise BadInput(f"{file}: wanted an array '{name}'; found {cut(', '.join(arrays)) or 'none'}")
        if arrays[name].shape != labels.shape:
            raise BadInput(f"{file}: wanted {len(labels)} labels in '{name}', one per image; found shape {arrays[name].shape}")
        check_range(file, name, arrays[name], num_classes)
    # The file knows images by their place alone; its copy of the reference labels shows whether the places are ours.
    if wrong := np.count_nonzero(arrays["clean_label"] != labels):
        raise BadInput(
            f"{file}: its 'clean_label' differs from the labels of the images in {wrong} places: the order of images differs"
        )
    return {kind: arrays[name] for kind, name in kinds.items()}


def check_range(file: Path, what: str, labels: Labels, num_classes: int) -> None:
    """Raises BadInput where a label is not one of the classes."""
    if bad := np.flatnonzero((labels < 0) | (labels >= num_classes)).tolist():
        raise BadInput(f"{file}: {what} {labels[bad[0]]} in record {bad[0] + 1}; wanted 0 to {num_classes - 1}")
