"""What sweeps have left in their folders, to be compared bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def arrays(out: Path) -> dict[str, dict[str, np.ndarray]]:
    """Every array of every run's predictions, by key and name."""
    found = {}
    for path in sorted((out / "runs").glob("*/predictions.npz")):
        with np.load(path) as content:
            found[path.parent.name] = {name: content[name] for name in content.files}
    return found


def assert_identical(a: Path, b: Path, but: str = "") -> None:
    first, second = arrays(a), arrays(b)
    assert first.keys() == second.keys()
    assert first
    for key, content in first.items():
        assert content.keys() == second[key].keys()
        for name, array in content.items():
            if name == but:
                continue
            assert array.tobytes() == second[key][name].tobytes(), f"{name} of {key} differs"
