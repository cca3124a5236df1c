"""`noise make`, `show`, `export` and `import`: given labels as files that labs exchange."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from ..contract.errors import BadInput, need_file
from ..noise import FILE, Noise, list_text, make, read_artefact, takes_rate
from .arguments import path_of, plain_number, whole_number
from .data import Plugin, Root, Set, facts_at

Target = Annotated[str, Option("--out", help="The file to write.")]
Which = Annotated[str, Option("--dataset", help="NAME or NAME@COUNT.")]
Artefact = Annotated[str, typer.Argument(metavar="FILE", help="A noise artefact (.npz).")]


def noise_make(
    dataset: Which,
    out: Target,
    noise_kind: Annotated[str, Option(help="See list noises.")] = "symmetric",
    noise: Annotated[float | None, Option(parser=plain_number, metavar="PERCENT", help="For kinds that take a rate.")] = None,
    seed: Annotated[int | None, Option(parser=whole_number, metavar="N", help="Default 0.")] = None,
    noise_file: Annotated[str | None, Option(help="With --noise-kind confusion: the matrix.")] = None,
    data_root: Root = None,
    set_: Set = None,
    plugin: Plugin = None,
) -> None:
    """Make noisy labels for a dataset, the same that a sweep would make, and write them as an artefact."""
    file = _target(out, ".npz")
    if takes_rate(noise_kind) != (noise is not None):
        raise BadInput(f"--noise: the noise kind '{noise_kind}' {'needs a rate' if noise is None else 'brings its own rate'}")
    if noise is not None and not 0 <= noise <= 100:
        raise BadInput(f"--noise {noise:g}: wanted percent, from 0 to 100")
    seed = seed or 0
    if not 0 <= seed < 2**32:
        raise BadInput(f"--seed {seed}: wanted a whole number from 0")
    facts = facts_at(dataset, data_root, set_, plugin, noise_kind, noise_file)
    made, notes = make(noise_kind, None if noise is None else noise / 100, seed, facts)
    _write(file, made.to_bytes(), notes)
    print(f"{file}: {_about(made)}")


def noise_show(artefact: Artefact) -> None:
    """Show where labels come from, their realised rate overall and by class, and their transition matrix."""
    from tabulate import tabulate

    file = Path(path_of("noise show", artefact))
    need_file("noise show", file)
    noise = read_artefact(file)
    print(f"{_about(noise)}\nsha256 {noise.sha256}\nmade for data of sha256 {noise.header.dataset_sha256}\n")
    percent = 100 * noise.transition
    rows = [[k, f"{100 - row[k]:.2f}", *(f"{value:.1f}" if value else "" for value in row)] for k, row in enumerate(percent)]
    print(tabulate(rows, ["class", "% wrong", *map(str, range(len(percent)))], disable_numparse=True, stralign="right"))
    print("\nrows: the reference label; columns: percent of its images with this given label")


def noise_export(
    artefact: Artefact,
    dataset: Which,
    out: Target,
    first: Annotated[int | None, Option(parser=whole_number, metavar="0|1", help="What labels begin with. Default 1.")] = None,
    data_root: Root = None,
    set_: Set = None,
    plugin: Plugin = None,
) -> None:
    """Write an artefact as a text list: NAME LABEL a line, or a label a line where images have no names."""
    first = 1 if first is None else first
    if first not in (0, 1):
        raise BadInput(f"--first {first}: wanted 0 or 1")
    file = _target(out, ".txt")
    facts = facts_at(dataset, data_root, set_, plugin, FILE, artefact)
    noise, notes = make(FILE, None, 0, facts)
    _write(file, list_text(noise.given, facts.names, first if facts.names else 0).encode(), notes)
    print(f"{file}: {len(noise.given)} labels")


def noise_import(
    labels: Annotated[str, typer.Argument(metavar="LIST", help="A text list: NAME LABEL a line, or a label from 0 a line.")],
    dataset: Which,
    out: Target,
    data_root: Root = None,
    set_: Set = None,
    plugin: Plugin = None,
) -> None:
    """Turn a text list, as papers exchange them, into an artefact."""
    file = _target(out, ".npz")
    facts = facts_at(dataset, data_root, set_, plugin, FILE, labels)
    noise, notes = make(FILE, None, 0, facts)
    _write(file, noise.to_bytes(), notes)
    print(f"{file}: {_about(noise)}")


def _about(noise: Noise) -> str:
    header = noise.header
    rate = "" if header.rate is None else f" {100 * header.rate:g} %"
    seed = "" if header.seed is None else f", seed {header.seed}"
    return (
        f"{header.kind}{rate}{seed}: {len(noise.given)} labels of {header.dataset}, realised rate {100 * noise.realised:.2f} %"
    )


def _target(out: str, ending: str) -> Path:
    file = Path(path_of("--out", out))
    if file.suffix != ending:
        raise BadInput(f"--out {file}: wanted a name that ends in {ending}")
    if file.is_dir():
        raise BadInput(f"--out {file}: it is a folder")
    return file


def _write(file: Path, content: bytes, notes: tuple[str, ...]) -> None:
    from ..store import write_whole

    for note in notes:
        print(note, file=sys.stderr)
    try:
        write_whole(file, content)
    except OSError as error:
        raise BadInput(f"--out {file}: it cannot be written ({error.strerror})") from None
