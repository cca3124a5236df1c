"""Each metric against another library or a derivation of its own, then its laws, then the edges."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, brier_score_loss
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    multiclass_accuracy,
    multiclass_calibration_error,
)

import benchmark
from benchmark.score import (
    accuracy,
    aurc,
    auroc,
    average_precision,
    brier,
    ece,
    error_auroc,
    macro_accuracy,
    mistakes,
    msp_uncertainty,
    nll,
    vote_spearman,
    wrong_label_fit,
)

few = settings(max_examples=60, deadline=None, database=None)


def sample(seed=0, n=400, k=7, scale=2.0):
    """Imbalanced labels, and logits that know something of them."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(k), rng.choice(k, n - k, p=np.arange(1, k + 1) / np.arange(1, k + 1).sum())])
    logits = rng.normal(size=(n, k)) * scale
    logits[np.arange(n), labels] += 1.5
    return logits.astype(np.float32), labels


def tensors(logits, labels):
    return torch.from_numpy(logits).double(), torch.from_numpy(labels)


# ---------------------------------------------------------------- against other libraries


@pytest.mark.parametrize("seed", range(3))
def test_accuracy_is_torchmetrics_micro(seed):
    logits, labels = sample(seed)
    z, y = tensors(logits, labels)
    assert accuracy(logits, labels) == pytest.approx(100 * multiclass_accuracy(z, y, 7, average="micro").item(), abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_macro_accuracy_is_torchmetrics_macro(seed):
    logits, labels = sample(seed)
    z, y = tensors(logits, labels)
    expected = 100 * multiclass_accuracy(z, y, 7, average="macro").item()
    assert macro_accuracy(logits, labels) == pytest.approx(expected, abs=1e-4)
    assert macro_accuracy(logits, labels) != pytest.approx(accuracy(logits, labels), abs=0.1)


def test_macro_accuracy_leaves_out_classes_that_no_label_has():
    logits, labels = sample(5)
    labels[labels == 3] = 4
    assert (logits.argmax(1) == 3).any()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sklearn says that class 3 is predicted only
        expected = 100 * balanced_accuracy_score(labels, logits.argmax(1))
    assert macro_accuracy(logits, labels) == pytest.approx(expected)


@pytest.mark.parametrize("scale", [0.1, 2, 30])
def test_nll_is_torch_cross_entropy(scale):
    logits, labels = sample(scale=scale)
    assert nll(logits, labels) == pytest.approx(torch.nn.functional.cross_entropy(*tensors(logits, labels)).item(), rel=1e-12)


def test_nll_keeps_what_float32_would_round_away():
    logits = np.array([[20, 0]], np.float32)  # in float32, 1 + e^-20 is 1
    assert nll(logits, np.array([0])) == pytest.approx(math.log1p(math.exp(-20)), rel=1e-6)
    assert nll(np.array([[3e38, -3e38]], np.float32), np.array([1])) == pytest.approx(6e38)


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("scale", [0.3, 2])
def test_ece_is_torchmetrics_l1(bins, scale):
    logits, labels = sample(scale=scale)
    z, y = tensors(logits, labels)
    expected = 100 * multiclass_calibration_error(z.softmax(1), y, 7, n_bins=bins, norm="l1").item()
    assert expected > 1
    assert ece(logits, labels, bins) == pytest.approx(expected, abs=1e-4)


def test_ece_has_15_bins_unless_told():
    logits, labels = sample()
    assert ece(logits, labels) == ece(logits, labels, 15) != ece(logits, labels, 14)


def test_brier_is_the_sum_of_sklearns_over_classes():
    logits, labels = sample()
    p = torch.from_numpy(logits).double().softmax(1).numpy()
    assert brier(logits, labels) == pytest.approx(sum(brier_score_loss(labels == c, p[:, c]) for c in range(7)), rel=1e-12)


def test_brier_runs_from_0_to_2():
    logits = np.array([[100, 0, 0]], np.float32)
    assert brier(logits, np.array([0])) == pytest.approx(0, abs=1e-12)
    assert brier(logits, np.array([1])) == pytest.approx(2, abs=1e-12)


@pytest.mark.parametrize("decimals", [6, 1])  # 1: many ties
def test_auroc_and_average_precision_are_torchmetrics(decimals):
    rng = np.random.default_rng(1)
    positive = rng.random(500) < 0.2
    score = np.round(rng.normal(size=500) + positive, decimals)
    s, p = torch.from_numpy(score).sigmoid(), torch.from_numpy(positive).long()
    assert auroc(score, positive) == pytest.approx(binary_auroc(s, p).item(), abs=1e-5)
    assert average_precision(score, positive) == pytest.approx(binary_average_precision(s, p).item(), abs=1e-5)


def test_error_auroc_is_the_share_of_pairs_in_order():
    logits, labels = sample(n=60)
    u = np.round(np.random.default_rng(2).normal(size=60) + mistakes(logits, labels), 1).astype(np.float32)
    wrong = [a for a, z, y in zip(u, logits, labels, strict=True) if z.argmax() != y]
    right = [a for a, z, y in zip(u, logits, labels, strict=True) if z.argmax() == y]
    pairs = [(a > b) + (a == b) / 2 for a in wrong for b in right]
    assert error_auroc(u, logits, labels) == pytest.approx(sum(pairs) / len(pairs), rel=1e-12)
    assert error_auroc(u, logits, labels) > 0.6


def test_msp_uncertainty_is_one_minus_the_largest_probability():
    logits, _ = sample()
    expected = 1 - torch.from_numpy(logits).double().softmax(1).max(1).values.numpy()
    np.testing.assert_allclose(msp_uncertainty(logits), expected, rtol=1e-9)


def test_msp_uncertainty_keeps_the_order_of_the_surest():
    logits = np.array([[lead, 0, 0] for lead in (18, 40, 41, 300)], np.float32)
    u = msp_uncertainty(logits)
    assert (np.diff(u) < 0).all()
    assert u[-1] > 0
    assert u[2] == pytest.approx(2 * math.exp(-41), rel=1e-12)


def test_msp_uncertainty_of_tied_logits():
    np.testing.assert_allclose(msp_uncertainty(np.array([[1, 1], [5, 5]], np.float32)), 0.5)


def test_wrong_label_fit_by_pandas():
    rng = np.random.default_rng(3)
    table = pd.DataFrame(rng.integers(0, 3, (300, 3)), columns=["predicted", "given", "reference"])
    wrong = table.query("given != reference")
    expected = 100 * (wrong.predicted == wrong.given).mean()
    found = wrong_label_fit(*(table[c].to_numpy() for c in table))
    assert found == pytest.approx(expected)
    assert found != pytest.approx(100 * (table.predicted == table.given).mean(), abs=0.1)


def test_wrong_label_fit_of_three_wrong_labels():
    given_, reference = np.array([0, 1, 2, 0, 1]), np.array([0, 1, 0, 1, 2])
    assert wrong_label_fit(np.array([0, 1, 2, 1, 0]), given_, reference) == pytest.approx(100 / 3)
    assert wrong_label_fit(reference, given_, reference) == 0
    assert wrong_label_fit(given_, given_, reference) == 100


def entropy_by_logarithms(votes):
    shares = [v / sum(votes) for v in votes]
    return -sum(s * math.log(s) for s in shares if s)


def test_vote_spearman_is_pandas_spearman():
    rng = np.random.default_rng(4)
    votes = rng.multinomial(10, [0.6, 0.3, 0.05, 0.05], 200)
    entropy = pd.Series([round(entropy_by_logarithms(v), 9) for v in votes])
    u = (entropy + rng.normal(size=200)).round(1).astype(np.float32)
    expected = u.corr(entropy, method="spearman")
    assert 0.1 < expected < 0.9
    assert vote_spearman(u.to_numpy(), votes) == pytest.approx(expected, rel=1e-12)


def test_equally_divided_votes_tie_whatever_the_order_and_number_of_classes():
    # 7 : 2 : 1 in all its orders, and two divisions of 8 votes that have 2 bits each
    orders = np.array([*itertools.permutations([7, 2, 1, 0, 0])])
    for same in (orders, np.array([[4, 1, 1, 1, 1], [2, 2, 2, 2, 0], [0, 2, 2, 2, 2]])):
        votes = np.concatenate([same, [[10, 0, 0, 0, 0]]])
        u = np.arange(len(votes), dtype=np.float32)
        ranks = pd.Series([0.0] * len(same) + [-1.0])
        assert vote_spearman(u, votes) == pytest.approx(pd.Series(u).corr(ranks, method="spearman"), rel=1e-12)


def test_images_without_votes_do_not_count():
    votes = np.array([[5, 0], [4, 1], [0, 0], [3, 2], [0, 0]])
    assert vote_spearman(np.array([1, 2, -9, 3, 99.0]), votes) == pytest.approx(1)


# ---------------------------------------------------------------- AURC


def aurc_of_order(wrong):
    """The plain definition, for samples in order of uncertainty."""
    return sum(sum(wrong[:k]) / k for k in range(1, len(wrong) + 1)) / len(wrong)


def aurc_by_permutations(uncertainty, wrong):
    """The mean over all orders of the samples that agree with the uncertainty."""
    orders = [
        [w for _, w in order]
        for order in itertools.permutations(zip(uncertainty, wrong, strict=True))
        if all(a[0] <= b[0] for a, b in itertools.pairwise(order))
    ]
    return sum(map(aurc_of_order, orders)) / len(orders)


@few
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6))
def test_aurc_is_the_mean_over_all_orders_of_ties(pairs):
    u, wrong = zip(*pairs, strict=True)
    assert aurc(np.array(u, np.float32), np.array(wrong)) == pytest.approx(aurc_by_permutations(u, wrong), rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_aurc_without_ties_is_the_plain_definition(seed):
    rng = np.random.default_rng(seed)
    u, wrong = rng.permutation(300), rng.random(300) < 0.3
    assert aurc(u, wrong) == pytest.approx(aurc_of_order(wrong[np.argsort(u)].tolist()), rel=1e-12)


def test_aurc_by_hand():
    wrong = np.array([False, True])
    assert aurc(np.array([1.0, 2.0]), wrong) == 0.25  # risks 0, 1/2
    assert aurc(np.array([2.0, 1.0]), wrong) == 0.75  # risks 1, 1/2
    assert aurc(np.array([1.0, 1.0]), wrong) == 0.5
    assert aurc(np.array([0.0, -0.0]), wrong) == 0.5  # the two zeros are one value


flagged = st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=1, max_size=40)


