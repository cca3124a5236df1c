"""The laws: who gets another label, and which, on labels of every size; each against what its paper says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.noise.laws import MISTAKES, RATED, RATELESS, Known, drawn

N = 3000
EXACT = [kind for kind in RATED if kind.endswith("-exact")]
COIN = ["symmetric", "symmetric-inclusive", "pairflip"]


def known(classes: int = 7, count: int = N, **more) -> Known:
    return Known(np.arange(count) % classes, classes, **more)


def stream(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(rate=st.floats(0, 1), seed=st.integers(0, 2**31), classes=st.integers(2, 10), kind=st.sampled_from(COIN))
def test_with_a_coin_the_realised_rate_is_a_binomials(rate, seed, classes, kind):
    law = rate * (1 - 1 / classes) if "inclusive" in kind else rate
    labels = known(classes)
    given_ = RATED[kind](labels, rate, stream(seed))
    assert abs(np.mean(given_ != labels.labels) - law) <= 6 * np.sqrt(law * (1 - law) / N) + 1e-9
    assert 0 <= given_.min() <= given_.max() < classes


@given(rate=st.floats(0, 1), seed=st.integers(0, 2**31), classes=st.integers(2, 10), kind=st.sampled_from(EXACT))
def test_with_a_count_it_is_exact(rate, seed, classes, kind):
    labels = known(classes)
    changed = int(np.sum(RATED[kind](labels, rate, stream(seed)) != labels.labels))
    assert changed <= round(rate * N) if "inclusive" in kind else changed == round(rate * N)


@settings(deadline=None)  # the first to need it imports scipy
@given(kind=st.sampled_from([*RATED]), seed=st.integers(0, 2**31))
def test_the_stream_decides_and_the_reference_labels_stay_as_they_are(kind, seed):
    labels = known(images=np.random.default_rng(1).integers(0, 256, (N, 2, 2, 1), dtype=np.uint8))
    before = labels.labels.copy()
    first, second = (RATED[kind](labels, 0.4, stream(seed)) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(labels.labels, before)
    assert np.array_equal(RATED[kind](labels, 0.0, stream(seed)), before) or kind == "instance"


def test_symmetric_is_uniform_over_the_other_classes():
    labels = Known(np.zeros(60_000, np.int64), 7)
    for kind in ("symmetric", "symmetric-exact"):
        shares = np.bincount(RATED[kind](labels, 1.0, stream()), minlength=7) / 60_000
        assert shares[0] == 0
        np.testing.assert_allclose(shares[1:], 1 / 6, atol=0.01)


def test_the_inclusive_kind_may_draw_the_true_class_again():
    labels = known()
    assert np.mean(RATED["symmetric-inclusive"](labels, 1.0, stream()) != labels.labels) == pytest.approx(6 / 7, abs=0.03)


def test_pairflip_gives_the_next_class_and_after_the_last_the_first():
    labels = known(3)
    assert np.array_equal(RATED["pairflip"](labels, 1.0, stream()), (labels.labels + 1) % 3)


MAP = np.array([[0, 0.25, 0.75], [0, 0, 1], [0, 0, 0.0]])


@given(rate=st.floats(0, 1), seed=st.integers(0, 2**31))
def test_asymmetric_noise_goes_where_the_map_says_and_leaves_alone_what_it_leaves_out(rate, seed):
    labels = known(3, matrix=MAP)
    for end, law in MISTAKES.items():
        given_ = law(labels, rate, stream(seed))
        assert (given_[labels.labels == 2] == 2).all()
        assert set(given_[labels.labels == 1]) <= {1, 2}
        changed = int(np.sum(given_ != labels.labels))
        can = 2 * N // 3
        if end == "-exact":
            assert changed == round(rate * can)
        assert abs(changed / can - rate) <= 6 * np.sqrt(rate * (1 - rate) / can) + 1 / can
    shares = np.bincount(given_[(labels.labels == 0) & (given_ != 0)], minlength=3)
    if shares.sum() > 200:
        assert shares[2] / shares.sum() == pytest.approx(0.75, abs=0.2)


def test_instance_noise_has_the_rate_on_the_mean_and_one_other_class_an_image():
    """The pixels decide: images that are equal and of one class are mistaken for one and the same class."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, 4, 4, 1), dtype=np.uint8)[np.arange(N) % 30]
    labels = Known(np.arange(N) % 3, 3, images=images)
    given_ = RATED["instance"](labels, 0.4, stream())
    assert np.mean(given_ != labels.labels) == pytest.approx(0.4, abs=0.03)
    for image in range(30):
        same = np.arange(N) % 30 == image
        wrong = given_[same & (given_ != labels.labels)]
        assert len(set(wrong.tolist())) == 1
    assert len(set(given_[given_ != labels.labels].tolist())) > 1


def test_instance_noise_draws_each_images_rate_around_the_rate():
    """A truncated normal of deviation 0.1: at rate 0 half of it is cut off, so some labels are wrong all the same."""
    labels = known(images=np.random.default_rng(1).integers(0, 256, (N, 3, 3, 1), dtype=np.uint8))
    realised = np.mean(RATED["instance"](labels, 0.0, stream()) != labels.labels)
    assert realised == pytest.approx(0.1 * np.sqrt(2 / np.pi), abs=0.02)


def test_a_vote_is_drawn_as_often_as_it_was_cast_and_an_image_without_votes_keeps_its_label():
    votes = np.tile([3, 0, 1], (N, 1))
    votes[:300] = 0
    labels = Known(np.full(N, 1), 3, votes=votes)
    given_ = RATELESS["votes"](labels, stream())
    assert (given_[:300] == 1).all()
    np.testing.assert_allclose(np.bincount(given_[300:], minlength=3) / 2700, [0.75, 0, 0.25], atol=0.04)


def test_confusion_draws_from_the_matrix_of_the_file():
    matrix = np.array([[0.5, 0.5, 0], [0, 1, 0], [0.2, 0.3, 0.5]])
    given_ = RATELESS["confusion"](known(3, matrix=matrix), stream())
    for c in range(3):
        np.testing.assert_allclose(np.bincount(given_[np.arange(N) % 3 == c], minlength=3) / 1000, matrix[c], atol=0.06)


@given(
    shares=st.lists(st.lists(st.sampled_from([0.0, 1e-9, 0.1, 1.0]), min_size=4, max_size=4), min_size=1, max_size=50),
    seed=st.integers(0, 2**31),
)
def test_what_has_no_share_is_never_drawn(shares, seed):
    table = np.array([row for row in shares if sum(row)] or [[0.0, 1, 0, 0]])
    chosen = drawn(table, stream(seed))
    assert (table[np.arange(len(table)), chosen] > 0).all()
