"""The fingerprint of a plugin's code: what changes it, what does not, and what it covers besides the plugin's own file."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from benchmark import fingerprint as fp
from benchmark.fingerprint import code_fingerprint


def fingerprint(folder: Path, method: str, helper: str) -> str:
    """Of a package `pkg` with a method and its helper."""
    (folder / "__init__.py").write_text("")
    (folder / "_helper.py").write_text(helper)
    (folder / "method.py").write_text(method)
    for name in [n for n in sys.modules if n.startswith("pkg")]:
        del sys.modules[name]
    spec = importlib.util.spec_from_file_location("pkg", folder / "__init__.py", submodule_search_locations=[str(folder)])
    sys.modules["pkg"] = importlib.util.module_from_spec(spec)
    return code_fingerprint("pkg.method")


def test_a_changed_comment_is_the_same_code_and_a_changed_helper_is_not(tmp_path):
    method = '"""Doc."""\nfrom ._helper import f\n\ndef g():\n    "Doc."\n    return f()  # why\n'
    helper = "def f():\n    return 1\n"
    first = fingerprint(tmp_path, method, helper)
    assert fingerprint(tmp_path, method.replace("Doc", "Other").replace("# why", ""), helper + "# more") == first
    assert fingerprint(tmp_path, method.replace("f()  #", "f() + 1  #"), helper) != first
    assert fingerprint(tmp_path, method, helper.replace("1", "2")) != first
    assert fingerprint(tmp_path, "from . import _helper\n", helper) != fingerprint(tmp_path, "from . import _helper\n", "x = 1")


def loose(folder: Path, code: str) -> str:
    """Fingerprint of a loose plugin file in a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "mine.py").write_text(code)
    name = f"benchmark_plugin_mine_{folder.name}"
    spec = importlib.util.spec_from_file_location(name, folder / "mine.py")
    sys.modules[name] = importlib.util.module_from_spec(spec)
    return code_fingerprint(name)


def test_the_same_code_in_another_place_is_the_same_code(tmp_path: Path):
    assert loose(tmp_path / "here", "x = 1") == loose(tmp_path / "there", "x = 1")


def test_a_loose_file_that_builds_on_a_method_changes_with_it(tmp_path: Path):
    loose(tmp_path / "a", "from benchmark.methods.scn import SCN")
    sources: dict[str, str] = {}
    fp._collect("benchmark_plugin_mine_a", sources)
    assert any(Path(path).name == "scn.py" for path in sources)


def test_a_fingerprint_covers_all_of_a_package_that_a_plugin_imports(tmp_path, monkeypatch):
    """Across sub-packages, and through the package's own __init__."""
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "theirs_fingerprinted"
    (package / "methods").mkdir(parents=True)
    (package / "__init__.py").write_text("from .constants import C\n")
    (package / "constants.py").write_text("C = 1\n")
    (package / "losses.py").write_text("SCALE = 1\n")
    (package / "methods" / "__init__.py").touch()
    (package / "methods" / "m.py").write_text("from ..losses import SCALE\n")
    seen = {code_fingerprint("theirs_fingerprinted.methods.m")}
    (package / "losses.py").write_text("SCALE = 2\n")
    seen.add(code_fingerprint("theirs_fingerprinted.methods.m"))
    (package / "constants.py").write_text("C = 2\n")
    seen.add(code_fingerprint("theirs_fingerprinted.methods.m"))
    (package / "constants.py").write_text("C = 2  # a comment\n")
    seen.add(code_fingerprint("theirs_fingerprinted.methods.m"))
    assert len(seen) == 3


def test_a_fingerprint_covers_the_modules_beside_a_loose_file_and_no_library(tmp_path, monkeypatch):
    """Its own helper, and the helper's; not what merely is installed, even from a virtual environment in the same folder."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "beside_one.py").write_text("import beside_two, numpy\n")
    (tmp_path / "beside_two.py").write_text("X = 1\n")
    code = "import beside_one, numpy, torch\nfrom benchmark.contract import Method\n"
    first = loose(tmp_path, code)
    (tmp_path / "beside_two.py").write_text("X = 2\n")
    assert code_fingerprint(f"benchmark_plugin_mine_{tmp_path.name}") != first
    sources: dict[str, str] = {}
    fp._collect(f"benchmark_plugin_mine_{tmp_path.name}", sources)
    assert {Path(file).name for file in sources} == {"mine.py", "beside_one.py", "beside_two.py"}


def test_a_helper_package_needs_no_init_file(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "bare_helpers" / "deep").mkdir(parents=True)
    (tmp_path / "bare_helpers" / "deep" / "consts.py").write_text("X = 1\n")
    first = loose(tmp_path, "from bare_helpers.deep.consts import X\n")
    (tmp_path / "bare_helpers" / "deep" / "consts.py").write_text("X = 2\n")
    assert code_fingerprint(f"benchmark_plugin_mine_{tmp_path.name}") != first


@pytest.mark.parametrize("content", [b"print 'x'\n", "# -*- coding: latin-1 -*-\nX = 'ü'\n".encode("latin-1"), b"\x00\x01"])
def test_a_neighbour_of_any_content_is_covered_as_it_is_and_not_imported(tmp_path, monkeypatch, content):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "__init__.py").write_text("raise RuntimeError('it was imported')\n")
    (tmp_path / "odd" / "neighbour.py").write_bytes(content)
    first = loose(tmp_path, "def later():\n    import odd.neighbour\n")
    (tmp_path / "odd" / "neighbour.py").write_bytes(content + b"\nY = 1\n")
    assert code_fingerprint(f"benchmark_plugin_mine_{tmp_path.name}") != first


def test_a_fingerprint_of_an_installed_module_covers_its_distribution_and_no_other(tmp_path, monkeypatch):
    """Where a package has no folder of its own, its modules lie among those of all others."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    for name, code in {"lone_a": "import lone_b, lone_c\n", "lone_b": "X = 1\n", "lone_c": "X = 1\n"}.items():
        (folder / f"{name}.py").write_text(code)
    monkeypatch.setattr(fp, "packages_distributions", lambda: {"lone_a": ["mine"], "lone_b": ["mine"], "lone_c": ["theirs"]})
    sources: dict[str, str] = {}
    fp._collect("lone_a", sources)
    assert {Path(file).name for file in sources} == {"lone_a.py", "lone_b.py"}
