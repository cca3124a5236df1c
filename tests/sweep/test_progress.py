"""What is told while a sweep runs: which runs are under way, and the time left."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from stubs import SPEC

from benchmark.store import RunFolder, Store
from benchmark.sweep import progress
from benchmark.sweep.progress import Progress, Work, seconds_left
from benchmark.sweep.worker import Ended


def test_nothing_is_promised_before_an_epoch_is_done():
    assert seconds_left([Work("ce", [], 12)], 30, 2) is None
    assert seconds_left([Work("ce", [0.0], 12)], 30, 2) is None


def test_methods_that_take_longer_count_for_longer():
    runs = [Work("ce", [1.0] * 4, 0), Work("dividemix", [3.0] * 4, 0), Work("ce", [], 4), Work("dividemix", [], 4)]
    assert seconds_left(runs, 16, 1) == pytest.approx(16)
    assert seconds_left(runs, 8, 2) == pytest.approx(12)  # no two workers share the longer run
    assert seconds_left([*runs, Work("rul", [], 4)], 16, 1) == pytest.approx(24)  # of a method that has done none: the mean


def test_what_lies_between_the_epochs_is_in_it():
    assert seconds_left([Work("ce", [1.0, 1.0], 2)], 3, 1) == pytest.approx(3)


def test_a_whole_that_is_done_leaves_nothing():
    assert seconds_left([Work("ce", [1.0], 0)], 1, 1) == 0


def test_the_time_that_was_spent_on_trying_out_a_device_is_not_that_of_the_runs(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    made = Progress(Store(tmp_path), [], None, [], set(), quiet=True)
    now[0] = 60.0
    made.begin(4)
    assert made.workers == 4
    assert made._started == 60.0


def trained(run: RunFolder, epochs: int, seconds: float = 2.0) -> None:
    """A run that has come so far, of 12 epochs."""
    run.save_history(
        {"epoch": epoch, "epochs": 12, "loss": 0.5, "test_accuracy": 80.0, "seconds": seconds} for epoch in range(1, 1 + epochs)
    )


def watched(out: Path, keys: Sequence[str], workers: int = 1, anew: Collection[str] = ()) -> Progress:
    """A sweep's progress, which looks when it is told to."""
    jobs: list[Any] = [SimpleNamespace(key=key, spec=SPEC) for key in keys]
    return Progress(Store(out), jobs, workers, [], anew, quiet=False)


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, RunFolder]:
    (tmp_path / "runs").mkdir()
    return {key: Store(tmp_path).run(key) for key in "abc"}


def test_the_epochs_of_a_run_are_told_once_and_those_of_an_earlier_try_are_not(tmp_path, runs, capsys):
    trained(runs["a"], 1)
    progress = watched(tmp_path, "a")
    for epochs in (1, 2, 2, 3):
        trained(runs["a"], epochs)
        progress._poll()
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2] for line in lines] == [
        f"epoch {epoch}/12, loss 0.500, test accuracy 80.0 %, 2.0 s" for epoch in (2, 3)
    ]


def test_a_run_that_goes_back_to_its_checkpoint_is_told_from_there_on_and_its_time_is_left(tmp_path, runs, monkeypatch, capsys):
    """Ten epochs of an earlier command were done, and seven stored; the eighth and ninth are done again between two looks."""
    clock = [0.0]
    monkeypatch.setattr("benchmark.sweep.progress.time.monotonic", lambda: clock[0])
    trained(runs["a"], 10)
    progress = watched(tmp_path, "a")
    again = runs["a"].history_rows()[:7]
    for epochs in (2, 2, 3):
        anew = ({**row, "epoch": 8 + k, "seconds": 1.0} for k, row in enumerate([again[0]] * epochs))
        runs["a"].save_history([*again, *anew])
        progress._poll()
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": epoch ")[2].partition("/")[0] for line in lines] == ["8", "9", "10"]
    clock[0] = 3.0
    assert progress._time_left() == ", about 2 s left"


def test_runs_that_begin_anew_are_not_running_before_they_have_begun_and_all_of_their_time_is_left(tmp_path, runs, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    for run in runs.values():
        trained(run, 12)
    made = watched(tmp_path, "abc", workers=3, anew="abc")
    made._poll()
    assert (made._caption(), made._table().row_count) == ("0 of 3 finished, 0 running", 0)
    now[0] = 3.0
    trained(runs["a"], 1, seconds=3.0)
    made._poll()
    assert made._caption() == "0 of 3 finished, 1 running, about 1 min 48 s left"
    assert list(made._table().columns[2].cells) == ["epoch 1/12, loss 0.500, test accuracy 80.0 %, 3.0 s"]


def test_what_an_earlier_command_has_left_half_done_is_running_when_its_turn_has_come_or_somebody_is_at_it(tmp_path, runs):
    for run in runs.values():
        trained(run, 5)
    made = watched(tmp_path, "abc")
    assert made._running() == ["a"]
    made.finish(Ended("a", "finished"))
    assert made._running() == ["b"]
    trained(runs["c"], 6)
    made._poll()
    assert made._running() == ["b", "c"]


COLUMNS = b"epoch,epochs,loss,test_accuracy,seconds\n"


@pytest.mark.parametrize(
    "damaged",
    [
        b"\xff\xfe\x00",
        b"epoch,loss,test_accuracy\n1,0.5,80\n",
        COLUMNS + b"1,12\n",
        COLUMNS + b"1,12,x,80,2\n",
        COLUMNS + b"1,twelve,0.5,80,2\n",
        COLUMNS + b"1,12,0.5,80,nan\n",
        COLUMNS + b"1,12,0.5,80,inf\n",
        COLUMNS + b"1,1" + b"0" * 400 + b",0.5,80,2\n",
        b'"' + b"a" * 200_000,
    ],
)
def test_a_damaged_history_ends_no_sweep(tmp_path, runs, damaged):
    runs["a"].make()
    (runs["a"].path / "history.csv").write_bytes(damaged)
    with watched(tmp_path, "ba") as made:
        trained(runs["b"], 1)
        made.finish(Ended("b", "finished"))
        assert made._table().caption
        trained(runs["a"], 3)
        made._poll()
        (runs["a"].path / "history.csv").write_bytes(damaged)
        made.finish(Ended("a", "finished"))


def test_a_folder_that_cannot_be_read_for_a_moment_changes_nothing(tmp_path, runs, monkeypatch, capsys):
    for run in runs.values():
        trained(run, 2)
    made = watched(tmp_path, "ab", workers=2, anew="b")
    trained(runs["a"], 3)
    made._poll()

    def lost(_: RunFolder) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "history_rows", lost)
        made._poll()
    made._poll()
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert made._running() == ["a"]
