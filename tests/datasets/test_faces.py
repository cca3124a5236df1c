"""The synthetic faces: the same for the same options, balanced, and as ambiguous as they claim to be."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.contract import BadInput, Data
from benchmark.datasets.faces import BLOCK, CLASSES, VOTERS, Config, Faces, draw, sample_faces


def read(**options: int) -> Data:
    return Faces(Config(**{"train": 64, "test": 32, **options}), None).read()


def entropy(counts: np.ndarray) -> np.ndarray:
    share = counts / counts.sum(axis=1, keepdims=True)
    return -(share * np.log(np.where(share > 0, share, 1))).sum(axis=1)


@pytest.fixture(scope="module")
def data() -> Data:
    return read()


@pytest.fixture(scope="module")
def blocks() -> list:
    return [sample_faces(np.random.default_rng(block)) for block in range(100)]


def test_shapes_types_and_classes(data):
    assert data.classes == ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
    for split, size in ((data.train, 64), (data.test, 32)):
        assert (split.images.shape, split.images.dtype) == ((size, 48, 48, 1), np.uint8)
        assert (split.labels.shape, split.labels.dtype) == ((size,), np.int64)
        assert (split.votes.shape, split.votes.dtype) == ((size, 7), np.int64)
        assert (split.votes.sum(axis=1) == VOTERS).all()
        assert (split.votes >= 0).all()


def test_the_same_options_draw_the_same_faces(data):
    again = read()
    for a, b in ((data.train, again.train), (data.test, again.test)):
        np.testing.assert_array_equal(a.images, b.images)
        np.testing.assert_array_equal(a.labels, b.labels)
        np.testing.assert_array_equal(a.votes, b.votes)


def test_another_seed_draws_other_faces(data):
    other = read(seed=1)
    assert not (data.train.images == other.train.images).all(axis=(1, 2, 3)).any()


def test_a_larger_split_begins_with_the_smaller_one(data):
    larger = read(train=100, test=64)
    np.testing.assert_array_equal(larger.train.images[:64], data.train.images)
    np.testing.assert_array_equal(larger.train.votes[:64], data.train.votes)
    np.testing.assert_array_equal(larger.test.images[:32], data.test.images)


def test_no_image_is_there_twice(data):
    everything = np.concatenate([data.train.images, data.test.images])
    assert len({image.tobytes() for image in everything}) == 96


def test_classes_are_balanced(data):
    for split in (data.train, data.test):
        counts = np.bincount(split.labels, minlength=7)
        assert counts.max() - counts.min() <= BLOCK / len(CLASSES)


def test_pictures_have_content(data):
    images = np.concatenate([data.train.images, data.test.images])
    assert (images.reshape(96, -1).std(axis=1) > 8).all()
    assert 60 < images.mean() < 190


def test_the_reference_label_is_the_most_probable_class(blocks):
    for faces in blocks:
        np.testing.assert_array_equal(faces.distribution.argmax(axis=1), faces.labels)
        np.testing.assert_allclose(faces.distribution.sum(axis=1), 1)


def test_votes_agree_with_the_labels_mostly_but_not_always(blocks):
    agreement = np.mean([faces.votes.argmax(axis=1) == faces.labels for faces in blocks])
    assert 0.8 < agreement < 0.97


def test_voters_disagree_more_about_blends(blocks):
    blended = np.concatenate([faces.blended for faces in blocks])
    unsure = entropy(np.concatenate([faces.votes for faces in blocks]))
    assert 0.4 < blended.mean() < 0.5
    assert unsure[blended].mean() > unsure[~blended].mean() + 0.2


def test_an_expression_looks_different_from_another_on_the_same_person():
    # Same person, pose, light and sensor noise; only the action units are exchanged.
    faces = sample_faces(np.random.default_rng(0))
    plain = draw(faces, np.random.default_rng(1)).astype(int)
    for unit in ("brow_in", "brow_out", "knit", "lid", "squint", "corner", "open", "wide", "lips", "wrinkle", "cheek", "teeth"):
        setattr(faces, unit, 0 * getattr(faces, unit))
    assert np.abs(draw(faces, np.random.default_rng(1)) - plain).max() > 50


@pytest.mark.parametrize("options", [{"train": -5}, {"train": 0}, {"test": 0}, {"seed": -1}, {"train": 10**9}])
def test_bad_options_are_refused_in_one_line(options):
    ((name, value),) = options.items()
    with pytest.raises(BadInput, match=rf"faces\.{name} is {value}; wanted") as caught:
        read(**options)
    assert "\n" not in str(caught.value)


def test_the_plugin_names_itself():
    assert Faces.name == "faces"
    assert Faces.flip_keeps_label
    assert any("not real faces" in defect for defect in Faces.card.defects)
    assert Faces(Config(), None).sources() == ()
