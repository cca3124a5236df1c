"""Who does which run when several ask for it, and one's process has died."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmark.store import Store
from benchmark.sweep.work import BROKEN, work
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
