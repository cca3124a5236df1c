"""The sweeps of published tables: each can be run as it is shipped, and at the scale of a machine without a GPU."""

from __future__ import annotations

import pytest

from benchmark.contract import BadInput
from benchmark.contract.config import changed_options, checked_options
from benchmark.contract.registry import load_plugins
from benchmark.sweep.named import named_sweep, names, only, small
from benchmark.sweep.run import MUST_AGREE
from benchmark.sweep.sweep import checked_sweep
from benchmark.train.backbones import check_backbone

PLUGINS = load_plugins()
DISTRIBUTED = {"cifar10": {"asymmetric", "human-aggregate", "human-random1", "human-random2", "human-random3", "human-worst"}}
DISTRIBUTED["cifar100"] = {"asymmetric", "human"}
"""Kinds of noise that a dataset has to bring."""


@pytest.mark.parametrize("name", names())
def test_each_says_what_it_is_in_a_line_and_where_it_comes_from(name):
    sweep = named_sweep(name)
    assert "\n" not in sweep.about
    assert 40 < len(sweep.about) < 130
    assert len(sweep.citation) > 20


@pytest.mark.parametrize("shrink", [False, True])
@pytest.mark.parametrize("name", names())
def test_each_names_only_what_there_is(name, shrink):
    for entry in named_sweep(name).entries:
        sweep = checked_sweep(small(entry) if shrink else entry)
        spec = sweep.dataset_spec()
        kind = PLUGINS.datasets[spec.name]
        assert changed_options(checked_options(spec.name, kind.Config, spec.options)) == spec.options
        check_backbone(sweep.backbone)
        sweep.full_recipe()
        assert set(sweep.options) <= {spec.name, *sweep.methods}
        for method in sweep.methods:
            checked_options(method, PLUGINS.methods[method].Config, sweep.options.get(method, {}))
        assert sweep.noise_kind.startswith("symmetric") or sweep.noise_kind in DISTRIBUTED[spec.name]
        assert len(list(sweep.runs())) == len(sweep.rates) * len(sweep.methods) * len(sweep.seeds)


@pytest.mark.parametrize("shrink", [False, True])
@pytest.mark.parametrize("name", names())
def test_its_sweeps_may_lie_in_one_folder(name, shrink):
    sweeps = [checked_sweep(small(entry) if shrink else entry) for entry in named_sweep(name).entries]
    for setting in MUST_AGREE:
        assert len({str(getattr(sweep, setting)) for sweep in sweeps}) == 1


def test_all_the_tables_that_are_promised_are_there():
    assert {"rul-noise", "eac-noise", "clean", "cifar-tiny", "cifar-n", "uncertainty", "features"} <= set(names())
    assert named_sweep("rul-noise").datasets == ("rafdb", "fer2013", "affectnet")
    assert named_sweep("eac-noise").datasets == ("rafdb", "ferplus", "affectnet")
    assert named_sweep("cifar-tiny").datasets == ("cifar10", "cifar100", "tiny-imagenet")
    assert "default" not in names()


def test_the_small_scale_is_small_and_keeps_noise_methods_and_options():
    entry = {
        "dataset": "ferplus", "methods": ["ce", "scn"], "noise": [10.0], "seeds": [0, 1], "recipe": "paper", "epochs": 60,
        "backbone": "resnet18", "pretrained": "imagenet", "options": {"ferplus": {"classes": 8}},
    }  # fmt: skip
    assert small(entry) == {
        "dataset": "ferplus@5k", "methods": ["ce", "scn"], "noise": [10.0], "seeds": [0], "recipe": "common",
        "backbone": "small", "options": {"ferplus": {"classes": 8}},
    }  # fmt: skip
    assert small({**entry, "dataset": "ferplus@1k"})["dataset"] == "ferplus@1k"


def test_a_part_of_a_table_is_chosen_by_datasets_and_methods():
    entries = named_sweep("elr").entries
    chosen = only(entries, ["cifar100@2k"], ["ce", "gce"])
    assert [entry["dataset"] for entry in chosen] == ["cifar100@2k"] * 2
    assert all(entry["methods"] == ["ce", "gce"] and entry["options"] == {} for entry in chosen)
    assert only(entries, None, None) == [{"options": {}, **entry} for entry in entries]


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ((["cifar11"], None), "no dataset of this sweep is called 'cifar11'; did you mean 'cifar10'"),
        ((None, ["scn"]), "no method of this sweep is called 'scn'; did you mean 'sce'"),
    ],
)
def test_what_is_no_part_of_it_is_refused(chosen, said):
    with pytest.raises(BadInput, match=said):
        only(named_sweep("elr").entries, *chosen)


def test_an_unknown_name_is_answered_by_the_nearest():
    with pytest.raises(BadInput, match="no named sweep is called 'rulnoise'; did you mean 'rul-noise'"):
        named_sweep("rulnoise")
