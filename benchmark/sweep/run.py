"""Runs a sweep: what is finished is skipped, what was interrupted goes on, what fails is recorded and harms no other."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from ..contract.errors import BadInput
from ..store import Store
from .plan import Job, Plan, plan
from .progress import Progress
from .sweep import Sweep, checked_sweep

MUST_AGREE = ("recipe", "epochs", "batch_size", "validation", "precision")
"""What no column of results.csv tells apart well enough to mix it in one folder."""


@dataclass(frozen=True)
class Settings:
    """How a sweep is run; nothing here changes its results."""

    device: str = "auto"
    jobs: int | None = None  #: runs at a time; None: as many as there are cores and runs
    shard: tuple[int, int] = (1, 1)  #: the k-th of n equal parts of the grid
    force: bool = False  #: runs again what is finished
    retry_failed: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a sweep's runs."""

    plan: Plan
    finished: int
    failed: int
    skipped: int  #: finished or failed before


def run_sweep(sweep: Sweep, out: Path, root: Path | None = None, settings: Settings = Settings()) -> Outcome:
    """Plans a sweep, runs what is not there yet, and stores it below `out`. Raises BadInput before anything is written."""
    store = Store(out)
    planned, workers = plan_sweep(sweep, out, root, settings)
    jobs = [job for k, job in enumerate(planned.jobs) if k % settings.shard[1] == settings.shard[0] - 1]
    _write_plan(store, planned)
    todo = [job for job in jobs if _wanted(job, store, settings)]
    replaced = sum(1 for job in todo if store.run(job.key).status == "finished")
    for job in todo:
        if settings.force or store.run(job.key).status == "failed":
            store.run(job.key).discard()
    with Progress(store, todo, workers, len(jobs) - len(todo), settings.quiet) as progress:
        if replaced:
            progress.say(f"{replaced} finished runs are replaced")
        for note in planned.notes:
            progress.say(note)
        statuses = [progress.finish(key, status) for key, status in _work(todo, out, workers)]
    return Outcome(planned, statuses.count("finished"), statuses.count("failed"), len(jobs) - len(todo))


def plan_sweep(sweep: Sweep, out: Path, root: Path | None, settings: Settings) -> tuple[Plan, int]:
    """The plan of a sweep into `out`, and how many runs go side by side. Raises BadInput; writes nothing but data caches."""
    from ..train.device import resolve_device

    store = Store(out)
    store.check_writable()
    before = earlier_sweeps(store)
    kept = before[0].threads if before else None
    if kept and sweep.threads and kept != sweep.threads:
        raise BadInput(f"--threads {sweep.threads}: {out} holds runs of {kept} threads each; give another --out")
    cores, grid = _cores(), sum(1 for _ in sweep.runs())
    threads = kept or sweep.threads or max(1, cores // (settings.jobs or min(cores, grid)))
    on_cpu = resolve_device(settings.device).type == "cpu"
    workers = settings.jobs or (max(1, min(cores // threads, grid)) if on_cpu else 1)
    planned = plan(sweep, root, settings.device, threads)
    _refuse_conflicts(planned.sweep, before, out)
    return planned, workers


def earlier_sweeps(store: Store) -> list[Sweep]:
    """The sweeps that a folder holds already. Raises BadInput where its sweep.toml cannot be read."""
    text = store.sweep_text()
    if text is None:
        return []
    try:
        return [checked_sweep(entry) for entry in tomllib.loads(text)["sweep"]]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, BadInput) as error:
        raise BadInput(f"{store.root / 'sweep.toml'} is damaged: {' '.join(str(error).split())}") from None


def _refuse_conflicts(sweep: Sweep, before: Sequence[Sweep], out: Path) -> None:
    for earlier in before:
        for name in MUST_AGREE:
            mine, theirs = (_effective(s, name) for s in (sweep, earlier))
            if mine != theirs:
                raise BadInput(f"{out} holds a sweep with {name} {theirs}, and this one has {mine}; give another --out")


def _effective(sweep: Sweep, name: str) -> Any:
    return getattr(sweep.full_recipe, name) if name in ("epochs", "batch_size") else getattr(sweep, name)


def _write_plan(store: Store, planned: Plan) -> None:
    """The noise first and sweep.toml last: whoever finds a sweep finds its grid, and whoever finds a grid its noise."""
    for sha256, noise in planned.noises.items():
        store.save_noise(sha256, noise.to_bytes())
    before = earlier_sweeps(store)
    mine = [job.row() for job in planned.jobs]
    # A run whose method or noise has changed since takes the place of the old one in the grid; the old result stays on disk.
    rows = store.plan(needed=False)
    for row in mine:
        place = next((k for k, old in enumerate(rows) if old["spec"] == row["spec"]), len(rows))
        rows[place : place + 1] = [row]
    store.save_plan(rows)
    sweeps = before if planned.sweep in before else [*before, planned.sweep]
    store.save_sweep(tomli_w.dumps({"sweep": [s.model_dump(exclude_none=True) for s in sweeps]}))


def _wanted(job: Job, store: Store, settings: Settings) -> bool:
    status = store.run(job.key).status
    return settings.force or status in ("missing", "started") or (status == "failed" and settings.retry_failed)


def _work(jobs: Sequence[Job], out: Path, workers: int) -> Any:
    """(key, status) of each job as it ends, in whatever order."""
    from joblib import Parallel, delayed, parallel_config

    if not jobs:
        return
    with parallel_config("loky", inner_max_num_threads=jobs[0].threads):
        pool = Parallel(n_jobs=min(workers, len(jobs)), return_as="generator_unordered")
        yield from pool(delayed(_do)(job, out) for job in jobs)


def _do(job: Job, out: Path) -> tuple[str, str]:
    from .execute import execute  # here, so that planning does not import the whole of training

    return job.key, execute(job, out)


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
