"""What a difference between methods is worth, when there are few seeds and one test set.

Methods are compared in pairs: of each seed both saw the same noise and the same start, and both are judged by the same test
images. A difference is asked whether it would stand with other seeds *and* with other test images, so both are drawn again
(a hierarchical bootstrap: seed, then test image). Every method meets the same resamples.

With three seeds there are only ten resamples of them, and their percentiles are far too narrow. So the level of the seeds is
taken in its exact form, a variance with S - 1 in its denominator and the Student distribution that goes with it, and only the
level of the images is drawn. `Difference` has the formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from .arrays import Bools, Doubles, Floats, Ints, check_labels, check_values

DRAWS = 2000
"""Resamples of the test images: their variances are then known to 3 %."""
_CHUNK = 200  # resamples at a time, so that the weights of a large test set fit in memory
_NODES = 300


# ---------------------------------------------------------------- one method


def t_interval(values: Floats, level: float = 0.95) -> tuple[float, float] | None:
    """Student's interval for the mean over seeds: mean ± t * s / sqrt(S), with S - 1 degrees of freedom.

    Args:
        values: (S,), one a seed.
        level: the share of such intervals that hold the true mean.

    Returns: its two ends; None with fewer than two values.
    """
    from scipy.special import stdtrit

    x = check_values(values, "values")
    if len(x) < 2:
        return None
    half = float(stdtrit(len(x) - 1, (1 + level) / 2) * x.std(ddof=1) / np.sqrt(len(x)))
    return float(x.mean()) - half, float(x.mean()) + half


# ---------------------------------------------------------------- two methods, few seeds, one test set


def resample_images(right: Bools, labels: Ints | None = None, draws: int = DRAWS) -> Doubles:
    """The accuracy of runs on test images drawn again with replacement.

    Args:
        right: (R, N), whether each run is right about each test image.
        labels: (N,), the reference labels, where the mean of the classes' accuracies is wanted in place of the accuracy;
            a class that a resample happens to miss is left out of its mean.
        draws: B.

    Returns: (R, B), in percent. All runs meet the same resamples, and so do all calls with as many images.
    """
    images = right.shape[1]
    columns = np.ascontiguousarray(right.T, dtype=np.float32)
    classes = None
    if labels is not None:
        occurring, place = np.unique(check_labels(labels, "labels", images), return_inverse=True)
        classes = np.eye(len(occurring), dtype=np.float32)[place]
    found = np.empty((len(right), draws))
    rng = np.random.default_rng(0)
    for start in range(0, draws, _CHUNK):
        weights = _image_weights(images, min(_CHUNK, draws - start), rng)
        if classes is None:
            weights /= images
        else:
            counts = weights @ classes
            weights *= np.divide(1, counts, out=np.zeros_like(counts), where=counts > 0) @ classes.T
            weights /= (counts > 0).sum(axis=1, keepdims=True)
        found[:, start : start + len(weights)] = 100 * (weights @ columns).T
    return found


def _image_weights(images: int, draws: int, rng: np.random.Generator) -> Floats:
    """How often each image is drawn, (draws, images): whole numbers, each row sums to the number of images."""
    drawn = rng.integers(images, size=(draws, images)) + images * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * images).reshape(draws, images).astype(np.float32)


@dataclass(frozen=True)
class Difference:
    """The mean difference of two methods over S paired seeds, and how far it may be off.

    The differences d_s of the seeds scatter because trainings differ (variance a_0) and because each is measured on
    N images (variance r, which the resamples give); what all seeds have in common, that the test images happen to suit one
    of the two methods, does not average out over seeds (covariance c of two seeds' differences over the resamples). Hence

        Var(mean of d) = a / S + c,        a = a_0 + r.

    c and r are known well, from thousands of images. Of a there is only s^2, the variance of the S differences; what it may
    be is the distribution (S - 1) s^2 / X, X of the chi-squared distribution with S - 1 degrees of freedom, but at least r:

        p = mean over X of P(|Z| > |mean of d| / sqrt(max(r, (S - 1) s^2 / X) / S + c)),        Z normal.

    Without images (r = c = 0) this is the paired t-test.

    Source: the decomposition is that of readers and cases, Obuchowski & Rockette, Communications in Statistics 24(2), 1995;
    the p value is Fisher's for the Behrens-Fisher problem, which is conservative (Robinson, Annals of Statistics 4(5), 1976).
    """

    mean: float
    seeds: int  #: S
    scatter: float  #: s^2
    measured: float  #: r
    shared: float  #: c

    @property
    def p_value(self) -> float:
        """Two-sided, of the hypothesis that there is no difference."""
        return self._beyond(abs(self.mean))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Where the true difference lies, with the probability `level`."""
        low, high = 0.0, 1.0
        while self._beyond(high) > 1 - level:
            high *= 2
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if self._beyond(middle) > 1 - level else (low, middle)
        return self.mean - high, self.mean + high

    def _beyond(self, distance: float) -> float:
        """The probability that the mean is at least that far from the true difference."""
        from scipy.special import ndtr

        if distance == 0:
            return 1.0
        x, weight = _chi_squared(self.seeds - 1)
        variance = np.maximum(self.measured, (self.seeds - 1) * self.scatter / x) / self.seeds + self.shared
        with np.errstate(divide="ignore"):  # nothing varies: any difference is sure
            return float(weight @ (2 * ndtr(-distance / np.sqrt(variance))))


@cache
def _chi_squared(freedom: int) -> tuple[Doubles, Doubles]:
    """Values of the chi-squared distribution and their probabilities, close enough for p values down to 1e-9."""
    log = np.linspace(np.log(1e-10), np.log(80 + 4 * freedom), _NODES)
    weight = np.exp(freedom / 2 * (log - log[-1]) - (np.exp(log) - np.exp(log[-1])) / 2 - freedom)
    return np.exp(log), weight / weight.sum()


def paired_difference(first: Floats, second: Floats, covariance: Floats) -> Difference:
    """How much better the first of two methods is than the second.

    Args:
        first, second: (S,), a metric of each run; the same place is the same seed. S is at least 2.
        covariance: (2 S, 2 S), of the same metric of these runs, the first method's before the second's, over resamples of
            the test images.
    """
    one = check_values(first, "values")
    d = one - check_values(second, "values", len(one))
    S = len(d)
    if S < 2:
        raise ValueError(f"a difference takes at least two seeds, not {S}")
    spread = covariance[:S, :S] - covariance[:S, S:] - covariance[S:, :S] + covariance[S:, S:]  # of the differences
    own = float(np.trace(spread)) / S
    shared = max(0.0, (float(spread.sum()) / S - own) / (S - 1))
    return Difference(float(d.mean()), S, float(d.var(ddof=1)), max(0.0, own - shared), shared)


# ---------------------------------------------------------------- many comparisons


def holm(p_values: Sequence[float]) -> Doubles:
    """p values (m,) adjusted so that with those up to 0.05 rejected, the chance of any false rejection is at most 5 %.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6(2), 1979.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1, steps)
    return adjusted


# ---------------------------------------------------------------- many data sets


def average_ranks(values: Floats) -> Doubles:
    """The mean rank (k,) of each method over blocks; rank 1 is the largest value, ties share their mean rank.

    Args:
        values: (n, k), a value for each of n independent blocks and k methods.
    """
    from scipy.stats import rankdata

    return np.asarray(rankdata(-np.asarray(values, dtype=np.float64), axis=1).mean(axis=0))


def friedman_p(values: Floats) -> float:
    """p of the hypothesis that all of k >= 3 methods have the same ranks over n blocks, values (n, k)."""
    from scipy.stats import friedmanchisquare

    if (np.ptp(values, axis=1) == 0).all():
        return 1.0  # all are tied in every block, where the statistic is 0 / 0
    return float(friedmanchisquare(*np.asarray(values).T).pvalue)


def critical_difference(methods: int, blocks: int, level: float = 0.05) -> float:
    """How far the average ranks of two of k methods over n blocks have to differ (Nemenyi's test).

        CD = q / sqrt(2) * sqrt(k (k + 1) / (6 n)),        q of the studentised range with infinite degrees of freedom.

    Source: Demsar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006, section 3.2.2.
    """
    from scipy.stats import studentized_range

    quantile = float(studentized_range.ppf(1 - level, methods, np.inf))
    return float(quantile / np.sqrt(2) * np.sqrt(methods * (methods + 1) / (6 * blocks)))


def wilcoxon_p(first: Floats, second: Floats) -> float:
    """Two-sided p of Wilcoxon's signed-rank test, exact without ties; 1 where the two (n,) never differ."""
    from scipy.stats import wilcoxon

    return 1.0 if np.array_equal(first, second) else float(wilcoxon(first, second).pvalue)


def cliques(ranks: Floats, apart: float) -> list[tuple[int, ...]]:
    """The bars of a critical-difference diagram: the largest groups whose average ranks differ by less than `apart`.

    Args:
        ranks: (k,), average ranks.

    Returns: the positions of each group's methods, the best first; a method that stands alone is in no group.
    """
    order = np.argsort(ranks, kind="stable")
    ends = [int(np.searchsorted(ranks[order], ranks[i] + apart, side="left")) for i in order]
    found, reached = [], 0
    for start, end in enumerate(ends):
        if end > max(reached, start + 1):
            found.append(tuple(int(i) for i in order[start:end]))
        reached = max(reached, end)
    return found
