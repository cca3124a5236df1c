"""The command line: each command reads its options and calls a function that a Python user can call too."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from .contract.errors import BadInput, unknown

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="A noisy-label benchmark suite that compares uncertainty methods under one protocol.",
)
T = TypeVar("T")
_CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]  # click's own, wherever this version of typer keeps it
Option = typer.Option


@app.command()
def run(
    dataset: Annotated[str | None, Option(help="NAME or NAME@COUNT (a stratified subset), default faces.")] = None,
    methods: Annotated[str | None, Option(help="Names with commas, or all; default ce,scn,dul,rul.")] = None,
    noise: Annotated[
        str | None, Option(help="Rates in percent with commas, default 10,20,30; human labels and files take none.")
    ] = None,
    noise_kind: Annotated[str | None, Option(help="See list noises; default symmetric.")] = None,
    noise_file: Annotated[str | None, Option(help="With --noise-kind file: files of given labels, with commas.")] = None,
    seeds: Annotated[int | None, Option(help="How many seeds: 3 means 0, 1, 2. Default 1.")] = None,
    seed: Annotated[str | None, Option(help="Which seeds, with commas.")] = None,
    recipe: Annotated[str | None, Option(help="How every method is trained, default common.")] = None,
    epochs: Annotated[int | None, Option(help="Instead of the recipe's.")] = None,
    batch_size: Annotated[int | None, Option(help="Instead of the recipe's.")] = None,
    backbone: Annotated[str | None, Option(help="small (the default), resnet18, or any timm model.")] = None,
    pretrained: Annotated[str | None, Option(help="A file of backbone weights: .safetensors, .pth or .pt.")] = None,
    validation: Annotated[float | None, Option(help="Percent of the training set to hold out, for acc_val.")] = None,
    data_root: Annotated[str | None, Option(help="Where datasets lie; default $BENCHMARK_DATA.")] = None,
    out: Annotated[Path | None, Option(help="Output folder, default results/<dataset>-<noise kind>.")] = None,
    device: Annotated[str, Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str | None, Option(help="auto (the default), fp32 or bf16.")] = None,
    jobs: Annotated[str, Option(help="Runs at a time, or auto.")] = "auto",
    threads: Annotated[int | None, Option(help="Threads a run; default: the cores shared out over the runs.")] = None,
    shard: Annotated[str, Option(help="K/N: only the K-th of N equal parts of the grid.")] = "1/1",
    set_: Annotated[list[str] | None, Option("--set", help="NAME.OPTION=VALUE of a method or dataset; repeatable.")] = None,
    config: Annotated[Path | None, Option(help="A TOML file of settings; options given here go before it.")] = None,
    plugin: Annotated[list[str] | None, Option(help="A Python file with methods or datasets; repeatable.")] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Check everything and list the runs, without running or writing.")
    ] = False,
    force: Annotated[bool, Option("--force", help="Run finished runs again, replacing their results.")] = False,
    retry_failed: Annotated[bool, Option("--retry-failed", help="Run failed runs again.")] = False,
    quiet: Annotated[bool, Option("--quiet", help="No progress on standard error.")] = False,
    json_: Annotated[bool, Option("--json", help="Print the rows of results.csv as JSON instead of the table.")] = False,
) -> None:
    """Run a sweep, write its tables, print the main one."""
    from .contract.registry import load_plugins
    from .report.write import write_tables
    from .store import Store
    from .sweep.plan import data_root as checked_root
    from .sweep.run import Settings, plan_sweep, run_sweep
    from .sweep.sweep import checked_sweep, read_settings

    files = [str(Path(p).resolve()) for p in plugin or []]
    given: dict[str, Any] = {
        "dataset": dataset,
        "methods": sorted(load_plugins(files).methods) if methods == "all" else _words(methods),
        "noise": _numbers("--noise", noise, float, "rates in percent"),
        "noise_kind": noise_kind,
        "noise_files": _paths(noise_file),
        "seeds": _seeds(seeds, seed),
        "recipe": recipe,
        "epochs": epochs,
        "batch_size": batch_size,
        "backbone": backbone,
        "pretrained": str(Path(pretrained).resolve()) if pretrained is not None else None,
        "validation": validation,
        "precision": precision,
        "threads": threads,
        "options": _options(set_),
        "plugins": files or None,
    }
    given = {name: value for name, value in given.items() if value is not None}
    sweeps = [checked_sweep(_merged(entry, given)) for entry in (read_settings(config) if config else [{}])]
    settings = Settings(device, _jobs(jobs), _shard(shard), force, retry_failed, quiet)
    root = checked_root(data_root)
    folders = [out or Path("results") / f"{sweep.dataset}-{sweep.noise_kind}" for sweep in sweeps]
    for sweep, folder in zip(sweeps, folders, strict=True):
        if dry_run or len(sweeps) > 1:  # of several, all are checked before the first is run
            planned, workers = plan_sweep(sweep, folder, root, settings)
        if dry_run:
            _show_plan(planned.jobs, workers, folder, as_json=json_)
    if dry_run:
        return
    for sweep, folder in zip(sweeps, folders, strict=True):
        try:
            run_sweep(sweep, folder, root, settings)
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
        print(_dumps(rows))
    if any(row["status"] == "failed" for row in rows):
        raise typer.Exit(1)


@app.command()
def table(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The output folder of a sweep.")],
    format_: Annotated[str, Option("--format", help="Which of md,csv,tex,html to write.")] = "md,csv,tex,html",
    json_: Annotated[bool, Option("--json", help="Print the rows of results.csv as JSON instead of the table.")] = False,
) -> None:
    """Write the tables of a sweep again from its finished runs."""
    from .report.tables import FORMATS
    from .report.write import write_tables
    from .store import Store

    wanted = _words(format_) or []
    for name in wanted:
        if name not in FORMATS:
            raise unknown("table format", name, FORMATS)
    if not folder.is_dir():
        raise BadInput(f"{folder}: there is no such folder")
    rows, text = write_tables(Store(folder), wanted)
    print(_dumps(rows) if json_ else text, end="\n" if json_ else "")


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(metavar="methods|datasets|noises|backbones")],
    plugin: Annotated[list[str] | None, Option(help="A Python file with methods or datasets; repeatable.")] = None,
    json_: Annotated[bool, Option("--json", help="An array of objects.")] = False,
) -> None:
    """List what there is, with citation and one line each."""
    from .listing import LISTINGS

    if what not in LISTINGS:
        raise unknown("list", what, LISTINGS)
    rows, broken = LISTINGS[what](plugin or [])
    if json_:
        print(_dumps(rows))
    else:
        width = max((len(row["name"]) for row in rows), default=0)
        for row in rows:
            print(f"{row['name']:<{width}}  {row['summary']}")
            if row["citation"]:
                print(f"{'':<{width}}  {row['citation']}")
    for name, reason in broken.items():
        print(f"{name}: cannot be used: {reason}", file=sys.stderr)


def _show_plan(planned: Sequence[Any], workers: int, folder: Path, *, as_json: bool) -> None:
    from .store import Store
    from .sweep.progress import run_label

    rows = [{"key": job.key, "run": run_label(job), "status": Store(folder).run(job.key).status} for job in planned]
    if as_json:
        print(_dumps(rows))
        return
    for row in rows:
        print(f"{row['key']}  {row['status']:<8}  {row['run']}")
    threads = planned[0].threads if planned else 0
    print(f"{len(rows)} runs into {folder}, {workers} at a time, {threads} threads each")


def _dumps(rows: Any) -> str:
    return json.dumps(rows, indent=2, ensure_ascii=False)


def _words(text: str | None) -> list[str] | None:
    if text is None:
        return None
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise BadInput(f"got {text!r} where a list was wanted, with commas")
    return words


def _paths(text: str | None) -> list[str] | None:
    words = _words(text)  # whole paths, so that sweep.toml can be run from anywhere
    return None if words is None else [str(Path(word).resolve()) for word in words]


def _merged(entry: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The settings of a file with those of the command line before them; options are merged one by one."""
    options = {name: dict(values) for name, values in entry.get("options", {}).items()}
    for name, values in given.get("options", {}).items():
        options[name] = {**options.get(name, {}), **values}
    return {**entry, **given, **({"options": options} if options else {})}


