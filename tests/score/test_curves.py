"""The curves against counts by hand, and the two scores that summarise them."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.score import accuracy, aurc, ece, reliability, risk_coverage

few = settings(max_examples=60, deadline=None, database=None)


def two_class_logits(confidences):
    """Logits (N, 2) that predict class 0 with these probabilities."""
    return np.array([[math.log(c / (1 - c)), 0] for c in confidences])


def test_reliability_by_hand():
    diagram = reliability(two_class_logits([0.55, 0.65, 0.85, 0.95]), np.array([0, 1, 0, 1]), bins=5)
    np.testing.assert_allclose(diagram.edges, [0, 0.2, 0.4, 0.6, 0.8, 1])
    np.testing.assert_array_equal(diagram.count, [0, 0, 1, 1, 2])
    np.testing.assert_allclose(diagram.confidence, [np.nan, np.nan, 0.55, 0.65, 0.9])
    np.testing.assert_allclose(diagram.accuracy, [np.nan, np.nan, 1, 0, 0.5])


@pytest.mark.parametrize(("classes", "bin_"), [(2, 7), (3, 4), (5, 2), (15, 0)])
def test_a_confidence_on_an_edge_belongs_to_the_bin_below(classes, bin_):
    # 1 / K = b / 15 for K = 3, 5, 15; 1 / 2 lies inside (7 / 15, 8 / 15]
    count = reliability(np.full((4, classes), 1.5, np.float32), np.zeros(4, int)).count
    assert count.tolist() == [4 * (b == bin_) for b in range(15)]


def test_a_confidence_of_one_belongs_to_the_last_bin():
    diagram = reliability(np.array([[900.0, 0]]), np.array([0]))
    assert diagram.count[-1] == 1
    assert diagram.confidence[-1] == 1


@few
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(2, 6), st.integers(1, 20))
def test_ece_and_accuracy_agree_with_the_diagram(seed, n, k, bins):
    rng = np.random.default_rng(seed)
    logits, labels = (3 * rng.normal(size=(n, k))).astype(np.float32), rng.integers(0, k, n)
    diagram = reliability(logits, labels, bins)
    used = [b for b in range(bins) if diagram.count[b]]
    gap = sum(diagram.count[b] * abs(diagram.accuracy[b] - diagram.confidence[b]) for b in used) / n
    assert diagram.count.sum() == n
    assert ece(logits, labels, bins) == pytest.approx(100 * gap, abs=1e-9)
    right = sum(diagram.count[b] * diagram.accuracy[b] for b in used)
    assert accuracy(logits, labels) == pytest.approx(100 * right / n)
    for b in used:
        assert diagram.edges[b] <= diagram.confidence[b] <= diagram.edges[b + 1] + 1e-12


def test_reliability_without_samples():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        diagram = reliability(np.zeros((0, 3)), np.zeros(0, int), bins=4)
    assert diagram.count.tolist() == [0] * 4
    assert np.isnan(diagram.accuracy).all()
    assert np.isnan(diagram.confidence).all()


def test_risk_coverage_by_hand():
    curve = risk_coverage(np.array([3, 1, 2, 2.0]), np.array([True, False, True, False]))
    np.testing.assert_allclose(curve.coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(curve.risk, [0, 0.5 / 2, 1 / 3, 2 / 4])


@few
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6))
def test_risk_is_the_mean_over_all_orders_of_ties(pairs):
    orders = [o for o in itertools.permutations(pairs) if all(a[0] <= b[0] for a, b in itertools.pairwise(o))]
    expected = [sum(w for o in orders for _, w in o[:k]) / len(orders) / k for k in range(1, len(pairs) + 1)]
    u, wrong = (np.array(column) for column in zip(*pairs, strict=True))
    np.testing.assert_allclose(risk_coverage(u, wrong).risk, expected, atol=1e-12)


@few
@given(st.lists(st.tuples(st.floats(-1, 1, width=16), st.booleans()), min_size=1, max_size=80))
def test_aurc_agrees_with_the_curve(pairs):
    u, wrong = (np.array(column) for column in zip(*pairs, strict=True))
    curve = risk_coverage(u, wrong)
    assert aurc(u, wrong) == pytest.approx(sum(curve.risk) / len(u), abs=1e-12)
    assert curve.coverage[-1] == 1
    assert curve.risk[-1] == wrong.mean()
    assert ((curve.risk >= 0) & (curve.risk <= 1)).all()


def test_risk_coverage_without_samples():
    curve = risk_coverage(np.zeros(0), np.zeros(0, bool))
    assert curve.coverage.shape == curve.risk.shape == (0,)


def test_a_large_set_of_ties_takes_no_time():
    rng = np.random.default_rng(0)
    u, wrong = rng.integers(0, 50, 300_000), rng.random(300_000) < 0.1
    assert aurc(u, wrong) == pytest.approx(0.1, abs=0.02)


def test_curves_are_frozen():
    curve = risk_coverage(np.zeros(2), np.zeros(2, bool))
    with pytest.raises(AttributeError):
        curve.risk = np.zeros(2)
