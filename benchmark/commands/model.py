"""`predict` and `export`: a finished run's model used, and handed on."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from ..contract.text import no_formula, printable
from .arguments import as_json_text, path_of
from .out import file_for, write_out
from .terminal import tell

Run = Annotated[str, typer.Argument(metavar="RUN", help="The folder of a finished run (OUT/runs/KEY), or an exported one.")]
Plugin = Annotated[list[str] | None, Option(help="The Python file that the run's method is in; repeatable.")]


def predict(
    run: Run,
    images: Annotated[list[str], typer.Argument(metavar="IMAGES…", help="Image files, or folders of them.")],
    out: Annotated[str | None, Option(help="Write the table as CSV, in full precision: FILE.csv.")] = None,
    plugin: Plugin = None,
    device: Annotated[str, Option(help="auto, cpu, cuda or mps.")] = "auto",
    json_: Annotated[bool, Option("--json", help="An array of objects.")] = False,
) -> None:
    """Label images with a trained model: of each, its class, how probable it is, and the method's uncertainty."""
    file = file_for(out, ".csv") if out else None
    folder = Path(path_of("predict", run))
    for place in images:
        path_of("IMAGES", place)
    from ..trained import images_at, load_model

    paths, others = images_at(images)
    model = load_model(folder, device=device, plugins=[path_of("--plugin", p) for p in plugin or []])
    predicted = model.predict(paths)
    rows: list[dict[str, Any]] = [
        {
            "path": str(path),
            "label": model.classes[label],
            "probability": float(str(probability[label])),  # as short as float32 is
            "uncertainty": float(str(uncertainty)),
        }
        for path, label, probability, uncertainty in zip(
            paths, predicted.labels, predicted.probabilities, predicted.uncertainty, strict=True
        )
    ]
    if file:
        write_out(file, _csv(rows))
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        tell(f"left out, no image by its ending: {others[0]}{more}")
    print(as_json_text(rows) if json_ else _table(rows))


def export(
    run: Run,
    out: Annotated[str, Option(help="A new folder, or an empty one.")],
    plugin: Plugin = None,
) -> None:
    """Copy a run's model into a folder that travels alone: model.safetensors, and model.json with all else that it takes."""
    from ..trained import export_model

    record = export_model(
        Path(path_of("export", run)), Path(path_of("--out", out)), plugins=[path_of("--plugin", p) for p in plugin or []]
    )
    print(f"{record.spec.method_label} for {len(record.classes)} classes, trained on {record.spec.dataset.label}: {out}")
    tell(f"its data: {record.data}")


def _csv(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(rows[0]))
    writer.writeheader()
    writer.writerows({name: no_formula(value) for name, value in row.items()} for row in rows)
    return buffer.getvalue().encode()


def _table(rows: list[dict[str, Any]]) -> str:
    from tabulate import tabulate

    cells = [
        [printable(row["path"]), printable(row["label"]), f"{row['probability']:.4f}", f"{row['uncertainty']:.4g}"]
        for row in rows
    ]
    align = ("left", "left", "right", "right")
    text: str = tabulate(cells, headers=list(rows[0]), disable_numparse=True, colalign=align, preserve_whitespace=True)
    return text
