"""Writes results.csv and the tables of a folder from its finished runs."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Sequence
from typing import Any

from ..store import Store
from .results import COLUMNS, read_results, results_rows
from .tables import render, tables


def write_tables(store: Store, formats: Sequence[str]) -> tuple[list[dict[str, Any]], str]:
    """Writes results.csv and table.* ; gives the rows of results.csv and the main tables' text. Raises BadInput."""
    results = read_results(store)
    rows = results_rows(results)
    texts = render(tables(results), results, fill_command(store))
    store.save_result("results.csv", csv_text(rows))
    for name in formats:
        store.save_result(f"table.{name}", texts[name])
    return rows, texts["main"]


def csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """results.csv: empty where a metric does not apply."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def fill_command(store: Store) -> str:
    """The command that runs what is missing of a folder's sweeps; what is finished is skipped by it."""
    return shlex.join(
        ["python", "-m", "benchmark", "run", "--config", str(store.root / "sweep.toml"), "--out", str(store.root)]
    )
