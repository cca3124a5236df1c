"""A sweep that is killed at any moment, as often as you like, ends with the very results of one that was let alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from outputs import arrays, assert_identical

ROOT = Path(__file__).parents[2]
COSTS = ["train_seconds", "images_per_second", "peak_memory_mb"]


def command(plugin: Path, out: Path, *more: object) -> list[str]:
    """A sweep of twelve runs, two at a time."""
    what = ["--dataset", "tiny", "--methods", "ce,scn,rul", "--noise", "0,30", "--seeds", 2, "--epochs", 3, "--validation", 20]
    how = ["--threads", 1, "--jobs", 2, "--quiet", "--plugin", plugin, "--out", out]
    return [sys.executable, "-m", "benchmark", "run", *map(str, (*what, *how, *more))]


def started(words: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)


def results(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "results.csv").drop(columns=COSTS)


def write_times(out: Path) -> dict[str, int]:
    """When each run was finished."""
    return {path.parent.name: path.stat().st_mtime_ns for path in out.glob("runs/*/metrics.json")}


@pytest.fixture(scope="module")
def undisturbed(tiny_plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A sweep that was let alone, and the seconds that it took."""
    out, begun = tmp_path_factory.mktemp("undisturbed") / "o", time.monotonic()
    assert started(command(tiny_plugin, out)).wait() == 0
    return out, time.monotonic() - begun


def killed_at_random(plugin: Path, out: Path, kills: int, longest: float) -> list[str]:
    """Starts a sweep again and again, and kills it: alone, with all of its processes, or only one of those. What was killed."""
    draw, done, told = random.Random(kills), {}, []
    while len(told) < kills:
        sweep = started(command(plugin, out))
        try:
            sweep.wait(draw.uniform(0.5, longest))
        except subprocess.TimeoutExpired:
            whom = draw.choice(["it", "all", "a worker"])
            children = Path(f"/proc/{sweep.pid}/task/{sweep.pid}/children").read_text(encoding="ascii").split()
            if whom == "all":
                os.killpg(sweep.pid, signal.SIGKILL)
            elif whom == "a worker" and children:
                os.kill(int(draw.choice(children)), signal.SIGKILL)
                time.sleep(draw.uniform(0, 0.5))
            sweep.kill()
            told.append(whom)
        sweep.wait()
        assert {key: at for key, at in write_times(out).items() if key in done} == done, "a finished run was done again"
        done = write_times(out)
        if len(done) == 12:  # all is done before it was killed often enough: from the beginning
            for path in out.glob("runs/*/*"):
                path.unlink()
            done = {}
    return told


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_a_sweep_killed_again_and_again_ends_as_if_it_had_not_been(
    tiny_plugin: Path, tmp_path: Path, undisturbed: tuple[Path, float], kills: int
) -> None:
    whole, seconds = undisturbed
    out = tmp_path / "o"
    assert len(killed_at_random(tiny_plugin, out, kills, longest=seconds)) == kills
    assert started(command(tiny_plugin, out)).wait() == 0
    assert_identical(whole, out)
    assert len(arrays(out)) == 12
    pd.testing.assert_frame_equal(results(out), results(whole))
    names = {str(path.relative_to(out)) for path in out.rglob("*")}
    assert names == {str(path.relative_to(whole)) for path in whole.rglob("*")}, "something was left over, or is missing"


DIARY = """
import os, uuid
from pathlib import Path
from benchmark.methods.ce import CrossEntropy
class Counted(CrossEntropy):
    "Leaves a note of each training that is begun."
    name = "counted"
    def begin_stage(self, stage, training_set):
        Path(os.environ["DIARY"], uuid.uuid4().hex).touch()
"""


@pytest.mark.slow
def test_four_processes_in_one_folder_do_each_of_24_runs_once(tiny_plugin: Path, tmp_path: Path) -> None:
    plugin, diary = tmp_path / "counted.py", tmp_path / "diary"
    plugin.write_text(DIARY)
    diary.mkdir()
    what = ["--dataset", "tiny", "--methods", "counted", "--noise", "0,10,20,30", "--seeds", "6", "--epochs", "3"]
    how = ["--threads", "1", "--jobs", "1", "--plugin", tiny_plugin, "--plugin", plugin, "--out", tmp_path / "o"]
    words = [sys.executable, "-m", "benchmark", "run", *map(str, (*what, *how))]
    environment = os.environ | {"DIARY": str(diary)}
    sweeps = [
        subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [sweep.communicate()[1] for sweep in sweeps]
    assert [sweep.returncode for sweep in sweeps] == [0] * 4, said
    assert len(list(diary.iterdir())) == len(arrays(tmp_path / "o")) == len(results(tmp_path / "o")) == 24
    assert set(results(tmp_path / "o")["status"]) == {"finished"}
    assert not [path for path in (tmp_path / "o").rglob("*") if path.name.startswith(".") or path.name == "lock.json"]
