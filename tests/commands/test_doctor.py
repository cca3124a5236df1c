"""`doctor`: a line a finding, a summary at the end, and an exit status that a script can go by."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from folders import Folder
from modules import modules_after

ANEW = "written anew: the tables, as `table` writes them without --baseline and --against"
SUMMARY = "3 runs: 3 finished and verified; 1 noise artefact verified"


@pytest.fixture
def folder(whole_folder: Path, tmp_path: Path) -> Folder:
    return Folder(Path(shutil.copytree(whole_folder, tmp_path / "out")))


def test_of_a_whole_folder_there_is_nothing_to_say_but_that(call, folder: Folder):
    assert call("doctor", folder.root) == (0, f"{SUMMARY}\n", "")
    assert call("doctor", folder.root, "--repair") == (0, f"{SUMMARY}\n", "")


def test_damage_is_named_repaired_when_asked_and_run_again(call, folder: Folder):
    folder.flip(f"{folder.a}/predictions.npz")
    before = folder.files()
    status, out, err = call("doctor", folder.root)
    lines = out.splitlines()
    assert (status, err) == (1, "")
    assert lines[0] == f"damaged     {folder.a}  predictions.npz: its sha256 is not the one in manifest.json"
    assert any(line.startswith(f"--repair deletes {folder.a}: metrics.json, ") for line in lines)
    assert lines[-1] == "3 runs: 2 finished and verified, 1 damaged; 1 noise artefact verified"
    assert folder.files() == before
    status, out, _ = call("doctor", folder.root, "--repair")
    lines = out.splitlines()
    assert status == 0
    assert any(line.startswith(f"deleted: {folder.a}: metrics.json, ") for line in lines)
    assert lines[-2] == f"runs what is missing: python -m benchmark run --config {folder.root}/sweep.toml --out {folder.root}"
    assert lines[-1] == "3 runs: 2 finished and verified, 1 unfinished; 1 noise artefact verified"
    assert call("doctor", folder.root)[0] == 0
    assert call("run", "--config", folder.root / "sweep.toml", "--out", folder.root, "--quiet")[0] == 0
    assert call("doctor", folder.root)[:2] == (0, f"{SUMMARY}\n")


def test_what_a_repair_cannot_mend_keeps_the_exit_status(call, folder: Folder):
    folder.path(folder.a, "manifest.json").unlink()
    assert call("doctor", folder.root, "--repair")[0] == 1


def test_notes_do_not_change_the_exit_status(call, folder: Folder):
    folder.write("runs/mine.txt", "")
    folder.write(f"{folder.a}/checkpoint.pt", "")
    shutil.rmtree(folder.path(folder.b))
    folder.path("results.csv").unlink()
    folder.path(folder.noise).unlink()
    status, out, _ = call("doctor", folder.root)
    assert status == 0
    kinds = [line.split()[0] for line in out.splitlines()]
    assert kinds[:4] == ["absent", "leftover", "orphan", "unfinished"]
    assert f"deletes the orphans: rm -r {folder.root}/runs/mine.txt" in out


def test_json_stands_alone(call, folder: Folder):
    folder.flip(f"{folder.a}/metrics.json")
    status, out, err = call("doctor", folder.root, "--json")
    told = json.loads(out)
    (finding,) = told["findings"]
    assert (status, err, finding["kind"], finding["where"], finding["mended"]) == (1, "", "damaged", folder.a, False)
    assert finding["deletes"][0] == f"{folder.a}/metrics.json"
    assert (told["runs"], told["noise_artefacts"]) == ({"damaged": 1, "verified": 2}, 1)
    status, out, _ = call("doctor", folder.root, "--json", "--repair")
    told = json.loads(out)
    assert (status, [f["mended"] for f in told["findings"]]) == (0, [True])
    assert told["done"][-1] == ANEW
    assert told["commands"].keys() == {"runs what is missing"}


def test_many_findings_of_a_kind_are_counted_and_json_has_them_all(call, folder: Folder):
    for number in range(30):
        folder.write(f"runs/{number:02d}", "")
    status, out, _ = call("doctor", folder.root)
    assert (status, out.count("\norphan"), out.count("it is no run")) == (0, 19, 20)
    assert "            … 10 more; --json shows all\n" in out
    assert len(json.loads(call("doctor", folder.root, "--json")[1])["findings"]) == 30


def test_no_name_reaches_the_terminal_as_it_is(call, folder: Folder):
    folder.path("runs", "a\n\x1b[2Jb").mkdir()
    folder.path(folder.b, "results\n1 run: all is well").write_text("")
    status, out, _ = call("doctor", folder.root)
    assert (status, len(out.splitlines())) == (0, 3)
    assert "\x1b" not in out
    assert r"runs/a\n\x1b[2Jb" in out
    assert r"a\n\x1b[2Jb" in json.loads(call("doctor", folder.root, "--json")[1])["findings"][0]["where"]


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("")])
def test_what_is_no_output_folder_is_bad_input(call, tmp_path: Path, make: Callable[[Path], None]):
    make(tmp_path / "out")
    status, out, err = call("doctor", tmp_path / "out")
    assert (status, out, err.count("\n")) == (2, "", 1)


def test_a_repair_of_what_cannot_be_written_is_bad_input(call, folder: Folder, monkeypatch: pytest.MonkeyPatch):
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", denied)
    status, _, err = call("doctor", folder.root, "--repair")
    assert (status, err.count("\n")) == (2, 1)
    assert "it cannot be written (Permission denied)" in err


def test_it_loads_no_training_code(folder: Folder):
    """Nor when it writes tables; and to look it needs no library but numpy."""
    modules = modules_after("doctor", str(folder.root))
    assert "benchmark.doctor.finished" in modules
    assert {name.partition(".")[0] for name in modules} & {"torch", "scipy", "sklearn", "pandas", "timm", "PIL"} == set()
    folder.flip(f"{folder.a}/metrics.json")
    modules = modules_after("doctor", str(folder.root), "--repair")
    assert "benchmark.report.tables" in modules
    assert [name for name in modules if f"{name}.".startswith(("torch.", "benchmark.train.", "benchmark.sweep."))] == []


def test_it_works_from_anywhere_on_a_folder_named_as_it_is(folder: Folder):
    """A relative name, whose parts stand in other names too."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", "doctor", "out"],
        cwd=folder.root.parent,
        env={"PYTHONPATH": str(root), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"{SUMMARY}\n"), done.stderr
