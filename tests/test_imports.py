"""A command imports what it needs and nothing else: torch, timm or altair take longer than most commands work."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import finished_sweep
from modules import modules_after

SLOW = {"torch", "torchvision", "timm", "sklearn", "scipy", "pandas", "altair", "joblib", "PIL"}


def loaded(*words: str) -> set[str]:
    """The slow libraries that a command has loaded when it ends."""
    return SLOW & {name.partition(".")[0] for name in modules_after(*words)}


@pytest.mark.parametrize("words", ["--help", "run --help", "table --help"])
def test_help_needs_no_library(words: str):
    assert loaded(*words.split()) == set()


@pytest.mark.parametrize("words", ["list datasets", "list noises", "list published", "list sweeps", "data show faces"])
def test_what_is_no_method_is_shown_without_torch(words: str):
    assert loaded(*words.split()) == set()


def test_methods_and_plans_need_torch_and_nothing_else(tmp_path: Path):
    assert loaded("list", "methods") == {"torch"}
    assert loaded("run", "--dry-run", "--dataset", "faces@300", "--seeds", "2", "--out", str(tmp_path / "out")) == {"torch"}


def test_a_table_needs_distributions_and_nothing_else(tmp_path: Path):
    finished_sweep(tmp_path, seeds=(0, 1, 2))
    assert loaded("table", str(tmp_path)) == {"scipy"}
