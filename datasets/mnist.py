"""MNIST: handwritten digits.

Below the data root lie, in `MNIST/raw/` (where torchvision puts them) or in `mnist/`, packed by gzip (.gz) or not:

    train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Card

from ._idx import IdxDataset
from ._mistakes import mistake_matrix

MISTAKES = {"2": {"7": 1}, "3": {"8": 1}, "5": {"6": 1}, "6": {"5": 1}, "7": {"1": 1}}
"""The asymmetric noise of Patrini et al., CVPR 2017; the other five digits are never mistaken."""


class MNIST(IdxDataset):
    """Ten handwritten digits, 28×28 grey."""

    name = "mnist"
    card = Card(
        summary="MNIST: 70,000 handwritten digits in ten classes, 28×28 grey; 60,000 train, 10,000 are the test",
        citation="LeCun, Bottou, Bengio and Haffner, Gradient-Based Learning Applied to Document Recognition, "
        "Proceedings of the IEEE, 1998",
        source="http://yann.lecun.com/exdb/mnist/",
        licence="none stated at its source",
        defects=(
            "nearly solved: methods differ by a few images of the test set where labels are clean",
            "15 test labels are wrong, as people confirmed (Northcutt et al., 2021; https://labelerrors.com shows them)",
        ),
        access="put the four files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
        "t10k-labels-idx1-ubyte, with or without .gz, into MNIST/raw or mnist below the data root, or have "
        "them fetched by python -m benchmark data prepare mnist",
    )
    flip_keeps_label = False
    folders, classes = ("MNIST/raw", "mnist"), tuple("0123456789")
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
    )
    sha256s = (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    )

    def mistakes(self) -> dict[str, NDArray[np.float64]]:
        return {"asymmetric": mistake_matrix(self.classes, MISTAKES)}
