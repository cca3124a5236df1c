"""Tables and reports are made where nothing can be trained: they never load the training code, nor torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from made_up import finished_sweep

WATCHED = """
import sys
from benchmark import cli
sys.argv = ["benchmark", *sys.argv[1:]]
try:
    cli.main()
except SystemExit as end:
    assert not end.code, end.code
training = ("torch.", "benchmark.train.", "benchmark.sweep.")
loaded = [name for name in sys.modules if (name + ".").startswith(training)]
assert "benchmark.report.tables" in sys.modules  # it did its work in this process
assert not loaded, loaded
"""


@pytest.mark.parametrize("words", [("table",), ("report", "--formats", "svg")], ids=["table", "report"])
def test_the_command_loads_no_training_code(tmp_path: Path, words: tuple[str, ...]):
    finished_sweep(tmp_path, seeds=(0, 1, 2))
    command, *options = words
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, command, str(tmp_path), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "table.md" in {file.name for file in tmp_path.iterdir()} or (tmp_path / "index.html").is_file()