@few
@given(flagged)
def test_aurc_lies_between_the_best_and_the_worst_order(pairs):
    u, wrong = (np.array(column) for column in zip(*pairs, strict=True))
    best, worst = aurc_of_order(sorted(wrong.tolist())), aurc_of_order(sorted(wrong.tolist(), reverse=True))
    assert best - 1e-12 <= aurc(u, wrong) <= worst + 1e-12
    assert aurc(np.zeros(len(u)), wrong) == pytest.approx(wrong.mean())
    assert aurc(wrong, wrong) == pytest.approx(best)
    assert aurc(~wrong, wrong) == pytest.approx(worst)


@few
@given(flagged, st.randoms(use_true_random=False))
def test_scores_of_order_see_the_order_only(pairs, random):
    u, wrong = (np.array(column) for column in zip(*pairs, strict=True))
    shuffled = list(pairs)
    random.shuffle(shuffled)
    v, flags = (np.array(column) for column in zip(*shuffled, strict=True))
    for metric in (aurc, auroc, average_precision):
        assert metric(u, wrong) == metric(np.exp(u), wrong) == metric(u**3 * 7 - 2.0, wrong)
        assert metric(v, flags) == (None if metric(u, wrong) is None else pytest.approx(metric(u, wrong), rel=1e-12))


