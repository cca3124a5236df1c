"""A noisy-label benchmark suite that compares uncertainty methods under one protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .conformance import check_method as check_method
    from .trained import load_model as load_model

_ROOT = Path(__file__).resolve().parent.parent
if (_ROOT / "pyproject.toml").is_file():
    # In a clone the plugins lie beside this package (`methods/`, `datasets/`); once installed they lie inside it.
    __path__.append(str(_ROOT))


def __getattr__(name: str) -> Any:
    """`benchmark.check_method` and `benchmark.load_model`, imported when they are wanted, since training comes with them."""
    if name == "check_method":
        from .conformance import check_method

        return check_method
    if name == "load_model":
        from .trained import load_model

        return load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
