"""`run` and `table`: a sweep, and its tables again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from ..contract.errors import need_folder, unknown
from ..paths import file_name
from ..spec import RECIPES
from .arguments import (
    as_json_text,
    merged,
    path_of,
    plain_number,
    rates,
    seed_list,
    set_options,
    weights_of,
    whole_number,
    words,
)
from .options import (
    Against,
    BackboneName,
    Backend,
    Baseline,
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


def run(
    dataset: Annotated[str | None, Option(help="NAME or NAME@COUNT (a stratified subset).")] = None,
    methods: Annotated[str | None, Option(help="Names with commas, or all.")] = None,
    imbalance: Annotated[
        float | None,
        Option(parser=plain_number, metavar="RATIO", help="A long tail: images of the most frequent class over the rarest's."),
    ] = None,
    noise: Annotated[str | None, Option(help="Rates in percent with commas; human labels and files take none.")] = None,
    noise_kind: Annotated[str | None, Option(help="See list noises.")] = None,
    noise_file: Annotated[
        str | None, Option(help="With commas: files of given labels for --noise-kind file, of matrices for confusion.")
    ] = None,
    seeds: Seeds = None,
    seed: Seed = None,
    recipe: Annotated[
        str | None,
        Option(
            help=f"{', '.join(sorted(RECIPES))}, or paper (each its own); with --pretrained fine-tune is usual, else common."
        ),
    ] = None,
    epochs: Epochs = None,
    batch_size: Annotated[int | None, Option(parser=whole_number, metavar="N", help="Instead of the recipe's.")] = None,
    balanced: Annotated[
        bool | None, Option("--balanced", help="Each epoch draws as many samples of each given label, with repeats.")
    ] = None,
    backbone: BackboneName = None,
    pretrained: Weights = None,
    validation: Annotated[
        float | None,
        Option(parser=plain_number, metavar="PERCENT", help="Percent of the training set to hold out, for acc_val."),
    ] = None,
    data_root: DataRoot = None,
    out: Annotated[str | None, Option(help="Output folder, default results/<dataset>-<noise kind>.")] = None,
    device: Device = "auto",
    precision: Precision = None,
    jobs: Jobs = "auto",
    runs_per_device: RunsPerDevice = "auto",
    threads: Threads = None,
    shard: Shard = "1/1",
    timeout: Timeout = None,
    backend: Backend = "local",
    scheduler: Scheduler = None,
    set_: Annotated[list[str] | None, Option("--set", help="NAME.OPTION=VALUE of a method or dataset; repeatable.")] = None,
    config: Annotated[
        list[str] | None, Option(help="A TOML file of one or more sweeps; options given here go before it; repeatable.")
    ] = None,
    plugin: Annotated[list[str] | None, Option(help="A Python file with methods or datasets; repeatable.")] = None,
    dry_run: DryRun = False,
    force: Force = False,
    retry_failed: RetryFailed = False,
    quiet: Quiet = False,
    json_: Json = False,
) -> None:
    """Run a sweep, write its tables, print the main one. What is not said stands in scripts/default.toml."""
    from ..sweep.sweep import checked_sweep, read_settings

    given: dict[str, Any] = {
        "dataset": dataset,
        "methods": words("--methods", methods),
        "imbalance": imbalance,
        "noise": rates(noise),
        "noise_kind": noise_kind,
        "noise_files": None
        if noise_file is None
        else [path_of("--noise-file", word) for word in words("--noise-file", noise_file) or []],
        "seeds": seed_list(seeds, seed),
        "recipe": recipe,
        "epochs": epochs,
        "batch_size": batch_size,
        "balanced": balanced,
        "backbone": backbone,
        "pretrained": weights_of(pretrained),
        "validation": validation,
        "precision": precision,
        "threads": threads,
        "data_root": None if data_root is None else path_of("--data-root", data_root),
        "options": set_options(set_),
        "plugins": [path_of("--plugin", p) for p in plugin] if plugin else None,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if out is not None:
        path_of("--out", out)
    entries = [entry for file in config or [] for entry in read_settings(Path(path_of("--config", file)))] or [{}]
    sweeps = [checked_sweep(merged(entry, given), given) for entry in entries]
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
    folders = [Path(out or f"results/{file_name(f'{sweep.dataset}-{sweep.noise_kind}')}") for sweep in sweeps]
    carry_out(sweeps, folders, settings, dry_run=dry_run, as_json=json_)


def table(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="The output folder of a sweep.")],
    format_: Annotated[str, Option("--format", help="Which of md,csv,tex,html to write.")] = "md,csv,tex,html",
    baseline: Baseline = None,
    against: Against = None,
    json_: Json = False,
) -> None:
    """Write the tables of a sweep again from its finished runs."""
    from ..report.formats import FORMATS
    from ..report.published import published
    from ..report.write import write_tables
    from ..store import Store

    wanted = words("--format", format_) or []
    for name in wanted:
        if name not in FORMATS:
            raise unknown("table format", name, FORMATS)
    need_folder("table", Path(path_of("table", folder)))
    rows, text = write_tables(Store(Path(folder)), wanted, baseline, against=published() if against else ())
    print(as_json_text(rows) if json_ else text, end="\n" if json_ else "")
