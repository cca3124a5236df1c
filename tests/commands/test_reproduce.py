"""`reproduce`, `table --against published`, and the lists of what can be reproduced, as a user types them."""

from __future__ import annotations

import dataclasses
import json
import os
import runpy
from pathlib import Path

import pytest

from benchmark.sweep import named

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shipped(monkeypatch, tiny_plugin, tmp_path):
    """A published table of the tiny dataset."""
    entry = {"dataset": "tiny", "noise": [20.0], "recipe": "paper", "epochs": 1, "plugins": [str(tiny_plugin)]}
    entries = ({**entry, "methods": ["ce"]}, {**entry, "methods": ["scn"], "noise_kind": "pairflip"})
    sweep = named.NamedSweep("tiny-noise", "a test", "nobody", entries)
    monkeypatch.setattr(named, "named_sweep", lambda name: sweep)
    monkeypatch.chdir(tmp_path)
    return sweep


def test_a_table_is_reproduced_into_a_folder_of_its_name(call, shipped, tmp_path):
    words = ["reproduce", "tiny-noise", "--methods", "ce", "--backbone", "small", "--jobs", "1", "--quiet"]
    status, out, err = call(*words)
    assert status == 0, err
    assert "No published number that we know of stands beside a finished run of: tiny, backbone small" in out
    assert "No published number" in (tmp_path / "results/tiny-noise/table.html").read_text()
    again, out_again, _ = call(*words)
    assert (again, out_again) == (0, out)


def test_datasets_that_are_not_there_are_named_and_the_others_go_on(call, shipped, monkeypatch, tmp_path):
    wanted = {"dataset": "rafdb", "methods": ["ce"], "noise": [20.0], "pretrained": "imagenet"}
    partly = dataclasses.replace(shipped, entries=(wanted, *shipped.entries))
    monkeypatch.setattr(named, "named_sweep", lambda name: partly)
    words = ("reproduce", "tiny-noise", "--methods", "ce", "--backbone", "small", "--scale", "small", "--data-root", tmp_path)
    status, out, err = call(*words, "--dataset", "rafdb,tiny@48", "--jobs", "1")
    assert status == 1, err
    assert err.startswith(f"left out: rafdb@5k: {tmp_path}/raf-basic")
    assert "[1/1] ce, symmetric 20 %, seed 0: finished" in err
    assert "tiny@48" in out
    assert "rafdb" not in (tmp_path / "results/tiny-noise-small/sweep.toml").read_text()
    monkeypatch.setattr(named, "named_sweep", lambda name: dataclasses.replace(shipped, entries=(wanted,)))
    status, out, err = call("reproduce", "tiny-noise", "--data-root", tmp_path, "--out", tmp_path / "none")
    assert (status, out, len(err.splitlines())) == (2, "", 1)  # of its images, not of the weights that nobody could fetch
    assert "list_patition_label.txt is missing" in err
    assert not (tmp_path / "none").exists()


def test_a_dry_run_fetches_no_weights_and_says_that_a_run_will(call, shipped, monkeypatch, tmp_path):
    entry = {**shipped.entries[0], "pretrained": "imagenet", "backbone": "resnet18"}
    monkeypatch.setattr(named, "named_sweep", lambda name: dataclasses.replace(shipped, entries=(entry,)))
    monkeypatch.setattr("benchmark.train.pretrained.load_weights", None)  # which fetches
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repository, file: None)
    status, out, err = call("reproduce", "tiny-noise", "--dry-run")
    assert status == 0, err
    assert out.startswith("key not yet known  missing   run   ce, symmetric 20 %, seed 0\n")
    assert "--pretrained imagenet: not on this machine yet; a run fetches them" in err


