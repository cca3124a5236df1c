"""`data prepare`, `check` and `show` on a folder of a stranger's images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.sheet import MARGIN

ODD = '''
"""A reader that divides by zero."""
from benchmark.contract import Card, Dataset


class Odd(Dataset):
    """Odd."""

    name = "odd"
    card = Card("odd", "none", "a test", "none")

    def read(self):
        return 1 // 0
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of six images each; the names are in two scripts."""
    rng = np.random.default_rng(0)
    for name in ("froh", "悲"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for k in range(6):
            Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(tmp_path / "images" / name / f"{k}.png")
    return tmp_path / "images"


def test_prepare_converts_and_says_what_came_of_it(call, root):
    status, out, _ = call("data", "prepare", "folder", "--data-root", root)
    assert status == 0
    assert "folder: 10 training and 2 test images of 20x20x3, 2 classes" in out
    folder = Path(out.rsplit("cached in ", 1)[1].strip())
    assert (folder / "meta.json").is_file()
    assert not (folder / "scratch").exists()


def test_prepare_of_a_gated_set_says_what_to_ask_for_and_where_to_put_it(call, tmp_path):
    status, out, err = call("data", "prepare", "rafdb", "--data-root", tmp_path)
    assert (status, out) == (2, "")
    assert "password" in err
    assert "raf-basic/EmoLabel" in err
    assert len(err.strip().splitlines()) == 1


def test_check_finds_nothing_or_names_each_fault(call, root):
    status, out, _ = call("data", "check", "folder", "--data-root", root)
    assert (status, out) == (0, "folder: nothing is wrong with it\n")
    (root / "froh" / "0.png").write_bytes((root / "froh" / "0.png").read_bytes()[:100])
    (root / "froh" / "2.png").write_bytes((root / "froh" / "1.png").read_bytes())
    status, out, _ = call("data", "check", "folder", "--data-root", root)
    assert status == 1
    assert "undecodable: 1\n" in out
    assert f"  {root / 'froh' / '0.png'}: " in out
    _, out, _ = call("data", "check", "folder", "--data-root", root, "--json")
    assert {finding["kind"] for finding in json.loads(out)} == {"undecodable", "duplicate"}


def test_duplicates_alone_are_told_and_are_no_fault(call, root):
    (root / "froh" / "2.png").write_bytes((root / "froh" / "1.png").read_bytes())
    status, out, _ = call("data", "check", "folder", "--data-root", root)
    assert status == 0
    assert "duplicate" in out


def test_show_writes_the_card_the_counts_and_a_contact_sheet(call, root, tmp_path):
    status, out, _ = call("data", "show", "folder", "--data-root", root, "--out", tmp_path / "sheet.png")
    assert status == 0
    assert "licence: your own" in out
    assert out.splitlines()[-2].split() == ["all", "10", "2"]
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (MARGIN + 10 * 100, 2 * 100)  # of 20 pixels, five times as large
        assert len(sheet.getcolors(10_000_000)) > 100


def test_show_writes_nothing_where_no_file_is_named(call, root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    status, out, _ = call("data", "show", "folder", "--data-root", root)
    assert (status, "contact sheet" in out) == (0, False)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_card_of_a_gated_set_is_read_before_access_is_granted(call, tmp_path):
    status, out, err = call("data", "show", "rafdb", "--data-root", tmp_path)
    assert status == 2
    assert "licence: for research that is not commercial" in out
    assert "- classes are uneven" in out
    assert "list_patition_label.txt is missing" in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["rafdb", "affectnet", "fer2013", "ferplus", "cifar10", "mnist", "tiny-imagenet", "csv"])
def test_check_of_what_is_not_there_is_one_line_as_everywhere_else(call, tmp_path, monkeypatch, name):
    monkeypatch.delenv("BENCHMARK_DATA", raising=False)
    for where in ((), ("--data-root", tmp_path)):
        status, out, err = call("data", "check", name, *where)
        assert (status, out, len(err.strip().splitlines())) == (2, "", 1)
        assert ("missing" if where else "--data-root DIR or set BENCHMARK_DATA") in err


def test_a_fault_of_a_plugin_s_own_is_named_as_such(call, tmp_path):
    (tmp_path / "odd.py").write_text(ODD)
    status, out, err = call("data", "check", "odd", "--plugin", tmp_path / "odd.py")
    assert (status, out) == (2, "")
    assert "dataset 'odd' failed: ZeroDivisionError" in err


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("show", "folder", "--out", "sheet.jpg"), "ends in .png"),
        (("show", "cifar01"), "did you mean 'cifar10'?"),
        (("check", "faces", "--set", "ce.x=1"), "this is about faces"),
        (("prepare", "faces", "--set", "faces.train=x"), "faces.train: got 'x'"),
        (("show", "folder", "--data-root", "nowhere"), "there is no such folder"),
    ],
)
def test_bad_input_ends_in_one_line(call, tmp_path, monkeypatch, words, wanted):
    monkeypatch.chdir(tmp_path)
    status, out, err = call("data", *words)
    assert (status, out, len(err.strip().splitlines())) == (2, "", 1)
    assert wanted in err
    assert list(tmp_path.iterdir()) == []
