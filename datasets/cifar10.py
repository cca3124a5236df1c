"""CIFAR-10 with the labels that people gave to it: CIFAR-10N's for training (five noise kinds), CIFAR-10H's votes for the test.

Below the data root, as the distributions lay it out:

    cifar-10-batches-bin/     the binary version: data_batch_1.bin … data_batch_5.bin, test_batch.bin, batches.meta.txt; or else
    cifar-10-batches-py/      the python version: data_batch_1 … data_batch_5, test_batch, batches.meta
    cifar-n/CIFAR-10_human.pt, cifar-10h/cifar10h-counts.npy      optional
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import BadInput, Card, Data, Dataset, Split, without_effect

from ._mistakes import mistake_matrix
from ._pickle import load_arrays

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PARTS = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
BINARY, PYTHON = "cifar-10-batches-bin", "cifar-10-batches-py"
CIFAR_10N, CIFAR_10H = "cifar-n/CIFAR-10_human.pt", "cifar-10h/cifar10h-counts.npy"
HUMAN = {
    "human-aggregate": "aggre_label",
    "human-random1": "random_label1",
    "human-random2": "random_label2",
    "human-random3": "random_label3",
    "human-worst": "worse_label",
}
"""Noise kinds and the names of their arrays in CIFAR-10N's file."""
MISTAKES = {
    "truck": {"automobile": 1},
    "bird": {"airplane": 1},
    "deer": {"horse": 1},
    "cat": {"dog": 1},
    "dog": {"cat": 1},
}
"""The asymmetric noise of all papers (Patrini et al., CVPR 2017, first); the other five classes are never mistaken."""


@dataclass(frozen=True)
class Config:
    """Options of CIFAR-10."""

    download: bool = without_effect(False)  # whether torchvision may fetch the python version (170 MB) where neither is there


class CIFAR10(Dataset):
    """Ten classes of small photographs, 32×32 RGB: 50,000 for training, 10,000 for the test."""

    name = "cifar10"
    card = Card(
        summary="CIFAR-10: 60,000 photographs in ten classes, 32×32 RGB, with the human labels of CIFAR-10N and CIFAR-10H",
        citation="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; "
        "CIFAR-10N: Wei et al., Learning with Noisy Labels Revisited, ICLR 2022; "
        "CIFAR-10H: Peterson et al., Human Uncertainty Makes Classification More Robust, ICCV 2019",
        source="https://www.cs.toronto.edu/~kriz/cifar.html; https://github.com/UCSC-REAL/cifar-10-100n; "
        "https://github.com/jcpeterson/cifar-10h",
        licence="images: none stated; CIFAR-10N: CC BY-NC 4.0; CIFAR-10H: CC BY-NC-SA 4.0",
        defects=(
            "about 3.3 % of the test images have a near-duplicate in the training set (Barz and Denzler, 2020)",
            "some test labels are wrong (Northcutt et al., 2021; https://labelerrors.com shows them)",
        ),
    )
    Config = Config
    records_per_file: ClassVar[int] = 10_000  #: by which a truncated file is known

    def sources(self) -> Sequence[Path]:
        """The seven files of the layout that is there, and those of the human labels that are."""
        root = self._root()
        if (root / BINARY).is_dir() or not ((root / PYTHON).is_dir() or self.config.download):
            files = [root / BINARY / name for name in (*(f"{part}.bin" for part in PARTS), "batches.meta.txt")]
        else:
            files = [root / PYTHON / name for name in (*PARTS, "batches.meta")]
            if self.config.download and not all(file.is_file() for file in files):
                download(root)
        for file in files:
            if not file.is_file():
                version = "binary" if file.parent.name == BINARY else "python"
                fetch = "" if file.parent.is_dir() else "; or let it be fetched with --set cifar10.download=true"
                raise BadInput(
                    f"{file} is missing: unpack https://www.cs.toronto.edu/~kriz/cifar-10-{version}.tar.gz into {root}, "
                    f"which makes the folder {file.parent.name}{fetch}"
                )
        return [*files, *(root / name for name in (CIFAR_10N, CIFAR_10H) if (root / name).is_file())]

    def read(self) -> Data:
        """All images, from whichever layout is there, in the order of the files: the human labels rely on it."""
        root, files = self._root(), self.sources()
        if files[0].parent.name == BINARY:
            check_names(files[6])
            parts = [read_binary(file, self.records_per_file) for file in files[:6]]
        else:
            parts = read_python(root)
        images, labels = (np.concatenate(column) for column in zip(*parts[:-1], strict=True))
        test_images, test_labels = parts[-1]
        human = read_cifar10n(root / CIFAR_10N, labels) if root / CIFAR_10N in files else {}
        votes = read_cifar10h(root / CIFAR_10H, test_labels) if root / CIFAR_10H in files else None
        mistakes = {"asymmetric": mistake_matrix(CLASSES, MISTAKES)}
        return Data(Split(images, labels), Split(test_images, test_labels, votes), CLASSES, human, mistakes=mistakes)

    def _root(self) -> Path:
        if self.root is None:
            raise BadInput("cifar10 needs the folder that its files lie below: give --data-root DIR or set BENCHMARK_DATA")
        return self.root


