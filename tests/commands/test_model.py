"""`predict` and `export` as a user types them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trainings import Trained, trained


@pytest.fixture(scope="module")
def runs(tiny_plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.mktemp("runs"), tiny_plugin, methods=["ce"])


@pytest.fixture
def faces(runs: Trained, tmp_path: Path) -> Path:
    """A folder of the test images."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for k, image in enumerate(runs.test):
        Image.fromarray(image[..., 0]).save(folder / f"{k:02}.png")
    return folder


def refused(answer: tuple[int, str, str], *words: object) -> None:
    status, out, err = answer
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    for word in words:
        assert str(word) in err


def test_predict_prints_and_writes_what_the_run_stored(call, runs, faces, tmp_path):
    (faces / "notes.txt").touch()
    status, out, err = call("predict", runs["ce"], faces, "--out", tmp_path / "p.csv", "--device", "cpu")
    assert status == 0
    assert err == f"left out, no image by its ending: {faces / 'notes.txt'}\n"
    assert out.split("\n")[0].split() == ["path", "label", "probability", "uncertainty"]
    assert len(out.splitlines()) == 2 + len(runs.test)
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    stored = runs.stored("ce")
    assert [row["path"] for row in rows] == [str(faces / f"{k:02}.png") for k in range(len(runs.test))]
    np.testing.assert_array_equal(np.array([row["uncertainty"] for row in rows], np.float32), stored["test_uncertainty"])
    classes = np.array(["across", "down", "slanted"])
    assert [row["label"] for row in rows] == classes[stored["test_logits"].argmax(axis=1)].tolist()
    top = np.exp(stored["test_logits"].astype(float))
    np.testing.assert_allclose([float(row["probability"]) for row in rows], (top / top.sum(1, keepdims=True)).max(1), rtol=1e-5)


def test_no_name_of_a_file_is_a_formula_in_the_table(call, runs, faces, tmp_path, monkeypatch):
    (faces / "00.png").rename(tmp_path / "=1+cmd.png")
    monkeypatch.chdir(tmp_path)
    assert call("predict", runs["ce"], "=1+cmd.png", "--out", "p.csv")[0] == 0
    with (tmp_path / "p.csv").open(newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["'=1+cmd.png"]


def test_json_says_the_same_and_stands_alone(call, runs, faces, tmp_path):
    _, out, _ = call("predict", runs["ce"], faces / "03.png", faces / "01.png", "--json", "--out", tmp_path / "p.csv")
    rows = json.loads(out)
    assert [row["path"] for row in rows] == [str(faces / "03.png"), str(faces / "01.png")]
    with (tmp_path / "p.csv").open(newline="") as file:
        assert [{k: str(v) for k, v in row.items()} for row in rows] == list(csv.DictReader(file))


def test_an_exported_folder_predicts_the_same(call, runs, faces, tmp_path):
    status, out, err = call("export", runs["ce"], "--out", tmp_path / "there")
    assert status == 0
    assert out == f"ce for 3 classes, trained on tiny: {tmp_path / 'there'}\n"
    assert "licence: none" in err
    assert call("predict", tmp_path / "there", faces, "--json")[1] == call("predict", runs["ce"], faces, "--json")[1]


def test_bad_input_ends_in_one_line_and_writes_nothing(call, runs, faces, tmp_path):
    out = tmp_path / "p.csv"
    (tmp_path / "empty").mkdir()
    refused(call("predict", runs["ce"], tmp_path / "empty", "--out", out), "empty: there is no image in it")
    refused(call("predict", runs["ce"], tmp_path / "gone.png", "--out", out), "gone.png: there is no such file")
    refused(call("predict", runs["ce"].parent, faces, "--out", out), "no model in it")
    refused(call("predict", runs["ce"], faces, "--out", tmp_path / "p.txt"), "p.txt: wanted a name that ends in .csv")
    refused(call("predict", runs["ce"], faces, "--plugin", tmp_path / "no.py", "--out", out), "no.py: there is no such file")
    refused(call("predict", runs["ce"], faces, "--device", "gpu", "--out", out), "no device is called 'gpu'")
    refused(call("predict", runs["ce"]), "IMAGES")
    (faces / "47.png").write_bytes((faces / "47.png").read_bytes()[:60])
    refused(call("predict", runs["ce"], faces, "--out", out), "47.png cannot be decoded")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    refused(call("export", runs["ce"], "--out", tmp_path / "full"), "full: it is there already")
    refused(call("export", tmp_path / "empty", "--out", tmp_path / "there"), "no model in it")
    assert {path.name for path in tmp_path.iterdir()} == {"faces", "empty", "full"}
