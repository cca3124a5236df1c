"""Plugins: found by being there, named when broken, and never in each other's way."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from benchmark.contract import BadInput
from benchmark.contract.registry import load_plugins

ROOT = Path(__file__).parents[2]
METHOD = "from benchmark.methods.ce import CrossEntropy\nclass Mine(CrossEntropy):\n    'Mine.'\n    name = {name!r}\n"


def test_the_built_in_ones_are_found_by_being_in_the_folder():
    found = load_plugins()
    assert {"ce", "scn", "dul", "rul", "rul-relabel"} <= set(found.methods)
    assert {"faces", "cifar10", "ferplus"} <= set(found.datasets)
    assert found.methods.broken == found.datasets.broken == {}


def test_a_loose_file_is_a_plugin(tmp_path: Path):
    file = tmp_path / "mine.py"
    file.write_text(METHOD.format(name="mine"))
    assert load_plugins([file]).methods["mine"].summary() == "Mine."
    assert "mine" not in load_plugins().methods.plugins


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("x = 1", "defines no Method"),
        (METHOD.format(name="ce"), "two methods have this name"),
    ],
)
def test_a_loose_file_that_cannot_be_used_is_bad_input(tmp_path: Path, code: str, wanted: str):
    file = tmp_path / "bad.py"
    file.write_text(code)
    with pytest.raises(BadInput, match=wanted) as error:
        load_plugins([file])
    assert "\n" not in str(error.value)


def entry(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    def found(group: str) -> list[EntryPoint]:
        return [EntryPoint(name, value, group)] if group == "benchmark.methods" else []

    monkeypatch.setattr("benchmark.contract.registry.entry_points", found)


def test_an_installed_package_adds_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "their_package.py").write_text(METHOD.format(name="theirs"))
    monkeypatch.syspath_prepend(tmp_path)
    entry(monkeypatch, "theirs", "their_package:Mine")
    assert load_plugins().methods["theirs"].name == "theirs"


def test_an_installed_package_that_is_broken_is_named_and_harms_no_other(monkeypatch: pytest.MonkeyPatch):
    entry(monkeypatch, "theirs", "no_such_package:Mine")
    methods = load_plugins().methods
    assert "rul" in methods.plugins
    with pytest.raises(BadInput, match="'theirs' cannot be used: ModuleNotFoundError"):
        methods["theirs"]


def test_an_installed_package_that_takes_a_name_spoils_that_name_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "their_twin.py").write_text(METHOD.format(name="rul"))
    monkeypatch.syspath_prepend(tmp_path)
    entry(monkeypatch, "rul", "their_twin:Mine")
    methods = load_plugins().methods
    with pytest.raises(BadInput, match="two methods have this name"):
        methods["rul"]
    assert methods["ce"].name == "ce"


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_hugging_faces_datasets_is_not_silently_replaced_and_timm_works_beside_us():
    done = python("import datasets")
    assert done.returncode != 0
    assert "instead of Hugging Face's library" in done.stderr
    done = python("import timm, timm.data; timm.create_model('resnet18'); import benchmark.datasets")
    assert done.returncode == 0, done.stderr
