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


@pytest.fixture
def asked(speed, monkeypatch) -> list[list[str]]:
    """What the suite is asked for by a `table` of which two runs ended and one failed."""
    commands = []

    def timed(*command, **_):
        commands.append([str(word) for word in command[len(speed.SUITE) :]])
        row = {"method": "ce", "noise_rate": 0.0, "acc_last": 90.0, "train_seconds": 10.0, "images_per_second": 500.0}
        rows = [{**row, "status": status} for status in ("finished", "finished", "failed")]
        return 20.0, json.dumps(rows if command[3] == "table" else [])

    monkeypatch.setattr(speed, "timed", timed)
    return commands


def test_the_small_table_of_a_gpu_is_the_large_one_but_for_its_size(speed, asked, tmp_path, monkeypatch, call, capsys):
    for words, out in ((("--small",), "small"), ((), "large")):
        called(speed, monkeypatch, "table", *words, "--dataset", "faces@300", "--out", str(tmp_path / out))
    small, _, large, _ = asked
    sizes = ("--epochs", "1", "small", "cifar-resnet9", str(tmp_path / "small/table-runs"), str(tmp_path / "large/table-runs"))
    assert [word for word in small if word not in sizes] == [word for word in large if word not in sizes]
    assert "cifar-resnet9" in large
    capsys.readouterr()
    plan = json.loads(call(*large, "--dry-run", "--json")[1])
    assert len(plan) == 48


def test_a_table_tells_of_the_runs_that_have_ended_and_begins_afresh(speed, asked, tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "RUNS", 2)
    out = tmp_path / "out"
    called(speed, monkeypatch, "table", "--out", str(out))
    assert asked[1] == ["table", str(out / "table-runs"), "--json"]
    (row,) = pd.read_csv(next(out.glob("table-*.csv"))).to_dict("records")
    assert (row["runs that have ended"], row["images/s, all runs together"]) == ("2 of 2", 500)
    assert row["command"].startswith("run --dataset cifar10 ")
    assert row["command"] in " ".join(asked[0])
    (out / "table-runs").mkdir()
    with pytest.raises(SystemExit, match="over finished runs nothing would be timed"):
        called(speed, monkeypatch, "table", "--out", str(out))


def test_a_table_of_which_nothing_has_ended_says_so(speed, tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "timed", lambda *_, **__: (20.0, "[]"))
    called(speed, monkeypatch, "table", "--out", str(tmp_path))
    (row,) = pd.read_csv(next(tmp_path.glob("table-*.csv"))).to_dict("records")
    assert row["runs that have ended"] == "0 of 48"


@pytest.mark.parametrize("does", ["pass", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"])
def test_a_command_whose_time_is_over_is_asked_to_end_and_then_made_to(speed, monkeypatch, does):
    monkeypatch.setattr(speed, "GRACE", 1)
    seconds, text = speed.timed(
        sys.executable, "-c", f"import signal, time; {does}; print(7, flush=True); time.sleep(60)", minutes=1 / 12
    )
    assert (text, seconds < 30) == ("7\n", True)


def test_a_command_that_fails_has_no_time(speed):
    with pytest.raises(SystemExit, match="this has failed"):
        speed.timed(sys.executable, "-c", "raise SystemExit(1)")


def test_a_setting_that_a_gpu_cannot_do_keeps_nothing_else_from_being_measured(speed, tmp_path, monkeypatch):
    def timed(*command, **_):
        if "cifar-resnet18" in command:
            raise SystemExit("out of memory")
        return 1.0, json.dumps([{"method": "rul", "peak_share": 0.5}])

    monkeypatch.setattr(speed, "timed", timed)
    monkeypatch.setattr(speed, "table", lambda given: iter([{"runs that have ended": "48 of 48"}]))
    called(speed, monkeypatch, "gpu", "--out", str(tmp_path))
    (file,) = tmp_path.iterdir()
    rows = pd.read_csv(file)
    assert rows["error"].tolist()[0] == "out of memory"
    assert rows["peak_share"].tolist()[1] == 0.5
    assert rows["runs that have ended"].tolist()[2] == "48 of 48"


def test_steps_and_table_share_the_minutes_of_a_gpu(speed, tmp_path, monkeypatch):
    left = []
    monkeypatch.setattr(speed, "steps", lambda given: iter([{}]))
    monkeypatch.setattr(speed, "table", lambda given: left.append(given.minutes) or iter([{}]))
    clock = iter([0.0, 120.0] * 3)
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(clock))
    for words in ((), ("--minutes", "5"), ("--minutes", "1")):
        called(speed, monkeypatch, "gpu", *words, "--out", str(tmp_path))
    assert left == [6, 3, 0.1]


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
