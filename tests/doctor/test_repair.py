"""A repair removes exactly what was named, and the sweep's own command brings it back, bit for bit."""

from __future__ import annotations

import dataclasses
import importlib
import json
import shlex
from pathlib import Path

import pytest
from folders import Folder

from benchmark.contract import BadInput
from benchmark.doctor import repair
from benchmark.doctor.tree import Tree
from benchmark.report.results import COSTS
from benchmark.report.write import write_tables
from benchmark.store.lock import Lock
from benchmark.sweep.run import Settings, run_sweep
from benchmark.sweep.sweep import checked_sweep, read_settings

MODULE = importlib.import_module("benchmark.doctor.repair")  # the package has a function of this name
ANEW = "written anew: the tables, as `table` writes them without --baseline and --against"


def repaired(folder: Folder) -> tuple[set[str], list[str]]:
    """What is gone, and what was said; that it was named before is checked here."""
    before, found = set(folder.files()), folder.examined()
    named = {place for finding in found.findings for place in finding.deletes}
    now, said = repair(found)
    gone = before - set(folder.files())
    assert gone <= named
    assert set(folder.files()) <= before
    again = folder.examined()
    todo = ("unfinished", "absent")  # what has gone is to be made again
    assert [f for f in now.findings if f.kind not in todo] == [f for f in again.findings if f.kind not in todo]
    assert (now.states, now.summary(), now.commands()) == (again.states, again.summary(), again.commands())
    return gone, said


@pytest.mark.parametrize("name", ["predictions.npz", "metrics.json", "manifest.json"])
def test_a_damaged_run_goes_and_the_tables_follow(folder: Folder, name: str):
    files = {f"{folder.a}/{path.name}" for path in folder.path(folder.a).iterdir()}
    folder.flip(f"{folder.a}/{name}", 3)
    gone, said = repaired(folder)
    assert gone == files
    assert not folder.path(folder.a).exists()
    told, tables = said
    first, *others = told.removeprefix(f"deleted: {folder.a}: ").split(", ")
    assert (first, {f"{folder.a}/{name}" for name in (first, *others)}) == ("metrics.json", files)
    assert tables == ANEW
    assert folder.keys[0] not in folder.path("results.csv").read_text()
    assert "missing" in folder.path("table.md").read_text()
    assert folder.examined().wrong == []


def test_the_command_that_is_told_brings_the_same_bits_back(folder: Folder):
    """All of it: arrays, weights, history and metrics, but what the clock says."""
    whole = folder.files()
    folder.flip(f"{folder.a}/model.safetensors")
    folder.flip(f"{folder.b}/metrics.json", 20)
    folder.cut(folder.noise)
    assert folder.noise in repaired(folder)[0]
    command = shlex.split(folder.examined().commands()["runs what is missing"])
    assert command[:5] == ["python", "-m", "benchmark", "run", "--config"]
    assert command[6:] == ["--out", str(folder.root)]
    (settings,) = read_settings(Path(command[5]))
    outcome = run_sweep(checked_sweep(settings), Path(command[7]), Settings(jobs=1, quiet=True))
    assert (outcome.finished, outcome.skipped) == (2, 1)
    write_tables(folder.store, ())
    assert folder.findings() == []
    again = folder.files()
    assert again.keys() == whole.keys()
    for place in whole:
        if place.endswith((".npz", ".safetensors", "spec.json", "grid.json", "sweep.toml")):
            assert again[place] == whole[place], place
        if place.endswith("metrics.json"):
            before, after = ({k: v for k, v in json.loads(c[place]).items() if k not in COSTS} for c in (whole, again))
            assert before == after


def test_leftovers_go_and_nothing_else(folder: Folder):
    driver = ".driver-0123456789abcdef0123456789abcdef"
    left = {
        f"{folder.a}/.history.csv-part-ab12_xyz",
        ".table.md-part-ab12_xyz",
        f"{folder.b}/checkpoint.pt",
        "lock.json",
        driver,
    }
    for place in left:
        folder.write(place, "", age=3600)
    whole = folder.files()
    gone, said = repaired(folder)
    assert gone == left
    assert {place: content for place, content in whole.items() if place not in left} == folder.files()
    assert said == [
        f"deleted: {folder.a}: .history.csv-part-ab12_xyz",
        f"deleted: {folder.b}: checkpoint.pt",
        f"deleted: {driver}, .table.md-part-ab12_xyz, lock.json",
    ]
    assert folder.findings() == []


def test_a_stale_table_is_written_anew_and_no_format_is_added(folder: Folder):
    whole = folder.files()
    folder.write("results.csv", "acc_last\n99\n")
    folder.write("table.md", "| all is well |")
    folder.path("table.tex").unlink()
    assert repaired(folder) == (set(), [ANEW])
    del whole["table.tex"]
    assert folder.files() == whole


def test_what_is_no_runs_or_a_users_own_is_left(folder: Folder):
    """A stranger in a damaged run's folder stays, and the folder with it; so does a run of no grid, damaged or not."""
    folder.write(f"{folder.a}/notes.txt", "mine")
    folder.flip(f"{folder.a}/metrics.json")
    folder.path(folder.b).rename(folder.path("runs", "0123456789abcdef"))
    gone, _ = repaired(folder)
    assert {place.rpartition("/")[0] for place in gone} == {folder.a}
    assert [path.name for path in folder.path(folder.a).iterdir()] == ["notes.txt"]
    assert len(list(folder.path("runs", "0123456789abcdef").iterdir())) > 8
    assert {f.where for f in folder.examined().wrong} == {"runs/0123456789abcdef"}


