"""Shows a sweep while it runs, on standard error: a live table on a terminal, one plain line an epoch elsewhere.

It reads the histories that the runs write, so it works however and wherever the runs are done.
"""

from __future__ import annotations

import csv
import sys
import threading
import time
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from statistics import fmean
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ..contract.errors import BadInput
from ..store import RunFolder, Store
from ..words import counted
from .plan import Job

if TYPE_CHECKING:
    from .worker import Ended


def run_label(job: Job) -> str:
    """`rul, symmetric 20 %, seed 0`."""
    return job.spec.label


@dataclass(frozen=True)
class Work:
    """What has been done of a run since the sweep began, and what is left of it."""

    method: str
    done: Sequence[float]  #: seconds of training of each epoch
    left: int  #: epochs; those of a run that has failed are none


def seconds_left(runs: Sequence[Work], elapsed: float, workers: int) -> float | None:
    """Seconds until the last of the runs ends, `workers` of them at a time; None while no epoch is done.

    An epoch takes as long as others of its method took (of all methods, where there are none); what lies between the epochs,
    and how much the runs are in each other's way, is as in the seconds that have elapsed.
    """
    epochs = [seconds for run in runs for seconds in run.done]
    if not sum(epochs):
        return None
    of_method: dict[str, list[float]] = {}
    for run in runs:
        of_method.setdefault(run.method, []).extend(run.done)
    left = [run.left * fmean(of_method[run.method] or epochs) for run in runs]
    return max(sum(left), max(left) * workers) * elapsed / sum(epochs)


class Epoch(NamedTuple):
    """What is shown of a row of a history."""

    epoch: int
    epochs: int
    loss: float
    test_accuracy: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch}/{self.epochs}, loss {self.loss:.3f}, "
            f"test accuracy {self.test_accuracy:.1f} %, {self.seconds:.1f} s"
        )


MOST = 1e9
"""Epochs of a run, or seconds of one of them, that are believed."""


def _history(folder: RunFolder, known: tuple[Epoch, ...] = ()) -> tuple[Epoch, ...]:
    """The epochs of a run; where they cannot be read now, or are damaged, those that were known: a sweep does not end by it."""
    try:
        rows = tuple(
            Epoch(int(row["epoch"]), int(row["epochs"]), *(float(row[name]) for name in ("loss", "test_accuracy", "seconds")))
            for row in folder.history_rows()
        )
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return known
    return rows if all(0 <= number < MOST for row in rows for number in (row.epochs, row.seconds)) else known


