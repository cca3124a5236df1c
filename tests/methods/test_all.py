"""What holds for every method: it keeps the contract, says where it comes from, and has its page."""

from __future__ import annotations

import importlib.util
import inspect
import re
import statistics
import sys
from pathlib import Path

import pytest

from benchmark import check_method
from benchmark.contract.registry import load_plugins

ROOT = Path(__file__).parents[2]
METHODS = load_plugins().methods


@pytest.mark.parametrize("name", list(METHODS))
def test_it_keeps_the_contract(name: str) -> None:
    assert [str(verdict) for verdict in check_method(METHODS[name]) if not verdict.passed] == []


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


def test_pages_and_readme_are_what_the_methods_say() -> None:
    spec = importlib.util.spec_from_file_location("method_pages", ROOT / "scripts" / "method_pages.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    pages = script.pages()
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
