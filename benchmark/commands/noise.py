"""`noise make`, `show`, `export` and `import`: given labels as files that labs exchange."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from typer import Option

from ..contract.errors import BadInput, need_file
from ..noise import FILE, Names, Noise, list_text, read_artefact, source_of, takes_rate
from .arguments import path_of, plain_number, set_options, whole_number
from .data import Plugin, Root, Set
from .out import file_for, write_out

Target = Annotated[str, Option("--out", help="The file to write.")]
Which = Annotated[str, Option("--dataset", help="NAME or NAME@COUNT.")]
Imbalance = Annotated[float | None, Option(parser=plain_number, metavar="RATIO", help="Of a long tail, as run makes it.")]
Artefact = Annotated[str, typer.Argument(metavar="FILE", help="A noise artefact (.npz).")]

WIDEST = 12
"""Classes whose matrix fits a terminal."""
SHADES = " ░▒▓█"


def noise_make(
    dataset: Which,
    out: Target,
    noise_kind: Annotated[str, Option(help="See list noises.")] = "symmetric",
    noise: Annotated[float | None, Option(parser=plain_number, metavar="PERCENT", help="For kinds that take a rate.")] = None,
    seed: Annotated[int | None, Option(parser=whole_number, metavar="N", help="Default 0.")] = None,
    noise_file: Annotated[str | None, Option(help="The labels of --noise-kind file, the matrix of confusion.")] = None,
    imbalance: Imbalance = None,
    data_root: Root = None,
    set_: Set = None,
    plugin: Plugin = None,
) -> None:
    """Make noisy labels for a dataset, the same that a sweep would make, and write them as an artefact."""
    target, seed = file_for(out, ".npz"), seed or 0
    if takes_rate(noise_kind) and noise is None:
        raise BadInput(f"--noise: the noise kind '{noise_kind}' needs a rate")
    if not 0 <= seed < 2**32:
        raise BadInput(f"--seed {seed}: wanted a whole number from 0 to {2**32 - 1}")
    rated = {} if noise is None else {"noise": [noise]}
    given = {"dataset": dataset, "noise_kind": noise_kind, "seeds": [seed], "imbalance": imbalance, **rated}
    made, _, notes = _of_a_sweep(given, noise_file, data_root, set_, plugin)
    write_out(target, made.to_bytes(), notes)
    print(f"{target}: {_about(made)}")


def noise_show(artefact: Artefact) -> None:
    """Show where labels come from, their realised rate overall and by class, and their transition matrix."""
    from tabulate import tabulate

    file = Path(path_of("noise show", artefact))
    need_file("noise show", file)
    noise = read_artefact(file)
    print(f"{_about(noise)}\nsha256 {noise.sha256}\nmade for data of sha256 {noise.header.dataset_sha256}\n")
    percent, classes = 100 * noise.transition, noise.header.classes
    counts = noise.counts.sum(axis=1)
    firsts = [[name, counts[k], f"{100 - percent[k, k]:.2f}"] for k, name in enumerate(classes)]
    if len(classes) <= WIDEST:
        columns = [f"{k}" for k in range(len(classes))]
        rows = [[k, *first, *(_cell(value) for value in percent[k])] for k, first in enumerate(firsts)]
        told = "rows: the reference label; columns: percent of its images with this given label"
    else:
        columns, told = ["most given instead"], "the reference label, and what most of its images with a wrong label are given"
        rows = [[k, *first, _mistaken(percent[k], k, classes)] for k, first in enumerate(firsts)]
    aligned = ("right", "left", "right", "right", *["right" if len(classes) <= WIDEST else "left"] * len(columns))
    print(tabulate(rows, ["", "class", "images", "% wrong", *columns], disable_numparse=True, colalign=aligned))
    print(f"\n{told}")
    if noise.outside:
        count = len(noise.outside.replaced)
        print(f"{count} images more are replaced by another dataset's, and keep labels that are then wrong")


def _cell(percent: float) -> str:
    """A share in a matrix that is to be seen at a glance: the more, the darker its block."""
    return f"{percent:.1f} {SHADES[min(len(SHADES) - 1, int(percent / 100 * len(SHADES)))]}" if percent else "  "


def _mistaken(percent: NDArray[np.float64], own: int, classes: tuple[str, ...]) -> str:
    """The three classes that most of a class's images are given instead, with their shares."""
    others = [k for k in np.argsort(-percent, kind="stable") if k != own and percent[k]][:3]
    return ", ".join(f"{classes[k]} {percent[k]:.1f} %" for k in others)


