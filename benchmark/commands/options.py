"""The options that every command takes which runs sweeps."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from ..contract.errors import unknown
from .arguments import plain_number, whole_number

Seeds = Annotated[int | None, Option(parser=whole_number, metavar="N", help="How many seeds: 3 means 0, 1, 2. Default 1.")]
Seed = Annotated[str | None, Option(help="Which seeds, with commas.")]
Epochs = Annotated[int | None, Option(parser=whole_number, metavar="N", help="Instead of the recipe's.")]
BackboneName = Annotated[str | None, Option(help="small, resnet18, or any timm model; NAME@SIDE brings images to that size.")]
Weights = Annotated[str | None, Option(help="Backbone weights: imagenet, dlib-face, or a .safetensors, .pth or .pt file.")]
DataRoot = Annotated[str | None, Option(help="Where datasets lie; default $BENCHMARK_DATA.")]
Device = Annotated[str, Option(help="auto, cpu, cuda or mps.")]
Precision = Annotated[str | None, Option(help="auto (the default), fp32 or bf16.")]
Jobs = Annotated[str, Option(help="Runs at a time, or auto.")]
RunsPerDevice = Annotated[
    str, Option(help="Runs that share a GPU, each GPU, or auto: tried out on the first of them. On a CPU the same as --jobs.")
]
Threads = Annotated[
    int | None, Option(parser=whole_number, metavar="N", help="Threads a run; default: the cores shared out over the runs.")
]
Shard = Annotated[str, Option(help="K/N: only the K-th of N equal parts of the grid.")]
DryRun = Annotated[
    bool, Option("--dry-run", help="Check everything and list the runs; nothing is written but the dataset's cache.")
]
Force = Annotated[bool, Option("--force", help="Run finished runs again, replacing their results.")]
RetryFailed = Annotated[bool, Option("--retry-failed", help="Run failed runs again.")]
Timeout = Annotated[
    float | None, Option(parser=plain_number, metavar="SECONDS", help="A run that takes longer has failed. Default: no limit.")
]
Backend = Annotated[str, Option(help="local: processes of this machine; dask: workers of a Dask cluster.")]
Scheduler = Annotated[
    str | None,
    Option(metavar="ADDRESS", help="Of a running Dask cluster, as in tcp://host:8786; default: one on this machine."),
]
Quiet = Annotated[bool, Option("--quiet", help="No progress on standard error.")]
Json = Annotated[bool, Option("--json", help="Print the rows of results.csv as JSON instead of the table.")]


PUBLISHED = "published"


def _against(text: str) -> str:
    if text != PUBLISHED:
        raise unknown("set of numbers for --against", text, [PUBLISHED])
    return text


Baseline = Annotated[
    str | None, Option(metavar="NAME", help="The method that others are tested against; default ce, where it is there.")
]
Against = Annotated[
    str | None,
    Option(
        parser=_against, metavar=PUBLISHED, help="Also set what was measured beside the numbers that papers have published."
    ),
]
