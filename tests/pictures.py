"""Small image files for the tests of datasets, and how a dataset is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.contract import BadInput, Dataset


def pixels(seed: int, height: int = 8, width: int = 8, channels: int = 3) -> np.ndarray:
    """An image (height, width, channels), of one channel (height, width), that no other seed gives."""
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, seed: int, height: int = 8, width: int = 8, channels: int = 3) -> Path:
    """Writes `pixels` to a file, and makes its folder; the endings of PNG and the like give them back exactly."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(seed, height, width, channels)).save(path, "PNG" if path.suffix.lower() in (".jpg", "") else None)
    return path


def refused(dataset: Dataset, *words: object) -> str:
    """The message with which the dataset is refused: one line, with all the words in it."""
    with pytest.raises(BadInput) as error:  # noqa: PT012 - the suite asks for both, one after the other
        dataset.sources()
        dataset.read()
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert str(word) in message
    return message


def kinds(dataset: Dataset) -> list[str]:
    """The kinds of all findings, in order."""
    return sorted(finding.kind for finding in dataset.findings())
