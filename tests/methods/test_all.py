"""What holds for every method: it keeps the contract, says where it comes from, and has its page."""

from __future__ import annotations

import dataclasses
import inspect
import re
import statistics
import sys
from pathlib import Path

import pytest
from modules import script
from pydantic import TypeAdapter, ValidationError
from torch.nn.modules.batchnorm import _BatchNorm

from benchmark import check_method
from benchmark.conformance.case import Case
from benchmark.conformance.checks import CHECKS
from benchmark.contract.registry import load_plugins

ROOT = Path(__file__).parents[2]
METHODS = load_plugins().methods


@pytest.mark.parametrize("name", list(METHODS))
def test_it_keeps_the_contract(name: str) -> None:
    assert [str(verdict) for verdict in check_method(METHODS[name]) if not verdict.passed] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, method in METHODS.plugins.items() if not method.mean_over_samples])
def test_what_does_not_declare_its_loss_a_mean_over_samples_has_none_or_batch_norms_of_its_own(name: str) -> None:
    """Nothing is left out for want of care, and the check tells: declared of these methods, it is found to be wrong."""
    declared = type("Declared", (METHODS[name],), {"mean_over_samples": True})
    own = [part for part, module in Case(declared).trainer().method.named_modules() if isinstance(module, _BatchNorm)]
    (verdict,) = [check.verdict(Case(declared)) for check in CHECKS if check.name == "parts"]
    assert not verdict.passed or any("backbone" not in part for part in own), "it could declare it"


@pytest.mark.parametrize("name", list(METHODS))
def test_it_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    method = METHODS[name]
    text = sys.modules[method.__module__].__doc__ or ""
    assert re.search(r"^ {4}\S.* = ", text, re.MULTILINE), "its module's docstring has no formula"
    for said in ("Uncertainty: ", "oise score: ", "Deviations"):
        assert said in " ".join(text.split()) or said.lower() in text.lower(), f"its module's docstring does not say: {said}"
    assert method.__doc__
    assert len(method.summary()) < 120
    assert re.search(r"\b(19|20)\d\d\b", method.paper.venue), "the venue has no year"
    assert method.paper.code is None or re.search(r" at ([0-9a-f]{7}|\d+\.\d+)", method.paper.code), (
        "the code has no commit or version"
    )


@pytest.mark.parametrize("name", list(METHODS))
def test_every_option_says_what_it_means(name: str) -> None:
    for kind in METHODS[name].Config.__mro__[:-1]:
        for line in inspect.getsource(kind).splitlines():
            if re.match(r"    \w+: .+ = ", line):
                assert "  # " in line, line


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("aum", {"measure_share": 0}),  # measures nothing
        ("aum", {"percentile": 0}),  # flags nothing
        ("bootstrap", {"soft_beta": 0}),  # no label counts, here and in the next three
        ("bootstrap", {"hard_beta": 0}),
        ("jocor", {"agreement": 1}),
        ("ls", {"rate": 1}),
        ("ce-two-head", {"dropout": 1}),  # no feature is left, here and in the next three
        ("dul", {"dropout": 1}),
        ("rul", {"dropout": 1}),
        ("mc-dropout", {"rate": 1}),
        ("co-teaching", {"warm_up": 1}),  # the warm-up is all there is, here and in the next six
        ("co-teaching:oracle", {"warm_up": 1}),
        ("co-teaching-plus", {"warm_up": 1}),
        ("jocor:oracle", {"warm_up": 1}),
        ("dividemix", {"warm_up": 1}),
        ("negative-ls", {"warm_up": 1}),
        ("sop", {"warm_up": 1}),
        ("confident-learning", {"fold_share": 0}),
        ("dividemix", {"p_threshold": 1}),  # believes nobody
        ("eac", {"erase_from": 1}),  # no such rectangle fits
        ("eac", {"erase_from": 0.3, "erase_to": 0.2}),
        ("elr", {"beta": 1}),  # targets never move
        ("elr-plus", {"beta": 1}),
        ("elr-plus", {"average": 1}),
        ("ensemble", {"members": 1}),
        ("forward", {"first_stage": 0}),
        ("gce", {"q": 1.5}),  # not between cross-entropy and absolute error
        ("mc-dropout", {"passes": 1, "uncertainty": "mutual-information"}),
        ("mc-dropout", {"rate": 0, "uncertainty": "mutual-information"}),
        ("rul-relabel", {"margin": 1}),  # no two probabilities are so far apart
        ("scn", {"margin_2": 1}),
        ("scn", {"beta": 0}),  # one of the groups is empty
        ("scn", {"beta": 1}),
        ("temperature", {"held_out": 1}),  # nothing is left to train on
    ],
)
def test_options_that_leave_nothing_of_a_method_are_refused(name: str, options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(METHODS[name].Config).validate_python(options)


def test_defaults_and_own_options_are_within_their_bounds() -> None:
    for method in METHODS.plugins.values():
        config = method.Config()
        values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
        assert TypeAdapter(method.Config).validate_python({**values, **method.own_options})


def test_pages_say_what_an_option_may_be_and_where_published_numbers_stand() -> None:
    text = {path.stem: page for path, page in script("method_pages").pages().items()}
    assert "| `relabel_group` | all | `all`, `low` | " in text["scn"]
    assert "| `folds` | 4 | whole, from 2, up to 20 | " in text["confident-learning"]
    assert "| `dropout` | 0.4 | from 0, below 1 | " in text["rul"]
    assert (
        "| FERPlus | symmetric-exclusive (uniform over other classes), 30 % | RUL | accuracy | epoch not known | 83.9 | "
        in text["rul"]
    )
    assert "| CIFAR-10N | human worst, 40.21 % | SOP | accuracy | epoch not known | 83.66 ± 0.64 | " in text["sop"]
    assert re.search(r"^\d\d+, from \d+ sources: .*scripts/published.csv", text["ce"], re.MULTILINE)


def test_pages_name_nothing_that_their_reader_cannot_see() -> None:
    for path, page in script("method_pages").pages().items():
        hidden = re.findall(r"\w+Config\b|\bown_(?:recipe|options)\b|`_\w+`|\bsee (?:its|the) comment\b|\(see \w+\.py\)", page)
        assert path.name == "README.md" or not hidden, f"{path.name}: {hidden}"


def test_pages_and_readme_are_what_the_methods_say() -> None:
    pages = script("method_pages").pages()
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: run python scripts/method_pages.py"
    assert set((ROOT / "docs" / "methods").glob("*.md")) == {path for path in pages if path.name != "README.md"}


def test_a_method_file_reads_at_one_sitting() -> None:
    lengths = {p.name: len(p.read_text().splitlines()) for p in (ROOT / "methods").glob("[!_]*.py")}
    assert statistics.median(lengths.values()) <= 130
    assert max(lengths.values()) <= 200, max(lengths, key=lambda name: lengths[name])


def test_no_method_is_named_outside_its_own_files() -> None:
    """In code: names in strings of the suite itself would be special cases."""
    names = {name for name in METHODS if len(name) > 3}
    for path in (ROOT / "benchmark").rglob("*.py"):
        strings = set(re.findall(r"[\"']([a-z0-9:-]+)[\"']", path.read_text(encoding="utf-8")))
        assert not strings & names, f"{path.name} names {strings & names}"
