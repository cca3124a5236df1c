"""Handwritten digits of the UCI repository, which come with scikit-learn: a second set that needs no download."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from benchmark.contract import Card, Data, Dataset, Split

TRAINING = 1297
"""How many of the images, in the order of the file, are for training; the last 500 are the test set."""


class Digits(Dataset):
    """Ten digits, 8×8 grey."""

    name = "digits"
    card = Card(
        summary="digits: 1,797 handwritten digits of scikit-learn, 8×8 grey; 1,297 for training, 500 for the test",
        citation="Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998",
        source="https://archive.ics.uci.edu/dataset/80",
        licence="CC BY 4.0",
        publishable=True,
        defects=("it is the test part of the UCI set: its own training part is not in scikit-learn",),
    )
    flip_keeps_label: ClassVar[bool] = False

    def read(self) -> Data:
        from sklearn.datasets import load_digits

        found = load_digits()
        images = np.round(found.images * (255 / 16)).astype(np.uint8)[..., None]
        labels = found.target.astype(np.int64)
        parts = (slice(None, TRAINING), slice(TRAINING, None))
        train, test = (Split(images[part], labels[part]) for part in parts)
        return Data(train, test, tuple("0123456789"))
