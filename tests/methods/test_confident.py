"""Confident learning's counts, rounding and pruning: cleanlab's own, on generated probabilities and on fixed ones."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from cleanlab import count
from cleanlab.filter import find_label_issues
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from stubs import wave
from torch import Tensor
from torch.nn import functional as F

from benchmark.methods._confident import (
    class_weights,
    confident_classes,
    confident_counts,
    confident_joint,
    estimated_noise_rate,
    joint_counts,
    label_issues,
)

# cleanlab 2.9.0 on the probabilities and labels of `fixed`: compute_confident_joint with calibrate=False and with True,
# find_label_issues with its defaults, and the inverse of the diagonal of estimate_latent's noise matrix.
GOLDEN_CONFIDENT = [[7, 0, 0, 1], [1, 10, 0, 0], [0, 1, 9, 0], [0, 0, 1, 8]]
GOLDEN_JOINT = [[12, 0, 0, 2], [1, 14, 0, 0], [0, 2, 14, 0], [0, 0, 2, 13]]
GOLDEN_ISSUES = [11, 12, 22, 33, 44, 55]
GOLDEN_WEIGHTS = [1.0833333333, 1.1428571429, 1.1428571429, 1.1538461538]


def fixed() -> tuple[Tensor, Tensor]:
    """Probabilities (60, 4) that lean to the class before some labels were changed, and the labels."""
    truth = torch.arange(60) * 7 % 4
    labels = torch.where(torch.arange(60) % 11 == 0, (truth + 1) % 4, truth)
    return (wave(60, 4, f=0.37, a=1.5) + 1.2 * F.one_hot(truth, 4)).softmax(dim=1), labels


@st.composite
def judged(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Labels (N,), some wrong and some classes rare or missing, and probabilities (N, K) from vague to sure."""
    N, K = draw(st.integers(2, 90)), draw(st.integers(2, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    truth = rng.choice(K, N, p=rng.dirichlet(np.full(K, draw(st.sampled_from([0.3, 5.0])))))
    wrong = rng.random(N) < draw(st.sampled_from([0.0, 0.2, 0.6]))
    labels = np.where(wrong, rng.integers(0, K, N), truth)
    logits = rng.normal(0, draw(st.sampled_from([0.1, 1.0, 3.0])), (N, K))
    logits[np.arange(N), truth] += draw(st.sampled_from([-1.0, 0.0, 2.0, 6.0]))
    return torch.from_numpy(logits).softmax(dim=1), torch.from_numpy(labels)


def no_ties(counts: NDArray[np.int64], labels: NDArray[np.int64]) -> bool:
    """Whether rounding each row of the scaled counts (K, K) by its largest remainders leaves no choice."""
    for row, wanted in zip(counts, np.bincount(labels, minlength=len(counts)), strict=True):
        rest = np.sort(row * wanted % row.sum())[::-1]
        short = wanted - (row * wanted // row.sum()).sum()
        if 0 < short < len(rest) and rest[short - 1] == rest[short]:
            return False
    return True


# ---------------------------------------------------------------- cleanlab as the oracle


@settings(max_examples=60, deadline=None)
@given(judged())
def test_the_confident_counts_are_cleanlabs(case: tuple[Tensor, Tensor]) -> None:
    probability, labels = case
    wanted = count.compute_confident_joint(labels.numpy(), probability.numpy(), calibrate=False)
    assert confident_counts(probability, labels).tolist() == wanted.tolist()


@settings(max_examples=60, deadline=None)
@given(judged())
def test_the_joint_is_cleanlabs_where_its_rounding_leaves_no_choice(case: tuple[Tensor, Tensor]) -> None:
    probability, labels = case
    y, p = labels.numpy(), probability.numpy()
    raw = count.compute_confident_joint(y, p, calibrate=False)
    assume(no_ties(raw, y))
    assert joint_counts(probability, labels).tolist() == count.calibrate_confident_joint(raw, y).tolist()
    np.testing.assert_allclose(confident_joint(probability, labels).numpy(), count.estimate_joint(y, p), rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(judged())
def test_what_is_pruned_is_what_cleanlab_finds(case: tuple[Tensor, Tensor]) -> None:
    probability, labels = case
    assume(len(labels.unique()) > 1)  # cleanlab refuses the others
    counts = joint_counts(probability, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with a single sample
        wanted = find_label_issues(
            labels.numpy(), probability.numpy(), confident_joint=counts.numpy(), filter_by="prune_by_noise_rate", n_jobs=1
        )
    assert label_issues(probability, labels, counts).tolist() == wanted.tolist()


@settings(max_examples=40, deadline=None)
@given(judged())
def test_class_weights_are_the_inverse_of_cleanlabs_noise_matrix(case: tuple[Tensor, Tensor]) -> None:
    probability, labels = case
    counts = joint_counts(probability, labels)
    assume(bool((labels.bincount(minlength=len(counts)) > 0).all()))
    _, noise_matrix, _ = count.estimate_latent(counts.numpy(), labels.numpy())
    wanted = 1 / np.clip(np.diag(noise_matrix), 1e-3, None)
    np.testing.assert_allclose(class_weights(counts).numpy(), wanted, rtol=1e-3)  # cleanlab clips rates of more than 0.9999


# ---------------------------------------------------------------- without it


def test_fixed_probabilities_give_the_numbers_that_cleanlab_gave() -> None:
    probability, labels = fixed()
    counts = joint_counts(probability, labels)
    assert confident_counts(probability, labels).tolist() == GOLDEN_CONFIDENT
    assert counts.tolist() == GOLDEN_JOINT
    assert label_issues(probability, labels, counts).nonzero()[:, 0].tolist() == GOLDEN_ISSUES
    torch.testing.assert_close(class_weights(counts), torch.tensor(GOLDEN_WEIGHTS))
    assert estimated_noise_rate(probability, labels) == pytest.approx(7 / 60)


def test_single_precision_finds_the_same() -> None:
    probability, labels = fixed()
    counts = joint_counts(probability.float(), labels)
    assert counts.tolist() == GOLDEN_JOINT
    assert label_issues(probability.float(), labels, counts).nonzero()[:, 0].tolist() == GOLDEN_ISSUES


@settings(max_examples=60, deadline=None)
@given(judged())
def test_no_class_is_pruned_to_nothing_and_no_more_is_pruned_than_is_estimated(case: tuple[Tensor, Tensor]) -> None:
    probability, labels = case
    counts = joint_counts(probability, labels)
    K = len(counts)
    assert counts.sum(dim=1).tolist() == labels.bincount(minlength=K).tolist()
    assert (counts >= 0).all()
    issues = label_issues(probability, labels, counts)
    assert labels[~issues].bincount(minlength=K).clamp(max=1).tolist() == labels.bincount(minlength=K).clamp(max=1).tolist()
    off_diagonal = counts.sum(dim=1) - counts.diagonal()
    assert (labels[issues].bincount(minlength=K) <= off_diagonal).all()
    assert (probability[issues].argmax(dim=1) != labels[issues]).all()


@settings(max_examples=30, deadline=None)
@given(judged())
def test_the_joint_is_a_distribution_and_its_off_diagonal_the_noise_rate(case: tuple[Tensor, Tensor]) -> None:
    joint = confident_joint(*case)
    torch.testing.assert_close(joint.sum(), torch.ones((), dtype=joint.dtype))
    assert estimated_noise_rate(*case) == pytest.approx((joint.sum() - joint.diagonal().sum()).item(), abs=1e-6)


def test_labels_that_are_certain_and_right_are_left_alone() -> None:
    labels = torch.arange(30) % 3
    probability = F.one_hot(labels, 3).double()
    counts = joint_counts(probability, labels)
    assert estimated_noise_rate(probability, labels) == 0
    assert not label_issues(probability, labels, counts).any()
    assert class_weights(counts).tolist() == [1, 1, 1]


def test_swapped_labels_are_counted_and_found() -> None:
    truth = torch.arange(300) % 3
    labels = truth.clone()
    labels[::20] = (truth[::20] + 1) % 3
    probability = (4.0 * F.one_hot(truth, 3) + wave(300, 3, f=0.37, a=0.5)).softmax(dim=1)
    assert estimated_noise_rate(probability, labels) == pytest.approx(0.05, abs=0.01)
    assert torch.equal(label_issues(probability, labels, joint_counts(probability, labels)), labels != truth)


def test_a_class_counts_where_its_probability_reaches_the_mean_of_its_labels() -> None:
    probability = torch.tensor([[0.8, 0.2, 0.0], [0.6, 0.4, 0.0], [0.3, 0.6, 0.1], [0.5, 0.4, 0.1], [0.45, 0.5, 0.05]])
    labels = torch.tensor([0, 0, 1, 1, 1])  # thresholds 0.7, 0.5, none
    assert confident_classes(probability, labels).tolist() == [0, -1, 1, -1, 1]


def test_a_class_that_its_own_labels_give_no_probability_is_not_everybodys() -> None:
    probability = torch.tensor([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.1, 0.9, 0.0], [0.5, 0.5, 0.0]])
    labels = torch.tensor([0, 0, 1, 2])  # class 2: a mean of 0, which all reach
    assert confident_classes(probability, labels).tolist() == [0, -1, 1, -1]


def test_among_several_confident_classes_the_most_probable_of_all_counts() -> None:
    """As in cleanlab; of the first sample, class 0 is the most probable and does not reach its threshold of 0.55."""
    probability = torch.tensor([[0.4, 0.3, 0.3], [0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.7, 0.2, 0.1]])
    labels = torch.tensor([0, 0, 1, 2])
    assert confident_classes(probability, labels)[0] == 0


def test_a_class_without_labels_is_nobodys_and_one_without_confidence_trusts_its_labels() -> None:
    probability = torch.tensor([[0.2, 0.1, 0.7], [0.3, 0.1, 0.6], [0.3, 0.4, 0.3], [0.4, 0.3, 0.3]])
    labels = torch.tensor([0, 0, 1, 1])
    counts = joint_counts(probability, labels)
    assert counts[:, 2].sum() == counts[2].sum() == 0
    assert counts[1, 1] > 0
