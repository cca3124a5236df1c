"""`noise make`, `show`, `export` and `import`: what two labs do with a noise realisation."""

from __future__ import annotations

import re

import pytest

from benchmark.noise import read_artefact

FACES = ("--dataset", "faces", "--set", "faces.train=70", "--set", "faces.test=7")


def test_what_is_made_is_what_a_sweep_makes(call, tmp_path):
    """The file can stand in for the kind, and a sweep of the kind keeps it under its name."""
    made = tmp_path / "n.npz"
    status, out, _ = call("noise", "make", *FACES, "--noise-kind", "pairflip", "--noise", "40", "--seed", "3", "--out", made)
    assert status == 0
    assert "pairflip 40 %, seed 3: 70 labels of faces[train=70,test=7], realised rate" in out
    sweep = ("run", *FACES, "--noise-kind", "pairflip", "--noise", "40", "--seed", "3", "--epochs", "1", "--methods", "ce")
    assert call(*sweep, "--jobs", "1", "--threads", "1", "--out", tmp_path / "o")[0] == 0
    assert (tmp_path / "o" / "noise" / f"{read_artefact(made).sha256}.npz").is_file()


def test_show_gives_the_rate_by_class_and_the_matrix(call, tmp_path):
    made = tmp_path / "n.npz"
    call("noise", "make", *FACES, "--noise-kind", "pairflip", "--noise", "100", "--out", made)
    status, out, _ = call("noise", "show", made)
    assert status == 0
    assert "realised rate 100.00 %" in out
    assert read_artefact(made).sha256 in out
    row = next(line for line in out.splitlines() if re.match(r"\s+2\s", line))
    assert row.split() == ["2", "disgust", "10", "100.00", "100.0", "█"]


def test_what_is_exported_comes_back_by_import(call, tmp_path):
    made, text, again = tmp_path / "n.npz", tmp_path / "n.txt", tmp_path / "again.npz"
    call("noise", "make", *FACES, "--noise", "40", "--out", made)
    assert call("noise", "export", made, *FACES, "--out", text)[0] == 0
    status, out, _ = call("noise", "import", text, *FACES, "--out", again)
    assert status == 0
    assert "file:n: 70 labels" in out
    assert read_artefact(made).given.tolist() == read_artefact(again).given.tolist()


@pytest.mark.parametrize("first", [0, 1])
def test_labels_without_names_begin_with_0_and_nothing_else_is_promised(call, tmp_path, first):
    made, text = tmp_path / "n.npz", tmp_path / "n.txt"
    call("noise", "make", *FACES, "--noise", "40", "--out", made)
    status, out, err = call("noise", "export", made, *FACES, "--first", first, "--out", text)
    assert (status, out, len(err.strip().splitlines())) == (2, "", 1)
    assert f"--first {first}: the images of faces have no names" in err
    assert not text.exists()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("make", *FACES, "--noise", "40", "--out", "n.txt"), "ends in .npz"),
        (("make", *FACES, "--out", "n.npz"), "needs a rate"),
        (("make", *FACES, "--noise", "140", "--out", "n.npz"), "from 0 to 100"),
        (("make", *FACES, "--noise-kind", "votes", "--noise", "10", "--out", "n.npz"), "brings its own rate"),
        (("make", *FACES, "--noise-kind", "human", "--out", "n.npz"), "no human labels"),
        (("make", *FACES, "--noise", "4", "--seed", "-1", "--out", "n.npz"), "whole number from 0"),
        (("make", *FACES, "--noise", "4", "--set", "ce.x=1", "--out", "n.npz"), "this is about faces"),
        (("make", *FACES, "--noise-kind", "confusion", "--out", "n.npz"), "go together"),
        (("make", *FACES, "--noise-kind", "file", "--out", "n.npz"), "go together"),
        (("show", "nowhere.npz"), "there is no such file"),
        (("export", "nowhere.npz", *FACES, "--out", "n.txt"), "there is no such file"),
        (("export", "nowhere.npz", *FACES, "--first", "2", "--out", "n.txt"), "wanted 0 or 1"),
        (("import", "nowhere.txt", *FACES, "--out", "n.npz"), "there is no such file"),
    ],
)
def test_bad_input_ends_in_one_line(call, tmp_path, monkeypatch, words, wanted):
    monkeypatch.chdir(tmp_path)
    status, out, err = call("noise", *words)
    assert (status, out, len(err.strip().splitlines())) == (2, "", 1)
    assert wanted in err
    assert list(tmp_path.iterdir()) == []
