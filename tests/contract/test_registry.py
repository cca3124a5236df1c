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
        (METHOD.format(name=None), "its name is None"),
        (METHOD.format(name="../up"), "wanted lower-case letters"),
        (METHOD.format(name="mine") + "    Config = int\n", "is no dataclass"),
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


def test_two_loose_files_of_one_name_are_bad_input_and_one_given_twice_is_not(tmp_path: Path):
    files = [tmp_path / "one.py", tmp_path / "two.py"]
    for file in files:
        file.write_text(METHOD.format(name="mine"))
    with pytest.raises(BadInput, match=r"two methods have this name: .*one\.py and .*two\.py"):
        load_plugins(files)
    assert "mine" in load_plugins([files[0], files[0]]).methods.plugins


def test_a_built_in_file_that_is_broken_is_named_and_harms_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import benchmark.methods

    (tmp_path / "half_done.py").write_text("import nowhere_at_all")
    (tmp_path / "_shared.py").write_text("raise AssertionError('an underscore is no plugin')")
    monkeypatch.setattr(benchmark.methods, "__path__", [*benchmark.methods.__path__, str(tmp_path)])
    methods = load_plugins().methods
    assert list(methods.broken) == ["half-done"]
    assert {"ce", "rul"} <= set(methods)
    with pytest.raises(BadInput, match="'half-done' cannot be used: ModuleNotFoundError"):
        methods["half-done"]


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("their_exit", "raise SystemExit(3)"),
        ("their_function", "def Mine(): pass"),
        ("their_nameless", "from benchmark.contract import Method\nclass Mine(Method): pass"),
        ("their_stranger", "class Mine: name = 'theirs'"),
    ],
)
def test_an_installed_package_that_is_no_plugin_is_named_and_harms_no_other(tmp_path, monkeypatch, module, code):
    (tmp_path / f"{module}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    entry(monkeypatch, "theirs", f"{module}:Mine")
    methods = load_plugins().methods
    assert "theirs" in methods.broken
    assert "rul" in methods.plugins


def test_a_file_that_changed_is_imported_anew(tmp_path: Path):
    """Or a notebook, and the workers that joblib keeps, run the old code under the new code's key."""
    file = tmp_path / "mine.py"
    file.write_text(METHOD.format(name="mine") + "    version = 1\n")
    assert load_plugins([file]).methods["mine"].version == 1
    file.write_text(METHOD.format(name="mine") + "    version = 2\n")
    assert load_plugins([file]).methods["mine"].version == 2
