"""Folders of results with damaged files: tables, reports and predictions are made of what is whole, or refused in one line."""

from __future__ import annotations

import io
import json
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import Answer, Sandbox, arrays_like, cases, damaged, hold, misspelt, spoilt
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from made_up import finished_sweep
from pictures import save
from trainings import Trained, trained

import benchmark.report.page
from benchmark.report.formats import FORMATS
from benchmark.report.write import write_tables
from benchmark.store import Store

SWEEP = """[[sweep]]
dataset = "marked"
methods = ["ce", "scn", "rul"]
noise = [30.0]
noise_kind = "symmetric"
seeds = [0, 1, 2]
recipe = "common"
epochs = 3
backbone = "small"
precision = "fp32"
threads = 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of three methods and three seeds, one run of which has failed, with its tables."""
    root = tmp_path_factory.mktemp("results")
    store = finished_sweep(root / "o", methods=("ce", "scn", "rul"), seeds=(0, 1, 2))
    failed = store.run(store.plan()[-1].key)
    (failed.path / "metrics.json").unlink()
    failed.fail("ValueError: no", "Traceback\\n  ValueError: no")
    store.save_sweep(SWEEP)
    write_tables(store, FORMATS)
    return root / "o"


@pytest.fixture(autouse=True)
def _one_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library that draws in a page takes seconds to be put together, and is the same each time."""
    monkeypatch.setattr(benchmark.report.page, "_bundle", lambda: "window.vegaEmbed = null;")


READ_BY_TABLES = ("grid.json", "runs/*/metrics.json", "runs/*/failure.json", "runs/*/outcomes.npz", "runs/*/environment.json")
READ_BY_REPORTS_TOO = (
    "sweep.toml",
    "runs/*/history.csv",
    "runs/*/predictions.npz",
    "runs/*/features.npz",
    "noise/*.npz",
)


@st.composite
def damage(draw: DrawFn, root: Path, kinds: tuple[str, ...]) -> tuple[str, bytes]:
    """A file of the folder by its place there, and its damaged content."""
    file = draw(st.sampled_from(sorted(root.glob(draw(st.sampled_from(kinds))))))
    content, likely = file.read_bytes(), draw(st.integers(0, 3))
    if file.suffix == ".json" and likely:
        content = json.dumps(draw(spoilt(json.loads(content), most=1))).encode("utf-8", "surrogatepass")
    elif file.suffix in (".toml", ".csv") and likely:
        content = draw(misspelt(content.decode())).encode("utf-8", "surrogatepass")
    elif file.suffix in (".npy", ".npz") and likely > 1:
        content = draw(other_arrays(content, file.suffix))
    else:
        content = draw(damaged(content, head=200, tail=500, most=2))
    return str(file.relative_to(root)), content


@st.composite
def other_arrays(draw: DrawFn, content: bytes, suffix: str) -> bytes:
    """The arrays of a file, one of them of other values, types or shapes, in a sound file."""
    buffer = io.BytesIO()
    with np.load(io.BytesIO(content)) if suffix == ".npz" else nullcontext() as stored:
        if stored is None:
            np.save(buffer, draw(arrays_like(np.load(io.BytesIO(content)))))
            return buffer.getvalue()
        arrays = {name: stored[name] for name in stored}
    name = draw(st.sampled_from(sorted(arrays)))
    np.savez(buffer, **{**arrays, name: draw(arrays_like(arrays[name]))})
    return buffer.getvalue()


def answered(tmp_path: Path, folder: Path, given: tuple[str, bytes], *words: object) -> Answer:
    """What a command says of a copy of the folder with one file in it replaced; it writes nowhere else."""
    name, content = given
    with Sandbox.below(tmp_path) as sandbox:
        shutil.copytree(folder, sandbox.out)
        (sandbox.out / name).write_bytes(content)
        return sandbox.call(words[0], sandbox.out, *words[1:])


def came(answer: Answer, given: tuple[str, bytes]) -> str:
    kind = given[0].rpartition("/")[2]
    return f"deep: {kind} let pass" if answer.status < 2 else f"{kind} refused"


@cases(24, 700)
def test_tables(tmp_path: Path, folder: Path, examples: int):
    def case(given: tuple[str, bytes]) -> str:
        return came(answered(tmp_path, folder, given, "table"), given)

    hold(case, examples, deep=0.3, given=damage(folder, READ_BY_TABLES))


@cases(5, 120)
def test_reports(tmp_path: Path, folder: Path, examples: int):
    def case(given: tuple[str, bytes]) -> str:
        return came(answered(tmp_path, folder, given, "report", "--formats", "none"), given)

    hold(case, examples, deep=0.3, given=damage(folder, READ_BY_TABLES) | damage(folder, READ_BY_REPORTS_TOO))


# A model


@pytest.fixture(scope="module")
def model(tiny_plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    runs: Trained = trained(root / "o", tiny_plugin, methods=["ce"], options={"tiny": {"train": 24, "test": 12}})
    (root / "m").mkdir()
    for name in ("model.json", "model.safetensors"):
        shutil.copy(runs["ce"] / name, root / "m")
    return root / "m"


@st.composite
def models(draw: DrawFn, folder: Path) -> tuple[str, bytes]:
    """A record that is whole, spoilt or misspelt, or damaged weights."""
    record: dict[str, Any] = json.loads((folder / "model.json").read_text())
    fault = draw(st.integers(0, 7))
    if fault == 7:
        return "model.json", json.dumps(record, indent=1).encode()
    if fault < 2:
        return "model.safetensors", draw(damaged((folder / "model.safetensors").read_bytes(), head=1_000, most=1 + fault))
    if fault == 2:
        return "model.json", draw(misspelt(json.dumps(record))).encode("utf-8", "surrogatepass")
    name = draw(st.sampled_from(sorted(record)))
    return "model.json", json.dumps({**record, name: draw(spoilt(record[name], most=1))}).encode("utf-8", "surrogatepass")


@cases(10, 250)
def test_models(tmp_path: Path, model: Path, examples: int):
    images = [save(tmp_path / "in" / f"{k}.png", k, 16, 16, 1) for k in range(2)]

    def case(given: tuple[str, bytes]) -> str:
        name, content = given
        with Sandbox.below(tmp_path) as sandbox:
            shutil.copytree(model, sandbox.root / "m")
            sandbox.file(f"m/{name}", content)
            answer = sandbox.call("predict", sandbox.root / "m", *images, "--device", "cpu", "--json")
            if answer.status:
                return "refused"
            assert name == "model.json" or content == (model / name).read_bytes(), "damaged weights were used"
            rows = json.loads(answer.out, parse_constant=lambda value: pytest.fail(f"{value} is no JSON"))
            assert len(rows) == 2
            assert all(np.isfinite([row["probability"], row["uncertainty"]]).all() for row in rows)
            return "deep: predicted"

    hold(case, examples, deep=0.1, given=models(model))


def test_a_whole_folder_is_what_damage_is_measured_by(tmp_path: Path, folder: Path):
    for words in (("table",), ("report", "--formats", "none")):
        assert answered(tmp_path, folder, ("grid.json", (folder / "grid.json").read_bytes()), *words).status == 0
    assert len(Store(folder).plan()) == 9
