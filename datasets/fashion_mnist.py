"""Fashion-MNIST: small pictures of clothes, in the files of MNIST.

Below the data root lie, in `FashionMNIST/raw/` (where torchvision puts them) or in `fashion-mnist/`,
packed by gzip (.gz) or not:

    train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte

It has no map of mistakes: papers that use asymmetric noise on it do not agree on one.
"""

from __future__ import annotations

from benchmark.contract import Card

from ._idx import IdxDataset


class FashionMNIST(IdxDataset):
    """Ten kinds of clothes, 28×28 grey."""

    name = "fashion-mnist"
    card = Card(
        summary="Fashion-MNIST: 70,000 pictures of clothes in ten classes, 28×28 grey; 60,000 train, 10,000 are the test",
        citation="Xiao, Rasul and Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms, "
        "2017",
        source="https://github.com/zalandoresearch/fashion-mnist",
        licence="MIT",
        publishable=True,
        defects=("some test images have a near-duplicate in the training set (Geier, 2019, arXiv 1906.08255)",),
        access="put the four files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
        "t10k-labels-idx1-ubyte, with or without .gz, into FashionMNIST/raw or fashion-mnist below the data root, or let "
        "torchvision fetch them with python -m benchmark data prepare fashion-mnist",
    )
    official, folders = "FashionMNIST", ("FashionMNIST/raw", "fashion-mnist")
    classes = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
