"""Runs a sweep: plans it, keeps the plan, and has done what is wanted and not there yet."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from .. import toml
from ..contract.errors import BadInput
from ..fingerprint import suite_fingerprint
from ..spec import RunSpec
from ..store import PlannedRun, Store
from ..words import counted
from .cluster import cluster
from .machine import usable_cores
from .packing import calibrated
from .plan import Job, Plan, named, plan
from .progress import Progress, run_label
from .slots import gpus
from .sweep import Sweep, checked_sweep
from .work import Pool, side_by_side, work
from .worker import Task

if TYPE_CHECKING:
    import torch

MUST_AGREE = ("recipe", "epochs", "batch_size", "validation", "precision")
"""What no column of results.csv tells apart well enough to mix it in one folder; `balanced` stands in the recipe's name."""

LOCAL, DASK = "local", "dask"
BACKENDS = (LOCAL, DASK)


@dataclass(frozen=True)
class Settings:
    """How a sweep is run; nothing here changes its results."""

    device: str = "auto"
    jobs: int | None = None  #: runs at a time; None: as many as the devices take
    runs_per_device: int | None = None  #: None: on a CPU as many as there are cores, on another device what it does best
    shard: tuple[int, int] = (1, 1)  #: the k-th of n equal parts of the grid
    force: bool = False  #: runs again what is finished
    retry_failed: bool = False
    quiet: bool = False
    timeout: float | None = None  #: seconds that a run may take
    backend: str = LOCAL
    scheduler: str | None = None  #: of a Dask cluster; None: one on this machine


@dataclass(frozen=True)
class Outcome:
    """What became of a sweep's runs."""

    jobs: Sequence[Job]  #: of the shard
    finished: int
    failed: int
    skipped: int  #: finished or failed before


def run_sweep(sweep: Sweep, out: Path, settings: Settings = Settings(), done: Container[str] = ()) -> Outcome:
    """Plans a sweep, runs what is not there yet, and stores it below `out`. Raises BadInput before anything is written.

    `done`: keys of runs that are left as they are, whatever the settings say.
    """
    store = Store(out)
    seen = earlier_sweeps(store)
    planned, workers = plan_sweep(sweep, out, settings)
    with ExitStack() as stack:
        pool: Pool = side_by_side
        if settings.backend == DASK:
            share = settings.runs_per_device
            pool, many = stack.enter_context(cluster(settings.scheduler, workers or 1, share, planned.jobs))
            workers = min(settings.jobs or many, many)
        with store.alone():
            if earlier_sweeps(store) != seen:  # another process was faster; what it has fixed holds for this one too
                planned, at_a_time = plan_sweep(sweep, out, settings)
                workers = at_a_time if settings.backend == LOCAL else workers
            notes = [*planned.notes, *_write_plan(store, planned)]
        jobs = shard(planned.jobs, settings)
        statuses = {job.key: store.run(job.key).status for job in jobs}
        todo = [job for job in jobs if job.key not in done and wanted(statuses[job.key], settings)]
        keys = {job.key for job in todo}
        before = {key: status for key, status in statuses.items() if key not in keys}
        anew = {job.key for job in todo if settings.force or statuses[job.key] == "failed"}
        for key, status in before.items():
            if status == "finished":
                store.run(key).tidy_if_free()
        with Progress(store, todo, workers, list(before.values()), anew, settings.quiet) as progress:
            for line in (*_replaced(todo, statuses, store), *notes):
                progress.say(line)
            tasks = _tasks(todo, statuses, out, again=settings.force)
            if workers is None:
                workers = _calibrated(tasks, progress)
                progress.begin(workers)
            ended = [progress.finish(e) for e in work(tasks, workers, settings.timeout, pool, progress.say)]
    return Outcome(jobs, ended.count("finished"), ended.count("failed"), len(before))


def _replaced(jobs: Sequence[Job], statuses: Mapping[str, str], store: Store) -> Iterator[str]:
    for job in jobs:
        if statuses[job.key] == "finished":
            try:
                had = f"which had {store.run(job.key).metrics()['acc_last']:.2f} %"
            except BadInput:  # what is damaged is replaced first of all, and another may have begun with that
                had = "whose metrics.json cannot be read"
            yield f"replacing {run_label(job)}, {had}"


def _tasks(jobs: Sequence[Job], statuses: Mapping[str, str], out: Path, *, again: bool) -> list[Task]:
    code = hashlib.sha256("".join([suite_fingerprint(), *sorted({job.code for job in jobs})]).encode()).hexdigest()
    root = out.absolute()  # worker processes outlive a sweep, and with them the working folder that they were begun in
    return [Task(job, root, again=again, retry=statuses[job.key] == "failed", code=code) for job in jobs]


def _calibrated(tasks: Sequence[Task], progress: Progress) -> int:
    """How many runs this machine's devices do at a time."""
    if len(tasks) < 2:
        return 1
    devices = max(1, len(gpus()))
    packing = calibrated(tasks, devices)
    progress.say(str(packing))
    return packing.runs * devices


