"""A folder from elsewhere: its grid.json names files, and none of them outside it is read or written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up import finished_sweep

from benchmark.contract import BadInput
from benchmark.report.results import read_results
from benchmark.store import Store


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def changed(file: Path, change: Callable[[Any], Any]) -> None:
    file.write_text(json.dumps(change(json.loads(file.read_text()))))


@pytest.mark.parametrize(("field", "value"), [("realised", 1.5), ("realised", float("nan")), ("imbalance", float("inf"))])
def test_rates_that_cannot_be_are_refused(tmp_path: Path, field: str, value: float):
    store = finished_sweep(tmp_path)
    changed(tmp_path / "grid.json", lambda runs: [{**run, field: value} for run in runs])
    with pytest.raises(BadInput, match=r"grid.json is damaged: rates of"):
        read_results(store)


@pytest.mark.parametrize("place", [("spec", "noise_rate"), ("spec", "validation"), ("spec", "recipe", "lr")])
def test_no_number_of_a_spec_is_none(tmp_path: Path, place: tuple[str, ...]):
    store = finished_sweep(tmp_path)

    def spoil(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        inner = runs[0]
        for name in place[:-1]:
            inner = inner[name]
        inner[place[-1]] = float("nan")
        return runs

    changed(tmp_path / "grid.json", spoil)
    with pytest.raises(BadInput, match=rf"grid.json is damaged: .*{place[-1]}.*finite"):
        read_results(store)


@pytest.mark.parametrize("value", [1e308, -1e13])
def test_metrics_whose_sum_is_none_are_refused(tmp_path: Path, value: float):
    store = finished_sweep(tmp_path, seeds=(0, 1, 2))
    changed(next(tmp_path.glob("runs/*/metrics.json")), lambda metrics: {**metrics, "nll": value})
    with pytest.raises(BadInput, match=r"metrics.json is damaged: its nll is"):
        read_results(store)


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "..", ".", "", "a/b", "a\\b", "C:x", "a\0b"])
@pytest.mark.parametrize("field", ["key", "noise_sha256"])
@pytest.mark.parametrize("command", ["table", "report"])
def test_no_name_in_a_grid_leads_out_of_the_folder(call, tmp_path: Path, field: str, name: str, command: str):
    finished_sweep(tmp_path / "o", seeds=(0, 1, 2))
    grid = tmp_path / "o" / "grid.json"
    (tmp_path / "o" / "runs" / "ce-symmetric-0.3-0").rename(tmp_path / "outside")
    runs = json.loads(grid.read_text())
    runs[0][field] = name
    grid.write_text(json.dumps(runs))
    before = everything(tmp_path)
    with pytest.raises(BadInput, match="in it is no name of a file"):
        read_results(Store(tmp_path / "o"))
    status, out, err = call(command, tmp_path / "o")
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert everything(tmp_path) == before
