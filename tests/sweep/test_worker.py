"""What a worker process leaves beside a run while it is at it."""

from __future__ import annotations

import time
from pathlib import Path

from benchmark.store import Store
from benchmark.sweep.worker import _watched, stack_of


def test_a_run_that_begins_anew_is_watched_to_its_end(tmp_path: Path) -> None:
    run = Store(tmp_path).run("k")
    run.make()
    with _watched(run, 0.2):
        run.discard()  # as --force does
        deadline = time.monotonic() + 30
        while "test_worker.py" not in stack_of(run):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert not list(run.path.iterdir())
