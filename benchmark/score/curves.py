"""The two curves behind `ece` and `aurc`, as data for plots: how far confidence can be believed, and what abstaining buys.

Everything here is a fraction in [0, 1], since confidence and coverage are; the percentages are in `metrics`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import Bools, Doubles, Floats, Ints, check_flags, check_labels, check_logits, check_values, softmax


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence against accuracy, in B bins of equal width; a bin without samples has NaN for both."""

    edges: Doubles  #: (B + 1,), bin b holds the confidences in (edges[b], edges[b + 1]]
    count: NDArray[np.int64]  #: (B,), samples in each bin
    confidence: Doubles  #: (B,), the mean of the largest probability, in [0, 1]
    accuracy: Doubles  #: (B,), the share of right predictions, in [0, 1]


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """The error among the k least uncertain samples, for k = 1 … N."""

    coverage: Doubles  #: (N,), k / N
    risk: Doubles  #: (N,), the share of wrong predictions among those k, in [0, 1], expected over the order of ties


def reliability(logits: Floats, labels: Ints, bins: int = 15) -> Reliability:
    """Reliability diagram: mean confidence and accuracy per bin of confidence.

    With confidence c_i = max_k p_ik and bins B_b = {i : (b - 1) / B < c_i <= b / B},

        conf(b) = mean of c_i over B_b,        acc(b) = share of B_b with argmax_k z_ik = y_i.

    Args:
        logits: (N, K), finite.
        labels: (N,), in [0, K).
        bins: B, at least 1.

    Source: Guo, Pleiss, Sun & Weinberger, On Calibration of Modern Neural Networks, ICML 2017, section 2.
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, not {bins}")
    z = check_logits(logits)
    y = check_labels(labels, "labels", *z.shape)
    confidence, right = softmax(z).max(axis=1), z.argmax(axis=1) == y
    edges = np.arange(bins + 1) / bins  # b / B to the last bit, as the 1 / K of equal logits is
    where = np.searchsorted(edges, confidence, side="left") - 1
    count = np.bincount(where, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 in an empty bin is the NaN we want
        return Reliability(
            edges=edges,
            count=count.astype(np.int64),
            confidence=np.bincount(where, confidence, minlength=bins) / count,
            accuracy=np.bincount(where, right, minlength=bins) / count,
        )


def risk_coverage(uncertainty: Floats, wrong: Bools) -> RiskCoverage:
    """Risk-coverage curve: the selective risk r(k) of answering only the k least uncertain samples.

    Samples of equal uncertainty have no order of their own, so r(k) is its expectation over all their orders. Where the
    k-th sample lies in a tie of g samples, w of them wrong, that begins after n samples with v wrong ones:

        r(k) = (v + (k - n) w / g) / k.

    Args:
        uncertainty: (N,), finite, larger = less sure; only its order counts.
        wrong: (N,), whether the prediction is wrong.

    Source: Geifman & El-Yaniv, Selective Classification for Deep Neural Networks, NeurIPS 2017.
    """
    u = check_values(uncertainty, "uncertainty")
    bad = check_flags(wrong, "wrong", len(u))
    _, tie, size = np.unique(u, return_inverse=True, return_counts=True)
    wrong_in = np.bincount(tie, bad, minlength=len(size))
    before, wrong_before = np.cumsum(size) - size, np.cumsum(wrong_in) - wrong_in
    k, at = np.arange(1, len(u) + 1), np.repeat(np.arange(len(size)), size)
    risk = (wrong_before[at] + (k - before[at]) * wrong_in[at] / size[at]) / k
    return RiskCoverage(coverage=k / max(len(u), 1), risk=risk)
