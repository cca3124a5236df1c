"""The command that a cell shows plans the very run that it stands for: the same key, hence the same result."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from benchmark.report.page.repeat import entries, repeat_command
from benchmark.store import PlannedRun, Store
from benchmark.sweep.run import Settings, run_sweep
from benchmark.sweep.sweep import checked_sweep

PLANNED_ONLY = Settings(jobs=1, quiet=True)


@pytest.fixture
def folder(tmp_path: Path, tiny_plugin: Path, monkeypatch: pytest.MonkeyPatch):
    """Keeps sweeps in a folder as a run that is stopped at once would: planned, and nothing trained."""
    monkeypatch.setattr("benchmark.sweep.run.work", lambda *_, **__: iter(()))

    def kept(*sweeps: dict[str, object]) -> Store:
        for changes in sweeps:
            given = {"dataset": "tiny", "methods": ("ce",), "noise": (20,), "epochs": 2, "threads": 1}
            run_sweep(checked_sweep({**given, "plugins": (str(tiny_plugin),), **changes}), tmp_path / "o", PLANNED_ONLY)
        return Store(tmp_path / "o")

    return kept


def key_of(command: str, call) -> str:
    status, out, err = call(*shlex.split(command)[3:], "--dry-run", "--json")
    assert status == 0, err
    (run,) = json.loads(out)
    return run["key"]


def commands(store: Store, environment: Mapping[str, object] = MappingProxyType({})) -> list[tuple[PlannedRun, str]]:
    found = [(run, repeat_command(entries(store), run.spec, run.key, environment)) for run in store.plan()]
    assert all(command is not None for _, command in found)
    return [(run, str(command)) for run, command in found]


@pytest.mark.parametrize(
    "sweep",
    [
        {"methods": ("ce", "scn"), "noise": (0, 12.5), "seeds": (0, 7)},
        {"noise_kind": "human", "noise": ()},
        {"methods": ("scn",), "options": {"scn": {"beta": "0.5"}, "tiny": {"train": 90}}},
        {"methods": ("elr",), "recipe": "paper"},
        {"dataset": "tiny@60", "validation": 10.0, "batch_size": 16, "balanced": True, "precision": "fp32"},
        {"imbalance": 4.0, "epochs": None},
    ],
    ids=["grid", "human", "options", "paper", "held out", "long tail"],
)
def test_the_command_plans_the_same_run(folder, sweep, call):
    for run, command in commands(folder(sweep)):
        assert key_of(command, call) == run.key


def test_noise_from_files_comes_from_the_same_file(folder, tmp_path, call):
    files = []
    for name in ("first", "second"):
        files.append(tmp_path / f"{name}.txt")
        files[-1].write_text("".join(f"{k % (2 + len(files) % 2)}\n" for k in range(96)))
    for run, command in commands(folder({"noise_kind": "file", "noise": (), "noise_files": tuple(map(str, files))})):
        assert key_of(command, call) == run.key


def test_of_sweeps_that_differ_in_options_it_takes_the_right_one(folder, call):
    several = [{"methods": ("scn",), "options": {"scn": {"beta": beta}}} for beta in (0.3, 0.5)]
    store = folder(*several, {"methods": ("scn",)})
    found = commands(store)
    assert len(found) == 3
    for run, command in found:
        assert key_of(command, call) == run.key


def test_device_and_threads_are_those_that_were_recorded(folder):
    ((_, command),) = commands(folder({}), {"device": "NVIDIA Something", "threads": 3})
    assert "--device cuda --threads 3" in command


def test_what_no_sweep_has_brought_has_no_command(folder):
    store = folder({})
    (run,) = store.plan()
    assert repeat_command(entries(store), replace(run.spec, seed=5), run.key, {}) is None
    store.save_sweep("[[sweep]]\nmethods = 3")
    assert repeat_command(entries(store), run.spec, run.key, {}) is None
    store.save_sweep("no TOML")
    assert entries(store) == []
