"""Many runs: side by side, each in a process of its own; those that others are at are waited for, and done once.

Where the system ends a run's process (for want of memory, mostly), the run goes on from its checkpoint when nothing else is
under way; where it loses that process too, it has failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from ..store import NotStored, RunFolder, Store
from .slots import SLOTS, Died, TookTooLong
from .worker import HELD, Ended, Task, do, stack_of


class Stopped(Exception):
    """Nothing more can be done now; what is done is stored, and the message says why."""


BROKEN = "broken"
"""What becomes of a run whose process has died."""
POLL = 0.2
"""Seconds between two looks at runs that others are at."""

Pool = Callable[[Sequence[Task], int, float | None], Iterator[Ended]]
"""What does tasks, so many at a time, each within so many seconds, and gives what became of them, in any order."""


def side_by_side(tasks: Sequence[Task], workers: int, timeout: float | None) -> Iterator[Ended]:
    """A pool of processes of this machine."""
    from joblib import Parallel, delayed

    pool = Parallel(workers, "threading", pre_dispatch=workers, batch_size=1, return_as="generator_unordered")
    yield from pool(delayed(contained)(task, timeout) for task in tasks)


def work(
    tasks: Sequence[Task], workers: int, timeout: float | None, pool: Pool = side_by_side, say: Callable[[str], None] = print
) -> Iterator[Ended]:
    """What became of each run as it ends, in whatever order. `say`: what a user is told while others are waited for."""
    waiting = {task.job.key: task for task in tasks}
    SLOTS.begin()
    try:
        yield from _until_done(waiting, workers, timeout, pool, say)
    except BaseException:  # Ctrl-C, for one
        SLOTS.end()
        for task in waiting.values():
            folder_of(task).tidy_if_free()
        raise


def _until_done(
    waiting: dict[str, Task], workers: int, timeout: float | None, pool: Pool, say: Callable[[str], None]
) -> Iterator[Ended]:
    broken: set[str] = set()
    while waiting:
        for alone in (False, True):
            chosen = [task for key, task in waiting.items() if (key in broken) == alone]
            for ended in pool(chosen, 1 if alone else workers, timeout) if chosen else ():
                task = waiting[ended.key]
                if ended.status == BROKEN and alone:
                    ended = failed(task, "the system ended its worker process, most likely for want of memory")
                if ended.status == BROKEN:
                    broken.add(ended.key)
                if ended.status in (BROKEN, HELD):  # what another does, or what was begun here, is not begun anew
                    begun = ended.status == HELD or folder_of(task).status != "finished"
                    waiting[ended.key] = task._replace(again=task.again and not begun)
                else:
                    del waiting[ended.key]
                    yield ended
        if waiting:  # others are at all that is left, also at what had lost its process here
            waiting |= _free(waiting, say)


def contained(task: Task, timeout: float | None) -> Ended:
    """Does a run in a process of this one's slots."""
    key, job = task.job.key, task.job
    if task.over is None and folder_of(task).lock.other():
        return Ended(key, HELD)
    try:
        with SLOTS.taken(job.threads, job.device, task.code) as slot:
            return slot.do(do, task, timeout, timeout=timeout)
    except Died:
        return Ended(key, BROKEN)
    except TookTooLong:
        return failed(task, f"it had not ended after {timeout:g} s (--timeout)")


def failed(task: Task, why: str) -> Ended:
    """Records that a run has failed whose process is no more."""
    folder = folder_of(task)
    try:
        if not folder.lock.claim(task.over):
            return Ended(task.job.key, HELD)
        try:
            if folder.status == "finished":  # it died, or was ended, in the moment after
                return Ended(task.job.key, "finished")
            folder.fail(why, stack_of(folder))
            folder.tidy()
        finally:
            folder.lock.release()
    except (OSError, NotStored):
        return Ended(task.job.key, "failed", why)
    return Ended(task.job.key, "failed")


def folder_of(task: Task) -> RunFolder:
    """Where a task's run is stored."""
    return Store(task.root).run(task.job.key)


def _free(held: dict[str, Task], say: Callable[[str], None]) -> dict[str, Task]:
    """Waits until nobody is at some of these runs any more, and gives those."""
    locks = {key: folder_of(task).lock for key, task in held.items()}
    told: set[str] = set()
    while True:
        free = {}
        for key, lock in locks.items():
            if other := lock.other():
                if str(other) not in told:
                    told.add(str(other))
                    say(f"waiting for what {other} is at")
            else:
                owner = lock.owner()
                free[key] = held[key]._replace(over=owner.token if owner else None)
        if free:
            return free
        time.sleep(POLL)
