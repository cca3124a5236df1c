"""What a prediction is worth: right or wrong, how probable, how well its uncertainty is ordered.

Each is a function of arrays to one number, or to None where it does not apply (no samples, one class only, a constant):
never 0 or NaN in its place. Logits, uncertainties and scores that are not finite raise `ValueError`. Logits are expected
in float32, as they are stored; probabilities are computed from them in float64. A tie for the largest logit goes to the
first class, as with `argmax`.
"""

from __future__ import annotations

import numpy as np

from .arrays import (
    Bools,
    Doubles,
    Floats,
    Ints,
    check_flags,
    check_labels,
    check_logits,
    check_values,
    check_votes,
    log_softmax,
    softmax,
)
from .curves import reliability, risk_coverage

# ---------------------------------------------------------------- right or wrong


def mistakes(logits: Floats, labels: Ints) -> Bools:
    """Whether each prediction is wrong: argmax_k z_ik != y_i, (N,) from logits (N, K) and labels (N,)."""
    z = check_logits(logits)
    return np.asarray(z.argmax(axis=1) != check_labels(labels, "labels", *z.shape))


def accuracy(logits: Floats, labels: Ints) -> float | None:
    """Accuracy in percent: 100 / N * #{i : argmax_k z_ik = y_i}.

    Args:
        logits: (N, K).
        labels: (N,), in [0, K).

    Returns: a value in [0, 100]; None without samples.
    """
    return accuracy_of(~mistakes(logits, labels))


def accuracy_of(right: Bools) -> float | None:
    """The same of what is known to be right or not, (N,)."""
    return 100 * float(np.mean(right)) if right.size else None


def macro_accuracy(logits: Floats, labels: Ints) -> float | None:
    """Accuracy in percent, averaged over classes, so that a rare class counts as much as a frequent one.

    The mean over the classes k that occur in `labels` of 100 * #{i : y_i = k, argmax z_i = k} / #{i : y_i = k}; a class
    that occurs in no label has no accuracy and is left out, even where it is predicted.

    Args:
        logits: (N, K).
        labels: (N,), in [0, K).

    Returns: a value in [0, 100]; None without samples.
    """
    return macro_accuracy_of(~mistakes(logits, labels), labels)


def macro_accuracy_of(right: Bools, labels: Ints) -> float | None:
    """The same of what is known to be right or not, (N,). Raises ValueError for labels below zero."""
    y = np.asarray(labels, dtype=np.int64)
    if not right.size:
        return None
    count, hits = np.bincount(y), np.bincount(y, right)
    return 100 * float(np.mean(hits[count > 0] / count[count > 0]))


# ---------------------------------------------------------------- probabilities


def nll(logits: Floats, labels: Ints) -> float | None:
    """Negative log-likelihood in nats: the mean of -log softmax(z_i)[y_i].

    Args:
        logits: (N, K).
        labels: (N,), in [0, K).

    Returns: a value >= 0; None without samples.
    """
    z = check_logits(logits)
    y = check_labels(labels, "labels", *z.shape)
    return float(-log_softmax(z)[np.arange(len(y)), y].mean()) + 0.0 if y.size else None  # + 0.0: no negative zero


def ece(logits: Floats, labels: Ints, bins: int = 15) -> float | None:
    """Expected calibration error in percent: how far accuracy lies from confidence, over bins of confidence.

        ECE = 100 * sum_b n_b / N * |acc(b) - conf(b)|,        bins ((b - 1) / B, b / B] of the largest probability.

    Args:
        logits: (N, K).
        labels: (N,), in [0, K).
        bins: B; 15, as in the paper.

    Returns: a value in [0, 100]; None without samples. `curves.reliability` has the bins. (torchmetrics takes bins that are
    closed below and gives a confidence of exactly 1 a bin of its own; without confidences on an edge the two agree.)

    Source: Guo, Pleiss, Sun & Weinberger, On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """
    diagram = reliability(logits, labels, bins)
    used = diagram.count > 0
    if not used.any():
        return None
    gap = np.abs(diagram.accuracy - diagram.confidence)[used]
    return 100 * float(np.average(gap, weights=diagram.count[used]))


def brier(logits: Floats, labels: Ints) -> float | None:
    """Brier score, in its original form: squared errors of the probabilities, summed over classes.

        BS = mean over i of sum_k (p_ik - [y_i = k])^2.

    Args:
        logits: (N, K).
        labels: (N,), in [0, K).

    Returns: a value in [0, 2] (not divided by 2 or by K); None without samples.

    Source: Brier, Verification of Forecasts Expressed in Terms of Probability, Monthly Weather Review 78(1), 1950, score P.
    """
    z = check_logits(logits)
    y = check_labels(labels, "labels", *z.shape)
    if not y.size:
        return None
    error = softmax(z)
    error[np.arange(len(y)), y] -= 1
    return float(np.square(error).sum(axis=1).mean())


def msp_uncertainty(logits: Floats) -> Doubles:
    """One minus the largest probability, (N,) from logits (N, K): the uncertainty that every classifier has for free.

    Computed as the sum of the *other* probabilities. Taking 1 - max p literally gives 0 for every logit that leads by more
    than 37 (17 in float32), and these ties would hide the order among the samples that the model is surest of.

    Returns: values in [0, 1 - 1 / K], float64.

    Source: Hendrycks & Gimpel, A Baseline for Detecting Misclassified and Out-of-Distribution Examples, ICLR 2017.
    """
    z = check_logits(logits)
    share = np.exp(z - z.max(axis=1, keepdims=True))
    share[np.arange(len(z)), z.argmax(axis=1)] = 0
    others = share.sum(axis=1)
    return np.asarray(others / (1 + others))


