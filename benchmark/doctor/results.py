"""results.csv against the runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping

from ..report.results import COLUMNS, Result, results_rows
from ..report.write import csv_text
from .finding import Finding
from .grid import Grid
from .runs import Run
from .tree import Tree, Unreadable

RESULTS = "results.csv"
_KEY = COLUMNS.index("key")


def stale(tree: Tree, grid: Grid, runs: Mapping[str, Run]) -> Iterator[Finding]:
    """What results.csv says that the runs do not, where there is one; of runs that cannot be trusted it may say anything."""
    if RESULTS not in tree.names() or not grid.whole:
        return
    try:
        header, *have = _rows(tree.plain(RESULTS).read_bytes().decode())
    except Unreadable as error:
        yield Finding("unverified", RESULTS, str(error))
        return
    except (ValueError, csv.Error):
        yield Finding("stale", RESULTS, "it is no table of this suite")
        return
    results, untold = [], set()
    for key, line in grid.lines.items():
        run = runs.get(key, Run(key))
        if run.state in ("damaged", "in use") or (run.state == "unverified" and not run.metrics):
            untold.add(key)
        else:
            results.append(Result(**vars(line.run), status=run.status, metrics=dict(run.metrics), error=run.error))
    _, *wanted = _rows(csv_text(results_rows(results)))
    if header != list(COLUMNS) or not all(len(row) == len(COLUMNS) for row in have):
        yield Finding("stale", RESULTS, "its columns are not those of today")
        return
    have = [row for row in have if row[_KEY] not in untold]
    if have != wanted:
        yield Finding("stale", RESULTS, _difference({row[_KEY]: row for row in have}, {row[_KEY]: row for row in wanted}))


def _rows(text: str) -> list[list[str]]:
    """The header and the rows. Raises ValueError where there is no header."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if not rows:
        raise ValueError
    return rows


def _difference(have: Mapping[str, list[str]], wanted: Mapping[str, list[str]]) -> str:
    counts = {
        "lacks": len(wanted.keys() - have.keys()),
        "should not show": len(have.keys() - wanted.keys()),
        "shows otherwise": sum(have[key] != wanted[key] for key in have.keys() & wanted.keys()),
    }
    said = [f"{what} {count}" for what, count in counts.items() if count]
    if not said:
        return "its rows are not in the grid's order, or there twice"
    return f"of the runs that have ended it {', '.join(said)}"