def noise_export(
    artefact: Artefact,
    dataset: Which,
    out: Target,
    first: Annotated[
        int | None, Option(parser=whole_number, metavar="0|1", help="What labels beside names begin with. Default 1.")
    ] = None,
    imbalance: Imbalance = None,
    data_root: Root = None,
    set_: Set = None,
    plugin: Plugin = None,
) -> None:
    """Write an artefact as a text list: NAME LABEL a line, or a label a line where images have no names."""
    if first not in (None, 0, 1):
        raise BadInput(f"--first {first}: wanted 0 or 1")
    file = file_for(out, ".txt")
    noise, names, notes = _of_a_sweep(
        {"dataset": dataset, "noise_kind": FILE, "imbalance": imbalance}, artefact, data_root, set_, plugin
    )
    if names is None and first is not None:
        raise BadInput(f"--first {first}: the images of {dataset} have no names, and labels alone begin with 0")
    usual = 0 if names is None else 1
    write_out(file, list_text(noise.given, names, usual if first is None else first).encode(), notes)
    print(f"{file}: {len(noise.given)} labels")


def noise_import(
    labels: Annotated[str, typer.Argument(metavar="LIST", help="A text list: NAME LABEL a line, or a label from 0 a line.")],
    dataset: Which,
    out: Target,
    imbalance: Imbalance = None,
    data_root: Root = None,
    set_: Set = None,
    plugin: Plugin = None,
) -> None:
    """Turn a text list, as papers exchange them, into an artefact."""
    file = file_for(out, ".npz")
    noise, _, notes = _of_a_sweep(
        {"dataset": dataset, "noise_kind": FILE, "imbalance": imbalance}, labels, data_root, set_, plugin
    )
    write_out(file, noise.to_bytes(), notes)
    print(f"{file}: {_about(noise)}")


def _of_a_sweep(
    given: dict[str, Any], noise_file: str | None, data_root: str | None, set_: list[str] | None, plugin: list[str] | None
) -> tuple[Noise, Names | None, list[str]]:
    """The noise that a sweep of one run has, the names of the images, and what a user should be told. Raises BadInput."""
    from ..contract.registry import load_plugins
    from ..sweep import inputs
    from ..sweep.sweep import checked_sweep

    given |= {
        "noise_files": None if noise_file is None else [path_of("--noise-file", noise_file)],
        "data_root": data_root and path_of("--data-root", data_root),
        "options": set_options(set_),
    }
    sweep = checked_sweep({name: value for name, value in given.items() if value is not None}, given)
    of = {sweep.dataset_spec().name, (source_of(sweep.noise_kind) or "").partition("@")[0]}
    for name in sweep.options.keys() - of:
        raise BadInput(f"--set {name}.…: this is about {sweep.dataset_spec().name}")
    plugins = load_plugins([path_of("--plugin", file) for file in plugin or []])
    spec, _, data = inputs.prepared(plugins, sweep.dataset_spec(), inputs.data_root(sweep.data_root))
    noises = inputs.Noises(plugins, sweep, spec, data)
    run, file = next(sweep.runs())
    return noises.of(run, file), noises.names, noises.notes


def _about(noise: Noise) -> str:
    header = noise.header
    rate = "" if header.rate is None else f" {100 * header.rate:g} %"
    seed = "" if header.seed is None else f", seed {header.seed}"
    return (
        f"{header.kind}{rate}{seed}: {len(noise.given)} labels of {header.dataset}, realised rate {100 * noise.realised:.2f} %"
    )
