"""Options of plugins: frozen dataclasses, named in tables where they differ from their defaults."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NoOptions:
    """The options of a plugin that has none."""


def changed_options(config: Any) -> dict[str, Any]:
    """The fields of a config dataclass whose values differ from their defaults."""
    return {
        f.name: getattr(config, f.name)
        for f in dataclasses.fields(config)
        if getattr(config, f.name) != (f.default_factory() if callable(f.default_factory) else f.default)
    }