class Progress:
    """A context in which the runs' progress is shown; `say` prints a line at any time."""

    def __init__(
        self,
        store: Store,
        jobs: Sequence[Job],
        workers: int | None,
        before: Sequence[str],
        anew: Container[str],
        quiet: bool,
    ):
        """`workers`: runs at a time, where that is known; `before`: the statuses of the runs that are left as they are.

        `anew`: the keys of runs that begin anew, so that the history of an earlier try says nothing of them.
        """
        self._store, self._jobs = store, {job.key: job for job in jobs}
        self._old = {job.key: _history(store.run(job.key)) for job in jobs}  # of those that nobody has been at since
        self._rows = {key: () if key in anew else rows for key, rows in self._old.items()}
        self._earlier = {key: len(rows) for key, rows in self._rows.items()}  # epochs of an earlier try: not shown again
        self._ended: dict[str, str] = {}
        self._shown: set[str] = set()  # ended, and all its epochs were read
        self.workers, self._before, self._quiet = workers, Counter(before), quiet
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._live: Any = None
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        if not self._quiet:
            done = f", {n} finished before" if (n := self._before["finished"]) else ""
            done += f", {n} failed before (--retry-failed runs them again)" if (n := self._before["failed"]) else ""
            how = "" if self.workers is None else f", {min(self.workers, max(1, len(self._jobs)))} at a time"
            self.say(f"{counted(len(self._jobs), 'run')} to do{done}{how}")
            if sys.stderr.isatty() and self._jobs:
                from rich.console import Console
                from rich.live import Live

                self._live = Live(self._table(), console=Console(stderr=True), refresh_per_second=4)
                self._live.__enter__()
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._quiet:
            return
        self._stop.set()
        self._thread.join()
        self._poll()
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def begin(self, workers: int) -> None:
        """Takes note of how many runs go at a time, where that was found out first; the time they take counts from here."""
        self.workers, self._started = workers, time.monotonic()

    def say(self, line: str) -> None:
        """Prints a line on standard error."""
        if not self._quiet:
            print(line, file=sys.stderr, flush=True)

    def finish(self, ended: Ended) -> str:
        """Takes note that a run has ended; gives its status."""
        key, status = ended.key, ended.status
        with self._lock:
            self._ended[key] = status
        if not self._quiet:
            self._poll()
            if self._live is None or status == "failed":
                why = f": {ended.why or self._why(key)}" if status == "failed" else ""
                with self._lock:
                    left = self._time_left()
                self.say(f"[{len(self._ended)}/{len(self._jobs)}] {run_label(self._jobs[key])}: {status}{why}{left}")
        return status

    def _why(self, key: str) -> str:
        try:
            return str(self._store.run(key).failure()["error"])
        except (BadInput, KeyError):  # another command has begun it anew
            return "see its failure.json"

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            self._poll()

    def _poll(self) -> None:
        with self._lock:
            # Runs begin in order, so those that are under way are the first of those that have not ended.
            for key in list(islice((key for key in self._jobs if key not in self._shown), 2 * (self.workers or 1))):
                job = self._jobs[key]
                rows = _history(self._store.run(key), self._old.get(key, self._rows[key]))
                if rows != self._old.get(key):
                    self._old.pop(key, None)
                    known = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(rows, self._rows[key], strict=False)))
                    self._earlier[key] = min(self._earlier[key], known)  # it may have gone back to its checkpoint
                    if self._live is None:
                        for row in rows[known:]:
                            print(f"  {run_label(job)}: {row}", file=sys.stderr, flush=True)
                    self._rows[key] = rows
                if key in self._ended:
                    self._shown.add(key)
            if self._live is not None:
                self._live.update(self._table())

    def _running(self) -> list[str]:
        """Those that somebody has been at, and those whose turn it is, which go on where an earlier try has ended."""
        left = [key for key in self._jobs if key not in self._ended]
        turn = left[: self.workers or 1]
        return [key for key in left if self._rows[key] and (key not in self._old or key in turn)]

    def _table(self) -> Any:
        from rich.table import Table

        table = Table(box=None, caption=self._caption(), caption_justify="left")
        for name in ("run", "status", "last epoch"):
            table.add_column(name)
        for key in self._running():
            table.add_row(run_label(self._jobs[key]), "running", str(self._rows[key][-1]))
        return table

    def _caption(self) -> str:
        ended = Counter(self._ended.values())
        failed = f", {ended['failed']} failed" if ended["failed"] else ""
        return f"{ended['finished']} of {len(self._jobs)} finished, {len(self._running())} running{failed}{self._time_left()}"

    def _time_left(self) -> str:
        epochs = {job.spec.method_label: rows[0].epochs for key, job in self._jobs.items() if (rows := self._rows[key])}
        work = []
        for key, job in self._jobs.items():
            rows, method = self._rows[key], job.spec.method_label
            # A method may train for longer than its recipe says, which is known when one of its runs has done an epoch.
            left = 0 if key in self._ended else epochs.get(method, job.spec.recipe.epochs) - len(rows)
            work.append(Work(method, [row.seconds for row in rows[self._earlier[key] :]], left))
        left_seconds = seconds_left(work, time.monotonic() - self._started, self.workers or 1)
        return f", about {_duration(left_seconds)} left" if left_seconds else ""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
