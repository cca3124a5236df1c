"""The time left: what is told while a sweep runs."""

from __future__ import annotations

import pytest

from benchmark.store import Store
from benchmark.sweep import progress
from benchmark.sweep.progress import Progress, Work, seconds_left


def test_nothing_is_promised_before_an_epoch_is_done():
    assert seconds_left([Work("ce", [], 12)], 30, 2) is None


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
    made = Progress(Store(tmp_path), [], None, [], quiet=True)
    now[0] = 60.0
    made.begin(4)
    assert made.workers == 4
    assert made._started == 60.0
