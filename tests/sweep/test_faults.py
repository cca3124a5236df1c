"""What can go wrong with a run, made to go wrong: it is told, the sweep's other runs finish, and what is there stays whole."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from outputs import assert_identical

from benchmark.store import Store
from benchmark.sweep.run import Outcome, Settings, run_sweep
from benchmark.sweep.sweep import checked_sweep

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
TWO = Settings(jobs=2, quiet=True)

PLUGIN = '''
import errno, os, re, signal, sys, time
from pathlib import Path
from benchmark.methods.ce import CrossEntropy
from benchmark.sweep import execute

def fails(times, error):
    """The next writes to the disk fail."""
    sync, left = os.fsync, [times]
    def fsync(file):
        if left[0]:
            left[0] -= 1
            raise OSError(error, os.strerror(error))
        sync(file)
    os.fsync = fsync

class Fault(CrossEntropy):
    """Begins well, and goes wrong after an epoch."""
    wrong = False
    def training_step(self, batch):
        if self.epoch == 1 and not self.wrong:
            self.wrong = True
            self.go_wrong()
        return super().training_step(batch) * getattr(self, "factor", 1)

class NotANumber(Fault):
    "Its loss is none."
    name = "not-a-number"
    def go_wrong(self):
        self.factor = float("nan")

class Explodes(Fault):
    "Its loss grows beyond all numbers."
    name = "explodes"
    def go_wrong(self):
        self.factor = 1e39

class Raises(Fault):
    "Has a fault."
    name = "raises"
    def go_wrong(self):
        {}["no such key"]

class Exits(Fault):
    "Wants to end it all."
    name = "exits"
    def go_wrong(self):
        sys.exit("I am done")

class Dies(Fault):
    "Is ended by the system."
    name = "dies"
    def go_wrong(self):
        os.kill(os.getpid(), signal.SIGKILL)

class Sleeps(Fault):
    "Hangs, and lets others go on."
    name = "sleeps"
    def go_wrong(self):
        time.sleep(600)

class Stuck(Fault):
    "Hangs in a library that keeps all of Python waiting."
    name = "stuck"
    def go_wrong(self):
        re.match(r"(a+)+$", "a" * 60 + "b")

class Full(Fault):
    "Fills the disk: there is no room for its checkpoint, though there would be for the file that says so."
    name = "full"
    def go_wrong(self):
        execute.SPACING = 0
        fails(1, errno.ENOSPC)

class ReadOnly(Fault):
    "Finds that the folder may not be written any more."
    name = "read-only"
    def go_wrong(self):
        fails(1, errno.EROFS)
'''

DIED = "the system ended its worker process, most likely for want of memory"
LATE = "it had not ended after 20 s (--timeout)"
FAULTS = {  # what is injected: (the method, what results.csv says, or None where nothing could be stored)
    "the loss is not a number": ("not-a-number", "the loss was nan in epoch 2 of 3"),
    "the loss explodes": ("explodes", "the loss was nan in epoch 2 of 3"),
    "the plugin raises": ("raises", "KeyError: 'no such key'"),
    "the plugin calls `sys.exit`": ("exits", "SystemExit: I am done"),
    "the system kills the worker process": ("dies", DIED),
    "the plugin sleeps for ever": ("sleeps", LATE),
    "the plugin hangs in a library that keeps all of Python waiting": ("stuck", LATE),
    "the disk is full": ("full", None),
    "the output folder is read-only": ("read-only", None),
}


def swept(plugin: Path, out: Path, methods: tuple[str, ...], settings: Settings = TWO, **changes: object) -> Outcome:
    given = {"dataset": "tiny", "methods": methods, "noise": (20,), "epochs": 3, "threads": 1}
    return run_sweep(checked_sweep({**given, "plugins": (str(plugin),), **changes}), out, settings)


@pytest.fixture
def faults(tmp_path: Path) -> Path:
    file = tmp_path / "faults.py"
    file.write_text(PLUGIN)
    return file


def test_each_fault_is_told_in_one_line_and_the_other_runs_finish(tiny_plugin: Path, faults: Path, tmp_path: Path) -> None:
    """A sweep with all of them, and two sound methods among them."""
    out, methods = tmp_path / "o", ("ce", *(name for name, _ in FAULTS.values()), "scn")
    words = ["--dataset", "tiny", "--methods", ",".join(methods), "--noise", "20", "--epochs", "3", "--threads", "1"]
    words += ["--jobs", "2", "--timeout", "20", "--plugin", str(tiny_plugin), "--plugin", str(faults), "--out", str(out)]
    done = subprocess.run([sys.executable, "-m", "benchmark", "run", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    rows, table = pd.read_csv(out / "results.csv").set_index("method"), (out / "table.md").read_text(encoding="utf-8")
    for injected, (method, error) in FAULTS.items():
        if error is None:
            assert method not in rows.index, "it has not ended: the same command goes on with it"
            told = next(line for line in done.stderr.splitlines() if f"{method}, symmetric 20 %, seed 0: failed" in line)
            error = told.partition("failed: ")[2].partition(", about")[0]
            assert error.startswith("it could not be stored: OSError: [Errno")
        else:
            assert (rows.loc[method, "status"], rows.loc[method, "error"]) == ("failed", error)
            assert error in table
        assert f"| {injected} | `{error}` |" in PAGE, "docs/reliability.md says something else"

    assert swept(tiny_plugin, tmp_path / "sound", ("ce", "scn")).finished == 2
    assert_identical(tmp_path / "sound", out)

    store = Store(out)
    runs = {run.spec.method: store.run(run.key) for run in store.plan()}
    for name in ("sleeps", "stuck"):
        assert "in go_wrong" in runs[name].failure()["details"], "where it hung"
    assert not [path for path in out.rglob("*") if path.name.startswith(".") or path.name == "lock.json"]
    begun = {name for name, run in runs.items() if run.checkpoint()}
    assert begun == {"full", "read-only"}, "what could not be stored goes on from there"
    plugins = (str(tiny_plugin), str(faults))
    again = swept(tiny_plugin, out, methods, plugins=plugins, epochs=3)
    assert (again.skipped, again.finished, again.failed) == (len(methods) - 2, 0, 2)


def test_failed_runs_are_run_again_when_that_is_asked_for(tiny_plugin: Path, faults: Path, tmp_path: Path) -> None:
    both = {"plugins": (str(tiny_plugin), str(faults))}
    assert swept(tiny_plugin, tmp_path / "o", ("ce", "raises"), **both).failed == 1
    assert swept(tiny_plugin, tmp_path / "o", ("ce", "raises"), **both).skipped == 2
    again = swept(tiny_plugin, tmp_path / "o", ("ce", "raises"), dataclasses.replace(TWO, retry_failed=True), **both)
    assert (again.skipped, again.failed) == (1, 1)


VANISHING = """
import shutil
from pathlib import Path
from benchmark.methods.ce import CrossEntropy
class Vanishing(CrossEntropy):
    "Somebody moves the output folder away."
    name = "vanishing"
    def training_step(self, batch):
        if self.epoch == 1 and not Path({away!r} + "-once").exists():
            Path({away!r} + "-once").touch()
            Path({out!r}).rename({away!r})
        return super().training_step(batch)