# ---------------------------------------------------------------- the order of uncertainties and scores


def aurc(uncertainty: Floats, wrong: Bools) -> float | None:
    """Area under the risk-coverage curve: the error that is left, averaged over how many of the surest samples are kept.

        AURC = 1 / N * sum over k = 1 … N of r(k),        r(k) = share of wrong ones among the k least uncertain samples.

    Ties count with the expectation over all their orders (see `curves.risk_coverage`), so that a constant uncertainty gets
    exactly the error rate. O(N log N).

    Args:
        uncertainty: (N,), larger = less sure; only its order counts.
        wrong: (N,), whether the prediction is wrong.

    Returns: a fraction in [0, 1] (a mean risk, not a percentage; papers often print it times 1,000), smaller is better;
    None without samples.

    Source: Geifman, Uziel & El-Yaniv, Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers, ICLR 2019; the curve
    is that of Geifman & El-Yaniv, Selective Classification for Deep Neural Networks, NeurIPS 2017.
    """
    risk = risk_coverage(uncertainty, wrong).risk
    return float(risk.mean()) if risk.size else None


def auroc(score: Floats, positive: Bools) -> float | None:
    """Area under the ROC curve: P(score of a positive > score of a negative) + P(equal) / 2.

    Args:
        score: (N,), larger = more likely positive; only its order counts.
        positive: (N,).

    Returns: a fraction in [0, 1], 0.5 by chance; None unless there are both positives and negatives.

    Source: Hanley & McNeil, The Meaning and Use of the Area under a ROC Curve, Radiology 143, 1982.
    """
    s = check_values(score, "score")
    truth = check_flags(positive, "positive", len(s))
    if truth.all() or not truth.any():
        return None
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, s))


def average_precision(score: Floats, positive: Bools) -> float | None:
    """Average precision: sum over thresholds t of (recall_t - recall_{t-1}) * precision_t, without interpolation.

    Samples with equal scores pass the threshold together. The value by chance is the share of positives.

    Args:
        score: (N,), larger = more likely positive; only its order counts.
        positive: (N,).

    Returns: a fraction in (0, 1] (1 where all are positive); None without positives.

    Source: `sklearn.metrics.average_precision_score`.
    """
    s = check_values(score, "score")
    truth = check_flags(positive, "positive", len(s))
    if not truth.any():
        return None
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth, s))


def error_auroc(uncertainty: Floats, logits: Floats, labels: Ints) -> float | None:
    """AUROC of an uncertainty as a detector of the wrong predictions: does it find the errors?

    Args:
        uncertainty: (N,), larger = less sure.
        logits: (N, K).
        labels: (N,), in [0, K).

    Returns: a fraction in [0, 1]; None where all predictions are right or all are wrong.

    Source: Hendrycks & Gimpel, ICLR 2017.
    """
    wrong = mistakes(logits, labels)
    return auroc(check_values(uncertainty, "uncertainty", len(wrong)), wrong)


def wrong_label_fit(predicted: Ints, given: Ints, reference: Ints) -> float | None:
    """How much wrong supervision was learned, in percent.

        100 * #{i : given_i != reference_i, predicted_i = given_i} / #{i : given_i != reference_i}

    Args:
        predicted: (N,), predicted classes of the training images.
        given: (N,), the labels trained on, as they were before any relabelling.
        reference: (N,), the labels that judge; -1 where an image shows none of the classes.

    Returns: a value in [0, 100], smaller is better; None where no given label is wrong.

    Source: the share of "memorised" wrong labels of Liu et al., Early-Learning Regularization, NeurIPS 2020, figure 1.
    """
    guess = check_labels(predicted, "predicted labels")
    told = check_labels(given, "given labels", len(guess))
    wrong = told != check_labels(reference, "reference labels", len(guess), lowest=-1)
    return 100 * float(np.mean(guess[wrong] == told[wrong])) if wrong.any() else None


def vote_spearman(uncertainty: Floats, votes: Ints) -> float | None:
    """Rank correlation of uncertainty with human disagreement: is the model unsure where people are?

    Spearman's rho (Pearson's correlation of the ranks, ties at their average rank) between u_i and the entropy
    -sum_k q_ik log q_ik of the votes' shares q_ik = v_ik / sum_j v_ij.

    Args:
        uncertainty: (N,), larger = less sure.
        votes: (N, K), how many people chose each class in use; images without any vote are left out.

    Returns: a value in [-1, 1]; None where fewer than two images have votes, or one side is constant.
    """
    u = check_values(uncertainty, "uncertainty")
    v = check_votes(votes, len(u))
    asked = v.sum(axis=1) > 0
    u, disagreement = u[asked], _disagreement_level(v[asked])
    if not len(u) or np.ptp(u) == 0 or np.ptp(disagreement) == 0:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(u, disagreement).statistic)


def _disagreement_level(votes: Doubles) -> Ints:
    """The order (M,) of the entropies of votes (M, K), equal where the entropies are.

    Votes of 7 : 3 and 3 : 7 (or 4 : 1 : 1 : 1 : 1 and 2 : 2 : 2 : 2) are equally divided, but their sums differ in the
    last bit, which would turn the ties into arbitrary ranks.
    """
    share = votes / votes.sum(axis=1, keepdims=True)
    entropy = -np.sum(share * np.log(share, out=np.zeros_like(share), where=share > 0), axis=1)
    distinct, position = np.unique(entropy, return_inverse=True)
    return np.asarray(np.cumsum(np.diff(distinct, prepend=distinct[:1]) > 1e-12)[position])
