"""`reproduce`: a published table again, from the sweep of its name in scripts/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from ..contract.errors import BadInput, unknown
from .arguments import merged, path_of, seed_list, weights_of, words
from .options import (
    BackboneName,
    Backend,
    DataRoot,
    Device,
    DryRun,
    Epochs,
    Force,
    Jobs,
    Json,
    Precision,
    Quiet,
    RetryFailed,
    RunsPerDevice,
    Scheduler,
    Seed,
    Seeds,
    Shard,
    Threads,
    Timeout,
    Weights,
)
from .sweeping import carry_out, settings_of

if TYPE_CHECKING:
    from ..sweep.sweep import Sweep

SCALES = ("full", "small")


def reproduce(
    name: Annotated[str, typer.Argument(metavar="NAME", help="See list sweeps.")],
    scale: Annotated[
        str, Option(metavar="|".join(SCALES), help="small: few images, epochs and filters, for a machine without a GPU.")
    ] = "full",
    dataset: Annotated[
        str | None, Option(help="Only these datasets of the table, with commas; NAME@COUNT for a stratified subset.")
    ] = None,
    methods: Annotated[str | None, Option(help="Only these methods of the table, with commas.")] = None,
    seeds: Seeds = None,
    seed: Seed = None,
    epochs: Epochs = None,
    backbone: BackboneName = None,
    pretrained: Weights = None,
    data_root: DataRoot = None,
    out: Annotated[str | None, Option(help="Output folder, default results/NAME, or results/NAME-small.")] = None,
    device: Device = "auto",
    precision: Precision = None,
    jobs: Jobs = "auto",
    runs_per_device: RunsPerDevice = "auto",
    threads: Threads = None,
    shard: Shard = "1/1",
    timeout: Timeout = None,
    backend: Backend = "local",
    scheduler: Scheduler = None,
    dry_run: DryRun = False,
    force: Force = False,
    retry_failed: RetryFailed = False,
    quiet: Quiet = False,
    json_: Json = False,
) -> None:
    """Run a published table's sweeps, and set each number beside the published one.

    Datasets that are not there are named with how to get them, and the others go on; the exit status is then 1.
    """
    from ..report.published import published
    from ..sweep.named import named_sweep, only, small
    from ..sweep.sweep import checked_sweep

    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    entries = only(named_sweep(name).entries, words("--dataset", dataset), words("--methods", methods))
    if scale == "small":
        entries = [small(entry) for entry in entries]
    given = {
        "seeds": seed_list(seeds, seed),
        "epochs": epochs,
        "backbone": backbone,
        "pretrained": weights_of(pretrained),
        "precision": precision,
        "threads": threads,
        "data_root": None if data_root is None else path_of("--data-root", data_root),
    }
    given = {key: value for key, value in given.items() if value is not None}
    sweeps, missing = _with_images([checked_sweep(merged(entry, given), given) for entry in entries])
    settings = settings_of(
        device=device,
        jobs=jobs,
        runs_per_device=runs_per_device,
        shard=shard,
        timeout=timeout,
        backend=backend,
        scheduler=scheduler,
        force=force,
        retry_failed=retry_failed,
        quiet=quiet,
    )
    folder = Path(path_of("--out", out) if out else f"results/{name}{'-small' if scale == 'small' else ''}")
    notes = [f"left out: {name}: {why}" for name, why in missing.items()]
    carry_out(sweeps, [folder] * len(sweeps), settings, dry_run=dry_run, as_json=json_, against=published(), notes=notes)
    if missing:
        raise typer.Exit(1)


def _with_images(sweeps: Sequence[Sweep]) -> tuple[list[Sweep], dict[str, str]]:
    """Those whose images are there, and of the other datasets why not. Raises BadInput where there are none."""
    from ..contract.registry import load_plugins
    from ..sweep.inputs import need_images

    here, missing = [], {}
    for sweep in sweeps:
        try:
            need_images(load_plugins(sweep.plugins), sweep)
            here.append(sweep)
        except BadInput as error:
            missing[sweep.dataset] = str(error)
    if not here:
        raise BadInput("; ".join(dict.fromkeys(missing.values())))
    return here, missing