def _numbers(option: str, text: str | None, kind: Callable[[str], T], what: str) -> list[T] | None:
    try:
        return None if text is None else [kind(word) for word in _words(text) or []]
    except ValueError:
        raise BadInput(f"{option} {text}: wanted {what} with commas, as in 10,20,30") from None


def _seeds(count: int | None, named: str | None) -> list[int] | None:
    if count is not None and named is not None:
        raise BadInput("--seeds (how many) and --seed (which) exclude each other")
    if count is not None and count < 1:
        raise BadInput(f"--seeds {count}: wanted a count of at least 1")
    seeds = list(range(count)) if count is not None else _numbers("--seed", named, int, "whole numbers")
    if seeds is not None and (not seeds or min(seeds) < 0):
        raise BadInput(f"--seed {named}: wanted whole numbers from 0")
    return seeds


def _options(given: Sequence[str] | None) -> dict[str, dict[str, str]] | None:
    options: dict[str, dict[str, str]] = {}
    for text in given or []:
        left, equals, value = text.partition("=")
        name, dot, option = left.partition(".")
        if not (equals and dot and name and option):
            raise BadInput(f"--set {text}: wanted NAME.OPTION=VALUE, as in scn.beta=0.5")
        options.setdefault(name, {})[option] = value
    return options or None


def _jobs(text: str) -> int | None:
    if text == "auto":
        return None
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise BadInput(f"--jobs {text}: wanted a count of at least 1, or auto")
    return int(text)


def _shard(text: str) -> tuple[int, int]:
    k, slash, n = text.partition("/")
    if not (slash and text.isascii() and k.isdigit() and n.isdigit() and 1 <= int(k) <= int(n)):
        raise BadInput(f"--shard {text}: wanted K/N with K from 1 to N, as in 2/8")
    return int(k), int(n)


def main() -> None:
    """The console script. Bad input ends in one line on standard error and exit status 2."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
    except _CLICK_ERROR as error:
        print(f"error: {' '.join(getattr(error, 'message', str(error)).split())}", file=sys.stderr)
    except typer.Abort:
        sys.exit(130)
    sys.exit(2)
