"""A folder from elsewhere: its grid.json names files, and none of them outside it is read or written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_up import finished_sweep

from benchmark.contract import BadInput
from benchmark.report.results import read_results
from benchmark.store import Store


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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
