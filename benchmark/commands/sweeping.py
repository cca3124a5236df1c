"""What `run` and `reproduce` do with their sweeps."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..contract.errors import BadInput, unknown
from ..words import counted
from .arguments import as_json_text, run_count, shard_of
from .terminal import tell

if TYPE_CHECKING:
    from ..report.published import Published
    from ..sweep.plan import Plan
    from ..sweep.run import Settings
    from ..sweep.sweep import Sweep

LONGEST = 10_000_000
"""Seconds, a third of a year: more than a timer can wait for."""


def settings_of(
    *,
    device: str,
    jobs: str,
    runs_per_device: str,
    shard: str,
    timeout: float | None,
    backend: str,
    scheduler: str | None,
    force: bool,
    retry_failed: bool,
    quiet: bool,
) -> Settings:
    """How to run sweeps, from the options as they were typed. Raises BadInput."""
    from ..sweep.run import BACKENDS, DASK, Settings

    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    if scheduler is not None and backend != DASK:
        raise BadInput(f"--scheduler {scheduler}: it is for --backend {DASK}")
    if timeout is not None and not 0 < timeout < LONGEST:
        raise BadInput(f"--timeout {timeout:g}: wanted seconds, above 0 and below {LONGEST}")
    return Settings(
        device=device,
        jobs=run_count("--jobs", jobs),
        runs_per_device=run_count("--runs-per-device", runs_per_device),
        shard=shard_of(shard),
        timeout=timeout,
        backend=backend,
        scheduler=scheduler,
        force=force,
        retry_failed=retry_failed,
        quiet=quiet,
    )


def carry_out(
    sweeps: Sequence[Sweep],
    folders: Sequence[Path],
    settings: Settings,
    *,
    dry_run: bool,
    as_json: bool,
    against: Sequence[Published] = (),
    notes: Sequence[str] = (),
) -> None:
    """Runs sweeps, each into its folder, writes the tables and prints the main ones; with `dry_run`, says what it would do.

    `against`: published numbers to set beside what is measured; `notes`: what is told when all is planned.
    Raises BadInput before anything is written, and typer.Exit where runs failed or a user interrupts.
    """
    from ..report.formats import FORMATS
    from ..report.write import write_tables
    from ..store import Store
    from ..sweep.run import plan_sweep, run_sweep
    from ..sweep.work import Stopped

    plans: list[tuple[Plan, int | None]] = []
    if dry_run or len(sweeps) > 1 or notes:  # of several, all are checked before the first is run
        for sweep, folder in zip(sweeps, folders, strict=True):
            beside = [planned.sweep for (planned, _), other in zip(plans, folders, strict=False) if other == folder]
            plans.append(plan_sweep(sweep, folder, settings, beside, fetch=not dry_run))
    for note in notes:
        tell(note)
    if dry_run:
        _show_plans(plans, folders, settings, as_json=as_json)
        return
    done: dict[str, None] = {}  # sweeps may overlap: what one has run, the next leaves alone
    failed, stopped, status = 0, "", 1
    try:
        with _signals():
            for sweep, folder in zip(sweeps, folders, strict=True):
                outcome = run_sweep(sweep, folder, settings, done)
                done |= {job.key: None for job in outcome.jobs}
                failed += outcome.failed
    except (KeyboardInterrupt, Stopped) as error:
        stopped = str(error) or "interrupted"
        status = 1 if isinstance(error, Stopped) else error.status if isinstance(error, Signalled) else 130
    rows = []
    for folder in dict.fromkeys(folders):
        if stopped and not Store(folder).is_here:
            continue
        of_folder, text = write_tables(Store(folder), FORMATS, against=against)
        rows += of_folder
        if not as_json:
            print(text, end="")
    if as_json:
        print(as_json_text(rows))
    if stopped:
        ended = sum(row["status"] == "finished" for row in rows)
        print(f"{stopped}; {counted(ended, 'run')} finished and kept, and this goes on with the others:", file=sys.stderr)
        print(shlex.join(["python", "-m", "benchmark", *sys.argv[1:]]), file=sys.stderr)
        raise typer.Exit(status)
    if failed or any(row["status"] == "failed" and row["key"] in done for row in rows):
        raise typer.Exit(1)


class Signalled(KeyboardInterrupt):
    """Somebody else than the user at the terminal wants the sweep to end: a cluster's scheduler, mostly."""

    def __init__(self, number: int):
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.status = 128 + number  #: what a shell gives


@contextmanager
def _signals() -> Iterator[None]:
    """Signals that ask a process to end are taken as Ctrl-C is; those that it was begun to ignore (`nohup`) are ignored."""

    def stop(number: int, _: Any) -> None:
        raise Signalled(number)

    wanted = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():  # only that one may ask for signals
        wanted = []
    wanted = [number for number in wanted if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show_plans(
    plans: Sequence[tuple[Plan, int | None]], folders: Sequence[Path], settings: Settings, *, as_json: bool
) -> None:
    from ..store import Store
    from ..sweep.progress import run_label
    from ..sweep.run import shard, wanted

    everything = []
    for (planned, workers), folder in zip(plans, folders, strict=True):
        store = Store(folder)
        jobs = shard(planned.jobs, settings)
        statuses = [store.run(job.key).status if job.key else "missing" for job in jobs]
        rows = [
            {
                "key": job.key,
                "run": run_label(job),
                "status": status,
                "action": "run" if wanted(status, settings) else "keep",
            }
            for job, status in zip(jobs, statuses, strict=True)
        ]
        everything += rows
        if not as_json:
            print(
                "".join(
                    f"{row['key'] or 'key not yet known'}  {row['status']:<8}  {row['action']:<4}  {row['run']}\n"
                    for row in rows
                ),
                end="",
            )
            todo = sum(row["action"] == "run" for row in rows)
            for note in planned.notes:
                tell(note)
            at_a_time = f"{workers} at a time" if workers else "as many at a time as the device does best"
            how = f"{at_a_time}, {counted(planned.sweep.threads or 1, 'thread')} each"
            print(f"{todo} of {counted(len(rows), 'run')} to do in {folder}, {how}")
    if as_json:
        print(as_json_text(everything))
