"""`scripts/speed.py`: what it asks of the suite, and that what is measured is kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from modules import script

ROOT = Path(__file__).parents[2]


@pytest.fixture
def speed() -> ModuleType:
    return script("speed")


def called(speed: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["speed.py", *words])
    speed.main()


def test_the_small_table_of_a_gpu_is_the_large_one_but_for_its_size_and_begins_afresh(
    speed, tmp_path, monkeypatch, call, capsys
):
    asked = []

    def timed(*command):
        asked.append([str(word) for word in command[len(speed.SUITE) :]])
        row = {"method": "ce", "noise_rate": 0.0, "acc_last": 90.0, "train_seconds": 10.0, "images_per_second": 500.0}
        return 20.0, json.dumps([row, row])

    monkeypatch.setattr(speed, "timed", timed)
    for words in (("--small",), ()):
        called(speed, monkeypatch, "table", *words, "--dataset", "faces@300", "--out", str(tmp_path / "out"))
    small, large = asked
    folders = {command[command.index("--out") + 1] for command in asked}
    assert len(folders) == 2  # what is finished would be timed as if it had been run
    assert [word for word in small if word not in ("--epochs", "1", *folders)] == [w for w in large if w not in folders]
    capsys.readouterr()
    plan = json.loads(call(*large, "--dry-run")[1])
    assert len(plan) == 48
    (file,) = (tmp_path / "out").iterdir()
    assert file.name.startswith("table-")
    (row,) = pd.read_csv(file).to_dict("records")
    assert (row["runs"], row["images/s, all runs together"]) == (2, 500)


def test_what_has_been_measured_is_kept_when_the_rest_fails(speed, tmp_path, monkeypatch):
    def part(given):
        yield {"figure": 1}
        raise SystemExit("this has failed")

    monkeypatch.setitem(speed.PARTS, "steps", part)
    with pytest.raises(SystemExit):
        called(speed, monkeypatch, "steps", "--out", str(tmp_path))
    (file,) = tmp_path.iterdir()
    assert pd.read_csv(file)["figure"].tolist() == [1]


def test_memory_is_looked_at_from_outside(speed):
    """Of a process that holds 64 MiB for half a second; one that fails has no figure."""
    code = "import time; held = b'x' * (64 << 20); time.sleep(0.5)"
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("no Linux")
    assert 64 << 20 <= speed.own_memory(sys.executable, "-c", code, workers=False) < 100 << 20
    with pytest.raises(SystemExit, match="this has failed"):
        speed.own_memory(sys.executable, "-c", "raise SystemExit(3)", workers=False)
