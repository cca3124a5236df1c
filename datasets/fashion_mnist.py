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
        "t10k-labels-idx1-ubyte, with or without .gz, into FashionMNIST/raw or fashion-mnist below the data root, or have "
        "them fetched by python -m benchmark data prepare fashion-mnist",
    )
    folders = "FashionMNIST/raw", "fashion-mnist"
    mirrors = (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    )
    sha256s = (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    )
    classes = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