@few
@given(flagged)
def test_auroc_of_the_complement(pairs):
    u, wrong = (np.array(column) for column in zip(*pairs, strict=True))
    value = auroc(u, wrong)
    if wrong.all() or not wrong.any():
        assert value is None
    else:
        assert auroc(-u, wrong) == pytest.approx(1 - value, abs=1e-12)
        assert auroc(u, ~wrong) == pytest.approx(1 - value, abs=1e-12)


@few
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(2, 6))
def test_scores_of_probabilities_keep_their_bounds(seed, n, k):
    rng = np.random.default_rng(seed)
    logits, labels = (rng.normal(size=(n, k)) * 10 ** rng.uniform(-2, 3)).astype(np.float32), rng.integers(0, k, n)
    top = accuracy(logits, labels)
    u = msp_uncertainty(logits)
    assert nll(logits, labels) >= 0
    assert 0 <= brier(logits, labels) <= 2 + 1e-12
    # binning can only hide errors of calibration: at least the mean gap, at most 100
    assert abs(top - 100 * (1 - u).mean()) - 1e-9 <= ece(logits, labels) <= 100
    assert (u >= 0).all()
    assert (u <= 1 - 1 / k + 1e-12).all()
    # a constant that is added to a sample's logits changes nothing
    assert nll(logits.astype(float) + rng.normal(size=(n, 1)), labels) == pytest.approx(nll(logits, labels), rel=1e-9, abs=1e-9)


