"""Who does which run when several ask for it, and one's process has died."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmark.store import Store
from benchmark.sweep.work import BROKEN, failed, work
from benchmark.sweep.worker import HELD, Ended, Task


def test_a_run_whose_process_died_and_that_another_took_over_is_waited_for(tmp_path: Path) -> None:
    job: Any = SimpleNamespace(key="k")
    other = Store(tmp_path).run("k")
    (tmp_path / "runs" / "k").mkdir(parents=True)
    asked, told = [], []

    def pool(tasks: Sequence[Task], workers: int, timeout: float | None) -> Iterator[Ended]:
        asked.append(workers)
        if len(asked) == 1:
            assert other.lock.claim()  # the other command sees a dead owner, and is faster
            os.utime(other.lock.path, ns=(1, 1))
            threading.Timer(0.7, other.lock.release).start()
        status = BROKEN if len(asked) == 1 else HELD if other.lock.owner() else "finished"
        yield from (Ended(task.job.key, status) for task in tasks)

    ended = list(work([Task(job, tmp_path, again=False, retry=False, code="")], 2, None, pool, told.append))
    assert [e.status for e in ended] == ["finished"]
    assert len(told) == 1
    assert len(asked) == 3, "once, then found held, then free: it is not asked for again and again meanwhile"


def lost(folder: Path, status: str | None) -> tuple[Task, Ended]:
    """A run whose process was lost when it had that status, and what becomes of it."""
    task = Task(SimpleNamespace(key="k"), folder, again=True, retry=False, code="")
    run = Store(folder).run("k")
    run.path.mkdir(parents=True)
    if status:
        (run.path / status).write_text("{}")
    return task, failed(task, "it took too long")


def test_a_run_that_had_finished_when_its_process_was_ended_has_not_failed(tmp_path: Path) -> None:
    assert lost(tmp_path / "a", "metrics.json")[1].status == "finished"
    assert not (tmp_path / "a" / "runs" / "k" / "failure.json").exists()
    assert lost(tmp_path / "b", None)[1].status == "failed"
    assert Store(tmp_path / "b").run("k").failure()["error"] == "it took too long"


def test_what_is_to_be_begun_anew_and_died_before_that_is_begun_anew(tmp_path: Path) -> None:
    """Not when it had been begun: it then goes on."""
    for status, again in (("metrics.json", True), ("spec.json", False)):
        task, _ = lost(tmp_path / status, status)
        (tmp_path / status / "runs" / "k" / "failure.json").unlink(missing_ok=True)
        asked: list[bool] = []

        def pool(tasks: Sequence[Task], *_: object, asked: list[bool] = asked) -> Iterator[Ended]:
            asked += [task.again for task in tasks]
            yield Ended("k", BROKEN if len(asked) == 1 else "finished")

        assert [ended.status for ended in work([task], 1, None, pool)] == ["finished"]
        assert asked == [True, again]