def plan_sweep(
    sweep: Sweep, out: Path, settings: Settings, beside: Sequence[Sweep] = (), *, fetch: bool = True
) -> tuple[Plan, int | None]:
    """The plan of a sweep into `out`, and how many runs go side by side; None where that is to be found out on the device.

    `beside`: planned sweeps that will have been written there by then; `fetch` is as for `plan`. Raises BadInput; writes
    nothing but data caches.
    """
    from ..train.device import resolve_device

    store = Store(out)
    store.check_writable()
    sweep, left_out = named(sweep)
    before = [*earlier_sweeps(store), *beside]
    kept = before[0].threads if before else None
    if kept and sweep.threads and kept != sweep.threads:
        raise BadInput(f"--threads {sweep.threads}: {out} holds runs of {kept} threads each; give another --out")
    on = resolve_device(settings.device, here=settings.backend == LOCAL)
    devices = max(1, len(gpus())) if on.type == "cuda" else 1
    on_all = settings.runs_per_device and settings.runs_per_device * devices
    asked = [count for count in (settings.jobs, on_all) if count]
    cores, grid = usable_cores(), sum(1 for _ in sweep.runs())
    threads = kept or sweep.threads or max(1, cores // min([cores, grid, *asked]))
    of_cores = max(1, min(cores // threads, grid)) if _on_cpu(on) else None
    workers = min(asked) if asked else of_cores
    planned = plan(sweep, on, threads, fetch=fetch)
    _refuse_conflicts(planned.sweep, before, out)
    _refuse_other_contents(planned.jobs, store)
    return replace(planned, notes=(*left_out, *planned.notes)), workers


def earlier_sweeps(store: Store) -> list[Sweep]:
    """The sweeps that a folder holds already. Raises BadInput where its sweep.toml cannot be read."""
    text = store.sweep_text()
    if text is None:
        return []
    try:
        return [checked_sweep(entry) for entry in toml.parsed(text)["sweep"]]
    except (KeyError, TypeError, BadInput) as error:
        raise BadInput(f"{store.root / 'sweep.toml'} is damaged: {' '.join(str(error).split())}") from None


def _refuse_conflicts(sweep: Sweep, before: Sequence[Sweep], out: Path) -> None:
    for earlier in before:
        for name in MUST_AGREE:
            mine, theirs = (_effective(s, name) for s in (sweep, earlier))
            if mine != theirs:
                raise BadInput(f"{out} holds a sweep with {name} {theirs}, and this one has {mine}; give another --out")


def _refuse_other_contents(jobs: Sequence[Job], store: Store) -> None:
    """Tables know data, labels and weights by name: within a folder, a name may stand for one content only."""
    held = {(what, name): sha256 for run in store.plan(needed=False) for what, name, sha256 in _contents(run)}
    for job in jobs:
        for what, name, sha256 in _contents(job):
            if held.get((what, name), sha256) != sha256:
                raise BadInput(f"{store.root} holds runs with other {what} called '{name}'; rename it or give another --out")


def _contents(run: PlannedRun) -> Iterator[tuple[str, str, str]]:
    """(what, name, sha256) of all that a run of the grid takes from outside."""
    yield "data", run.spec.dataset.label, run.dataset_sha256
    yield "rules of training and scoring", "protocol", str(run.protocol)
    if run.spec.noise_rate is None and ":" in run.spec.noise_kind:
        yield "labels", run.spec.noise_kind, run.noise_sha256
    if run.spec.pretrained and run.weights_sha256:
        yield "weights", run.spec.pretrained, run.weights_sha256


def _effective(sweep: Sweep, name: str) -> Any:
    return getattr(sweep.full_recipe(), name) if name in ("epochs", "batch_size") else getattr(sweep, name)


def shard(jobs: Sequence[Job], settings: Settings) -> list[Job]:
    """The part of a grid that these settings run."""
    part, parts = settings.shard
    return list(jobs[part - 1 :: parts])


def wanted(status: str, settings: Settings) -> bool:
    """Whether these settings run what has this status."""
    return settings.force or status in ("missing", "started") or (status == "failed" and settings.retry_failed)


def _write_plan(store: Store, planned: Plan) -> list[str]:
    """The noise first and sweep.toml last: whoever finds a sweep finds its grid, and whoever finds a grid its noise.

    Gives what a user should be told.
    """
    for sha256, noise in planned.noises.items():
        store.save_noise(sha256, noise.to_bytes())
    before = earlier_sweeps(store)
    # Runs of a method whose code has changed since leave the grid, and so the tables; their results stay on disk.
    codes = {job.spec.method: job.code for job in planned.jobs}
    grid: dict[RunSpec, PlannedRun] = {}
    left: Counter[str] = Counter()
    for run in store.plan(needed=False):
        if codes.get(run.spec.method, run.code) == run.code:
            grid[run.spec] = run
        elif store.run(run.key).status == "finished":
            left[run.spec.method] += 1
    grid |= {job.spec: job for job in planned.jobs}
    store.save_plan(grid.values())
    sweeps = before if planned.sweep in before else [*before, planned.sweep]
    store.save_sweep(tomli_w.dumps({"sweep": [s.model_dump(exclude_none=True) for s in sweeps]}))
    return [
        f"the code of '{name}' has changed: {counted(count, 'finished run')} of the old one left out of the tables, "
        f"but kept in {store.root}/runs"
        for name, count in left.items()
    ]


def _on_cpu(on: torch.device) -> bool:
    return on.type == "cpu"
