"""Options of plugins: frozen dataclasses, named in tables where they differ from their defaults."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""A number from 0 to 1."""
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
"""A number from 0 and below 1: a part of what may not be had whole, such as what a dropout drops."""
Part = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
"""A number above 0, up to 1: a part without which nothing would be left."""
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A number from 0."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A number above 0."""
Count = Annotated[int, Field(ge=1, le=1_000_000)]
"""A whole number from 1."""


@dataclass(frozen=True)
class NoOptions:
    """The options of a plugin that has none."""


def changed_options(config: Any) -> dict[str, Any]:
    """The fields of a config dataclass whose values differ from their defaults, as plain data."""
    plain = TypeAdapter(type(config)).dump_python(config, mode="json")
    return {
        f.name: plain[f.name]
        for f in dataclasses.fields(config)
        if getattr(config, f.name) != (f.default_factory() if callable(f.default_factory) else f.default)
    }
