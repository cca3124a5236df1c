"""A sweep on a stranger's images, and one over noise lists as labs exchange them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

LABELS = [1 + k % 7 for k in range(42)]
"""Of a training set laid out as RAF-DB's, counted from 1."""


def picture(file: Path, label: int, seed: int, side: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 60, (side, side, 3), dtype=np.uint8)
    Image.fromarray(noise + np.uint8(25 * label)).save(file)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_of_pngs_needs_no_other_step(call, tmp_path: Path):
    for label, name in enumerate(("счастье", "sad face", "neutral")):
        for k in range(20):
            picture(tmp_path / "mine" / name / f"{k}.png", label, 100 * label + k, 24)
    words = ("--methods", "ce,rul", "--noise", "20", "--epochs", "2", "--jobs", "1", "--threads", "1")
    status, table, err = call("run", "--dataset", "folder", "--data-root", tmp_path / "mine", *words, "--out", tmp_path / "o")
    assert (status, "Traceback" in err) == (0, False)
    assert [(row["method"], row["status"], row["dataset"]) for row in rows(tmp_path / "o")] == [
        ("ce", "finished", "folder"),
        ("rul", "finished", "folder"),
    ]
    assert "| rul " in table


@pytest.fixture
def rafdb(tmp_path: Path) -> Path:
    """42 training and 7 test images."""
    names = [f"train_{k:05}" for k in range(1, 43)] + [f"test_{k:04}" for k in range(1, 8)]
    labels = [*LABELS, *range(1, 8)]
    for seed, (name, label) in enumerate(zip(names, labels, strict=True)):
        picture(tmp_path / "data" / "raf-basic" / "Image" / "aligned" / f"{name}_aligned.jpg", label, seed, 100)
    file = tmp_path / "data" / "raf-basic" / "EmoLabel" / "list_patition_label.txt"
    file.parent.mkdir(parents=True)
    file.write_text("".join(f"{name}.jpg {label}\n" for name, label in zip(names, labels, strict=True)))
    return tmp_path / "data"


def test_three_exchanged_lists_are_three_columns_with_their_realised_rates(call, rafdb: Path, tmp_path: Path):
    """SCN's form, EAC's, and one that also corrupts test rows; wrong are the first 4, 8 and 12 of 42 labels."""
    lists = {"scn": 4, "eac": 8, "test-too": 12}
    for name, wrong in lists.items():
        labels = [label % 7 + 1 if k < wrong else label for k, label in enumerate(LABELS)]
        of_eac = name == "eac"
        lines = [
            f"/raf/aligned/train_{k:05}_aligned.jpg {label - 1}\n" if of_eac else f"train_{k:05}.jpg {label}\n"
            for k, label in enumerate(labels, 1)
        ]
        (tmp_path / f"{name}.txt").write_text("".join(lines) + ("test_0001.jpg 7\n" if name == "test-too" else ""))
    where = ("--dataset", "rafdb", "--data-root", rafdb, "--set", "rafdb.side=32")
    status, out, _ = call("noise", "import", tmp_path / "eac.txt", *where, "--out", tmp_path / "eac.npz")
    assert (status, "file:eac: 42 labels of rafdb[side=32], realised rate 19.05 %" in out) == (0, True)
    files = ",".join(str(tmp_path / name) for name in ("scn.txt", "eac.npz", "test-too.txt"))
    words = ("--noise-kind", "file", "--noise-file", files, "--methods", "ce", "--epochs", "1", "--jobs", "1", "--threads", "1")
    status, table, err = call("run", *where, *words, "--out", tmp_path / "o")
    assert status == 0
    assert "test-too.txt: 1 of its 43 rows are of no training image, and are not used" in err
    found = {row["noise_kind"]: float(row["noise_realised"]) for row in rows(tmp_path / "o")}
    assert found == {f"file:{name}": pytest.approx(100 * wrong / 42, abs=1e-3) for name, wrong in lists.items()}
    for name, wrong in lists.items():
        assert f"file:{name} (realised {100 * wrong / 42:.2f} %)" in table
