"""CIFAR-10 with the labels that people gave to it: CIFAR-10N's for training (five noise kinds), CIFAR-10H's votes for the test.

Below the data root, as the distributions lay it out:

    cifar-10-batches-bin/     the binary version: data_batch_1.bin … data_batch_5.bin, test_batch.bin, batches.meta.txt; or else
    cifar-10-batches-py/      the python version: data_batch_1 … data_batch_5, test_batch, batches.meta
    cifar-n/CIFAR-10_human.pt, cifar-10h/cifar10h-counts.npy      optional
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import BadInput, Card
from benchmark.contract.errors import told

from ._cifar import CIFAR_N, MINDSPORE, CIFARDataset, Labels, check_range, read_cifar_n, toronto
from ._download import Remote, github
from ._mistakes import mistake_matrix

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PARTS = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
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


class CIFAR10(CIFARDataset):
    """Ten classes of small photographs, 32×32 RGB: 50,000 for training, 10,000 for the test."""

    name = "cifar10"
    card = Card(
        summary="CIFAR-10: 60,000 photographs in ten classes, 32×32 RGB, 50,000 train, 10,000 are the test; with the human "
        "labels of CIFAR-10N and CIFAR-10H",
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
        access="unpack https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz or cifar-10-python.tar.gz from there into the "
        "data root, or have the first fetched by python -m benchmark data prepare cifar10; for the "
        "human labels put CIFAR-10_human.pt of CIFAR-10N into cifar-n and cifar10h-counts.npy of CIFAR-10H into cifar-10h",
    )
    records_per_file: ClassVar[int] = 10_000  #: by which a truncated file is known
    official, binary, python = "CIFAR10", "cifar-10-batches-bin", "cifar-10-batches-py"
    python_files = (*PARTS, "batches.meta")
    names = {"batches.meta.txt": CLASSES}
    binary_md5s = {
        "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
        "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
        "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
        "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
        "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
        "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
    }
    archives = (
        toronto(
            "cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            f"{MINDSPORE}/cifar-10-binary.tar.gz",
        ),
        toronto("cifar-10-python.tar.gz", "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"),
    )
    people = (
        Remote(
            CIFAR_10N,
            github(CIFAR_N, "data/CIFAR-10_human.pt"),
            "873e69c39cb9b5e97fb6bae2d60bb59b38a5cbc31d2b868f7903dcb2b9dd2310",
        ),
        Remote(
            CIFAR_10H,
            github("jcpeterson/cifar-10h@48da312b193b82e6939ec20f23d1f09cbdd849c8", "data/cifar10h-counts.npy"),
            "9b36b4550349af56c79083356312eb4af856cc5fd3caf1f669d40b9d0bbb69ff",
        ),
    )

    def records(self) -> dict[str, int]:
        return {f"{part}.bin": self.records_per_file for part in PARTS}

    def labels_of(self, file: Path, columns: NDArray[np.uint8]) -> Labels:
        labels = columns[:, 0].astype(np.int64)
        check_range(file, "label", labels, len(CLASSES))
        return labels

    def human_labels(self, labels: Labels) -> dict[str, Labels]:
        file = self.folder() / CIFAR_10N
        return read_cifar_n(file, labels, HUMAN, len(CLASSES)) if file.is_file() else {}

    def votes(self, labels: Labels) -> Labels | None:
        file = self.folder() / CIFAR_10H
        return read_cifar10h(file, labels) if file.is_file() else None

    def mistakes(self) -> dict[str, NDArray[np.float64]]:
        return {"asymmetric": mistake_matrix(CLASSES, MISTAKES)}


def read_cifar10h(file: Path, labels: Labels) -> NDArray[np.int64]:
    """How many people chose each class (N, 10), for test images with the reference labels `labels` (N,)."""
    try:
        with file.open("rb") as stream:
            votes = np.lib.format.read_array(stream, allow_pickle=False)
    except Exception as error:  # a header can claim any shape and type, at which numpy raises what it likes
        raise BadInput(f"{file}: wanted an array as numpy.save writes it; {told(error)}") from None
    if votes.shape != (len(labels), 10) or votes.dtype.kind not in "iu" or votes.min() < 0:
        raise BadInput(f"{file}: wanted counts of shape ({len(labels)}, 10); found {votes.dtype} of shape {votes.shape}")
    # People and labels agree on 99 % of the images; nothing else in the file says whose votes these are.
    agreement = float(np.mean(votes.argmax(axis=1) == labels))
    if agreement < 0.5:
        raise BadInput(f"{file}: its votes name the label of only {agreement:.0%} of the images: the order of images differs")
    return votes.astype(np.int64)
