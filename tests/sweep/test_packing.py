"""How many runs a device takes side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.store import Store
from benchmark.sweep import packing, run
from benchmark.sweep.packing import packed, throughput
from benchmark.sweep.run import Settings, plan_sweep, run_sweep
from benchmark.sweep.sweep import checked_sweep
from benchmark.sweep.worker import Task


def device(steps: dict[int, float]):
    """Of a device that does so many steps a second of so many runs, and has no memory for more."""

    def measure(runs: int) -> float:
        if runs not in steps:
            raise RuntimeError("CUDA out of memory")
        return steps[runs]

    return measure


@pytest.mark.parametrize(
    ("steps", "at_most", "best", "tried", "stopped"),
    [
        ({1: 100, 2: 190, 4: 300, 8: 310}, 64, 4, 4, False),  # 3 % more are not worth twice the memory
        ({1: 100, 2: 90}, 64, 1, 2, False),
        ({1: 100, 2: 190, 4: 300, 8: 600}, 4, 4, 3, False),  # there are no more runs
        ({1: 100, 2: 190}, 64, 2, 2, True),
        ({}, 64, 1, 0, True),
    ],
)
def test_the_number_is_doubled_as_long_as_that_pays(steps, at_most, best, tried, stopped):
    found = packed(device(steps), at_most)
    assert found.runs == best
    assert len(found.tried) == tried
    assert (found.stopped is not None) == stopped
    assert str(found).startswith(f"{best} at a time on the device")
    assert ("RuntimeError: CUDA out of memory)" in str(found)) == stopped
    assert ("chosen by steps a second (1: 100.0" in str(found)) == (tried > 0)


def test_no_more_are_tried_than_there_are_cores(monkeypatch):
    monkeypatch.setattr(packing, "usable_cores", lambda: 3)
    monkeypatch.setattr(packing, "throughput", lambda task, runs, seconds: 100.0 * runs)
    assert packing.calibrated([None] * 8, devices=1).tried == ((1, 100.0), (2, 200.0))


def test_on_several_devices_as_many_are_tried_on_each(monkeypatch):
    monkeypatch.setattr(packing, "usable_cores", lambda: 64)
    monkeypatch.setattr(packing, "throughput", lambda task, runs, seconds: {2: 10.0, 4: 19.0, 8: 20.0}[runs])
    found = packing.calibrated([None] * 64, devices=2)
    assert found.tried == ((1, 10.0), (2, 19.0), (4, 20.0))
    assert found.runs == 2


def test_runs_are_watched_while_all_of_them_train_and_nothing_is_written(tiny_plugin: Path, tmp_path: Path):
    given = {"dataset": "tiny", "methods": ["ce"], "noise": [20.0], "epochs": 2, "plugins": [str(tiny_plugin)]}
    planned, _ = plan_sweep(checked_sweep(given), tmp_path / "o", Settings(jobs=2, device="cpu"))
    for sha256, noise in planned.noises.items():
        Store(tmp_path / "o").save_noise(sha256, noise.to_bytes())
    before = sorted(tmp_path.rglob("*"))
    task = Task(planned.jobs[0], tmp_path / "o", again=False, retry=False, code="")
    assert throughput(task, 2, seconds=0.2) > 0
    assert sorted(tmp_path.rglob("*")) == before


def test_where_nothing_is_said_a_device_is_tried_out_before_its_runs(tiny_plugin, tmp_path, monkeypatch, capsys):
    found = packing.Packing(2, ((1, 10.0), (2, 18.0), (4, 18.5)), None)
    monkeypatch.setattr(run, "calibrated", lambda tasks, devices: found)
    monkeypatch.setattr(run, "_on_cpu", lambda device: False)
    given = {"dataset": "tiny", "methods": ["ce", "scn"], "noise": [20.0], "epochs": 1, "plugins": [str(tiny_plugin)]}
    sweep = checked_sweep(given)
    assert plan_sweep(sweep, tmp_path / "o", Settings(device="cpu"))[1] is None
    assert plan_sweep(sweep, tmp_path / "o", Settings(device="cpu", runs_per_device=3))[1] == 3
    assert run_sweep(sweep, tmp_path / "o", Settings(device="cpu")).finished == 2
    said = capsys.readouterr().err
    assert "2 at a time on the device, chosen by steps a second (1: 10.0, 2: 18.0, 4: 18.5)" in said
    monkeypatch.setattr(run, "calibrated", None)  # where all is finished, or one run is left, nothing is tried out
    assert run_sweep(sweep, tmp_path / "o", Settings(device="cpu", quiet=True)).skipped == 2
