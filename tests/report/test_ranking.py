"""Average ranks over datasets: what counts as a block, and what is said where there are too few."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from simulated import BASE, Known, result

from benchmark.report.ranking import ranking
from benchmark.report.tables import tables


def field(accuracy, **changes):
    """A run a dataset and method, of accuracies (datasets, methods); the first method is ce."""
    runs = []
    for d, row in enumerate(accuracy):
        for m, value in enumerate(row):
            dataset = dataclasses.replace(BASE.dataset, name=f"set{d}", subset=None, options={})
            runs.append(result("ce" if m == 0 else f"m{m}", accuracy=value, dataset=dataset, **changes))
    return runs


STEADY = np.arange(6)[:, None] + np.array([70.0, 72.0, 74.0])


def test_six_datasets_rank_methods():
    found = ranking(field(STEADY), "ce")
    assert found.ranks.tolist() == [3, 2, 1]
    assert found.methods == ("ce", "m1", "m2")
    assert len(found.datasets) == 6
    assert found.cliques == ((2, 1), (1, 0))  # 1.35 ranks are needed: the first and the last are apart
    assert found.p_values == pytest.approx({"m1": 2 * 2 / 64, "m2": 2 * 2 / 64})


def test_seeds_noises_and_subsets_of_one_dataset_are_no_blocks():
    runs = [result(m, s, rate=r) for m in ("ce", "m1", "m2") for s in range(7) for r in (0.1, 0.2, 0.3)]
    runs += [
        dataclasses.replace(run, spec=dataclasses.replace(run.spec, dataset=dataclasses.replace(BASE.dataset, subset=size)))
        for run in runs
        for size in range(100, 800, 100)
    ]
    said = ranking(runs, "ce")
    assert (
        "want at least 6 datasets, and there is 1 (seeds, noises and other labels of the same images are not independent)"
        in said
    )


def test_other_labels_for_the_same_images_are_one_block_with_them():
    runs = field(STEADY)
    judged_again = [dataclasses.replace(run, images_of="set0") if run.spec.dataset.name == "set5" else run for run in runs]
    assert "there are 5" in ranking(judged_again, "ce")
    whole = ranking([*judged_again, *field(np.vstack([STEADY, STEADY[:1]]))[-3:]], "ce")
    assert whole.datasets == tuple(f"set{k}" for k in (0, 1, 2, 3, 4, 6))
    assert whole.accuracy[0] == pytest.approx((STEADY[0] + STEADY[5]) / 2)


def test_a_datasets_value_is_the_mean_over_its_noises_each_the_mean_over_its_seeds():
    runs = field(STEADY)
    more = [dataclasses.replace(run, spec=dataclasses.replace(run.spec, noise_rate=0.4)) for run in field(STEADY - 20)]
    seeds = [dataclasses.replace(run, spec=dataclasses.replace(run.spec, seed=9)) for run in field(STEADY + 10)]
    assert ranking([*runs, *more, *seeds], "ce").accuracy == pytest.approx((STEADY + 5 + STEADY - 20) / 2)


def test_who_is_not_everywhere_or_is_told_more_is_not_ranked():
    runs = [run for run in field(np.c_[STEADY, STEADY[:, 0] + 9]) if run.spec.method != "m3" or run.spec.dataset.name != "set2"]
    found = ranking(
        [*runs, *[dataclasses.replace(r, privilege=("votes",)) for r in field(STEADY + 5) if r.spec.method == "m1"]], "ce"
    )
    assert found.left_out == ("m3",)
    assert "m1" in found.methods  # its unprivileged runs
    assert found.accuracy.max() == STEADY.max()
    told = ranking([run for run in field(STEADY) if run.spec.method != "m2"], "ce")
    assert told == "Methods are not ranked: only 2 of them are finished on all 6 datasets, of at least 3."


def test_where_friedman_finds_nothing_nothing_is_compared():
    rng = np.random.default_rng(0)
    found = ranking(field(70 + rng.normal(size=(8, 4))), "ce")
    assert found.friedman > 0.05
    assert found.cliques == (tuple(np.argsort(found.ranks, kind="stable")),)
    assert not found.p_values
    table = tables(field(70 + np.random.default_rng(0).normal(size=(8, 4))), Known({}), "ce")[-1]
    assert "Friedman's test finds no difference" in table.caption
    assert all(isinstance(cell, str) for row in table.rows for cell in row)


def test_the_table_of_all_metrics_says_why_there_is_no_ranking():
    made = tables([result(), result("ce")], Known({}), "ce")
    assert "Methods are not ranked" in made[-1].caption


@pytest.mark.slow
def test_without_a_true_difference_at_most_one_ranking_in_twenty_claims_one():
    rng, wrong = np.random.default_rng(5), 0
    for _ in range(300):
        found = ranking(field(70 + rng.normal(size=(8, 4))), "ce")
        wrong += len(found.cliques) != 1 or any(p <= 0.05 for p in found.p_values.values())
    assert wrong / 300 <= 0.05
