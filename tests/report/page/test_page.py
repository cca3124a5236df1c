"""The page as text: it holds all, asks for nothing, takes every name for a name, and stands while a sweep still runs."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_up import Options, finished_sweep
from pages import Parsed, page_of

from benchmark.report.page.details import MOST_OF_A_TRACEBACK
from benchmark.report.results import read_results
from benchmark.report.write import all_tables
from benchmark.store import Store

NASTY = ("<script>alert(1)</script>", "50%_off", "</script><img src=x>", 'quote" onclick="alert(1)', "{{z}}{% raw %}", "b\\")


def unfinish(store: Store, key: str) -> None:
    (store.run(key).path / "metrics.json").unlink()


def test_nothing_is_asked_of_the_net(tmp_path: Path):
    found = Parsed(page_of(finished_sweep(tmp_path, seeds=(0, 1, 2)), with_images=True))
    assert {name for name, _ in found.tags} & {"link", "iframe", "img", "object", "embed", "base", "video", "audio"} == set()
    for name, attributes in found.tags:
        assert not {"src", "srcset", "action", "background"} & attributes.keys(), name
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"url\(|@import", found.style)
    (policy,) = [tag["content"] for tag in found.all("meta") if tag.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe-inline" not in policy.partition("script-src")[2]


def test_the_policy_lets_only_the_pages_own_scripts_run(tmp_path: Path):
    found = Parsed(page_of(finished_sweep(tmp_path)))
    (policy,) = [str(tag["content"]) for tag in found.all("meta") if tag.get("http-equiv")]
    own = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for kind, text in found.scripts if kind == "code"]
    assert len(own) == 3
    assert re.findall("'sha256-([^']+)'", policy) == own


def test_whatever_users_name_things_is_text(tmp_path: Path):
    store = finished_sweep(tmp_path, methods=NASTY, seeds=(0, 1))
    failed = store.plan()[0].key
    unfinish(store, failed)
    store.run(failed).fail("Diverged: </script><b>", "Traceback <!-- </script><script>alert(3)</script>")
    found = Parsed(page_of(store))
    assert [kind for kind, _ in found.scripts if kind == "code"] == ["code"] * 3
    assert not found.all("img")
    assert not found.all("b")
    assert not [tag for _, tag in found.tags if "onclick" in tag]
    for name in NASTY:
        assert name in found.text
    run = found.data["runs"][failed]
    assert (run["error"], run["details"]) == ("Diverged: </script><b>", "Traceback <!-- </script><script>alert(3)</script>")


def test_numbers_that_are_none_are_words_in_a_page(tmp_path: Path):
    """JSON has no NaN, and a page with one would show nothing at all."""
    store = finished_sweep(tmp_path)
    (key, *_) = [run.key for run in store.plan()]
    (store.run(key).path / "environment.json").write_text('{"threads": NaN, "cores": [Infinity]}')
    found = Parsed(page_of(store)).data
    assert found["shared"][found["runs"][key]["environment"]] == {"threads": "NaN", "cores": ["Infinity"]}


@pytest.mark.parametrize(
    "text", ["options = 3", "options = {ce = {a = 1979-05-27}}", "recipe = 3", "seeds = 'x'", "noise = [[1]]"]
)
def test_a_sweep_that_somebody_edited_costs_the_commands_only(tmp_path: Path, text: str):
    store = finished_sweep(tmp_path)
    usual = {"dataset": '"marked"', "methods": '["ce"]', "noise_kind": '"symmetric"', "seeds": "[0]", "backbone": '"small"'}
    lines = [f"{name} = {value}\n" for name, value in usual.items() if not text.startswith(name)]
    store.save_sweep(f"[[sweep]]\n{''.join(lines)}{text}\n")
    assert {run["command"] for run in Parsed(page_of(store)).data["runs"].values()} == {None}


def test_each_cell_opens_the_runs_behind_it(tmp_path: Path):
    store = finished_sweep(tmp_path, methods=("ce", "scn"), rates=(0.0, 0.3), seeds=(0, 1, 2))
    found = Parsed(page_of(store, names=["cost"]))
    groups = found.data["groups"]
    cells = [groups[int(tag["data-opens"] or "")] for tag in found.all("td") if "data-opens" in tag]
    # the headline's first row: two noises, then the costs, which are of both
    ce = [[f"ce-symmetric-{rate}-{seed}" for seed in range(3)] for rate in (0.0, 0.3)]
    assert cells[:4] == [*ce, ce[0] + ce[1], ce[0] + ce[1]]
    assert cells[4] == [f"scn-symmetric-0.0-{seed}" for seed in range(3)]
    assert {key for group in groups for key in group} == set(found.data["runs"])


def test_tables_give_runs_for_every_cell_that_says_something(tmp_path: Path):
    store = finished_sweep(tmp_path, methods=("ce", "scn"), rates=(0.3, None), seeds=(0, 1, 2))
    results = read_results(store)
    tables, _ = all_tables(store, results)
    assert len(tables) == 3
    for table in tables:
        for row, runs in zip(table.rows, table.runs, strict=True):
            assert len(row) == len(runs)
            assert not any(runs[: table.names])
            assert all(keys for text, keys in zip(row[table.names :], runs[table.names :], strict=True) if text)


def test_a_run_tells_all_that_is_known_of_it(tmp_path: Path):
    found = Parsed(page_of(finished_sweep(tmp_path, seeds=(4,)), names=["cost"]))
    data = found.data
    run = data["runs"]["scn-symmetric-0.3-4"]
    assert (run["method"], run["seed"], run["status"]) == ("scn", 4, "finished")
    assert data["shared"][run["noise"]] == "symmetric 30 %"
    assert data["shared"][run["environment"]] == {"processor": "abacus", "device": "cpu", "threads": 1}
    assert data["shared"][run["recipe"]]["optimizer"] == "adam"
    assert run["history"]["columns"] == ["epoch", "stage", "test_accuracy", "wrong_label_fit"]
    assert run["history"]["rows"] == [[1, 0, 4, 4], [2, 0, 14, 14], [3, 0, 24, 24]]
    assert 0 < run["metrics"]["acc_last"] <= 100
    assert "device cpu, processor abacus, threads 1" in found.text
    assert run["spec"]["noise sha256"]


def test_long_histories_are_thinned_to_their_last_epoch(tmp_path: Path):
    store = finished_sweep(tmp_path, methods=("ce",))
    store.run("ce-symmetric-0.3-0").save_history([{"epoch": e + 1, "epochs": 250, "test_accuracy": e / 3} for e in range(250)])
    history = Parsed(page_of(store, names=["cost"])).data["runs"]["ce-symmetric-0.3-0"]["history"]
    assert (history["epochs"], len(history["rows"])) == (250, 84)
    assert history["rows"][-1] == [250, 83]


def test_a_sweep_that_still_runs_has_its_page(tmp_path: Path):
    store = finished_sweep(tmp_path, methods=("ce", "scn"), rates=(0.0, 0.3), seeds=(0, 1))
    keys = [run.key for run in store.plan()]
    for key in keys[1:4]:
        unfinish(store, key)
    store.run(keys[1]).fail("Diverged: loss is nan", "x" * 3 * MOST_OF_A_TRACEBACK + "the end")
    shutil.rmtree(store.run(keys[2]).path)
    found = Parsed(page_of(store))
    assert "3 of 8 runs are not finished" in found.text
    assert "8: 5 finished, 1 running or interrupted, 1 failed, 1 missing" in found.text
    states = [(tag["class"] or "").split()[1] for tag in found.all("td") if "data-opens" in tag]
    assert states[:4] == ["failed", "finished", "failed", "failed"]  # ce: 0 %, 30 %, and its costs, which are of both
    assert "running" in states
    runs = found.data["runs"]
    assert [runs[key]["status"] for key in keys[:4]] == ["finished", "failed", "missing", "started"]
    assert runs[keys[1]]["details"].endswith("the end")
    assert len(runs[keys[1]]["details"]) == MOST_OF_A_TRACEBACK
    assert runs[keys[2]]["history"] is None
    assert runs[keys[3]]["history"]["epochs"] == 3
    assert found.data["fill"].startswith("python -m benchmark run --config ")


def test_a_sweep_of_which_nothing_is_finished_has_its_page(tmp_path: Path):
    store = finished_sweep(tmp_path, methods=("ce",))
    shutil.rmtree(tmp_path / "runs")
    found = Parsed(page_of(store))
    assert "No run is finished, so that there is nothing to draw yet." in found.text
    assert "missing" in found.text


def test_damaged_files_are_told_where_they_would_stand(tmp_path: Path):
    store = finished_sweep(tmp_path)
    folder = store.run("ce-symmetric-0.3-0").path
    (folder / "history.csv").write_text("epoch,loss\n1,one\n")
    (folder / "environment.json").write_text("{")
    data = Parsed(page_of(store, names=["cost"])).data
    run = data["runs"]["ce-symmetric-0.3-0"]
    assert "one of its values is no number" in run["history"]["damaged"]
    assert "environment.json is damaged" in data["shared"][run["environment"]]["not known"]


def test_images_that_may_not_be_printed_are_left_out_unless_asked_for(tmp_path: Path):
    store = finished_sweep(tmp_path)  # its card says: for friends only
    without, within = (page_of(store, with_images=asked, names=["gallery-uncertainty"]) for asked in (False, True))
    assert "data:image" not in without
    assert "report --with-images puts them in" in without
    assert "for friends only" in without
    assert "data:image/png;base64" in within


def test_switches_know_what_each_part_is_of(tmp_path: Path):
    found = Parsed(page_of(finished_sweep(tmp_path, methods=("ce", "scn"), rates=(0.0, 0.3))))
    figures = {str(tag["id"]): tag for tag in found.all("figure")}
    assert figures["figure-cost-symmetric-0"]["data-noise"] == "0"
    assert figures["figure-cost-symmetric-30"]["data-noise"] == "1"
    assert figures["figure-accuracy-noise"]["data-noise"] == "0 1"
    assert figures["figure-accuracy-noise"]["data-method"] == "0 1"
    heads = [tag["data-noise"] for tag in found.all("th") if tag.get("scope") == "col"]
    assert heads[:5] == ["", "0", "1", "", ""]
    rows = [(tag["data-method"], tag["data-noise"]) for tag in found.all("tr") if "data-method" in tag]
    assert rows[:2] == [("0", "0 1"), ("1", "0 1")]
    assert rows[2:] == [("0", "0"), ("1", "0"), ("0", "1"), ("1", "1")]


def test_figures_come_without_a_theme_and_with_what_they_show_in_words(tmp_path: Path):
    found = Parsed(page_of(finished_sweep(tmp_path), names=["cost"]))
    (spec,) = [json.loads(text) for kind, text in found.scripts if kind == "application/json" and '"$schema"' in text]
    assert "config" not in spec
    assert spec["description"].startswith("Accuracy against cost: marked, backbone small")
    assert found.data["themes"]["dark"]["background"] == found.data["themes"]["light"]["background"] == "transparent"


@pytest.mark.slow
def test_a_page_of_five_hundred_runs_stays_below_ten_megabytes(tmp_path: Path):
    methods = [f"method-{k}" for k in range(25)]
    columns = ("test_accuracy", "wrong_label_fit", "loss", "samples", "seconds", "uncertainty", "learning_rate")
    store = finished_sweep(
        tmp_path, methods=methods, rates=(0.0, 0.1, 0.2, 0.3), seeds=range(5), options=Options(classes=7), history=columns
    )
    assert len(store.plan()) == 500
    rng = np.random.default_rng(0)
    for run in store.plan():
        rows = [dict(zip(columns, row, strict=True)) for row in rng.random((120, len(columns))) * 100]
        store.run(run.key).save_history([{"epoch": e + 1, "stage": 0, **row} for e, row in enumerate(rows)])
    assert len(page_of(store, with_images=True).encode()) < 10_000_000
