"""What predictions and models tell beyond metrics, of labels that are known."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from modules import script

from benchmark.store import Store
from benchmark.sweep.run import Settings, run_sweep
from benchmark.sweep.sweep import checked_sweep

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def swept(tiny_plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = {"dataset": "tiny", "methods": ("ce", "scn"), "noise": (30,), "epochs": 4, "batch_size": 16, "precision": "fp32"}
    sweep = checked_sweep({**given, "threads": 1, "plugins": (str(tiny_plugin),)})
    out = tmp_path_factory.mktemp("inside") / "o"
    run_sweep(sweep, out, Settings(jobs=1, quiet=True, device="cpu"))
    return out


def test_labels_that_were_changed_are_counted_by_what_they_were(swept: Path) -> None:
    ce, scn = (script("inside").inside(Store(swept).run(run.key)) for run in Store(swept).plan())
    assert "spoilt" not in ce
    assert 0 <= scn["spoilt"] <= 100


def test_the_last_labels_are_what_the_model_holds(swept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of six images the first three are given right; one of these is spoilt, and one of the others mended."""
    inside = script("inside")
    run = Store(swept).run(Store(swept).plan()[1].key)
    monkeypatch.setattr(inside, "load", lambda _: {"relabelling.labels": np.array([9, 0, 1, 0, 0, 1, 1])})
    index, given, reference = np.arange(1, 7), np.array([0, 1, 2, 1, 2, 2]), np.array([0, 1, 2, 0, 1, 0])
    found = inside.relabelled(run, index, given, reference)
    assert found["spoilt"] == pytest.approx(100 / 3)
    assert found["mended"] == pytest.approx(200 / 3)
    assert found["none_left"] == run.record().classes[2]


def test_mistakes_are_found_within_predicted_classes_and_not_between_them() -> None:
    """Class 1 is all less sure and has more mistakes; within either, the uncertainty is right about one of two pairs."""
    inside = script("inside")
    predicted = np.array([0, 0, 0, 1, 1, 1])
    reference = np.array([0, 0, 1, 1, 0, 0])
    uncertainty = np.array([0.1, 0.3, 0.2, 0.8, 0.9, 0.7])
    assert inside.auroc(uncertainty, predicted != reference) == pytest.approx(2 / 3)
    assert inside.within(uncertainty, predicted, reference) == pytest.approx(0.5)
    assert inside.within(uncertainty, predicted, predicted) is None


def test_a_run_without_its_large_files_is_told_in_its_row(swept: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(swept, tmp_path / "o")
    (Store(copy).run(Store(copy).plan()[0].key).path / "predictions.npz").unlink()
    done = subprocess.run([sys.executable, ROOT / "scripts" / "inside.py", copy], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0
    first, second = done.stdout.splitlines()[2:]
    assert "ce" in first
    assert "predictions.npz is missing" in first
    assert "missing" not in second


def test_rows_are_written_where_they_are_wanted(swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["inside.py", str(swept), "--out", str(tmp_path / "inside.csv")])
    script("inside").main()
    rows = pd.read_csv(tmp_path / "inside.csv")
    assert rows["method"].tolist() == ["ce", "scn"]
    assert (rows["share_low"] < 0.5).all()
    assert (rows["share_high"] > 0.5).all()
    assert rows["as_given"].dropna().between(0, 100).all()
    assert rows["spoilt"].isna().tolist() == [True, False]