def test_a_run_without_a_manifest_and_a_copy_without_large_files_are_left(folder: Folder):
    folder.path(folder.a, "manifest.json").unlink()
    folder.path(folder.b, "predictions.npz").unlink()
    assert repaired(folder) == (set(), [])


@pytest.mark.parametrize("name", ["grid.json", "sweep.toml"])
def test_nothing_is_guessed_where_the_plan_is_damaged(folder: Folder, name: str):
    folder.cut(name)
    for place in (f"{folder.a}/metrics.json", folder.noise):
        folder.flip(place)
    folder.write("results.csv", "acc_last\n99\n")
    gone, said = repaired(folder)
    assert gone == set()
    assert said in ([], ["not written anew: results.csv: something that it is made of is still wrong"])
    assert name in {f.where for f in folder.examined().wrong}


def test_a_grid_that_was_deleted_comes_back_with_the_command(folder: Folder):
    whole = folder.path("grid.json").read_bytes()
    folder.edit("grid.json", lambda grid: grid.pop())
    assert folder.examined().wrong
    folder.path("grid.json").unlink()
    (settings,) = read_settings(folder.path("sweep.toml"))
    outcome = run_sweep(checked_sweep(settings), folder.root, Settings(jobs=1, quiet=True))
    assert (outcome.finished, outcome.skipped) == (0, 3)
    assert folder.path("grid.json").read_bytes() == whole
    assert folder.findings() == []


def test_a_folder_in_use_is_not_repaired(folder: Folder):
    folder.flip(f"{folder.a}/metrics.json")
    found = folder.examined()
    folder.write("lock.json", "{}")
    before = folder.files()
    with pytest.raises(BadInput, match="somebody is at work in this folder"):
        repair(found)
    folder.path("lock.json").unlink()
    folder.write(f"{folder.a}/lock.json", "{}")  # it was taken up while the others were looked at
    now, said = repair(found)
    assert all("somebody is at work there" in line or "not written anew" in line for line in said)
    assert now.wrong
    del before["lock.json"]
    assert folder.files() == {**before, f"{folder.a}/lock.json": b"{}"}


@pytest.mark.parametrize("at_the_top", [True, False])
def test_a_lock_that_was_taken_over_meanwhile_is_left(folder: Folder, monkeypatch: pytest.MonkeyPatch, at_the_top: bool):
    place = "lock.json" if at_the_top else f"{folder.a}/lock.json"
    dead, living = Lock(folder.path(place)), Lock(folder.path(place))
    assert dead.claim()
    owner = dataclasses.asdict(dead.owner())
    dead.release()
    folder.write(place, json.dumps({**owner, "born": "1"}))
    found = folder.examined()
    assert [finding.deletes for finding in found.findings] == [(place,)]
    if at_the_top:  # in the moment after the whole folder was looked at
        looks, used = iter([False]), MODULE.in_use
        monkeypatch.setattr(MODULE, "in_use", lambda *given: next(looks, None) if given[3:] == () else used(*given))
    assert living.claim()
    assert repair(found)[1][0] == f"not deleted: {place}: somebody is at work there"
    assert living.is_mine()
    living.release()


def test_nobody_can_take_a_run_up_while_its_files_go(folder: Folder, monkeypatch: pytest.MonkeyPatch):
    """A worker that came in between would lose what it has just written."""
    folder.flip(f"{folder.a}/metrics.json")
    found = folder.examined()
    deleted, worker, taken = Tree.delete, folder.run(folder.a).lock, []

    def delete(tree: Tree, *place: str) -> None:
        taken.append(worker.claim())
        deleted(tree, *place)

    monkeypatch.setattr(Tree, "delete", delete)
    said = repair(found)[1]
    assert taken == [False] * len(found.of("damaged")[0].deletes)
    assert said[0].startswith(f"deleted: {folder.a}: metrics.json, ")
    assert not folder.path(folder.a).exists()


def test_a_lock_goes_with_its_run_and_the_mark_of_one_who_was_killed_in_taking_it_over(folder: Folder):
    lock = Lock(folder.path(folder.a, "lock.json"))
    assert lock.claim()
    owner = dataclasses.asdict(lock.owner())
    lock.release()
    folder.write(f"{folder.a}/lock.json", json.dumps({**owner, "born": "1"}), age=3600)
    folder.write(f"{folder.a}/.lock.json-of-{owner['token']}", "", age=3600)
    folder.flip(f"{folder.a}/metrics.json")
    assert {f"{folder.a}/lock.json", f"{folder.a}/.lock.json-of-{owner['token']}"} < repaired(folder)[0]
    assert not folder.path(folder.a).exists()


def test_a_run_in_a_folder_that_may_only_be_read_stays_and_is_named(folder: Folder, monkeypatch: pytest.MonkeyPatch):
    folder.flip(f"{folder.a}/metrics.json")
    found, before = folder.examined(), folder.files()
    monkeypatch.setattr(Lock, "_create", lambda *_: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    said = repair(found)[1]
    assert said[0] == f"not deleted: {folder.a}/metrics.json: it cannot be deleted (Read-only file system)"
    assert folder.files() == before


def test_what_cannot_be_deleted_is_said_and_stays_wrong(folder: Folder, monkeypatch: pytest.MonkeyPatch):
    folder.flip(f"{folder.a}/metrics.json")
    found = folder.examined()
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    now, said = repair(found)
    assert said[0] == f"not deleted: {folder.a}/metrics.json: it cannot be deleted (Permission denied)"
    assert now.of("damaged") == found.of("damaged")
