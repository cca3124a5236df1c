"""The published numbers: all of them are there, say where they come from, and are checked row by row."""

from __future__ import annotations

import csv
import re
from collections import Counter
from importlib.resources import files

import pytest

from benchmark.contract import BadInput
from benchmark.contract.registry import load_plugins
from benchmark.report.published import fitting, published, read_published

TEXT = (files("benchmark.scripts") / "published.csv").read_text(encoding="utf-8")
HEAD, FIRST = TEXT.splitlines()[:2]


def test_none_is_lost_and_none_has_changed():
    rows = published()
    assert len(rows) == 1021
    assert sum(row.verified == "yes" for row in rows) == 992
    assert Counter(row.selection for row in rows) == {"": 478, "last": 265, "best": 263, "last10": 9, "val": 6}
    assert sum(row.mean for row in rows if row.metric == "accuracy") == pytest.approx(73_980.32, abs=0.005)
    assert sum(row.std or 0 for row in rows) == pytest.approx(247.91, abs=0.005)


def test_what_was_not_read_is_told_from_what_was():
    for row in published():
        if row.verified == "no":
            assert "memory" in row.source or "UNVERIFIED" in row.notes or row.source == "github.com/bhanML/Co-teaching README"
        else:
            assert not row.source.startswith("from memory")


def test_sources_can_be_followed_from_outside():
    for row in published():
        assert re.match(r"(github|paperswithcode)\.com/|full text of the paper|Japanese translation|from memory", row.source)


def test_every_name_of_ours_is_registered():
    plugins = load_plugins()
    for row in published():
        assert row.registered in ("", *plugins.methods)
        assert row.registered_dataset.partition("[")[0] in plugins.datasets


def test_symmetric_noise_says_which_law_it_is():
    laws = {(row.paper.split(" ")[0], row.registered_noise) for row in published() if row.noise_kind == "symmetric"}
    assert {law for paper, law in laws if paper in ("ELR", "S3")} == {"symmetric-inclusive"}
    assert {law for paper, law in laws if paper == "epsilon-Softmax"} == {"symmetric"}
    assert {law for paper, law in laws if paper == "IDNFER"} == {"unstated"}


def test_numbers_come_in_our_units():
    ece = [row for row in published() if row.metric == "ece"]
    assert len(ece) == 11
    assert all(row.value == row.mean * 100 and 0.3 < row.value < 10 for row in ece)


def changed(**values: str) -> str:
    cells = dict(zip(HEAD.split(","), next(csv.reader([FIRST])), strict=True)) | values
    return ",".join(f'"{cell}"' for cell in cells.values())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"mean": "many"}, "line 2: mean: got 'many'"),
        ({"selection": "first"}, "line 2: selection: got 'first'"),
        ({"verified": ""}, "line 2: verified: got ''"),
        ({"source": ""}, "line 2: source: got ''"),
        ({"noise_rate": "110"}, "line 2: noise_rate: got '110'"),
        (
            {"registered_noise": "symetric"},
            "line 2: registered_noise: no noise kind is called 'symetric'; did you mean 'symmetric'?",
        ),
        ({"registered_noise": "none"}, "line 2: Value error, registered_noise none with a noise_rate of 10"),
        ({"registered_dataset": "RAF DB"}, "line 2: registered_dataset: got 'RAF DB'"),
    ],
)
def test_a_bad_row_is_named_in_one_line(values, said):
    with pytest.raises(BadInput) as error:
        read_published(f"{HEAD}\n{changed(**values)}\n{FIRST}\n", "mine.csv")
    message = str(error.value)
    assert len(message.splitlines()) == 1
    assert said in message


def test_every_bad_row_has_its_line():
    with pytest.raises(BadInput) as error:
        read_published(f"{HEAD}\n{changed(mean='x')}\n{FIRST}\n{changed(year='1066')}\n", "mine.csv")
    assert [line.partition(":")[0] for line in str(error.value).splitlines()] == ["mine.csv, line 2", "mine.csv, line 4"]


def test_other_columns_are_refused():
    with pytest.raises(BadInput, match=r"its columns are paper, mean; wanted paper, year, method, registered"):
        read_published("paper,mean\na,1\n", "mine.csv")


def test_they_can_be_chosen_by_paper_dataset_and_method():
    rows = published()
    assert {row.paper for row in fitting(rows, paper="elr (neurips")} == {
        "ELR (NeurIPS 2020), Table 1",
        "ELR (NeurIPS 2020), Table 2",
    }
    by_ours, by_theirs = fitting(rows, dataset="affectnet"), fitting(rows, dataset="AffectNet-8")
    assert set(by_theirs) < set(by_ours)
    assert {row.registered for row in fitting(rows, method="co-teaching")} == {"co-teaching", "co-teaching:oracle"}
    assert fitting(rows, method="rul", dataset="mnist") == []


@pytest.mark.parametrize(("what", "name", "near"), [("dataset", "cifar11", "cifar10"), ("method", "scm", "scn")])
def test_an_unknown_name_is_answered_by_the_nearest(what, name, near):
    with pytest.raises(BadInput, match=f"no {what} of the published numbers is called '{name}'; did you mean '{near}'"):
        fitting(published(), **{what: name})
