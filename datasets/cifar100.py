"""CIFAR-100 with the labels that people gave to its training images: CIFAR-100N's, as the noise kind `human`.

Below the data root, as the distributions lay it out:

    cifar-100-binary/             the binary version: train.bin, test.bin, fine_label_names.txt, coarse_label_names.txt; or else
    cifar-100-python/             the python version: train, test, meta
    cifar-n/CIFAR-100_human.pt    optional

The classes are the hundred fine ones. The twenty superclasses, five classes each, say which class is mistaken for which.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import BadInput, Card

from ._cifar import CIFAR_N, MINDSPORE, CIFARDataset, Labels, check_range, read_cifar_n, toronto
from ._download import Remote, github
from ._mistakes import mistake_matrix

SUPERCLASSES = {
    "aquatic_mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food_containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit_and_vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household_electrical_devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household_furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large_carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large_man-made_outdoor_things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large_natural_outdoor_scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large_omnivores_and_herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium_mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect_invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small_mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles_1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles_2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}
"""In the order of the coarse labels, each with its classes in the order of the fine ones."""
CLASSES = tuple(sorted(name for names in SUPERCLASSES.values() for name in names))
COARSE = np.array([next(k for k, names in enumerate(SUPERCLASSES.values()) if name in names) for name in CLASSES])
"""(100,) the coarse label of each fine one."""
CIFAR_100N = "cifar-n/CIFAR-100_human.pt"
MISTAKES = {name: {names[(k + 1) % len(names)]: 1} for names in SUPERCLASSES.values() for k, name in enumerate(names)}
"""The asymmetric noise of Patrini et al., CVPR 2017: the next class of the same superclass, and for its last the first."""


class CIFAR100(CIFARDataset):
    """A hundred classes of small photographs, 32×32 RGB: 50,000 for training, 10,000 for the test."""

    name = "cifar100"
    card = Card(
        summary="CIFAR-100: 60,000 photographs in a hundred classes, 32×32 RGB, 50,000 train, 10,000 are the test; with the "
        "human labels of CIFAR-100N",
        citation="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; "
        "CIFAR-100N: Wei et al., Learning with Noisy Labels Revisited, ICLR 2022",
        source="https://www.cs.toronto.edu/~kriz/cifar.html; https://github.com/UCSC-REAL/cifar-10-100n",
        licence="images: none stated; CIFAR-100N: CC BY-NC 4.0",
        defects=(
            "about 10 % of the test images have a near-duplicate in the training set (Barz and Denzler, 2020)",
            "some test labels are wrong (Northcutt et al., 2021; https://labelerrors.com shows them)",
        ),
        access="unpack https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz or cifar-100-python.tar.gz from there into the "
        "data root, or have the first fetched by python -m benchmark data prepare cifar100; for the "
        "human labels put CIFAR-100_human.pt of CIFAR-100N into cifar-n",
    )
    counts: ClassVar[tuple[int, int]] = (50_000, 10_000)  #: of training and test images, by which a truncated file is known
    official, binary, python = "CIFAR100", "cifar-100-binary", "cifar-100-python"
    python_files = ("train", "test", "meta")
    names = {"fine_label_names.txt": CLASSES, "coarse_label_names.txt": tuple(SUPERCLASSES)}
    label_bytes = 2
    archives = (
        toronto(
            "cifar-100-binary.tar.gz",
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            f"{MINDSPORE}/cifar-100-binary.tar.gz",
        ),
        toronto("cifar-100-python.tar.gz", "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"),
    )
    people = (
        Remote(
            CIFAR_100N,
            github(CIFAR_N, "data/CIFAR-100_human.pt"),
            "bd2d80409754d420292d622e15e25248ba21e37d27429efac49c8da723f44394",
        ),
    )

    def records(self) -> dict[str, int]:
        return dict(zip(("train.bin", "test.bin"), self.counts, strict=True))

    def labels_of(self, file: Path, columns: NDArray[np.uint8]) -> Labels:
        coarse, fine = (columns[:, k].astype(np.int64) for k in range(2))
        check_range(file, "fine label", fine, len(CLASSES))
        # A file whose labels do not belong together is another file, or another order of the two.
        if bad := np.flatnonzero(coarse != COARSE[fine]).tolist():
            k = bad[0]
            raise BadInput(
                f"{file}: coarse label {coarse[k]} in record {k + 1}; wanted {COARSE[fine[k]]}, as its fine label is {fine[k]}"
            )
        return fine

    def human_labels(self, labels: Labels) -> dict[str, Labels]:
        file = self.folder() / CIFAR_100N
        return read_cifar_n(file, labels, {"human": "noisy_label"}, len(CLASSES)) if file.is_file() else {}

    def mistakes(self) -> dict[str, NDArray[np.float64]]:
        return {"asymmetric": mistake_matrix(CLASSES, MISTAKES)}
