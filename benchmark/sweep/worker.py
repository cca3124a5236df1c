"""What happens in a worker process: a run, held by its lock, as far as it comes."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..contract.errors import told
from ..store import NotStored, RunFolder, Store
from .plan import Job

HELD = "held"
"""What becomes of a run that another process is at."""


class Task(NamedTuple):
    """A run to be done, and how."""

    job: Job
    root: Path  #: of the output folder
    again: bool  #: from its beginning, whatever is there
    retry: bool  #: also if it has failed
    code: str  #: fingerprint of the suite and of all methods of the sweep; a process that has loaded another does not do it
    over: str | None = None  #: the token of an owner that is gone
    noise: bytes | None = None  #: its artefact, for a worker that does not see the output folder


class Ended(NamedTuple):
    """What became of a run."""

    key: str
    status: str  #: `finished`, `failed`, or one of those that say it has not ended
    why: str = ""  #: of a failure that could not be stored: what to tell
    files: dict[str, bytes] | None = None  #: what the run has made, from a worker that does not see the folder


def do(task: Task, timeout: float | None = None) -> Ended:
    """Does a run, or goes on with it; never raises for what goes wrong with one.

    `timeout`: seconds after which the process will be ended; what it is at then is kept a moment before.
    """
    from .execute import execute  # here, so that planning does not import the whole of training

    key, store = task.job.key, Store(task.root)
    folder = store.run(key)
    try:
        if not store.is_here:
            return Ended(key, "failed", f"{task.root} is not there any more")
        folder.make()
        if not folder.lock.claim(task.over):
            return Ended(key, HELD)

        def still_mine() -> None:
            if not folder.lock.is_mine():  # this process was stopped for so long that another took the run over
                os._exit(1)

        try:
            folder.tidy()
            with _watched(folder, timeout):
                return Ended(key, execute(task.job, task.root, still_mine, again=task.again, retry=task.retry))
        finally:
            folder.lock.release()
    except NotStored as error:
        return Ended(key, "failed", str(error))
    except OSError as error:  # of the lock, and of the folder
        return Ended(key, "failed", f"it could not be stored: {told(error)}")


@contextmanager
def _watched(folder: RunFolder, timeout: float | None) -> Iterator[None]:
    if timeout is None:
        yield
        return
    with folder.stack.open("w") as file:
        faulthandler.dump_traceback_later(timeout * 0.98, file=file)  # not held up by what keeps Python's own threads waiting
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            folder.stack.unlink(missing_ok=True)


def stack_of(folder: RunFolder) -> str:
    """What a run's process was at just before it was ended for taking too long; empty where that was not watched."""
    try:
        return folder.stack.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
