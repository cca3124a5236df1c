"""What a run is called, and what its key covers."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from stubs import SPEC

from benchmark import spec
from benchmark.contract import BadInput
from benchmark.spec import DatasetSpec, RunSpec, code_fingerprint, recipe

KEY = {"code": "c", "noise": "n", "weights": None}


def test_names_say_what_differs_from_the_defaults():
    assert SPEC.dataset.label == "ferplus[classes=8]@10k"
    assert DatasetSpec("faces", 1500).label == "faces@1500"
    assert SPEC.method_label == "scn[beta=0.5]"
    assert recipe("common", epochs=3).name == "common"
    assert recipe("common", batch_size=32).name == "common[batch_size=32]"
    own = recipe("paper", epochs=3, own={"epochs": 60, "lr": 0.5, "batch_size": 32})
    assert (own.name, own.epochs, own.lr, own.batch_size, own.is_own) == ("paper[epochs=3]", 3, 0.5, 32, True)


def test_a_spec_survives_its_file():
    import json

    assert TypeAdapter(RunSpec).validate_json(json.dumps(SPEC.to_dict())) == SPEC


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": DatasetSpec("ferplus")},
        {"noise_kind": "symmetric-inclusive"},
        {"noise_rate": 0.3},
        {"method": "rul"},
        {"options": {}},
        {"backbone": "resnet18"},
        {"pretrained": "w.pth"},
        {"recipe": recipe("common", epochs=3)},
        {"validation": 0.1},
        {"precision": "bf16"},
        {"seed": 4},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_key_covers_every_field(change):
    assert dataclasses.replace(SPEC, **change).key(**KEY) != SPEC.key(**KEY)
    assert {f.name for f in dataclasses.fields(RunSpec)} == FIELDS


FIELDS = {
    "dataset", "noise_kind", "noise_rate", "method", "options", "backbone", "pretrained", "recipe", "validation", "precision",
    "seed",
}  # fmt: skip


@pytest.mark.parametrize("what", ["code", "noise", "weights"])
def test_the_key_covers_code_noise_and_weights(what):
    assert SPEC.key(**{**KEY, what: "other"}) != SPEC.key(**KEY)
    assert SPEC.key(**KEY) == SPEC.key(**KEY)


@pytest.mark.parametrize("text", ["", "faces@", "faces@0", "faces@many", "faces@1@2", "@10k"])
def test_subsets_that_cannot_be_read_are_refused(text):
    with pytest.raises(BadInput, match="NAME@COUNT"):
        DatasetSpec.parse(text, {})
    assert DatasetSpec.parse("cifar10@10k", {}).subset == 10_000


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
    spec._collect("benchmark_plugin_mine_a", sources)
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
    spec._collect(f"benchmark_plugin_mine_{tmp_path.name}", sources)
    assert {Path(file).name for file in sources} == {"mine.py", "beside_one.py", "beside_two.py"}


def test_a_fingerprint_of_an_installed_module_covers_its_distribution_and_no_other(tmp_path, monkeypatch):
    """Where a package has no folder of its own, its modules lie among those of all others."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    for name, code in {"lone_a": "import lone_b, lone_c\n", "lone_b": "X = 1\n", "lone_c": "X = 1\n"}.items():
        (folder / f"{name}.py").write_text(code)
    monkeypatch.setattr(spec, "packages_distributions", lambda: {"lone_a": ["mine"], "lone_b": ["mine"], "lone_c": ["theirs"]})
    sources: dict[str, str] = {}
    spec._collect("lone_a", sources)
    assert {Path(file).name for file in sources} == {"lone_a.py", "lone_b.py"}
