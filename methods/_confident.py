"""Confident learning's view of a labelled set: which labels a model contradicts with confidence, and how many.

A class k counts for a sample where p_k reaches the mean confidence t_k of the samples labelled k. Northcutt, Jiang and Chuang,
Confident Learning, JAIR 2021, equations 1 and 2. Counts, roundings and tolerances are those of cleanlab 2.9, so that the same
probabilities give the same numbers, but for exact ties in a rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

TOLERANCE = 1e-6  # of comparisons of probabilities


def confident_classes(probability: Tensor, labels: Tensor) -> Tensor:
    """The confident class (N,) of each sample, -1 where no class reaches its threshold; probability (N, K), labels (N,).

    Where several classes do, it is the most probable of all classes, as cleanlab has it; in the paper, of those.
    """
    given = F.one_hot(labels, probability.shape[1]).to(probability.dtype)
    thresholds = (given * probability).sum(dim=0) / given.sum(dim=0)  # nan for a class without labels: never reached
    reached = probability >= thresholds.clamp(min=2 * TOLERANCE) - TOLERANCE
    one = torch.where(reached, probability, -1).argmax(dim=1)
    several = reached.sum(dim=1) > 1
    return torch.where(reached.any(dim=1), torch.where(several, probability.argmax(dim=1), one), -1)


def confident_counts(probability: Tensor, labels: Tensor) -> Tensor:
    """How many samples (K, K) int64 have which given (row) and which confident (column) class; at least 1 on the diagonal."""
    K = probability.shape[1]
    found = confident_classes(probability, labels)
    known = found >= 0
    counts = torch.bincount(labels[known] * K + found[known], minlength=K * K).view(K, K)
    return counts + torch.diag((counts.diagonal() == 0).long())


def joint_counts(probability: Tensor, labels: Tensor) -> Tensor:
    """How many samples (K, K) int64 have which given (row) and, by estimate, which true (column) class.

    The confident counts with each row scaled to the number of its given labels, rounded by largest remainder.
    """
    counts = confident_counts(probability, labels)
    K = len(counts)
    wanted = torch.bincount(labels, minlength=K)[:, None]
    scaled, total = counts * wanted, counts.sum(dim=1, keepdim=True)
    whole = scaled // total
    rank = (scaled % total).argsort(dim=1, stable=True).argsort(dim=1)  # of the remainders, the largest last
    return whole + (rank >= K - (wanted - whole.sum(dim=1, keepdim=True))).long()


def confident_joint(probability: Tensor, labels: Tensor) -> Tensor:
    """The estimated joint distribution (K, K) of given (row) and true (column) labels; it sums to 1."""
    return joint_counts(probability, labels).to(probability.dtype) / len(labels)


def estimated_noise_rate(probability: Tensor, labels: Tensor) -> Tensor:
    """The share of wrong labels, a scalar in [0, 1]: what lies off the joint's diagonal."""
    return (1 - confident_joint(probability, labels).diagonal().sum()).clamp(0, 1).float()


def label_issues(probability: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
    """Which labels (N,) are to be pruned by noise rate; `counts` (K, K) are the `joint_counts`.

    Of the samples labelled k, as many as are estimated to be j are pruned, those with the largest p_j - p_k; but none whose
    label is the most probable class, and never all of a class.
    """
    # A class whose estimate leaves it no sample at all gives up one less to each other class.
    pruned = (counts - (counts.diagonal() == 0).long()[:, None]).clamp(min=0).fill_diagonal_(0)
    margin = probability - probability.gather(1, labels[:, None])
    issue = torch.zeros_like(labels, dtype=torch.bool)
    for k in range(len(counts)):
        members = (labels == k).nonzero()[:, 0]
        rank = margin[members].argsort(dim=0, descending=True, stable=True).argsort(dim=0)
        issue[members] = (rank < pruned[k]).any(dim=1)
    agreed = (probability + TOLERANCE * F.one_hot(labels, len(counts))).argmax(dim=1) == labels
    return issue & ~agreed


def class_weights(counts: Tensor) -> Tensor:
    """1 / P(label k | truth k), (K,) float32, at most 1000: makes up for what pruning takes from each class."""
    kept = counts.diagonal() / counts.sum(dim=0).clamp(min=1)
    return 1 / kept.clamp(min=1e-3)
