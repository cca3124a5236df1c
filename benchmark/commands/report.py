"""`report`: a sweep as a page and as figures for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from ..contract.errors import need_folder, unknown
from .arguments import path_of, words
from .options import Against, Baseline
from .terminal import tell

NONE = "none"
"""In place of formats: no files but the page."""


def report(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="The output folder of a sweep.")],
    figures: Annotated[str | None, Option(help="Which, with commas; default all.")] = None,
    formats: Annotated[
        str, Option(help="Which of pdf,svg,png to write beside the page; none for the page only.")
    ] = "pdf,svg,png",
    baseline: Baseline = None,
    against: Against = None,
    with_images: Annotated[
        bool, Option("--with-images", help="Also put images into the page whose licence does not let everybody print them.")
    ] = False,
) -> None:
    """Write the page of a sweep, DIR/index.html, and its figures, into DIR/figures, as far as its runs have come.

    What a damaged file stands in the way of is left out and named, and the exit status is then 1.
    """
    from ..report.figures import FIGURES, Missing
    from ..report.figures import figures as drawn
    from ..report.figures.export import FORMATS, write
    from ..report.page import NAME, page
    from ..report.published import published
    from ..report.results import read_results
    from ..report.write import all_tables
    from ..store import Store

    chosen = words("--figures", figures)
    kinds = [] if formats == NONE else words("--formats", formats) or []
    for name in chosen or []:
        if name not in (known := [figure.name for figure in FIGURES]):
            raise unknown("figure", name, known)
    for kind in kinds:
        if kind not in FORMATS:
            raise unknown("figure format", kind, [*FORMATS, NONE])
    need_folder("report", Path(path_of("report", folder)))
    store = Store(Path(folder))
    results = read_results(store)
    tables, notes = all_tables(store, results, baseline, against=published() if against else ())
    drawings = list(drawn(store, chosen, results))
    with store.alone():
        store.save_result(NAME, page(store, results, tables, notes, drawings, with_images=with_images))
        print(f"{NAME}: {store.root / NAME}", flush=True)
        for line in write(store, drawings, kinds) if kinds else ():
            print(line, flush=True)
    if lost := [drawing for drawing in drawings if isinstance(drawing, Missing) and drawing.damaged]:
        names = ", ".join(dict.fromkeys(drawing.stem for drawing in lost))
        tell(f"left out for want of whole files: {names}; {lost[0].reason}")
        raise typer.Exit(1)
