"""What is bold, what is compared, and that neither claims what is not there."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from simulated import Known, result, sweep

from benchmark.report.comparison import LEVEL, Pairs, against, best_of
from benchmark.report.formats import Bold
from benchmark.report.tables import tables


def bold_methods(runs, evidence):
    return sorted({str(method[0]) for _, method in best_of(Pairs(runs, "acc_last", evidence)).cells})


def changed(runs, method, **changes):
    return [dataclasses.replace(run, **changes) if run.spec.method == method else run for run in runs]


@pytest.fixture
def clear():
    """ce far below two that are close: 60, 80 and 79 %."""
    return sweep(np.random.default_rng(0), truth=[0.6, 0.8, 0.79], spread=[0.004] * 3, images=2000)


def test_bold_is_that_than_which_nothing_is_significantly_better(clear):
    runs, evidence = clear
    table = tables(runs, evidence, "ce")[0]
    assert [isinstance(row[1], Bold) for row in table.rows] == [False, True, True]
    assert "Bold: no other method of the column is significantly better" in table.caption
    assert "Holm's correction for 3 comparisons" in table.caption
    assert "mean ± standard deviation over 3 seeds" in table.caption


def test_a_best_that_scatters_does_not_lift_the_worst_into_bold():
    """The best is unsure of its lead over the worst, the second is not."""
    runs, evidence = sweep(np.random.default_rng(6), truth=[0.7, 0.82, 0.8], spread=[0.002, 0.08, 0.002], images=2000)
    pairs = Pairs(runs, "acc_last", evidence)
    noise = ("symmetric", 0.1)
    assert max(("ce", "m1", "m2"), key=lambda name: pairs.mean(noise, (name,))) == "m1"
    assert pairs.difference(noise, ("m1",), ("ce",)).p_value > LEVEL
    assert bold_methods(runs, evidence) == ["m1", "m2"]


def test_nothing_is_bold_where_nothing_is_told_apart():
    runs, evidence = sweep(np.random.default_rng(0), truth=[0.8] * 3, spread=[0.01] * 3)
    found = best_of(Pairs(runs, "acc_last", evidence))
    assert not found.cells
    assert "Nothing is bold: no two methods of a column are told apart" in found.caption


def test_nothing_is_bold_and_nothing_read_with_fewer_than_three_seeds(clear):
    runs = [run for run in clear[0] if run.spec.seed < 2]
    made = tables(runs, Known({}), "ce")  # which has nothing to read
    assert "Nothing is bold: no two methods share three seeds, which a test takes." in made[0].caption
    assert [table.title.partition(":")[0] for table in made] == ["Test accuracy (%)", "All metrics"]


def test_one_method_alone_is_told_nothing_of_tests(clear):
    runs = [run for run in clear[0] if run.spec.method == "ce"]
    assert best_of(Pairs(runs, "acc_last", clear[1])).caption == ""


def test_a_privileged_method_is_outside_the_ranking(clear):
    runs, evidence = clear
    runs = changed(runs, "m1", privilege=("votes",))  # the best one
    assert bold_methods(runs, evidence) == ["m2"]
    table = tables(runs, evidence, "ce")[1]
    p = {row[1]: row[-1] for row in table.rows}
    assert p["m1 †"] == ""
    assert isinstance(p["m2"], Bold)
    assert "Holm's correction for 1 comparison " in table.caption
    assert "is no competitor" in table.caption


def test_runs_are_pairs_only_where_labels_and_data_are_the_same(clear):
    runs, evidence = clear
    for changes in ({"noise_sha256": "of another draw"}, {"dataset_sha256": "other images"}):
        pairs = Pairs(changed(runs, "m1", **changes), "acc_last", evidence)
        assert [found.method for found in against(pairs, ("ce",))] == [("m2",)]
    fewer = [run for run in runs if (run.spec.method, run.spec.seed) != ("m2", 1)]
    assert [found.method for found in against(Pairs(fewer, "acc_last", evidence), ("ce",))] == [("m1",)]


def test_a_method_with_too_few_seeds_is_neither_best_nor_bold_and_the_caption_says_so(clear):
    runs, evidence = clear
    lucky = result("lucky", 0, accuracy=99.0, rate=0.1)
    found = best_of(Pairs([*runs, lucky], "acc_last", evidence))
    assert {str(method[0]) for _, method in found.cells} == {"m1", "m2"}
    assert "share fewer than three seeds are not held against each other" in found.caption
    assert "not held against" not in best_of(Pairs(runs, "acc_last", evidence)).caption


def test_who_shares_too_few_seeds_with_the_best_is_not_bold_for_want_of_a_test():
    """Failures have left the worst the seeds that the best has not; a third has them all."""
    runs, evidence = sweep(np.random.default_rng(0), truth=[0.75, 0.6, 0.8, 0.3], spread=[0.004] * 4, seeds=6, images=2000)
    lost = {("m1", s) for s in (0, 1, 2)} | {("m2", s) for s in (3, 4, 5)}
    left = [run for run in runs if (run.spec.method, run.spec.seed) not in lost]
    found = best_of(Pairs(left, "acc_last", evidence))
    assert {str(method[0]) for _, method in found.cells} == {"m2"}
    assert "not held against each other" in found.caption


def test_a_column_of_too_few_seeds_beside_one_of_enough_is_told(clear):
    runs, evidence = clear
    beside = [result(method, 0, accuracy=value, rate=0.2) for method, value in (("m1", 90.0), ("m2", 10.0))]
    found = best_of(Pairs([*runs, *beside], "acc_last", evidence))
    assert {noise for noise, _ in found.cells} == {("symmetric", 0.1)}
    assert "not held against" in found.caption


def test_every_two_methods_of_every_column_are_corrected_for():
    runs, evidence = sweep(np.random.default_rng(0), truth=[0.5, 0.8, 0.8, 0.8], spread=[0.004] * 4, noises=2)
    assert "for 12 comparisons" in best_of(Pairs(runs, "acc_last", evidence)).caption


def test_the_mean_over_classes_is_tested_by_itself(clear):
    runs, evidence = clear
    of_both = [
        Pairs(runs, metric, evidence).difference(("symmetric", 0.1), ("m1",), ("m2",)) for metric in ("acc_last", "macro_acc")
    ]
    assert of_both[0].measured != of_both[1].measured
    made = tables([dataclasses.replace(run, imbalance=4.0) for run in runs], evidence, "ce")
    assert [table.title.partition(":")[0] for table in made] == [
        "Test accuracy (%)",
        "Mean of the classes' test accuracies (%)",
        "Test accuracy beside ce",
        "Mean of the classes' test accuracies beside ce",
        "All metrics",
    ]


def test_differences_are_signed_and_bracketed(clear):
    runs, evidence = clear
    (table,) = [table for table in tables(runs, evidence, "m1") if "beside m1" in table.title]
    rows = {row[1]: row for row in table.rows}
    assert rows["m1"][4:] == ("", "", "")
    assert float(rows["ce"][4]) == pytest.approx(float(rows["ce"][2]) - float(rows["m1"][2]), abs=0.011)
    low, high = map(float, rows["ce"][5].split(" to "))
    assert low < float(rows["ce"][4]) < high < 0
    assert not [table for table in tables(runs, evidence, "absent") if "beside" in table.title]


# ---------------------------------------------------------------- claims where there is nothing to claim


def claims(runs, evidence):
    """Whether the headline tells methods apart, and whether the differences from the baseline do."""
    pairs = Pairs(runs, "acc_last", evidence)
    return bool(best_of(pairs).cells), any(found.p_value <= LEVEL for found in against(pairs, ("ce",)))


NO_DIFFERENCE = {
    "trainings that scatter alike": {"spread": [0.01] * 4},
    "trainings that scatter differently": {"spread": [0.003, 0.015, 0.006, 0.03]},
    "trainings that hardly scatter, five seeds": {"spread": [0.001] * 4, "seeds": 5},
    "two methods that scatter much": {"spread": [0.03] * 2},
    "trainings that go astray now and then": {"spread": [0.015] * 4, "tails": 3.0},
}


@pytest.mark.slow
@pytest.mark.parametrize("given", NO_DIFFERENCE.values(), ids=NO_DIFFERENCE.keys())
def test_without_a_true_difference_at_most_one_table_in_twenty_claims_one(given):
    """1,000 sweeps each; a rate of exactly 5 % would show as more than 6.6 % in one of a hundred."""
    rng = np.random.default_rng(11)
    truth = [0.8] * len(given["spread"])
    found = np.array([claims(*sweep(rng, truth, noises=2, images=500, **given)) for _ in range(1000)])
    assert found.mean(axis=0).max() <= 0.05


def test_the_naive_bootstrap_would_not_pass():
    """Percentiles of the plain bootstrap over three seeds claim a difference far too often, which is why they are not used."""
    rng, wrong = np.random.default_rng(3), 0
    for _ in range(60):
        runs, evidence = sweep(rng, [0.8] * 4, [0.015] * 4)
        rights = {m: np.stack([evidence.rights[r.key] for r in runs if r.spec.method == m]) for m in ("ce", "m1", "m2", "m3")}
        seeds = rng.integers(3, size=(300, 3))
        for m in ("m1", "m2", "m3"):
            drawn = (rights[m].mean(axis=1) - rights["ce"].mean(axis=1))[seeds].mean(axis=1)
            low, high = np.quantile(drawn, [0.05 / 6, 1 - 0.05 / 6])
            if low > 0 or high < 0:
                wrong += 1
                break
    assert wrong > 12  # more than 20 % of the tables, even after Bonferroni's correction