# ---------------------------------------------------------------- the edges

EMPTY = np.zeros((0, 3), np.float32), np.zeros(0, np.int64)
OF_LOGITS = [accuracy, macro_accuracy, nll, ece, brier]


def test_without_samples_nothing_applies():
    none = np.zeros(0, np.float32), np.zeros(0, bool)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [metric(*EMPTY) for metric in OF_LOGITS] == [None] * 5
        assert [metric(*none) for metric in (aurc, auroc, average_precision)] == [None] * 3
        assert error_auroc(none[0], *EMPTY) is None
        assert msp_uncertainty(EMPTY[0]).shape == (0,)
        assert wrong_label_fit(EMPTY[1], EMPTY[1], EMPTY[1]) is None
        assert vote_spearman(none[0], np.zeros((0, 3), np.int64)) is None


def test_one_sample():
    logits, labels = np.array([[1, 0]], np.float32), np.array([0])
    p = 1 / (1 + math.exp(-1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert accuracy(logits, labels) == macro_accuracy(logits, labels) == 100
        assert nll(logits, labels) == pytest.approx(-math.log(p))
        assert ece(logits, labels) == pytest.approx(100 * (1 - p))
        assert brier(logits, labels) == pytest.approx(2 * (1 - p) ** 2)
        assert aurc(np.ones(1), np.array([True])) == 1
        assert aurc(np.ones(1), np.array([False])) == 0
        assert error_auroc(np.ones(1), logits, labels) is None
        assert vote_spearman(np.ones(1), np.array([[3, 1]])) is None


def test_one_class_among_the_flags():
    u = np.array([0.1, 0.2, 0.3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert auroc(u, np.zeros(3, bool)) is None
        assert auroc(u, np.ones(3, bool)) is None
        assert average_precision(u, np.zeros(3, bool)) is None
        assert average_precision(u, np.ones(3, bool)) == 1
        assert aurc(u, np.zeros(3, bool)) == 0
        assert aurc(u, np.ones(3, bool)) == 1


def test_constant_scores_know_nothing():
    flags = np.array([True, False, False, False])
    constant = np.full(4, 0.3, np.float32)
    assert auroc(constant, flags) == 0.5
    assert average_precision(constant, flags) == 0.25
    assert aurc(constant, flags) == pytest.approx(0.25)
    votes = np.array([[3, 0], [2, 1], [1, 2], [0, 3]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert vote_spearman(constant, votes) is None
        assert vote_spearman(np.arange(4.0), np.tile([2, 1], (4, 1))) is None
        assert vote_spearman(np.arange(4.0), np.array([[2, 1], [1, 2], [1, 2], [2, 1]])) is None
        assert vote_spearman(np.arange(4.0), np.zeros((4, 2), np.int64)) is None


def test_no_wrong_label_has_no_fit():
    labels = np.array([0, 1, 2])
    assert wrong_label_fit(np.array([0, 0, 0]), labels, labels) is None


def test_a_single_class_of_labels():
    logits, _ = sample()
    labels = np.full(len(logits), 2)
    assert macro_accuracy(logits, labels) == pytest.approx(accuracy(logits, labels))


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(broken):
    logits, labels = sample(n=20)
    logits[4, 2] = broken
    u = logits[:, 2]
    flags = labels == 0
    for metric in OF_LOGITS:
        with pytest.raises(ValueError, match="logits must be finite; 1 of 140"):
            metric(logits, labels)
    with pytest.raises(ValueError, match="logits must be finite"):
        msp_uncertainty(logits)
    with pytest.raises(ValueError, match="uncertainty must be finite; 1 of 20"):
        aurc(u, flags)
    with pytest.raises(ValueError, match="uncertainty must be finite"):
        vote_spearman(u, np.ones((20, 2), np.int64))
    with pytest.raises(ValueError, match="uncertainty must be finite"):
        error_auroc(u, np.zeros((20, 7), np.float32), labels)
    for metric in (auroc, average_precision):
        with pytest.raises(ValueError, match="score must be finite"):
            metric(u, flags)
        with pytest.raises(ValueError, match="score must be finite"):
            metric(u, np.zeros(20, bool))  # also where the answer would be None


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros(3), np.zeros(3, int), r"shape \(samples, classes\)"),
        (np.zeros((3, 2)), np.zeros(4, int), r"labels must have the shape \(3,\)"),
        (np.zeros((3, 2)), np.zeros((3, 1), int), r"labels must have the shape \(3,\)"),
        (np.zeros((3, 2)), np.zeros(3), "labels must be integers"),
        (np.zeros((3, 2)), np.array([0, 1, 2]), "below 2; they reach from 0 to 2"),
        (np.zeros((3, 2)), np.array([0, 1, -1]), "at least 0"),
    ],
)
def test_shapes_and_labels_that_do_not_fit_are_refused(logits, labels, message):
    for metric in OF_LOGITS:
        with pytest.raises(ValueError, match=message):
            metric(logits, labels)


def test_other_input_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="wrong must have the shape"):
        aurc(np.zeros(3), np.zeros(2, bool))
    with pytest.raises(ValueError, match="wrong must be true or false"):
        aurc(np.zeros(2), np.array([0, 2]))
    with pytest.raises(ValueError, match="votes must be counts"):
        vote_spearman(np.zeros(1), np.array([[3, -1]]))
    with pytest.raises(ValueError, match="votes must have the shape"):
        vote_spearman(np.zeros(2), np.array([[3, 1]]))
    with pytest.raises(ValueError, match="given labels must have the shape"):
        wrong_label_fit(np.zeros(3, int), np.zeros(2, int), np.zeros(3, int))
    with pytest.raises(ValueError, match="bins must be at least 1"):
        ece(np.zeros((1, 2)), np.zeros(1, int), bins=0)


def test_inputs_are_left_as_they_were():
    logits, labels = sample(n=30)
    votes = np.random.default_rng(0).integers(0, 4, (30, 7))
    arrays = [logits, labels, votes]
    copies = [a.copy() for a in arrays]
    for a in arrays:
        a.flags.writeable = False
    for metric in OF_LOGITS:
        metric(logits, labels)
    u = msp_uncertainty(logits)
    error_auroc(u, logits, labels)
    vote_spearman(u, votes)
    for a, b in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(a, b)


def test_importing_the_scores_is_quick():
    code = "import sys, benchmark.score; print([m for m in ('torch', 'sklearn', 'scipy', 'pandas') if m in sys.modules])"
    top = Path(benchmark.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=top, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