"""


def test_a_folder_that_is_moved_away_is_told_and_not_made_again(tiny_plugin: Path, tmp_path: Path) -> None:
    out, away, plugin = tmp_path / "o", tmp_path / "away", tmp_path / "vanishing.py"
    plugin.write_text(VANISHING.format(out=str(out), away=str(away)))
    words = [
        "--dataset",
        "tiny",
        "--methods",
        "vanishing,ce",
        "--noise",
        "20",
        "--epochs",
        "3",
        "--threads",
        "1",
        "--jobs",
        "1",
    ]
    words += ["--plugin", str(tiny_plugin), "--plugin", str(plugin), "--out", str(out)]
    done = subprocess.run([sys.executable, "-m", "benchmark", "run", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (1, 2)
    assert not out.exists()
    assert "Traceback" not in done.stderr
    assert f"{out} is not there any more" in done.stderr
    assert "| the output folder vanishes |" in PAGE
    away.rename(out)
    assert swept(tiny_plugin, out, ("vanishing", "ce"), plugins=(str(tiny_plugin), str(plugin))).finished == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of four megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only the superuser may mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_is_really_full_harms_nothing_that_is_there(tiny_plugin: Path, small_disk: Path, tmp_path: Path) -> None:
    out = small_disk / "o"
    first = swept(tiny_plugin, out, ("ce", "scn", "dul"), dataclasses.replace(TWO, jobs=1))
    assert first.failed == 3
    assert first.finished == 0
    assert not [path for path in out.rglob("*") if "-part-" in path.name]
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    again = swept(tiny_plugin, out, ("ce", "scn", "dul"), dataclasses.replace(TWO, jobs=1))
    assert (again.finished, again.failed) == (3, 0)
    assert swept(tiny_plugin, tmp_path / "o", ("ce", "scn", "dul")).finished == 3
    assert_identical(out, tmp_path / "o")


def interrupted(tiny_plugin: Path, out: Path, number: int) -> tuple[int, str, str, float]:
    """Exit status, output, errors and seconds of a sweep that is told to end once a run has finished."""
    words = ["--dataset", "tiny", "--methods", "ce", "--noise", "20", "--seeds", "60", "--threads", "1", "--jobs", "2"]
    words += ["--plugin", str(tiny_plugin), "--out", str(out)]
    sweep = subprocess.Popen(
        [sys.executable, "-m", "benchmark", "run", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=_hears_interrupts,
    )
    deadline = time.monotonic() + 120
    while not list(out.glob("runs/*/metrics.json")):
        assert sweep.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(sweep.pid, number)  # as a terminal does, to all of its processes
    begun = time.monotonic()
    output, errors = sweep.communicate(timeout=60)
    return sweep.returncode, output, errors, time.monotonic() - begun


def _hears_interrupts() -> None:
    import signal

    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize(
    ("number", "status", "told"),
    [(2, 130, "interrupted"), pytest.param(15, 143, "interrupted by SIGTERM", marks=pytest.mark.slow)],
)
def test_who_interrupts_is_told_what_is_done_and_how_to_go_on(
    tiny_plugin: Path, tmp_path: Path, number: int, status: int, told: str
) -> None:
    ended, output, errors, seconds = interrupted(tiny_plugin, tmp_path / "o", number)
    assert ended == status
    assert "Traceback" not in errors
    what, command = errors.splitlines()[-2:]
    assert what.startswith(f"{told}; ")
    assert "finished and kept, and this goes on with the others:" in what
    assert command.startswith("python -m benchmark run --dataset tiny --methods ce --noise 20 --seeds 60")
    assert "| ce" in output, "the table of what is done"
    finished = list((tmp_path / "o").glob("runs/*/metrics.json"))
    assert len(pd.read_csv(tmp_path / "o" / "results.csv")) == len(finished) >= 1
    assert not [path for path in (tmp_path / "o").rglob("*") if path.name == "lock.json" or "-part-" in path.name]
    assert seconds < 30
