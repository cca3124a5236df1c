"""`run` and `table`: a sweep, and its tables again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from ..contract.errors import need_folder, unknown
from ..spec import NAMED_WEIGHTS
from .arguments import (
    as_json_text,
    job_count,
    merged,
    path_of,
    plain_number,
    rates,
    seed_list,
    set_options,
    shard_of,
    whole_number,
    words,
)

if TYPE_CHECKING:
    from ..sweep.plan import Plan
    from ..sweep.run import Settings


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
    seeds: Annotated[
        int | None, Option(parser=whole_number, metavar="N", help="How many seeds: 3 means 0, 1, 2. Default 1.")
    ] = None,
    seed: Annotated[str | None, Option(help="Which seeds, with commas.")] = None,
    recipe: Annotated[
        str | None, Option(help="common, fine-tune (the usual with --pretrained), or paper (each its own).")
    ] = None,
    epochs: Annotated[int | None, Option(parser=whole_number, metavar="N", help="Instead of the recipe's.")] = None,
    batch_size: Annotated[int | None, Option(parser=whole_number, metavar="N", help="Instead of the recipe's.")] = None,
    balanced: Annotated[
        bool | None, Option("--balanced", help="Each epoch draws as many samples of each given label, with repeats.")
    ] = None,
    backbone: Annotated[str | None, Option(help="small, resnet18, or any timm model.")] = None,
    pretrained: Annotated[
        str | None, Option(help="Backbone weights: imagenet, dlib-face, or a .safetensors, .pth or .pt file.")
    ] = None,
    validation: Annotated[
        float | None,
        Option(parser=plain_number, metavar="PERCENT", help="Percent of the training set to hold out, for acc_val."),
    ] = None,
    data_root: Annotated[str | None, Option(help="Where datasets lie; default $BENCHMARK_DATA.")] = None,
    out: Annotated[str | None, Option(help="Output folder, default results/<dataset>-<noise kind>.")] = None,
    device: Annotated[str, Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str | None, Option(help="auto (the default), fp32 or bf16.")] = None,
    jobs: Annotated[str, Option(help="Runs at a time, or auto.")] = "auto",
    threads: Annotated[
        int | None, Option(parser=whole_number, metavar="N", help="Threads a run; default: the cores shared out over the runs.")
    ] = None,
    shard: Annotated[str, Option(help="K/N: only the K-th of N equal parts of the grid.")] = "1/1",
    set_: Annotated[list[str] | None, Option("--set", help="NAME.OPTION=VALUE of a method or dataset; repeatable.")] = None,
    config: Annotated[
        list[str] | None, Option(help="A TOML file of one or more sweeps; options given here go before it; repeatable.")
    ] = None,
    plugin: Annotated[list[str] | None, Option(help="A Python file with methods or datasets; repeatable.")] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Check everything and list the runs; nothing is written but the dataset's cache.")
    ] = False,
    force: Annotated[bool, Option("--force", help="Run finished runs again, replacing their results.")] = False,
    retry_failed: Annotated[bool, Option("--retry-failed", help="Run failed runs again.")] = False,
    quiet: Annotated[bool, Option("--quiet", help="No progress on standard error.")] = False,
    json_: Annotated[bool, Option("--json", help="Print the rows of results.csv as JSON instead of the table.")] = False,
) -> None:
    """Run a sweep, write its tables, print the main one. What is not said stands in scripts/default.toml."""
    from ..report.write import write_tables
    from ..store import Store
    from ..sweep.run import Settings, plan_sweep, run_sweep
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
        "pretrained": pretrained if pretrained in (None, *NAMED_WEIGHTS) else path_of("--pretrained", pretrained),
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
    settings = Settings(device, job_count(jobs), shard_of(shard), force, retry_failed, quiet)
    folders = [Path(out or f"results/{sweep.dataset}-{sweep.noise_kind.replace(':', '-')}") for sweep in sweeps]
    plans: list[tuple[Plan, int]] = []
    if dry_run or len(sweeps) > 1:  # of several, all are checked before the first is run
        for sweep, folder in zip(sweeps, folders, strict=True):
            beside = [planned.sweep for (planned, _), other in zip(plans, folders, strict=False) if other == folder]
            plans.append(plan_sweep(sweep, folder, settings, beside))
    if dry_run:
        _show_plans(plans, folders, settings, as_json=json_)
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
        of_folder, text = write_tables(Store(folder), ("md", "csv", "tex", "html"))
        rows += of_folder
        if not json_:
            print(text, end="")
    if json_:
        print(as_json_text(rows))
    if any(row["status"] == "failed" and row["key"] in keys for row in rows):
        raise typer.Exit(1)


def table(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="The output folder of a sweep.")],
    format_: Annotated[str, Option("--format", help="Which of md,csv,tex,html to write.")] = "md,csv,tex,html",
    baseline: Annotated[
        str | None, Option(metavar="NAME", help="The method that others are tested against; default ce, where it is there.")
    ] = None,
    json_: Annotated[bool, Option("--json", help="Print the rows of results.csv as JSON instead of the table.")] = False,
) -> None:
    """Write the tables of a sweep again from its finished runs."""
    from ..report.formats import FORMATS
    from ..report.write import write_tables
    from ..store import Store

    wanted = words("--format", format_) or []
    for name in wanted:
        if name not in FORMATS:
            raise unknown("table format", name, FORMATS)
    need_folder("table", Path(path_of("table", folder)))
    rows, text = write_tables(Store(Path(folder)), wanted, baseline)
    print(as_json_text(rows) if json_ else text, end="\n" if json_ else "")


def _show_plans(plans: Sequence[tuple[Plan, int]], folders: Sequence[Path], settings: Settings, *, as_json: bool) -> None:
    from ..store import Store
    from ..sweep.progress import counted, run_label
    from ..sweep.run import shard, wanted

    everything = []
    for (planned, workers), folder in zip(plans, folders, strict=True):
        store = Store(folder)
        rows = [
            {
                "key": job.key,
                "run": run_label(job),
                "status": store.run(job.key).status,
                "action": "run" if wanted(job, store, settings) else "keep",
            }
            for job in shard(planned.jobs, settings)
        ]
        everything += rows
        if not as_json:
            print("".join(f"{row['key']}  {row['status']:<8}  {row['action']:<4}  {row['run']}\n" for row in rows), end="")
            todo = sum(row["action"] == "run" for row in rows)
            print("".join(f"{note}\n" for note in planned.notes), end="", file=sys.stderr)
            how = f"{workers} at a time, {counted(planned.sweep.threads or 1, 'thread')} each"
            print(f"{todo} of {counted(len(rows), 'run')} to do in {folder}, {how}")
    if as_json:
        print(as_json_text(everything))
