"""What `run` and `reproduce` do with their sweeps."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..words import counted
from .arguments import as_json_text, run_count, shard_of
from .terminal import tell

if TYPE_CHECKING:
    from ..report.published import Published
    from ..sweep.plan import Plan
    from ..sweep.run import Settings
    from ..sweep.sweep import Sweep


def settings_of(
    device: str, jobs: str, runs_per_device: str, shard: str, *, force: bool, retry_failed: bool, quiet: bool
) -> Settings:
    """How to run sweeps, from the options as they were typed. Raises BadInput."""
    from ..sweep.run import Settings

    at_a_time = run_count("--jobs", jobs), run_count("--runs-per-device", runs_per_device)
    return Settings(device, *at_a_time, shard_of(shard), force, retry_failed, quiet)


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
    keys: set[str] = set()  # sweeps may overlap: what one has run, the next leaves alone
    for sweep, folder in zip(sweeps, folders, strict=True):
        try:
            keys |= {job.key for job in run_sweep(sweep, folder, settings, keys).jobs}
        except KeyboardInterrupt:
            print(f"interrupted; what is done is kept in {folder}, and the same command goes on", file=sys.stderr)
            raise typer.Exit(130) from None
    rows = []
    for folder in dict.fromkeys(folders):
        of_folder, text = write_tables(Store(folder), FORMATS, against=against)
        rows += of_folder
        if not as_json:
            print(text, end="")
    if as_json:
        print(as_json_text(rows))
    if any(row["status"] == "failed" and row["key"] in keys for row in rows):
        raise typer.Exit(1)


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