def test_the_small_scale_has_a_folder_of_its_own_and_is_the_sweep_that_run_would_run(call, shipped, tmp_path):
    words = ("reproduce", "tiny-noise", "--scale", "small", "--dataset", "tiny@48", "--dry-run")
    same = ("run", "--dataset", "tiny@48", "--noise", "20", "--plugin", shipped.entries[0]["plugins"][0], "--dry-run", "--json")
    by_run = [json.loads(call(*same, "--methods", *more)[1]) for more in (["ce"], ["scn", "--noise-kind", "pairflip"])]
    _, out, _ = call(*words, "--json")
    assert [row["key"] for row in json.loads(out)] == [row["key"] for rows in by_run for row in rows]
    _, out, _ = call(*words)
    assert out.count("to do in results/tiny-noise-small") == 2
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reproduce", "rulnoise"], "no named sweep is called 'rulnoise'; did you mean 'rul-noise'?"),
        (["reproduce", "elr", "--scale", "big"], "no scale is called 'big'; there are: full, small"),
        (["reproduce", "elr", "--dataset", "rafdb"], "no dataset of this sweep is called 'rafdb'"),
        (["reproduce", "elr", "--methods", "scn"], "no method of this sweep is called 'scn'; did you mean 'sce'?"),
        (
            ["reproduce", "features", "--scale", "small", "--data-root", "."],
            "list_patition_label.txt is missing; ask its authors",
        ),
        (
            ["table", ".", "--against", "publisched"],
            "no set of numbers for --against is called 'publisched'; did you mean 'published'?",
        ),
        (["list", "methods", "--paper", "ELR"], "--paper ELR: it chooses among published numbers; wanted list published"),
        *(
            (["list", what, "--plugin", "mine.py"], "mine.py: it adds methods and datasets; wanted list methods or datasets")
            for what in ("noises", "backbones", "sweeps", "published")
        ),
        (
            ["list", "published", "--dataset", "cifar11"],
            "no dataset of the published numbers is called 'cifar11'; did you mean 'cifar10'?",
        ),
    ],
)
def test_what_cannot_be_meant_ends_in_one_line(call, monkeypatch, tmp_path, words, said):
    monkeypatch.chdir(tmp_path)
    status, out, err = call(*words)
    assert (status, out, len(err.strip().splitlines())) == (2, "", 1)
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_every_shipped_sweep_is_planned_as_far_as_its_images_and_says_which_are_wanted(call, monkeypatch, tmp_path, weights):
    monkeypatch.chdir(tmp_path)
    file = ROOT / "scripts"
    for name in named.names():
        words = ("--data-root", tmp_path, "--backbone", "resnet18", "--pretrained", weights, "--dry-run")
        first = named.named_sweep(name).datasets[0]
        for command in (["reproduce", name], ["run", "--config", file / f"{name}.toml"]):
            status, out, err = call(*command, *words)
            assert (status, out) == (2, "")
            assert "is missing" in err.strip().splitlines()[-1]
            assert {"rafdb": "raf-basic", "cifar10": "cifar-10"}[first] in err


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """In the place of those that are fetched, or asked for."""
    import timm
    from safetensors.torch import save_file

    file = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    save_file(timm.create_model("resnet18", num_classes=7).state_dict(), file)
    return file


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "dataset", "folder", "runs"),
    [
        ("elr", "cifar10", "cifar-10-batches-bin", 144),
        ("dividemix", "cifar10", "cifar-10-batches-bin", 75),
        ("cifar-n", "cifar10", "cifar-n", 180),
        ("cifar-tiny", "cifar10", "cifar-10-batches-bin", 66),
        ("uncertainty", "cifar10", "cifar-10-batches-bin", 81),
        ("eac-noise", "ferplus", "fer2013", 36),
        ("scn-noise", "ferplus", "fer2013", 18),
        ("clean", "ferplus", "fer2013", 15),
        ("rul-noise", "fer2013", "fer2013", 45),
    ],
)
def test_each_is_planned_whole_where_its_images_are(call, weights, tmp_path, monkeypatch, name, dataset, folder, runs):
    root = os.environ.get("BENCHMARK_DATA")
    if not root or not (Path(root) / folder).is_dir():
        pytest.skip(f"{folder} is not below BENCHMARK_DATA")
    monkeypatch.chdir(tmp_path)
    faces = ("--pretrained", weights) if "pretrained" in named.named_sweep(name).entries[0] else ()
    status, out, err = call("reproduce", name, "--dataset", dataset, *faces, "--dry-run", "--json")
    assert status == 0, err
    assert len(json.loads(out)) == runs


def test_published_numbers_are_listed_by_paper_dataset_and_method(call):
    words = ("list", "published", "--paper", "SCN (CVPR 2020) Table 2", "--dataset", "rafdb", "--method", "scn")
    _, out, _ = call(*words)
    assert "RAF-DB, symmetric-exclusive (uniform over other classes), 10 %: accuracy 82.18; epoch not known; UNVERIFIED" in out
    rows = json.loads(call(*words, "--json")[1])
    assert out.count("UNVERIFIED") == sum(row["verified"] == "no" for row in rows) == 3
    assert {row["registered"] for row in rows} == {"scn"}
    assert {"name", "summary", "citation", "source"} <= rows[0].keys()
    status, out, _ = call("list", "published", "--method", "rul", "--dataset", "mnist")
    assert (status, out) == (0, "")


def test_paper_tables_reproduces_each_and_names_what_it_could_not(capsys):
    reproduced = runpy.run_path(str(ROOT / "scripts" / "paper_tables.py"))["reproduced"]
    seen = []

    def run(command):
        seen.append(command[3:])
        return 2 if "clean" in command else 0

    assert reproduced(["--scale", "small"], run) == 2
    assert seen == [["reproduce", name, "--scale", "small"] for name in named.names()]
    assert capsys.readouterr().out.endswith(f"{len(seen) - 1} of {len(seen)} tables reproduced whole; not: clean\n")
    assert reproduced([], lambda command: 0) == 0
