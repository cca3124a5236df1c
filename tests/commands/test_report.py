"""`report`: the page and figures by name, refused in one line where there is nothing of that name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from made_up import finished_sweep

from benchmark import cli


def report(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["benchmark", "report", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def test_report_writes_the_figures_asked_for(tmp_path, capsys, monkeypatch):
    finished_sweep(tmp_path)
    status, out, _ = report(capsys, monkeypatch, tmp_path, "--figures", "cost,accuracy-noise", "--formats", "svg,pdf")
    assert status == 0
    assert sorted(file.name for file in (tmp_path / "figures").iterdir()) == ["captions.md", "cost.pdf", "cost.svg"]
    page, first, *_ = out.splitlines()
    assert page == f"index.html: {tmp_path / 'index.html'}"
    assert first.startswith("accuracy-noise: not applicable to marked,")  # the list's order
    assert f"cost: {tmp_path / 'figures' / 'cost.svg'} {tmp_path / 'figures' / 'cost.pdf'}\n" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--figures", "risk-coverge"), "no figure is called 'risk-coverge'; did you mean 'risk-coverage'?"),
        (("--formats", "pgn"), "no figure format is called 'pgn'; did you mean 'png'?"),
        (("--figures", ","), "wanted a list with commas"),
    ],
)
def test_bad_names_end_in_one_line(tmp_path, capsys, monkeypatch, words, said):
    finished_sweep(tmp_path)
    status, out, err = report(capsys, monkeypatch, tmp_path, *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert not (tmp_path / "figures").exists()


def test_a_folder_without_a_sweep_is_refused(tmp_path: Path, capsys, monkeypatch):
    for folder, said in ((tmp_path, "there is no sweep in it"), (tmp_path / "none", "there is no such folder")):
        status, _, err = report(capsys, monkeypatch, folder)
        assert status == 2
        assert said in err


def test_a_file_in_the_way_is_told(tmp_path, capsys, monkeypatch):
    finished_sweep(tmp_path)
    (tmp_path / "figures").write_text("")
    status, _, err = report(capsys, monkeypatch, tmp_path, "--figures", "cost")
    assert status == 2
    assert "cannot be written" in err


def test_report_can_write_the_page_only(tmp_path, capsys, monkeypatch):
    finished_sweep(tmp_path)
    status, out, _ = report(capsys, monkeypatch, tmp_path, "--figures", "cost", "--formats", "none")
    assert (status, out) == (0, f"index.html: {tmp_path / 'index.html'}\n")
    assert not (tmp_path / "figures").exists()
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "figure-cost" in text
    assert "figure-training" not in text


def test_the_page_is_replaced_as_a_sweep_goes_on(tmp_path, capsys, monkeypatch):
    store = finished_sweep(tmp_path)
    metrics = store.run("scn-symmetric-0.3-0").path / "metrics.json"
    kept = metrics.read_bytes()
    pages = []
    for content in (None, kept):
        metrics.unlink() if content is None else metrics.write_bytes(content)
        assert report(capsys, monkeypatch, tmp_path, "--figures", "cost", "--formats", "none")[0] == 0
        pages.append((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert ["1 of 2 runs are not finished" in text for text in pages] == [True, False]
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_the_page_sets_differences_from_the_method_asked_for(tmp_path, capsys, monkeypatch):
    finished_sweep(tmp_path, seeds=(0, 1, 2))
    words = (tmp_path, "--figures", "cost", "--formats", "none", "--against", "published")
    assert report(capsys, monkeypatch, *words, "--baseline", "scn")[0] == 0
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "minus scn" in text
    assert "No published number that we know of stands beside" in text
    for option, value in (("--baseline", "snc"), ("--against", "publishd")):
        status, _, err = report(capsys, monkeypatch, *words, option, value)
        assert (status, err.count("\n")) == (2, 1)
        assert "did you mean" in err


def test_a_damaged_file_costs_figures_and_the_exit_status_says_so(tmp_path, capsys, monkeypatch):
    store = finished_sweep(tmp_path)
    (store.run("scn-symmetric-0.3-0").path / "predictions.npz").write_bytes(b"PK nothing")
    status, out, err = report(capsys, monkeypatch, tmp_path, "--figures", "cost,reliability", "--formats", "svg")
    assert status == 1
    assert (tmp_path / "index.html").is_file()
    assert "cost: " in out
    assert "reliability: cannot be drawn of" in out
    assert err.count("\n") == 1
    assert err.startswith("left out for want of whole files: reliability; ")
