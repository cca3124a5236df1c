"""`bench`: how fast methods train here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from .arguments import as_json_text, path_of, plain_number, whole_number, words
from .options import Device, Precision


def bench(
    methods: Annotated[str | None, Option(help="Names with commas, or all; default: the four core methods.")] = None,
    backbone: Annotated[str | None, Option(help="Names with commas: small, resnet18, or any timm model.")] = None,
    image_size: Annotated[int | None, Option(parser=whole_number, metavar="N", help="Pixels of a side. Default 48.")] = None,
    batch_size: Annotated[int | None, Option(parser=whole_number, metavar="N", help="Default: the recipe's.")] = None,
    recipe: Annotated[str | None, Option(help="How methods are trained: common (default), fast-cifar, …")] = None,
    device: Device = "auto",
    precision: Precision = None,
    threads: Annotated[int | None, Option(parser=whole_number, metavar="N", help="Default: all cores.")] = None,
    seconds: Annotated[
        float | None,
        Option(parser=plain_number, metavar="S", help="How long a row is measured, once all is ready. Default 8."),
    ] = None,
    released: Annotated[
        bool, Option("--released", help="Also measure the loop of released code: fp32, JPEGs decoded for every step.")
    ] = False,
    compiled: Annotated[
        bool, Option("--compiled", help="Also measure the plain loop by torch.compile, on CUDA as CUDA graphs.")
    ] = False,
    out: Annotated[str, Option(help="Folder of the files of results.")] = "results/bench",
    plugin: Annotated[list[str] | None, Option(help="A Python file with methods; repeatable.")] = None,
    json_: Annotated[bool, Option("--json", help="An array of objects.")] = False,
) -> None:
    """Measure how fast methods train here, and how near that is to a bare loop and to the machine's peak."""
    from ..bench.results import table
    from ..bench.run import Wanted
    from ..bench.run import bench as measured

    given: dict[str, Any] = {
        "methods": words("--methods", methods),
        "backbones": words("--backbone", backbone),
        "image_size": image_size,
        "batch_size": batch_size,
        "recipe": recipe,
        "device": device,
        "precision": precision,
        "threads": threads,
        "seconds": seconds,
        "released": released,
        "compiled": compiled,
        "plugins": [path_of("--plugin", p) for p in plugin or []],
    }
    wanted = Wanted(**{name: value for name, value in given.items() if value is not None})
    folder = Path(path_of("--out", out))
    try:
        rows = measured(wanted, folder, lambda line: print(line, file=sys.stderr))
    except KeyboardInterrupt:
        print(f"interrupted; what is done is kept in {folder}", file=sys.stderr)
        raise typer.Exit(130) from None
    print(as_json_text(rows) if json_ else table(rows), end="\n" if json_ else "")
    if any(row["error"] for row in rows):
        raise typer.Exit(1)
