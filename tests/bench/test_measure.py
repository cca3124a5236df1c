"""From times to figures."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch
from diary import quick, setting

from benchmark.bench import measure
from benchmark.bench.loops import Harness
from benchmark.bench.measure import Bench, figures, in_rounds
from benchmark.bench.peak import Cost

ROUNDS = {
    "step": [2.0, 4.4, 9.0],
    "bare": [1.0, 4.0, 10.0],
    "evaluation": [3.0, 3.0, 3.0],
    "bare_evaluation": [2.0, 3.0, 1.0],
    "augmented": [0.2, 0.44, 0.9],
    "plain": [0.1, 0.22, 0.45],
    "peak": [7.0, 8.0, 9.0],
    "copy": [1.0, 2.0, 0.5],
}
COST = Cost([(3 * 10**9, 10**9), (0, 10**9)])


def test_overhead_is_the_ratio_of_the_two_times_and_the_median_of_the_rounds_ratios():
    found = figures(ROUNDS, 64, COST)
    assert found["overhead"] == pytest.approx(1.1)
    assert found["step_ms"] / found["bare_step_ms"] == pytest.approx(1.1)
    assert np.sqrt(found["step_ms"] * found["bare_step_ms"]) == pytest.approx(1000 * np.sqrt(4.4 * 4.0))
    assert (found["overhead_low"], found["overhead_high"]) == (pytest.approx(0.94), pytest.approx(1.82))
    assert found["rounds"] == 3


def test_speeds_and_shares_are_of_the_same_step():
    found = figures(ROUNDS, 64, COST)
    step = found["step_ms"] / 1000
    assert found["images_per_second"] == pytest.approx(64 / step)
    assert found["step_gflop"] == 3.0
    assert found["step_gb"] == 2.0
    assert found["achieved_gflops"] == pytest.approx(3 / step)
    assert (found["peak_gflops"], found["copy_gbps"]) == (8.0, 1.0)
    assert found["peak_share"] == pytest.approx(3 / 4.4 / 8)  # of a round
    assert found["ceiling_share"] == pytest.approx((2.0 + 2.0) / 9.0)  # of the last: half a gigabyte a second
    assert found["evaluation_overhead"] == 1.5
    assert found["input_share"] == pytest.approx(0.1)
    assert found["augmentation_share"] == pytest.approx(0.05)


def test_a_machine_that_slows_down_changes_no_ratio():
    slow = np.array([1.0, 7.0, 3.0])
    drifting = {name: np.array(values) * (1 / slow if name in ("peak", "copy") else slow) for name, values in ROUNDS.items()}
    found, drifted = figures(ROUNDS, 64, COST), figures(drifting, 64, COST)
    for name in (
        "overhead",
        "overhead_low",
        "overhead_high",
        "evaluation_overhead",
        "input_share",
        "augmentation_share",
        "peak_share",
        "ceiling_share",
    ):
        assert drifted[name] == pytest.approx(found[name])


def test_what_a_step_is_set_beside():
    assert figures(ROUNDS, 64, COST)["relative_step"] == 1.0
    assert not {"speedup", "compiled_speedup"} & figures(ROUNDS, 64, COST).keys()
    more = {"first": [1.0, 4.0, 10.0], "released": [6.0, 13.2, 18.0], "compiled": [0.5, 1.0, 20.0]}
    found = figures({**ROUNDS, **more}, 64, COST)
    assert found["relative_step"] == pytest.approx(1.1)
    assert found["relative_step_low"] == pytest.approx(0.94)
    assert found["relative_step_high"] == pytest.approx(1.82)
    assert found["speedup"] == pytest.approx(3.0)
    assert found["speedup_low"] == pytest.approx(2.2)
    assert found["compiled_speedup"] == pytest.approx(2.0)  # beside the bare loop, which it is
    assert found["released_images_per_second"] == pytest.approx(64 / 13.2)


def test_loops_take_turns_and_every_other_round_goes_backwards(monkeypatch):
    monkeypatch.setattr(measure, "ROUNDS", 3)
    called = []
    blocks = {name: lambda name=name: called.append(name) or float(len(called)) for name in "abc"}
    found = in_rounds(blocks, seconds=1e-9)
    assert "".join(called) == "abccbaabc"
    assert found == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}


def test_there_are_as_many_rounds_as_begin_in_time(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(clock))
    assert len(in_rounds({"a": lambda: 0.0}, seconds=8.5)["a"]) == measure.ROUNDS + 8


class NoPeak:
    gflops = gigabytes = staticmethod(lambda: 1.0)


def test_what_found_out_the_steps_is_let_go_before_the_rest_begins(monkeypatch):
    made, alive = [], []

    def noted(self, *given):
        alive.append([harness() is not None for harness in made])
        made.append(weakref.ref(self))
        begin(self, *given)

    begin = Harness.__init__
    quick(monkeypatch)
    monkeypatch.setattr(Harness, "__init__", noted)
    monkeypatch.setattr(measure, "BLOCK", 1e6)
    monkeypatch.setattr(measure, "MOST", 3)
    assert Bench(setting()).harness.steps == 3
    assert alive == [[], [False]]


def test_the_first_method_is_measured_beside_the_step_that_is_set_over_it(monkeypatch):
    quick(monkeypatch)
    bench = Bench(setting())
    beside = list(bench.blocks(NoPeak, bench, released=True))
    assert beside[:2] == ["first", "step"]
    assert beside[-1] == "released"
    assert not {"first", "released", "compiled"} & bench.blocks(NoPeak, None).keys()


def test_a_compiled_loop_is_one_of_the_loops_where_it_is_asked_for(monkeypatch):
    quick(monkeypatch)
    monkeypatch.setattr(torch, "compile", lambda function, mode: function)
    bench = Bench(setting())
    assert "compiled" in bench.blocks(NoPeak, None, compiled=True)
    assert bench.compiled is not None
    assert bench.compiled.begun > 0
