"""A whole folder is found whole, and every kind of damage is found where it is; looking changes nothing."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from folders import Folder

from benchmark.contract import BadInput
from benchmark.doctor import examine, repair
from benchmark.noise import read_artefact
from benchmark.store import Inputs, PlannedRun, RunFolder, Store
from benchmark.store.lock import Lock
from benchmark.store.manifest import LARGE, SMALL
from benchmark.sweep.run import Settings, plan_sweep
from benchmark.sweep.sweep import checked_sweep
from benchmark.words import counted

FILES = (*SMALL, *LARGE)


def test_a_whole_folder_is_found_whole_and_left_as_it_is(folder: Folder):
    before, times = folder.files(), {path: path.stat().st_mtime_ns for path in folder.root.rglob("*")}
    found = folder.examined()
    assert found.findings == ()
    assert found.commands() == {}
    assert found.summary() == "3 runs: 3 finished and verified; 1 noise artefact verified"
    assert (folder.files(), {path: path.stat().st_mtime_ns for path in folder.root.rglob("*")}) == (before, times)


@pytest.mark.parametrize("spoil", ["flip", "cut"])
@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_and_a_lost_half_are_found_in_every_file(folder: Folder, name: str, spoil: str):
    getattr(folder, spoil)(f"{folder.a}/{name}")
    (finding,) = folder.findings()
    assert (finding.kind, finding.where) == ("damaged", folder.a)
    assert finding.what.startswith(f"{name}: its sha256 is not" if spoil == "flip" else f"{name}: it has ")
    assert set(finding.deletes) == {f"{folder.a}/{path.name}" for path in folder.path(folder.a).iterdir()}
    assert finding.deletes[0] == f"{folder.a}/metrics.json"  # or what is left of a stopped repair would count as finished
    assert folder.examined().summary() == "3 runs: 2 finished and verified, 1 damaged; 1 noise artefact verified"


def test_a_changed_byte_is_found_wherever_it_is_in_a_manifest(folder: Folder):
    """But in its white space, where it means nothing."""
    place = f"{folder.a}/manifest.json"
    whole = folder.path(place).read_text()
    told = [at for at, letter in enumerate(whole) if not letter.isspace()]
    for at in told[:: len(told) // 40]:
        folder.flip(place, at)
        assert ("damaged", folder.a) in {(finding.kind, finding.where) for finding in folder.findings()}, whole[at - 9 : at + 9]
        folder.write(place, whole)


@pytest.mark.parametrize("name", SMALL)
def test_a_lost_file_is_found(folder: Folder, name: str):
    folder.path(folder.a, name).unlink()
    if name == "metrics.json":  # the run is not finished, and goes on
        stale, unfinished = folder.findings()
        assert (stale.kind, stale.what) == ("stale", "of the runs that have ended it should not show 1")
        assert (unfinished.kind, unfinished.where) == ("unfinished", folder.a)
    else:
        assert folder.found() == [("damaged", folder.a, f"{name} is missing")]


@pytest.mark.parametrize("name", LARGE)
def test_a_large_file_that_is_not_here_is_told_and_is_no_damage(folder: Folder, name: str):
    folder.path(folder.a, name).unlink()
    found = folder.examined()
    assert [(f.kind, f.where) for f in found.findings] == [("absent", folder.a)]
    assert "other runs have theirs" in found.findings[0].what
    assert (found.wrong, found.findings[0].deletes) == ([], ())
    assert found.summary().endswith(f"not here, and so not checked: {name} of 1 run")


def test_a_copy_without_its_large_files_passes_and_says_so(folder: Folder):
    for path in [path for name in LARGE for path in folder.root.rglob(name)] + [folder.path(folder.noise)]:
        path.unlink()
    found = folder.examined()
    assert found.wrong == []
    assert [f.kind for f in found.findings] == ["absent"] * 4
    assert found.summary() == (
        "3 runs: 3 finished and verified; 0 noise artefacts verified; not here, and so not checked: "
        "predictions.npz of 3 runs, features.npz of 3 runs, model.safetensors of 3 runs, 1 noise artefact"
    )
    folder.flip(f"{folder.a}/metrics.json")
    assert folder.examined().wrong


def test_a_run_without_a_manifest_is_not_verified_and_not_to_be_deleted(folder: Folder):
    """Those finished before there were any: whatever else they lack, nothing says that they ever had it."""
    folder.path(folder.a, "manifest.json").unlink()
    found = folder.examined()
    said = ("unverified", folder.a, "no manifest: cannot be verified; run again with --force")
    assert [(f.kind, f.where, f.what) for f in found.findings] == [said]
    assert found.summary() == "3 runs: 2 finished and verified, 1 not verified; 1 noise artefact verified"
    assert found.commands()["runs everything again"].endswith(" --force")
    folder.path(folder.a, "model.json").unlink()
    folder.edit(f"{folder.a}/spec.json", lambda spec: spec.update(seed=9))
    findings = folder.findings()
    assert {f.kind for f in findings} == {"unverified"}
    assert [f.deletes for f in findings] == [()] * 3


@pytest.mark.parametrize("name", [name for name in (*FILES, "manifest.json") if name != "environment.json"])
def test_files_of_another_run_are_found(folder: Folder, name: str):
    folder.swap(f"{folder.a}/{name}", f"{folder.b}/{name}")
    assert {f.where for f in folder.examined().of("damaged")} == {folder.a, folder.b}


def test_two_runs_in_each_others_place_are_found(folder: Folder):
    folder.swap(folder.a, folder.b)
    first, second, *_ = folder.keys
    said = {f.where: f.what for f in folder.examined().of("damaged") if "those of the run" in f.what}
    assert said == {
        folder.a: f"its spec, code, labels and weights are those of the run {second}",
        folder.b: f"its spec, code, labels and weights are those of the run {first}",
    }


def test_a_renamed_run_is_found_and_left_where_it_is(folder: Folder):
    folder.path(folder.a).rename(folder.path("runs", "0123456789abcdef"))
    found = folder.examined()
    (first, *_) = folder.keys
    damaged = found.of("damaged")
    assert {f.where for f in damaged} == {"runs/0123456789abcdef"}
    assert damaged[0].what == f"its spec, code, labels and weights are those of the run {first}"
    assert [f.deletes for f in damaged] == [()] * len(damaged)
    assert [f.where for f in found.of("orphan")] == ["runs/0123456789abcdef"]
    assert found.of("unfinished")[0].what == "1 run of the grid not begun"


# ------------------------------------------------- files whose hashes were made to fit


def _set(**changes: object) -> Callable[[dict], None]:
    return lambda content: content.update(changes)


FORGED: dict[str, tuple[str, Callable[[dict], None], str]] = {
    "another seed": ("spec.json", _set(seed=7), "its spec, code, labels and weights are those of the run "),
    "a better last epoch": ("metrics.json", _set(acc_last=99.0), "metrics.json: its acc_last is 99, and "),
    "a better mean": ("metrics.json", _set(macro_acc=99.0), "metrics.json: its macro_acc is 99, and "),
    "a lost figure": ("metrics.json", _set(wrong_label_fit=None), "metrics.json: its wrong_label_fit is not given, and "),
    "a best epoch that there is none of": ("metrics.json", _set(acc_best=99.5), "by history.csv"),
    "a model of another run": ("model.json", _set(key="0" * 16), "model.json: its key is not the run's"),
    "a model of other code": ("model.json", _set(code="0" * 64), "model.json: its code is not the run's"),
    "other weights": ("model.json", _set(weights_sha256="0" * 64), "model.safetensors: its sha256 is not the one in model"),
    "a model of other metrics": ("model.json", lambda m: m["metrics"].update(nll=0.0), "model.json: its nll is 0, and "),
    "other labels": ("environment.json", _set(noise_sha256="0" * 64), "environment.json: its noise_sha256 is not the run's"),
    "other code": ("manifest.json", lambda m: m["inputs"].update(code="0" * 64), "its spec, code, labels and weights"),
    "other noise": ("manifest.json", lambda m: m["inputs"].update(noise_sha256="0" * 64), "its spec, code, labels and weights"),
    "another protocol": ("manifest.json", lambda m: m["inputs"].update(protocol=2), "its spec, code, labels and weights"),
    "other data": ("manifest.json", lambda m: m["inputs"].update(dataset_sha256="0" * 64), "model.json: its dataset is not"),
    "a file too many": ("manifest.json", lambda m: m["files"].update(notes=m["files"]["spec.json"]), "and no run has that"),
    "a file too few": ("manifest.json", lambda m: m["files"].pop("model.json"), "model.json is not in manifest.json"),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGED)
def test_what_a_run_says_of_itself_has_to_agree(folder: Folder, what: str):
    name, change, said = FORGED[what]
    folder.edit(f"{folder.a}/{name}", change)
    folder.vouch(folder.a)
    damaged = folder.examined().of("damaged")
    assert {f.where for f in damaged} == {folder.a}
    assert any(said in f.what for f in damaged), damaged


def test_predictions_have_to_give_the_metrics_and_to_be_of_the_noise(folder: Folder):
    run = folder.run(folder.a)
    with np.load(run.path / "predictions.npz") as content:
        arrays = dict(content)
    for changes, said in (
        ({"test_logits": -arrays["test_logits"]}, "metrics.json: its acc_last is "),
        ({"train_given": (arrays["train_given"] + 1) % 3}, "predictions.npz: its given labels are not those of the noise"),
        ({"train_predicted": arrays["train_given"]}, "metrics.json: its wrong_label_fit is "),
    ):
        run.save_arrays("predictions", {**arrays, **changes})
        folder.vouch(folder.a)
        damaged = folder.examined().of("damaged")
        assert {f.where for f in damaged} == {folder.a}
        assert any(f.what.startswith(said) for f in damaged), (said, damaged)


def test_a_history_has_to_be_whole_and_to_give_the_accuracies(folder: Folder):
    place = f"{folder.a}/history.csv"
    whole = folder.path(place).read_text()
    header, first, last = whole.splitlines()
    column = header.split(",").index("test_accuracy")
    better = ",".join([*last.split(",")[:column], "99.0", *last.split(",")[column + 1 :]])
    for content, said in (
        (f"{header}\n{last}\n", "history.csv is damaged: it holds 1 epochs, and not each of 2 once"),
        (f"{header}\n{first}\n{better}\n", "by history.csv"),
        (whole.replace("test_accuracy", "accuracy"), "history.csv: nothing can be chosen from it"),
        (f"{header}\n{first}\n{last.replace('2,2,', '2,1e300,', 1)}\n", "not each of 1e+300 once"),
    ):
        folder.write(place, content)
        folder.vouch(folder.a)
        wrong = folder.examined().wrong
        assert {f.where for f in wrong} == {folder.a}
        assert any(said in f.what for f in wrong), (said, wrong)


# ------------------------------------------------- what another version of the suite may have written


def _no_array(folder: Folder, **changes: np.ndarray | None) -> None:
    run = folder.run(folder.a)
    with np.load(run.path / "predictions.npz") as content:
        run.save_arrays("predictions", {**content, **changes})


FOREIGN: dict[str, tuple[Callable[[Folder], object], str]] = {
    "a manifest": (lambda f: f.edit(f"{f.a}/manifest.json", _set(format=1)), "manifest.json has format 1, and this version"),
    "a model": (lambda f: f.edit(f"{f.a}/model.json", _set(format=2)), "model.json is damaged: format: Input should be 1"),
    "a spec": (lambda f: f.edit(f"{f.a}/spec.json", lambda s: s.pop("seed")), "spec.json is damaged: seed: Field required"),
    "no number": (lambda f: f.edit(f"{f.a}/metrics.json", _set(nll=float("nan"))), "metrics.json is damaged: its nll is nan"),
    "no classes": (lambda f: f.edit(f"{f.a}/model.json", _set(classes=[])), "model.json is damaged: Value error, 0 classes"),
    "no logits": (lambda f: _no_array(f, test_logits=None), "predictions.npz: its arrays are not a run's ('test_logits')"),
    "words": (lambda f: _no_array(f, test_reference=np.array("none")), "predictions.npz: its arrays are not a run's"),
    "places": (lambda f: _no_array(f, train_index=np.full(96, 10**9)), "predictions.npz: its arrays are not a run's"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_as_it_was_written_and_cannot_be_read_is_not_verified_and_not_to_be_deleted(folder: Folder, what: str):
    change, said = FOREIGN[what]
    change(folder)
    folder.vouch(folder.a)
    wrong = folder.examined().wrong
    assert {(f.kind, f.where, f.deletes) for f in wrong} == {("unverified", folder.a, ())}
    assert any(said in f.what for f in wrong), wrong


def test_figures_of_other_rules_than_todays_are_not_called_damaged(folder: Folder, monkeypatch: pytest.MonkeyPatch):
    folder.edit(f"{folder.a}/metrics.json", _set(acc_best=99.5))
    folder.vouch(folder.a)
    monkeypatch.setattr("benchmark.doctor.finished.PROTOCOL", 2)
    finding, table = folder.examined().wrong
    assert (finding.kind, finding.deletes, table.kind) == ("unverified", (), "stale")
    assert finding.what.endswith("by history.csv; it was made under protocol 1, and this is 2")


def test_an_artefact_of_another_version_is_not_called_damaged(folder: Folder):
    path = folder.path(folder.noise)
    with np.load(path) as content:
        arrays = dict(content)
    np.savez(path, **{name: array for name, array in arrays.items() if name != "counts"})
    assert folder.found() == [("unverified", folder.noise, "a whole archive, but no noise artefact of this version")]
    np.savez(path, **{**arrays, "given": arrays["given"][::-1]})
    (finding,) = folder.findings()
    assert (finding.kind, finding.deletes) == ("damaged", (folder.noise,))


def test_outcomes_have_to_give_the_accuracies_and_to_be_those_of_the_predictions(folder: Folder):
    """What tables print in bold hangs on them."""
    run = folder.run(folder.a)
    right, reference = run.outcomes()
    for changes, said in (
        ({"right": ~right}, "metrics.json: its acc_last is "),
        ({"right": right[::-1], "reference": reference[::-1]}, "outcomes.npz: it is not what predictions.npz says"),
        ({"right": right[:5]}, "outcomes.npz is damaged: it holds bool (5,)"),
        ({"reference": reference - 1}, "outcomes.npz is damaged: it holds bool (48,)"),
    ):
        run.save_arrays("outcomes", {"right": right, "reference": reference, **changes})
        folder.vouch(folder.a)
        wrong = folder.examined().wrong
        assert {f.where for f in wrong} == {folder.a}
        assert any(said in f.what for f in wrong), (said, wrong)


# ------------------------------------------------- the grid, its sweeps, the noise


GRIDS: dict[str, tuple[Callable[[list], object], str]] = {
    "another spec": (lambda g: g[1]["spec"].update(seed=5), "is not that of its spec, code, labels and weights"),
    "another key": (lambda g: g[1].update(key="0" * 16), "is not that of its spec, code, labels and weights"),
    "a path for a key": (lambda g: g[1].update(key="../../../etc"), "line 2: the key '../../../etc' is none"),
    "other labels": (lambda g: g[1].update(noise_sha256="0" * 64), "is not that of its spec, code, labels and weights"),
    "a line twice": (lambda g: g.append(g[1]), "is in it twice"),
    "a line less": (lambda g: g.pop(1), "it lacks the run"),
    "another rate": (lambda g: [line.update(realised=0.5) for line in g], "its realised of "),
    "another rate in one line": (lambda g: g[1].update(realised=0.5), "which can only be the same"),
    "other data": (lambda g: [line.update(dataset_sha256="0" * 64) for line in g], "its dataset_sha256 of "),
    "another balance": (lambda g: g[1].update(imbalance=9.0), "its imbalance of "),
    "a method that is told more": (lambda g: g[1].update(privilege=["votes"]), "its privilege of "),
    "other images": (lambda g: g[1].update(images_of="faces"), "its images_of of "),
    "no spec": (lambda g: g[1].pop("spec"), "1.spec: Field required"),
}


@pytest.mark.parametrize("what", GRIDS)
def test_a_grid_that_was_edited_is_found_and_no_run_is_blamed_for_it(folder: Folder, what: str):
    change, said = GRIDS[what]
    folder.edit("grid.json", change)
    found = folder.examined()
    assert {f.where for f in found.wrong} == {"grid.json"}
    assert any(said in f.what for f in found.wrong), found.wrong
    assert [f.deletes for f in found.findings] == [()] * len(found.findings)
    assert "3 finished and verified" in found.summary() or what == "a line less"
    assert found.commands()["writes grid.json anew, once it is deleted"].startswith("python -m benchmark run --config ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "it is missing"),
        ("not = [toml", "it is not TOML"),
        (b"\xff\xfe", "it is no text in UTF-8"),
        ("[[sweep]]\n" + "a." * 40 + "b = 1\n", "a key in it has more than 32 parts"),
        ("[[sweep]]\nseeds = [" + "9" * 20 + "]\n", "an integer in it has more than 64 bits"),
        ("#" * 2**20 + "\n", "it is larger than 1,048,576 bytes"),
        ("sweep = 3\n", "there is no sweep in it"),
        ("seeds = [0]\n", "there is no sweep in it"),
        ("[[sweep]]\nseeds = [7]\n", "none of its sweeps has the run "),
    ],
)
def test_sweeps_that_do_not_bring_the_runs_are_found(folder: Folder, content: str | bytes | None, said: str):
    folder.path("sweep.toml").unlink() if content is None else folder.write("sweep.toml", content)
    folder.flip(f"{folder.a}/metrics.json")
    found = folder.examined()
    toml, run = found.of("damaged")
    assert (toml.where, said in toml.what) == ("sweep.toml", True)
    assert str(folder.root) not in toml.what
    assert (run.where, run.deletes) == (folder.a, ())  # no command would run it again
    assert found.commands() == {}


def test_without_a_grid_every_run_is_verified_and_nobody_called_an_orphan(folder: Folder):
    for content in (None, "", "{}", "[3]", "[]"):
        folder.path("grid.json").unlink() if content is None else folder.write("grid.json", content)
        found = folder.examined()
        assert [(f.kind, f.where) for f in found.findings] == [("damaged", "grid.json")]
        assert found.summary() == "3 runs: 3 finished and verified; 1 noise artefact verified; grid.json damaged"


def test_a_damaged_artefact_is_found(folder: Folder):
    whole = folder.path(folder.noise).read_bytes()
    for spoil in ("flip", "cut"):
        getattr(folder, spoil)(folder.noise)
        (finding,) = folder.findings()
        assert (finding.kind, finding.where, finding.deletes) == ("damaged", folder.noise, (folder.noise,))
        assert "damaged" in finding.what
        folder.write(folder.noise, whole)


def test_an_artefact_of_another_name_is_found(folder: Folder):
    noise = read_artefact(folder.path(folder.noise))
    other = dataclasses.replace(noise, header=noise.header.model_copy(update={"seed": 99}))
    folder.write(folder.noise, other.to_bytes())
    (finding,) = folder.findings()
    assert (finding.kind, finding.what) == ("damaged", f"it is the artefact {other.sha256}")


# ------------------------------------------------- results.csv


def _changed(text: str, change: Callable[[list[list[str]]], object]) -> str:
    rows = list(csv.reader(io.StringIO(text)))
    change(rows)
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows[1].__setitem__(rows[0].index("acc_last"), "99.9"), "it shows otherwise 1"),
        (lambda rows: rows.pop(2), "it lacks 1"),
        (lambda rows: rows.append(["0" * 16] * len(rows[0])), "it should not show 1"),
        (lambda rows: rows.append(rows[1]), "not in the grid's order, or there twice"),
        (lambda rows: rows.reverse(), "its columns are not those of today"),
        (lambda rows: rows[1].pop(), "its columns are not those of today"),
        (lambda rows: rows.clear(), "it is no table of this suite"),
    ],
)
def test_a_table_that_says_otherwise_than_the_runs_is_stale(folder: Folder, change: Callable, said: str):
    folder.write("results.csv", _changed(folder.path("results.csv").read_text(), change))
    (finding,) = folder.findings()
    assert (finding.kind, finding.where) == ("stale", "results.csv")
    assert said in finding.what
    assert "writes the tables anew" in folder.examined().commands()


def test_a_folder_without_tables_lacks_nothing(folder: Folder):
    folder.path("results.csv").unlink()
    assert folder.findings() == []


# ------------------------------------------------- what lies there besides


def _of_other_code(run: PlannedRun) -> PlannedRun:
    code = "0" * 64
    key = run.spec.key(code=code, noise=run.noise_sha256, weights=run.weights_sha256)
    return dataclasses.replace(run, code=code, key=key)


def test_a_run_of_older_code_is_an_orphan_that_was_kept_on_purpose(folder: Folder):
    first, *others = folder.store.plan()
    folder.store.save_plan([_of_other_code(first), *others])
    found = folder.examined()
    (orphan,) = found.of("orphan")
    assert orphan.where == folder.a
    assert orphan.what.startswith("verified, ce, symmetric 20 %, seed 0: the method's code has changed since; ")
    assert orphan.what.endswith("has taken its place, and it was kept on purpose")
    assert found.commands()["deletes the orphans"] == f"rm -r {folder.root / folder.a}"
    assert found.of("damaged") == []
    assert "1 unfinished" in found.summary()


def test_a_run_that_left_the_grid_with_all_of_its_method_says_so(folder: Folder):
    first, *others = folder.store.plan()
    newer = _of_other_code(dataclasses.replace(first, spec=dataclasses.replace(first.spec, seed=4)))
    folder.store.save_plan([newer, *others])
    (orphan,) = folder.examined().of("orphan")
    assert orphan.what.endswith("seed 0: the method's code has changed since; it was kept on purpose")


def test_an_orphan_is_verified_like_any_run_and_nobody_offers_to_delete_it(folder: Folder):
    first, *others = folder.store.plan()
    folder.store.save_plan([_of_other_code(first), *others])
    folder.flip(f"{folder.a}/predictions.npz")
    (damaged,) = folder.examined().of("damaged")
    assert (damaged.where, damaged.deletes) == (folder.a, ())


def test_strangers_are_listed(folder: Folder):
    folder.write(f"{folder.a}/notes.txt", "mine")
    folder.write("runs/notes.txt", "mine")
    folder.write("noise/notes.txt", "mine")
    folder.path("runs", "mine").mkdir()
    shutil.copy(folder.path(folder.noise), folder.path("noise", "0" * 64 + ".npz"))
    folder.write("README", "of no concern")
    found = folder.examined()
    assert {f.where for f in found.of("orphan")} == {f"{folder.a}/notes.txt", "runs/notes.txt", "noise/notes.txt", "runs/mine"}
    assert [f.where for f in found.wrong] == ["noise/" + "0" * 64 + ".npz"]  # its name is another's, and it is nobody's
    assert found.wrong[0].deletes == ()


def test_an_artefact_that_no_run_uses_is_an_orphan(folder: Folder):
    noise = read_artefact(folder.path(folder.noise))
    other = dataclasses.replace(noise, header=noise.header.model_copy(update={"seed": 99}))
    folder.store.save_noise(other.sha256, other.to_bytes())
    assert folder.found() == [("orphan", f"noise/{other.sha256}.npz", "no run uses it")]


LEFT = {
    "a/.metrics.json-part-ab12_xyz": "a write that was cut short",
    "a/checkpoint.pt": "of a run that has ended",
    "a/failure.json": "of a run that has finished since",
    "a/lock.json": "a lock whose owner is gone",
    "lock.json": "a lock whose owner is gone",
    ".driver-" + "0" * 32: "a lock whose owner is gone",
    ".results.csv-part-ab12_xyz": "a write that was cut short",
    "figures/.cost.svg-part-ab12_xyz": "a write that was cut short",
    "noise/." + "0" * 64 + ".npz-part-ab12_xyz": "a write that was cut short",
}


@pytest.mark.parametrize("place", LEFT)
def test_what_a_killed_process_left_is_found_once_nobody_can_be_at_work_on_it(folder: Folder, place: str):
    where = place.replace("a/", f"{folder.a}/", 1) if place.startswith("a/") else place
    folder.path("figures").mkdir()
    folder.write(where, "{}", age=3600)
    (finding,) = folder.findings()
    assert (finding.kind, finding.where, finding.what, finding.deletes) == ("leftover", where, LEFT[place], (where,))
    assert folder.examined().wrong == []
    folder.write(where, "{}")
    served = place.endswith(("checkpoint.pt", "failure.json"))  # whatever their age
    assert {f.kind for f in folder.findings()} == ({"leftover"} if served else {"in use"} if "lock" in place else set())


def test_a_hidden_file_of_a_users_is_not_taken_for_a_leftover(folder: Folder):
    for place in (f"{folder.a}/.my-notes_12", ".vimrc-backup12", "noise/.x.npz-part-ab12_xyz"):
        folder.write(place, "mine", age=3600)
    assert {f.kind for f in folder.findings()} == {"orphan"}


def test_a_run_that_somebody_is_at_work_on_is_not_looked_at(folder: Folder):
    folder.write(f"{folder.a}/lock.json", "{}")
    folder.flip(f"{folder.a}/metrics.json")
    found = folder.examined()
    assert [(f.kind, f.where, f.deletes) for f in found.findings] == [("in use", folder.a, ())]
    assert found.summary().startswith("3 runs: 2 finished and verified, 1 in use; ")


@pytest.mark.parametrize("where", ["", "a"])
def test_a_lock_whose_owner_is_known_to_be_dead_is_left_over_at_once(folder: Folder, where: str):
    place = f"{folder.a}/lock.json" if where else "lock.json"
    lock = Lock(folder.path(place))
    assert lock.claim()
    owner = dataclasses.asdict(lock.owner())
    assert {f.kind for f in folder.findings()} == {"in use"}
    lock.release()
    folder.write(place, json.dumps({**owner, "born": "1"}))
    assert folder.found() == [("leftover", place, "a lock whose owner is gone")]
    repair(folder.examined())
    assert folder.findings() == []


def test_what_is_still_to_be_done_is_no_damage(folder: Folder):
    folder.path("results.csv").unlink()
    begun, failed = folder.run(folder.a), folder.run(folder.b)
    begun.discard()
    begun.begin(folder.store.plan()[0].spec, {})
    begun.save_checkpoint(b"state")
    failed.discard()
    failed.begin(folder.store.plan()[1].spec, {})
    failed.fail("the loss was nan", "")
    shutil.rmtree(folder.path(folder.c))
    found = folder.examined()
    assert [(f.kind, f.where, f.what) for f in found.findings] == [
        ("failed", folder.b, "scn, symmetric 20 %, seed 0: the loss was nan"),
        ("unfinished", folder.a, "ce, symmetric 20 %, seed 0: begun, and goes on where it was stopped"),
        ("unfinished", "runs", "1 run of the grid not begun"),
    ]
    run = f"python -m benchmark run --config {folder.root}/sweep.toml --out {folder.root}"
    assert found.commands() == {"runs what is missing": run, "runs again what has failed": f"{run} --retry-failed"}
    assert found.summary() == "3 runs: 1 failed, 2 unfinished; 1 noise artefact verified"
    folder.write(f"{folder.b}/failure.json", "[]")
    (damaged,) = folder.examined().of("damaged")
    assert (damaged.where, damaged.what.startswith("failure.json is damaged")) == (folder.b, True)


SWEEPS: dict[str, dict[str, object]] = {
    "rates and seeds": {"noise": (0, 12.5, 33.3), "seeds": (0, 4)},
    "human labels": {"noise_kind": "human", "noise": ()},
    "votes": {"noise_kind": "votes", "noise": (), "methods": ("ce", "ldl")},
    "a list": {"noise_kind": "file", "noise": (), "noise_files": ["labels.txt"]},
    "images from outside": {"noise_kind": "open-set:digits"},
    "own recipes": {"recipe": "paper", "epochs": None, "methods": ("ce", "scn", "rul")},
    "a changed recipe": {"batch_size": 32, "balanced": True, "validation": 25},
    "a long tail": {"imbalance": 2, "dataset": "tiny@60"},
    "options": {"options": {"scn": {"beta": 0.5}, "tiny": {"train": 48}}, "methods": ("ce", "scn"), "backbone": "resnet18"},
}


@pytest.mark.parametrize("what", SWEEPS)
def test_a_sweep_of_any_sort_is_whole_before_it_is_begun(tiny_plugin: Path, tmp_path: Path, what: str):
    changes = dict(SWEEPS[what])
    if "noise_files" in changes:
        (tmp_path / "labels.txt").write_text("0\n" * 96)
        changes["noise_files"] = (str(tmp_path / "labels.txt"),)
    given = {"dataset": "tiny", "methods": ("ce",), "noise": (20,), "epochs": 2, "threads": 1, "plugins": (str(tiny_plugin),)}
    entry = {name: value for name, value in {**given, **changes}.items() if value is not None}
    planned, _ = plan_sweep(checked_sweep(entry), tmp_path / "out", Settings(jobs=1, quiet=True))
    store = Store(tmp_path / "out")
    for sha256, noise in planned.noises.items():
        store.save_noise(sha256, noise.to_bytes())
    store.save_plan(planned.jobs)
    store.save_sweep(tomli_w.dumps({"sweep": [planned.sweep.model_dump(exclude_none=True)]}))
    found = examine(store.root)
    assert [(f.kind, f.what) for f in found.findings] == [
        ("unfinished", f"{counted(len(planned.jobs), 'run')} of the grid not begun")
    ]
    store.save_plan(store.plan())  # as a second sweep writes it again
    assert examine(store.root).wrong == []


def test_what_is_no_output_folder_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for folder, said in (
        (tmp_path, "there is no sweep in it"),
        (tmp_path / "no", "no such folder"),
        (tmp_path / "file", "a file"),
    ):
        with pytest.raises(BadInput, match=said):
            examine(folder)


def test_a_manifest_says_what_the_key_is_made_of(folder: Folder):
    run = RunFolder(folder.path(folder.a))
    inputs = run.manifest().inputs
    planned = folder.store.plan()[0]
    assert inputs == planned.inputs
    assert {f.name for f in dataclasses.fields(Inputs)} == json.loads((run.path / "manifest.json").read_text())["inputs"].keys()
    assert run.spec().key(code=inputs.code, noise=inputs.noise_sha256, weights=inputs.weights_sha256) == run.key
