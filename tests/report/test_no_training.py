"""Tables and reports are made where nothing can be trained: they never load the training code, nor torch."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import finished_sweep
from modules import modules_after

TRAINING = ("torch.", "benchmark.train.", "benchmark.sweep.")


@pytest.mark.parametrize("words", [("table",), ("report", "--formats", "svg")], ids=["table", "report"])
def test_the_command_loads_no_training_code(tmp_path: Path, words: tuple[str, ...]):
    finished_sweep(tmp_path, seeds=(0, 1, 2))
    command, *options = words
    modules = modules_after(command, str(tmp_path), *options)
    assert "benchmark.report.tables" in modules  # it did its work in this process
    assert [name for name in modules if f"{name}.".startswith(TRAINING)] == []
    assert "table.md" in {file.name for file in tmp_path.iterdir()} or (tmp_path / "index.html").is_file()
