"""`report`: a sweep as figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from ..contract.errors import need_folder, unknown
from .arguments import path_of, words


def report(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="The output folder of a sweep.")],
    figures: Annotated[str | None, Option(help="Which, with commas; default all.")] = None,
    formats: Annotated[str, Option(help="Which of pdf,svg,png to write.")] = "pdf,svg,png",
) -> None:
    """Draw the figures of a sweep from its finished runs, into DIR/figures."""
    from ..report.figures import FIGURES
    from ..report.figures.export import FORMATS, write
    from ..store import Store

    chosen, kinds = words("--figures", figures), words("--formats", formats) or []
    for name in chosen or []:
        if name not in (known := [figure.name for figure in FIGURES]):
            raise unknown("figure", name, known)
    for kind in kinds:
        if kind not in FORMATS:
            raise unknown("figure format", kind, FORMATS)
    need_folder("report", Path(path_of("report", folder)))
    for line in write(Store(Path(folder)), chosen, kinds):
        print(line, flush=True)
