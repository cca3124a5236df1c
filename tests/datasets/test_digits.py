"""The digits that come with scikit-learn."""

import numpy as np
import pytest

from benchmark.contract import NoOptions
from benchmark.datasets.digits import Digits


@pytest.fixture(scope="module")
def data():
    return Digits(NoOptions(), None).read()


def test_counts_shapes_and_types(data):
    assert data.train.images.shape == (1297, 8, 8, 1)
    assert data.test.images.shape == (500, 8, 8, 1)
    assert (data.train.images.dtype, data.train.labels.dtype) == (np.uint8, np.int64)
    assert data.classes == tuple("0123456789")


def test_every_class_is_in_both_splits(data):
    assert np.bincount(data.train.labels, minlength=10).min() >= 120
    assert np.bincount(data.test.labels, minlength=10).min() >= 40


def test_the_pixels_are_scikit_learn_s_scaled_to_eight_bits(data):
    from sklearn.datasets import load_digits

    found = load_digits()
    assert np.array_equal(data.train.images[..., 0], np.round(found.images[:1297] / 16 * 255))
    assert np.array_equal(data.test.labels, found.target[1297:])
    assert data.train.images.max() == 255


def test_a_mirrored_digit_is_none():
    assert not Digits.flip_keeps_label
    assert list(Digits(NoOptions(), None).sources()) == []
