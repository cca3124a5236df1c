"""Writes results.csv and the tables of a folder from its finished runs."""

from __future__ import annotations

import csv
import io
import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..contract.errors import BadInput, unknown
from ..contract.text import cut, no_formula
from ..store import RunFolder, Store
from ..words import counted
from .against import beside_published
from .comparison import BASELINE
from .evidence import UNKNOWN, StoredEvidence, machines_of
from .formats import FORMATS, Table, render
from .published import Published
from .results import COLUMNS, Result, read_results, results_rows
from .tables import notes, tables


def write_tables(
    store: Store, formats: Sequence[str], baseline: str | None = None, *, against: Sequence[Published] = ()
) -> tuple[list[dict[str, Any]], str]:
    """Writes results.csv and table.* ; gives the rows of results.csv and the main tables' text. Raises BadInput.

    `against`: published numbers, which get tables of their own beside what was measured.
    """
    store.need_sweep()  # before anything is touched
    with store.alone():
        results = read_results(store)
        rows = results_rows(results)
        made, said = all_tables(store, results, baseline, against=against)
        texts = render(made, said)
        store.save_result("results.csv", csv_text(rows))
        for name in FORMATS:  # those that are there from before would be of other results
            if name in formats or store.has_result(f"table.{name}"):
                store.save_result(f"table.{name}", texts[name])
    return rows, texts["printed"]


def all_tables(
    store: Store, results: Sequence[Result], baseline: str | None = None, *, against: Sequence[Published] = ()
) -> tuple[list[Table], list[str]]:
    """Every table of a folder, and what must be said beneath them. Raises BadInput."""
    if baseline is not None:
        _check_baseline(results, baseline)
    beside, lacking = beside_published(results, against) if against else ([], [])
    evidence = StoredEvidence(store)
    made = tables(results, evidence, baseline or BASELINE, asked=baseline is not None)
    untested = [f"Left out of every test: {reason}" for reason in evidence.damaged.values()]
    return [*made, *beside], [*lacking, *untested, *trained_on(store, results), *notes(results, fill_command(store))]


MACHINES = 6
"""That are named beneath the tables."""


def trained_on(store: Store, results: Sequence[Result]) -> list[str]:
    """On what the finished runs were trained, in one line; none where nothing is finished."""
    machines = Counter(_machines(store.run(run.key)) for run in results if run.status == "finished")
    named = [f"{name}: {counted(runs, 'run')}" if len(machines) > 1 else name for name, runs in machines.most_common(MACHINES)]
    more = [f"{len(machines) - MACHINES} more"] if len(machines) > MACHINES else []
    return [f"Trained on {'; '.join([*named, *more])}."] if named else []


def _machines(folder: RunFolder) -> str:
    try:
        return cut(" and ".join(dict.fromkeys(machines_of(folder))))
    except BadInput:
        return UNKNOWN


def _check_baseline(results: Sequence[Result], baseline: str) -> None:
    told_more = {result.spec.method_label: bool(result.privilege) for result in results}
    if baseline not in told_more:
        raise unknown("method of this sweep", baseline, told_more)
    if told_more[baseline]:
        raise BadInput(
            f"--baseline {baseline}: it is told more than the given labels, and is no competitor; wanted one that is"
        )


def csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """results.csv: empty where a metric does not apply."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: no_formula(value) for name, value in row.items()} for row in rows)
    return buffer.getvalue()


def fill_command(store: Store) -> str:
    """The command that runs what is missing of a folder's sweeps; what is finished is skipped by it."""
    return shlex.join(
        ["python", "-m", "benchmark", "run", "--config", str(store.root / "sweep.toml"), "--out", str(store.root)]
    )
