"""What was measured, as rows: a file for each machine, precision and version, and a table to read."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..contract.errors import BadInput
from ..report.formats import Table, render
from ..store.files import read_text
from ..sweep.machine import hardware
from ..words import counted

KEY = ("method", "backbone", "image_size", "batch_size", "recipe", "beside", "released", "compiled")
"""What tells the rows of a file apart."""
RATIOS = (
    "overhead",
    "relative_step",
    "evaluation_overhead",
    "input_share",
    "augmentation_share",
    "peak_share",
    "ceiling_share",
    "compiled_speedup",
    "speedup",
)
"""Those with a spread: the 10th and 90th percentile of rounds, as `_low` and `_high`."""
COLUMNS = (
    *("method", "backbone", "device", "precision", "batch_size", "image_size", "recipe", "beside", "released", "compiled"),
    *("images_per_second", "step_ms", "bare_step_ms", "rounds", "peak_memory_mb"),
    *("step_gflop", "step_gb", "achieved_gflops", "peak_gflops", "copy_gbps"),
    *("compile_seconds", "released_images_per_second"),
    *(f"{ratio}{end}" for ratio in RATIOS for end in ("", "_low", "_high")),
    *("error", "hardware", "threads", "cores", "platform", "suite", "python", "torch", "timm", "numpy", "started"),
)

Row = dict[str, Any]


def row_of(what: Mapping[str, Any], found: Mapping[str, float], machine: Mapping[str, Any], error: str | None = None) -> Row:
    """A row with all columns; what does not apply, or was not measured, is None. Figures have six digits."""
    figures = {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in found.items()}
    known = {**machine, **what, **figures, "hardware": hardware(machine), "error": error}
    return {column: known.get(column) for column in COLUMNS}


def file_name(row: Mapping[str, Any]) -> str:
    """`cpu-amd-epyc-bf16-2threads-torch2.9.0.csv`: all that keeps rows from being compared, as in timm's own tables."""
    hardware = f"{row['device']}-{row['hardware']}" if row["device"] != "cuda" else row["hardware"]
    words = f"{hardware}-{row['precision']}-{row['threads']}threads-torch{row['torch']}".lower()
    return re.sub(r"[^a-z0-9.]+", "-", words) + ".csv"


def read_rows(file: Path) -> list[dict[str, str]]:
    """The rows of a file as text; none where there is no file. Raises BadInput where it is another kind of file."""
    if not file.exists():
        return []
    reader = csv.DictReader(io.StringIO(read_text(file)))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise BadInput(f"{file}: its columns are not those of bench; move it away or give another --out")
    return list(reader)


def merged(before: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> bytes:
    """A file's content: rows of the same setting replaced in their places, others kept, the rest at the end."""
    rows = {tuple(str(row[name]) for name in KEY): row for row in (*before, *new)}
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows.values())
    return buffer.getvalue().encode()


SHOWN = {
    "images_per_second": ("images/s", "{:,.0f}"),
    "step_ms": ("step, ms", "{:.2f}"),
    "bare_step_ms": ("bare, ms", "{:.2f}"),
    "overhead": ("step / bare", "{:.3f}"),
    "relative_step": ("/ first", "{:.3f}"),
    "evaluation_overhead": ("evaluation", "{:.3f}"),
    "augmentation_share": ("augmentation", "{:.1%}"),
    "peak_memory_mb": ("memory, MB", "{:,.0f}"),
    "peak_share": ("of peak", "{:.1%}"),
    "ceiling_share": ("of both ceilings", "{:.1%}"),
    "compiled_speedup": ("bare / compiled", "{:.2f}"),
    "speedup": ("/ released", "{:.2f}"),
}
"""Columns of the table: where they come from, what stands above them, and how they are written."""


def table(rows: Sequence[Row]) -> str:
    """The rows for people, with what their ratios are."""
    one, several = rows[0], len({row["backbone"] for row in rows}) > 1
    shown = {name: how for name, how in SHOWN.items() if any(row[name] is not None for row in rows)}
    names = ["method", *(["backbone"] if several else [])]
    body = []
    for row in rows:
        ratios = {name: _written(row, name, how) for name, (_, how) in shown.items()}
        body.append((*(str(row[name]) for name in names), *ratios.values()))
    threads = counted(one["threads"], "thread")
    caption = (
        f"{one['image_size']} px, batches of {one['batch_size']}, {one['precision']}, recipe {one['recipe']}; "
        f"{one['hardware']}, {threads}, torch {one['torch']}. Ratios are medians over rounds in which all loops take turns, "
        "with the 10th and 90th percentile. Step: an epoch of the harness, as much as falls to a batch; bare: a plain loop "
        "over one batch; / first: over the first method's step; evaluation: over its own forward; augmentation: of a step; "
        "memory: what a training takes in a process of its own; of peak: operations of matrix products and convolutions, over "
        "those of a large matrix product; of both ceilings: what each operation of forward and backward needs at least, by "
        "that peak or by the bytes that a copy moves, over the step."
    )
    titles = (*names, *(title for title, _ in shown.values()))
    made = Table(f"Speed: {one['backbone'] if not several else 'by backbone'}", titles, tuple(body), caption, (), len(names))
    return render([made], [f"{row['method']} on {row['backbone']} failed: {row['error']}" for row in rows if row["error"]])[
        "printed"
    ]


def _written(row: Row, name: str, how: str) -> str:
    if row[name] is None:
        return "—"
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    spread = "" if low is None or high is None else f" ({how.format(low)}–{how.format(high)})"
    return how.format(row[name]) + spread
