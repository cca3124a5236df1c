"""What a run is called, and what its key covers."""

from __future__ import annotations

import dataclasses
import json

import pytest
from pydantic import TypeAdapter
from stubs import SPEC

from benchmark.contract import BadInput
from benchmark.spec import PROTOCOL, DatasetSpec, RunSpec, backbone_parts, key_of, recipe

KEY = {"code": "c", "noise": "n", "weights": None}


def test_names_say_what_differs_from_the_defaults():
    assert SPEC.dataset.label == "ferplus[classes=8]@10k"
    assert DatasetSpec("faces", 1500).label == "faces@1500"
    assert SPEC.method_label == "scn[beta=0.5]"
    assert recipe("common", epochs=3).name == "common"
    assert recipe("common", batch_size=32).name == "common[batch_size=32]"
    assert recipe("common", balanced=True).name == "common[balanced]"
    assert DatasetSpec.parse("cifar10@10k", {}, 50.0).label == "cifar10@10k@lt50"
    own = recipe("paper", epochs=3, own={"epochs": 60, "lr": 0.5, "batch_size": 32})
    assert (own.name, own.epochs, own.lr, own.batch_size, own.is_own) == ("paper[epochs=3]", 3, 0.5, 32, True)


def test_a_spec_survives_its_file():
    assert TypeAdapter(RunSpec).validate_json(json.dumps(SPEC.to_dict())) == SPEC


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": DatasetSpec("ferplus")},
        {"noise_kind": "symmetric-inclusive"},
        {"noise_rate": 0.3},
        {"method": "rul"},
        {"options": {}},
        {"backbone": "resnet18"},
        {"pretrained": "w.pth"},
        {"recipe": recipe("common", epochs=3)},
        {"validation": 0.1},
        {"precision": "bf16"},
        {"seed": 4},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_key_covers_every_field(change):
    assert dataclasses.replace(SPEC, **change).key(**KEY) != SPEC.key(**KEY)
    assert {f.name for f in dataclasses.fields(RunSpec)} == FIELDS


FIELDS = {
    "dataset", "noise_kind", "noise_rate", "method", "options", "backbone", "pretrained", "recipe", "validation", "precision",
    "seed",
}  # fmt: skip


@pytest.mark.parametrize("what", ["code", "noise", "weights"])
def test_the_key_covers_code_noise_and_weights(what):
    assert SPEC.key(**{**KEY, what: "other"}) != SPEC.key(**KEY)
    assert SPEC.key(**KEY) == SPEC.key(**KEY)


def test_the_key_is_that_of_the_stored_spec_and_of_its_protocol():
    stored = json.loads(json.dumps(SPEC.to_dict()))
    assert key_of(stored, **KEY) == key_of(stored, **KEY, protocol=PROTOCOL) == SPEC.key(**KEY)
    assert key_of(stored, **KEY, protocol=PROTOCOL + 1) != SPEC.key(**KEY)


def test_a_run_is_called_by_what_tells_it_from_others_of_its_sweep():
    assert SPEC.label == "scn[beta=0.5], symmetric 20 %, seed 3"
    assert dataclasses.replace(SPEC, noise_rate=None, noise_kind="human").label == "scn[beta=0.5], human, seed 3"


@pytest.mark.parametrize("text", ["", "faces@", "faces@0", "faces@many", "faces@1@2", "@10k"])
def test_subsets_that_cannot_be_read_are_refused(text):
    with pytest.raises(BadInput, match="NAME@COUNT"):
        DatasetSpec.parse(text, {})
    assert DatasetSpec.parse("cifar10@10k", {}).subset == 10_000


def test_a_backbones_name_may_say_to_what_side_it_brings_images():
    assert backbone_parts("resnet18") == ("resnet18", None)
    assert backbone_parts("resnet18@224") == ("resnet18", 224)


@pytest.mark.parametrize("side", ["", "0", "-1", "x", "4097", "99999999999", "²", "2@3", " 24", "024"])
def test_a_side_that_is_none_is_refused(side):
    with pytest.raises(BadInput, match="wanted NAME or NAME@SIDE, as in resnet18@224"):
        backbone_parts(f"resnet18@{side}")
