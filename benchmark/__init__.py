"""A noisy-label benchmark suite that compares uncertainty methods under one protocol."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
if (_ROOT / "pyproject.toml").is_file():
    # In a clone the plugins lie beside this package (`methods/`, `datasets/`); once installed they lie inside it.
    __path__.append(str(_ROOT))
