"""`method new`: what it writes works at once, as a file and as a package that is installed beside the suite."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmark import check_method
from benchmark.contract import BadInput
from benchmark.contract.registry import methods_in_file
from benchmark.scaffold import new_method


def test_a_new_method_keeps_the_contract(tmp_path: Path) -> None:
    (file,) = new_method("my-idea", tmp_path)
    assert file == tmp_path / "my_idea.py"
    (method,) = methods_in_file(file)
    assert (method.name, method.__name__, method.summary()) == (
        "my-idea",
        "MyIdea",
        "My idea: the line that `list methods` shows.",
    )
    assert [str(verdict) for verdict in check_method(method) if not verdict.passed] == []


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment in which a new package `other` is installed, as an installer would leave it."""
    root = tmp_path / "benchmark-other"
    new_method("other", tmp_path, package=True)
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    about = root / "benchmark_other-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    entries = project["entry-points"]["benchmark.methods"]
    (about / "entry_points.txt").write_text("[benchmark.methods]\n" + "".join(f"{k} = {v}\n" for k, v in entries.items()))
    here = str(Path(__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), here])}


def test_a_new_package_is_listed_and_its_own_test_passes(tmp_path: Path, installed: dict[str, str]) -> None:
    def python(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, env=installed, capture_output=True, text=True)

    listed = python("benchmark", "list", "methods")
    assert "\nother " in listed.stdout, listed.stderr
    tested = python("pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "benchmark-other" / "tests"))
    assert "14 passed" in tested.stdout, tested.stdout


@pytest.mark.parametrize("name", ["random", "torch", "benchmark"])
def test_a_file_that_would_hide_a_module_is_refused_and_a_package_of_that_name_is_not(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=f"would hide the Python module '{name}'"):
        new_method(name, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert new_method(name, tmp_path, package=True)


@pytest.mark.parametrize("package", [False, True])
def test_nothing_is_overwritten(tmp_path: Path, package: bool) -> None:
    before = {path: path.read_bytes() for path in new_method("other", tmp_path, package=package)}
    with pytest.raises(BadInput, match="is there already"):
        new_method("other", tmp_path, package=package)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("name", ["", "Mine", "my idea", "../mine", "all", "a:oracle", "a.b", "-x"])
def test_a_name_that_cannot_be_is_refused_and_nothing_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="wanted a name"):
        new_method(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is a method of this name already"):
        new_method("rul", tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot be written"):
        new_method("other", tmp_path / "file")
