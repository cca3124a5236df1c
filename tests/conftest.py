"""What several tests need: one thread each, a cache of their own, and a dataset of tiny images."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests run side by side; before torch is imported, or it has no effect

import pytest
import torch

TINY = '''
"""Three kinds of stripes, 16x16."""
from dataclasses import dataclass

import numpy as np
from benchmark.contract import Card, Data, Dataset, Split


@dataclass(frozen=True)
class Config:
    train: int = 96
    test: int = 48


class Tiny(Dataset):
    """Stripes."""

    name = "tiny"
    card = Card("stripes", "none", "a test", "none")
    Config = Config

    def read(self):
        return Data(
            self.split(self.config.train, 0),
            self.split(self.config.test, 1),
            ("across", "down", "slanted"),
            {"human": (self.split(self.config.train, 0).labels + (np.arange(self.config.train) % 4 == 0)) % 3},
            ("tiny says hello",),
        )

    def split(self, size, seed):
        rng = np.random.default_rng(seed)
        labels = np.arange(size) % 3
        y, x = np.mgrid[:16, :16]
        waves = np.stack([y, x, x + y])[labels] + rng.integers(0, 4, (size, 1, 1))
        images = (128 + 90 * np.sin(waves * 1.5) + rng.normal(0, 12, (size, 16, 16))).clip(0, 255).astype(np.uint8)
        votes = rng.multinomial(10, np.eye(3)[labels] * 0.7 + 0.1)
        return Split(images[..., None], labels, votes)
'''


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing touches the user's cache; real datasets, which take long to read, may be kept by BENCHMARK_TEST_CACHE."""
    os.environ["BENCHMARK_CACHE"] = os.environ.get("BENCHMARK_TEST_CACHE") or str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """A test that draws draws the same each time."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def tiny_plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plugin file with the dataset `tiny`."""
    file = tmp_path_factory.mktemp("plugin") / "tiny.py"
    file.write_text(TINY)
    return file


@pytest.fixture(scope="session")
def whole_folder(tiny_plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with three finished runs of two epochs and their tables; whoever spoils it takes a copy."""
    from trainings import trained

    from benchmark.report.formats import FORMATS
    from benchmark.report.write import write_tables
    from benchmark.store import Store

    out = tmp_path_factory.mktemp("whole") / "out"
    trained(out, tiny_plugin, methods=("ce", "scn", "dul"), epochs=2)
    write_tables(Store(out), FORMATS)
    return out


def called(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command, in this process."""
    from benchmark import cli

    monkeypatch.setattr(sys, "argv", ["benchmark", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture
def call(capsys, monkeypatch):
    return lambda *words: called(capsys, monkeypatch, *words)
