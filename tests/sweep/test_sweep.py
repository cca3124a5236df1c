"""A sweep's settings: checked, and spread out into runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from benchmark.contract import BadInput
from benchmark.sweep.sweep import checked_options, checked_sweep


def test_the_defaults_are_the_designs():
    sweep = checked_sweep({})
    assert (sweep.dataset, sweep.methods, sweep.rates) == ("faces", ("ce", "scn", "dul", "rul"), (10, 20, 30))
    assert (sweep.noise_kind, sweep.seeds, sweep.recipe, sweep.validation) == ("symmetric", (0,), "common", 0)


def test_the_grid_goes_by_noise_then_method_then_seed_without_repeats():
    sweep = checked_sweep({"methods": ("rul", "ce", "rul"), "noise": (20, 0), "seeds": (4, 7)})
    runs = [(spec.noise_rate, spec.method, spec.seed) for spec, _ in sweep.runs()]
    assert runs == [(r, m, s) for r in (0.2, 0.0) for m in ("rul", "ce") for s in (4, 7)]


def test_each_noise_file_is_a_noise_of_its_own():
    sweep = checked_sweep({"noise_kind": "file", "noise_files": ("a/x.txt", "b/y.npz"), "methods": ("ce",)})
    assert [(spec.noise_kind, str(file)) for spec, file in sweep.runs()] == [("file:x", "a/x.txt"), ("file:y", "b/y.npz")]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"epochz": 3}, "did you mean 'epochs'"),
        ({"epochs": 0}, "epochs: got 0"),
        ({"noise": ("a",)}, "noise: got 'a'"),
        ({"noise": (101,)}, "from 0 to 100"),
        ({"validation": 51}, "validation: got 51"),
        ({"methods": ()}, "methods: got"),
        ({"noise_kind": "human", "noise": (10,)}, "takes none"),
        ({"noise_files": ("a",)}, "go together"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(given, wanted):
    with pytest.raises(BadInput, match=wanted) as error:
        checked_sweep(given)
    assert "\n" not in str(error.value)


@dataclass(frozen=True)
class Options:
    beta: float = 0.7
    classes: int = 7
    rule: Literal["majority", "argmax"] = "majority"
    keep: bool = False


def test_options_given_as_text_become_what_they_are():
    assert checked_options("x", Options, {"beta": "0.5", "classes": "8", "rule": "argmax", "keep": "true"}) == Options(
        0.5, 8, "argmax", True
    )


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"betta": 1}, "did you mean 'beta'"),
        ({"classes": "many"}, "x.classes: got 'many'"),
        ({"rule": "vote"}, "x.rule: got 'vote'"),
    ],
)
def test_options_that_cannot_be_are_refused(given, wanted):
    with pytest.raises(BadInput, match=wanted):
        checked_options("x", Options, given)