def check_names(file: Path) -> None:
    """Raises BadInput where batches.meta.txt does not name CIFAR-10's classes in CIFAR-10's order."""
    names = file.read_text(encoding="utf-8", errors="replace").split()
    if names != list(CLASSES):
        raise BadInput(f"{file}: wanted the classes {', '.join(CLASSES)}; found {', '.join(names)[:200] or 'none'}")


def read_binary(file: Path, records: int) -> tuple[Images, Labels]:
    """Images (N, 32, 32, 3) and labels (N,) of one .bin file: records of a label byte and 3,072 bytes, all R, all G, all B."""
    size, found = records * 3073, file.stat().st_size
    if found != size:
        raise BadInput(f"{file}: wanted {size} bytes ({records} records of 3073), found {found}: truncated, or another file")
    rows = np.fromfile(file, dtype=np.uint8).reshape(records, 3073)
    labels = rows[:, 0].astype(np.int64)
    check_range(file, "label", labels)
    return np.ascontiguousarray(rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels


def read_python(root: Path) -> list[tuple[Images, Labels]]:
    """Images and labels of the training set and of the test set, by torchvision, which unpickles nothing of unknown md5."""
    from torchvision import datasets as official
    from torchvision.datasets.utils import check_integrity

    meta = official.CIFAR10.meta
    for name, md5 in (*official.CIFAR10.train_list, *official.CIFAR10.test_list, (meta["filename"], meta["md5"])):
        if not check_integrity(root / PYTHON / name, md5):
            raise BadInput(f"{root / PYTHON / name}: wanted md5 {md5}, found another: truncated, or another file")
    splits = (official.CIFAR10(root, train=train) for train in (True, False))
    return [(np.ascontiguousarray(split.data), np.array(split.targets, dtype=np.int64)) for split in splits]


def download(root: Path) -> None:
    """Fetches the python version into the data root."""
    from torchvision import datasets as official

    try:
        official.CIFAR10(root, download=True)
    except (OSError, RuntimeError) as error:
        raise BadInput(f"cifar10 could not be downloaded into {root}: {error}") from None


def read_cifar10n(file: Path, labels: Labels) -> dict[str, Labels]:
    """The five human label sets (N,) by noise kind, for training images with the reference labels `labels` (N,)."""
    arrays = load_arrays(file)
    for name in ("clean_label", *HUMAN.values()):
        if name not in arrays:
            raise BadInput(f"{file}: wanted an array '{name}'; found {', '.join(arrays) or 'none'}")
        if arrays[name].shape != labels.shape:
            raise BadInput(f"{file}: wanted {len(labels)} labels in '{name}', one per image; found shape {arrays[name].shape}")
        check_range(file, name, arrays[name])
    # The file knows images by their place alone; its copy of the reference labels shows whether the places are ours.
    if wrong := np.count_nonzero(arrays["clean_label"] != labels):
        raise BadInput(
            f"{file}: its 'clean_label' differs from CIFAR-10's labels in {wrong} places: the order of images differs"
        )
    return {kind: arrays[name] for kind, name in HUMAN.items()}


def read_cifar10h(file: Path, labels: Labels) -> NDArray[np.int64]:
    """How many people chose each class (N, 10), for test images with the reference labels `labels` (N,)."""
    try:
        with file.open("rb") as stream:
            votes = np.lib.format.read_array(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{file}: wanted an array as numpy.save writes it; {' '.join(str(error).split())}") from None
    if votes.shape != (len(labels), 10) or votes.dtype.kind not in "iu" or votes.min() < 0:
        raise BadInput(f"{file}: wanted counts of shape ({len(labels)}, 10); found {votes.dtype} of shape {votes.shape}")
    # People and labels agree on 99 % of the images; nothing else in the file says whose votes these are.
    agreement = float(np.mean(votes.argmax(axis=1) == labels))
    if agreement < 0.5:
        raise BadInput(f"{file}: its votes name the label of only {agreement:.0%} of the images: the order of images differs")
    return votes.astype(np.int64)


def check_range(file: Path, what: str, labels: Labels) -> None:
    """Raises BadInput where a label is not one of the ten classes."""
    if bad := np.flatnonzero((labels < 0) | (labels > 9)).tolist():
        raise BadInput(f"{file}: {what} {labels[bad[0]]} in record {bad[0] + 1}; wanted 0 to 9")
