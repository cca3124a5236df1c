"""Statistics: against scipy, autorank and scikit-posthocs on recorded examples, and against what they are derived from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmark.score.statistics import (
    Difference,
    average_ranks,
    cliques,
    critical_difference,
    friedman_p,
    holm,
    paired_difference,
    resample_images,
    t_interval,
    wilcoxon_p,
)

# ------------------------------------------- recorded: scipy 1.17.1, autorank 1.3.0, scikit-posthocs 0.17.1

AUC = np.array(
    [
        [0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967], [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931], [0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875], [1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975], [0.957, 0.978, 0.946, 0.970],
    ]
)  # fmt: skip
"""Four classifiers on fourteen data sets: table 6 of Demsar, JMLR 7, 2006, with ties."""


def test_ranks_and_their_critical_difference_are_autoranks():
    """autorank.autorank(DataFrame(AUC), force_mode="nonparametric", alpha=0.05): meanrank, pvalue, cd."""
    assert average_ranks(AUC) == pytest.approx([3.142857, 2.0, 2.892857, 1.964286], abs=1e-6)
    assert friedman_p(AUC) == pytest.approx(0.016721580328441323, rel=1e-9)
    assert critical_difference(4, 14) == pytest.approx(1.2535512603486423, rel=1e-5)  # it has q from a table


def test_methods_are_apart_where_posthoc_nemenyi_says_so():
    """scikit_posthocs.posthoc_nemenyi_friedman(AUC), first row; its p is 0.05 at the critical difference."""
    p = [1.0, 0.08867270928888271, 0.9561771752218107, 0.07418479506874454]
    ranks = average_ranks(AUC)
    for level in (0.05, 0.08, 0.09):
        apart = critical_difference(4, 14, level)
        assert [abs(ranks[0] - rank) >= apart for rank in ranks] == [value <= level for value in p]


def test_wilcoxon_is_posthoc_wilcoxons():
    """scikit_posthocs.posthoc_wilcoxon(DataFrame(AUC).melt(), "value", "variable"), with and without p_adjust="holm"."""
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    p = [wilcoxon_p(AUC[:, i], AUC[:, j]) for i, j in pairs]
    wanted = [0.01075713311978963, 0.861262330095348, 0.015874359307532084, 0.05432871367198416, 0.3278256758446406,
              0.030225938304358376]  # fmt: skip
    assert p == pytest.approx(wanted)
    adjusted = [0.06454279871873778, 0.861262330095348, 0.07937179653766042, 0.1629861410159525, 0.6556513516892812,
                0.1209037532174335]  # fmt: skip
    assert holm(p).tolist() == pytest.approx(adjusted)


def test_holm_is_that_of_statsmodels():
    """statsmodels.stats.multitest.multipletests([0.01, 0.04, 0.03, 0.005, 0.6], method="holm")."""
    assert holm([0.01, 0.04, 0.03, 0.005, 0.6]).tolist() == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.6])
    assert holm([]).tolist() == []


def test_the_interval_over_seeds_is_scipys():
    """scipy.stats.t.interval(0.95, 2, mean, sem) of three accuracies."""
    assert t_interval(np.array([81.2, 79.9, 82.4])) == pytest.approx((78.06066659145154, 84.2726667418818))
    assert t_interval(np.array([81.2])) is None


def test_without_test_images_a_difference_is_the_paired_t_test():
    """scipy.stats.ttest_rel(a, b): pvalue, confidence_interval(0.95)."""
    a, b = np.array([84.1, 83.2, 85.0, 83.9]), np.array([82.0, 82.7, 82.9, 83.1])
    found = paired_difference(a, b, np.zeros((8, 8)))
    assert found.p_value == pytest.approx(0.04747786571371397, rel=1e-6)
    assert found.interval() == pytest.approx((0.028714872519117307, 2.7212851274808827), rel=1e-6)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 30])
@pytest.mark.parametrize("t", [0.3, 2.0, 8.0, 30.0])
def test_the_tails_of_few_seeds_are_students(seeds, t):
    p = Difference(t / np.sqrt(seeds), seeds, 1.0, 0.0, 0.0).p_value
    assert p == pytest.approx(2 * stats.t.sf(t, seeds - 1), rel=1e-3)


# ---------------------------------------------------------------- the bootstrap


def difference(first, second, drawn_first, drawn_second):
    return paired_difference(first, second, np.cov(np.concatenate([drawn_first, drawn_second])))


def predictions(seeds=3, images=400, seed=0):
    """Two methods that share the difficulty of the images; the second suits some images better."""
    rng = np.random.default_rng(seed)
    hard, suits = rng.normal(size=images), rng.normal(size=(2, 1, images))
    return hard + 0.5 * suits + 0.7 * rng.normal(size=(2, seeds, images)) < 0.8


def test_resampled_accuracies_scatter_as_those_of_scipys_bootstrap():
    right = predictions()[0, 0]
    scipys = stats.bootstrap((right,), np.mean, n_resamples=2000, method="percentile", rng=np.random.default_rng(1))
    ours = resample_images(right[None])
    assert ours.mean() == pytest.approx(100 * right.mean(), abs=0.2)
    assert ours.std(ddof=1) == pytest.approx(100 * scipys.standard_error, rel=0.06)


def test_the_mean_over_classes_is_resampled_as_it_is_scored():
    labels = np.repeat([0, 1, 2], [300, 95, 5])
    right = predictions(images=400)[0]
    ours = resample_images(right, labels, draws=300)
    rng = np.random.default_rng(0)  # the same images by hand
    drawn = np.concatenate([rng.integers(400, size=(size, 400)) for size in (200, 100)])
    for b in (0, 1, 299):
        of_class = [
            right[:, drawn[b]][:, labels[drawn[b]] == k].mean(axis=1) for k in range(3) if (labels[drawn[b]] == k).any()
        ]
        assert ours[:, b] == pytest.approx(100 * np.mean(of_class, axis=0), rel=1e-5)


def test_a_class_that_a_resample_misses_is_left_out():
    labels = np.array([0] * 20 + [1])
    ours = resample_images((labels == 0)[None], labels, draws=200)[0]
    assert set(ours.round(3)) == {50.0, 100.0}


def test_all_runs_meet_the_same_resamples():
    first, second = predictions()
    assert np.array_equal(resample_images(first), resample_images(np.concatenate([first, second]))[:3])


def test_what_classes_are_called_costs_nothing():
    right, labels = np.array([[True, False, True, True]]), np.array([0, 1, 1, 0])
    named = resample_images(right, np.array([7, 10**9, 10**9, 7]), draws=50)
    assert np.array_equal(named, resample_images(right, labels, draws=50))


def test_both_levels_drawn_by_hand_scatter_as_the_formula_says():
    """The plain hierarchical bootstrap (seeds with replacement, then images) has the variance

        (S - 1) / S^2 * s^2 + (2 S - 1) / S^2 * (r + c) + (S - 1)^2 / S^2 * c

    of which `Difference` keeps s^2 / S + c: the factor of the seeds is mended, and r, which is in s^2, not counted again.
    """
    first, second = predictions(seeds=3, images=2000)
    a, b = resample_images(first, draws=20_000), resample_images(second, draws=20_000)
    scores = 100 * first.mean(axis=1), 100 * second.mean(axis=1)
    found = difference(*scores, a, b)
    chosen = np.random.default_rng(2).integers(3, size=(3, 20_000))
    by_hand = np.take_along_axis(a - b, chosen, axis=0).mean(axis=0).var()
    S, s2, r, c = found.seeds, found.scatter, found.measured, found.shared
    assert min(r, c) > 0
    assert by_hand == pytest.approx((S - 1) / S**2 * s2 + (2 * S - 1) / S**2 * (r + c) + (S - 1) ** 2 / S**2 * c, rel=0.05)


def test_what_the_test_images_alone_do_is_in_the_formula():
    """c and r against a two-way analysis of variance of the same predictions, of which the bootstrap is a form."""
    first, second = predictions(seeds=4, images=3000)
    found = difference(
        100 * first.mean(axis=1),
        100 * second.mean(axis=1),
        resample_images(first, draws=8000),
        resample_images(second, draws=8000),
    )
    d = 100 * (first.astype(float) - second)
    residual = d - d.mean(axis=0) - d.mean(axis=1, keepdims=True) + d.mean()
    r = (residual**2).sum() / (3 * 2999) / 3000
    c = d.mean(axis=0).var(ddof=1) / 3000 - r / 4
    assert found.measured == pytest.approx(r, rel=0.06)
    assert found.shared == pytest.approx(c, rel=0.1)


def test_seeds_that_agree_by_chance_make_no_difference_sure():
    """Three equal differences of half a point on 400 images: the t-test would be certain."""
    first, second = predictions()
    found = difference(np.full(3, 80.5), np.full(3, 80.0), resample_images(first), resample_images(second))
    assert found.scatter == 0
    assert found.p_value > 0.5


def test_equal_methods_do_not_differ():
    first, _ = predictions()
    drawn = resample_images(first)
    found = difference(100 * first.mean(axis=1), 100 * first.mean(axis=1), drawn, drawn)
    assert (found.mean, found.p_value) == (0, 1)
    assert found.interval() == pytest.approx((0, 0), abs=1e-9)


def test_what_is_no_pair_is_refused():
    with pytest.raises(ValueError, match="at least two seeds, not 1"):
        paired_difference(np.ones(1), np.ones(1), np.ones((2, 2)))
    with pytest.raises(ValueError, match="must have the shape"):
        paired_difference(np.ones(3), np.ones(2), np.ones((6, 6)))


# ---------------------------------------------------------------- ranks


def test_bars_of_the_diagram_join_what_is_not_apart():
    ranks = np.array([3.0, 1.0, 1.5, 4.6])
    assert cliques(ranks, 1.6) == [(1, 2), (2, 0)]
    assert cliques(ranks, 1.7) == [(1, 2), (2, 0), (0, 3)]
    assert cliques(ranks, 0.1) == []
    assert cliques(ranks, np.inf) == [(1, 2, 0, 3)]


def test_six_blocks_are_the_least_of_which_wilcoxon_can_tell_anything():
    ours, theirs = np.arange(1.0, 7), np.zeros(6)
    assert wilcoxon_p(ours, theirs) == pytest.approx(2 / 64)
    assert wilcoxon_p(ours[:5], theirs[:5]) == pytest.approx(2 / 32)
    assert wilcoxon_p(ours, ours) == 1
    assert friedman_p(np.ones((6, 3))) == 1
