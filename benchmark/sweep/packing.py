"""How many runs a device does side by side: tried out on the first of them, for a few seconds each number.

A small network leaves most of a GPU idle while Python prepares its next kernel; several processes fill it. How many is a
matter of network, batch and machine, so it is measured, in the same worker processes that then do the runs.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..contract.errors import told
from .machine import usable_cores
from .plan import Job
from .slots import SLOTS
from .worker import Task

SECONDS = 3.0
"""That a number of runs is watched, once all of them train."""
GAIN = 1.1
"""A larger number has to do that many times as much: the memory that it takes is then worth it."""
STEPS = 20
"""Of a probe's epoch: short, for the sake of large images."""
PATIENCE = 300.0
"""Seconds that probes wait for each other."""


@dataclass(frozen=True)
class Packing:
    """What was found."""

    runs: int  #: at a time on each device
    tried: tuple[tuple[int, float], ...]  #: (runs at a time, steps a second of all of them)
    stopped: str | None  #: why a larger number could not be tried: the error

    def __str__(self) -> str:
        tried = ", ".join(f"{runs}: {steps:.1f}" for runs, steps in self.tried)
        if not tried:
            return f"{self.runs} at a time on the device, which could not be tried out ({self.stopped})"
        more = f"; more could not be tried ({self.stopped})" if self.stopped else ""
        return f"{self.runs} at a time on the device, chosen by steps a second ({tried}{more})"


def packed(measure: Callable[[int], float], at_most: int) -> Packing:
    """Doubles the number of runs at a time as long as that pays. `measure`: steps a second of that many."""
    tried: list[tuple[int, float]] = []
    best, runs, stopped = 1, 1, None
    while runs <= at_most:
        try:
            steps = measure(runs)
        except Exception as error:  # for want of memory, mostly; what a run itself raises is told when it runs
            stopped = told(error)
            break
        pays = not tried or steps >= tried[-1][1] * GAIN
        tried.append((runs, steps))
        if not pays:
            break
        best, runs = runs, runs * 2
    return Packing(best, tuple(tried), stopped)


def calibrated(tasks: Sequence[Task], devices: int, seconds: float = SECONDS) -> Packing:
    """How many of the runs go side by side on each of so many devices, up to a core each, judged by the first of them."""
    SLOTS.begin()
    at_most = max(1, min(len(tasks), usable_cores()) // devices)
    return packed(lambda runs: throughput(tasks[0], runs * devices, seconds), at_most)


def throughput(task: Task, runs: int, seconds: float = SECONDS) -> float:
    """Training steps a second of as many runs at a time as are given. Raises whatever they do where they do not fit."""
    from joblib import Parallel, delayed

    def probe(meeting: Path) -> list[float]:
        with SLOTS.taken(task.job.threads, task.job.device, task.code) as slot:
            return slot.do(_probe, task.job, task.root, meeting, runs, seconds)

    with tempfile.TemporaryDirectory() as meeting:
        ends: list[list[float]] = Parallel(runs, "threading")(delayed(probe)(Path(meeting)) for _ in range(runs))
    return sum((len(times) - 1) * STEPS / (times[-1] - times[0]) for times in ends)


def _probe(job: Job, root: Path, meeting: Path, runs: int, seconds: float) -> list[float]:
    """When each of a run's short epochs ended, while all of the runs train; writes nothing below `root`."""
    import torch

    from ..train.device import settle
    from .ready import made_ready

    settle(torch.device(job.device), job.threads)
    trainer = made_ready(job, root, images=STEPS * job.spec.recipe.batch_size).trainer
    trainer.train_epoch()  # the first one finds out which kernels to take
    (meeting / str(os.getpid())).touch()
    waited = time.monotonic() + PATIENCE
    while sum(1 for _ in meeting.iterdir()) < runs:
        if time.monotonic() > waited:
            raise RuntimeError(f"{runs} runs at a time did not begin within {PATIENCE:.0f} s")
        time.sleep(0.01)
    times = [time.monotonic()]
    while times[-1] - times[0] < seconds or len(times) < 2:
        trainer.finished %= max(1, trainer.epochs - 1)  # a run of few epochs goes on for as long as it is watched
        trainer.train_epoch()
        times.append(time.monotonic())
    return times
