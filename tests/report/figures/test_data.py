"""What figures show is what the stored runs say, by numpy and the scores on their own."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pytest
from made_up import Options, finished_sweep, only_group
from scipy.stats import spearmanr

from benchmark.report.figures import accuracy, cost, flipped, galleries, matrices, reliability, risk, training, votes
from benchmark.report.figures.group import Group, NotApplicable, mean_and_band, percentiles
from benchmark.score import aurc, ece, mistakes


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Group:
    """Two methods, two rates, three seeds."""
    return only_group(finished_sweep(tmp_path_factory.mktemp("sweep"), rates=(0.3, 0.0), seeds=(0, 1, 2)))


def runs_of(group: Group, method: str) -> list[dict]:
    return [dict(np.load(group.store.run(run.key).path / "predictions.npz")) for run in group.by_method()[method]]


def test_accuracy_is_the_mean_over_seeds_with_a_sample_deviation_to_each_side(sweep: Group):
    rows = accuracy.rows(sweep, "symmetric")
    assert [(row["method"], row["rate"]) for row in rows] == [("ce", 0), ("scn", 0), ("ce", 30), ("scn", 30)]
    values = [run.metrics["acc_last"] for run in sweep.results if run.spec.method == "scn" and run.spec.noise_rate == 0.3]
    assert len(values) == 3
    assert rows[-1]["accuracy"] == pytest.approx(fmean(values), rel=1e-4)
    assert rows[-1]["high"] == pytest.approx(fmean(values) + stdev(values), rel=1e-4)
    assert rows[-1]["low"] == pytest.approx(fmean(values) - stdev(values), rel=1e-4)
    realised = fmean(r.realised for r in sweep.results if r.spec.noise_rate == 0.3) * 100
    assert rows[-1]["realised"] == pytest.approx(realised, rel=1e-4)


def test_one_rate_is_no_curve(sweep: Group):
    with pytest.raises(NotApplicable, match=r"two rates of one kind .* there are: symmetric 30 % \(realised"):
        accuracy.draw(sweep.hardest())


def test_training_curves_are_means_of_the_histories(sweep: Group):
    rows = training.rows(sweep.hardest())
    last = [row for row in rows if row["method"] == "ce" and row["epoch"] == 3]
    assert [(row["series"], row["value"], row["low"], row["high"]) for row in last] == [
        ("test accuracy", 21.0, 20.0, 22.0),  # 20, 21 and 22 over the seeds
        ("wrong labels predicted", 21.0, 20.0, 22.0),
    ]


def test_a_history_without_memorisation_is_drawn_and_says_so(tmp_path: Path):
    group = only_group(finished_sweep(tmp_path, history=("test_accuracy",)))
    chart, caption = training.draw(group)
    assert "Memorisation (wrong_label_fit) is not in the history" in caption
    assert "vconcat" not in chart.to_dict()


@pytest.mark.parametrize("epochs", [1, 2, 99, 100, 101, 250, 1000])
def test_long_trainings_are_thinned_evenly_and_keep_their_end(epochs: int):
    shown = training.shown_epochs(epochs)
    assert shown[-1] == epochs - 1
    assert len(shown) <= training.MOST_EPOCHS
    assert len(set(np.diff(shown))) <= 1


def test_the_error_left_is_that_of_the_surest_ones():
    rng = np.random.default_rng(0)
    uncertainty, wrong = rng.random(37), rng.random(37) < 0.4
    removed = np.array([0, 0.1, 0.5, 0.95, 0.999])
    order = np.argsort(uncertainty)
    counts = [37, 34, 19, 2, 1]  # 37 * (1 - share), rounded up
    by_hand = [100 * wrong[order[:k]].mean() for k in counts]
    assert risk.error_left(uncertainty, wrong, removed) == pytest.approx(by_hand)


def test_the_risk_curve_averages_to_aurc(sweep: Group):
    stored = runs_of(sweep.hardest(), "ce")[0]
    wrong = mistakes(stored["test_logits"], stored["test_reference"])
    everywhere = 1 - np.arange(1, len(wrong) + 1) / len(wrong)
    curve = risk.error_left(stored["test_uncertainty"], wrong, everywhere)
    assert curve.mean() / 100 == pytest.approx(aurc(stored["test_uncertainty"], wrong))


def test_risk_at_full_coverage_is_the_error_over_the_seeds(sweep: Group):
    first = next(row for row in risk.rows(sweep.hardest()) if row["method"] == "scn")
    errors = [100 - run.metrics["acc_last"] for run in sweep.hardest().by_method()["scn"]]
    assert (first["removed"], first["error"]) == (0, pytest.approx(fmean(errors), rel=1e-4))
    assert first["high"] == pytest.approx(fmean(errors) + stdev(errors), rel=1e-4)


def test_reliability_bins_hold_all_seeds_and_their_gaps_make_the_calibration_error(tmp_path: Path):
    group = only_group(finished_sweep(tmp_path))
    rows = [row for row in reliability.rows(group) if row["method"] == "ce"]
    assert sum(row["images"] for row in rows) == 150
    gap = sum(abs(row["confidence"] - row["accuracy"]) * row["share"] for row in rows) / 100
    (stored,) = runs_of(group, "ce")
    assert gap == pytest.approx(ece(stored["test_logits"], stored["test_reference"]), rel=1e-3)
    assert reliability.errors(group)["ce"] == pytest.approx(gap, rel=1e-3)


@pytest.mark.parametrize(("low", "high", "wanted"), [(40, 210, [50, 100, 200]), (0.3, 0.9, [0.5]), (61, 69, None)])
def test_an_axis_of_seconds_has_round_numbers_at_any_scale(low: float, high: float, wanted: list[float] | None):
    ticks = cost._ticks(low, high)
    assert len(ticks) > 1
    assert all(low <= tick <= high for tick in ticks)
    assert set(wanted or ticks) <= set(ticks)


def test_wrong_labels_are_told_by_the_reference_labels(sweep: Group):
    group = sweep.hardest()
    rows = flipped.rows(group)
    counts = np.zeros((2, flipped.BINS))
    for stored in runs_of(group, "ce"):
        wrong = stored["train_given"] != stored["train_index"] % 3  # as the dataset labels them
        rank = (np.argsort(np.argsort(stored["train_uncertainty"])) + 0.5) / len(wrong) * 100
        for k, which in enumerate((~wrong, wrong)):
            counts[k] += np.histogram(rank[which], flipped.BINS, (0, 100))[0]
    shares = (counts / counts.sum(axis=1, keepdims=True) * 100).ravel()
    assert [row["images"] for row in rows if row["method"] == "ce"] == pytest.approx(shares, rel=1e-4)


def test_clean_labels_leave_nothing_to_compare(tmp_path: Path):
    group = only_group(finished_sweep(tmp_path, rates=(0.0,)))
    for draw in (flipped.draw, matrices.draw_noise):
        with pytest.raises(NotApplicable, match="no given label is wrong"):
            draw(group)


def test_without_the_cache_there_are_no_images_and_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    group = only_group(finished_sweep(tmp_path / "sweep"))
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "elsewhere"))
    with pytest.raises(NotApplicable, match="not in this machine's cache; python -m benchmark data prepare marked"):
        galleries.draw_flipped(group)
    assert "Classes have numbers" in matrices.draw_confusion(group)[1]


def test_uncertainty_is_set_against_the_entropy_of_the_votes():
    cast = np.array([[4, 0], [2, 2], [0, 0], [1, 3]])
    entropy, rank = votes.disagreement(np.array([0.5, 0.9, 0.1, 0.7]), cast)
    assert entropy == pytest.approx([0, np.log(2), -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))])
    assert rank == pytest.approx([100 / 6, 500 / 6, 50])  # nobody voted on the third


def test_vote_bins_have_quartiles_and_leave_out_what_is_rare():
    entropy = np.r_[np.zeros(8), np.full(4, 0.5), np.ones(8)]
    rank = np.r_[np.arange(8), np.zeros(4), np.arange(8) + 10.0]
    assert votes.binned(entropy, rank) == [
        {"entropy": 0.0, "median": 3.5, "low": 1.75, "high": 5.25, "images": 8},
        {"entropy": 1.0, "median": 13.5, "low": 11.75, "high": 15.25, "images": 8},
    ]


def test_the_correlation_over_a_panel_is_spearmans(sweep: Group):
    group = sweep.hardest()
    rhos = []
    for stored in runs_of(group, "scn"):
        share = stored["test_votes"] / 10
        entropy = -(share * np.log(np.where(share > 0, share, 1))).sum(axis=1).round(9)
        rhos.append(spearmanr(stored["test_uncertainty"], entropy).statistic)
    assert votes.correlations(group)["scn"] == pytest.approx(fmean(rhos))


def test_nobody_voted(tmp_path: Path):
    group = only_group(finished_sweep(tmp_path, options=Options(votes=False)))
    with pytest.raises(NotApplicable, match="nobody voted on the test images of marked"):
        votes.draw(group)


def test_confusion_is_in_percent_of_the_reference_class():
    logits = np.eye(3)[[0, 0, 1, 2, 2]]
    matrix = matrices.confusion(logits, np.array([0, 0, 0, 1, 1]))
    assert matrix.tolist() == [pytest.approx([200 / 3, 100 / 3, 0]), [0, 0, 100], [0, 0, 0]]


def test_of_many_classes_those_that_go_wrong_most_are_shown(tmp_path: Path):
    kept = np.arange(30.0)
    assert matrices.worst([np.diag(kept)]) == list(range(20))
    group = only_group(finished_sweep(tmp_path, options=Options(classes=30)))
    chart, caption = matrices.draw_confusion(group)
    assert "the 20 of 30 classes that go wrong most" in caption
    assert len({row["reference"] for data in chart.to_dict()["datasets"].values() for row in data}) == 20


def test_the_noise_matrix_is_the_artefacts_mean(sweep: Group):
    group = sweep.hardest()
    chart, caption = matrices.draw_noise(group)
    (rows,) = chart.to_dict()["datasets"].values()
    transitions = [group.noise_artefact(run).transition for run in group.by_method()["ce"]]
    expected = np.mean(transitions, axis=0).ravel() * 100
    assert [row["percent"] for row in rows] == pytest.approx(expected, rel=1e-4)
    assert "mean of 3 draws of the noise" in caption


def test_cost_is_the_mean_training_time(sweep: Group):
    rows = cost.rows(sweep.hardest())
    assert [(row["method"], row["seconds"]) for row in rows] == [("ce", 11), ("scn", 16)]


def test_the_front_has_none_that_another_beats_in_both():
    points = zip((3, 1, 2, 4, 1, 9), (7, 5, 4, 7, 6, 9), (False,) * 5 + (True,), strict=True)
    assert cost.front([{"seconds": s, "accuracy": a, "told more": t} for s, a, t in points]) == [4, 0]


def test_different_machines_are_named(tmp_path: Path):
    store = finished_sweep(tmp_path)
    assert "Trained on abacus (cpu, threads: 1)" in cost.draw(only_group(store))[1]
    store.run("scn-symmetric-0.3-0").begin(store.plan()[1].spec, {"processor": "slide rule", "device": "cpu", "threads": 2})
    store.run("scn-symmetric-0.3-0").save_history([{"epoch": 1}])
    assert "different machines, so that seconds do not compare" in cost.draw(only_group(store))[1]


def test_a_band_of_one_seed_has_no_width():
    mean, low, high = mean_and_band([np.array([1.0, 2.0])])
    assert mean.tolist() == low.tolist() == high.tolist() == [1, 2]


def test_percentiles_share_ties():
    assert percentiles(np.array([5, 1, 5, 9])).tolist() == [50, 12.5, 50, 87.5]
