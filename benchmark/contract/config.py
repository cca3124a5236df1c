"""Options of plugins: frozen dataclasses, named in tables where they differ from their defaults."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from .errors import BadInput, told, unknown
from .text import has_controls, written

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


def checked_options(name: str, config: type, given: Mapping[str, Any]) -> Any:
    """An instance of a plugin's config dataclass from `--set` values, which are often text. Raises BadInput."""
    fields = [f.name for f in dataclasses.fields(config)]
    for option in given:
        if option not in fields:
            if not fields:
                raise BadInput(f"{name} has no options; {name}.{option} was set")
            raise unknown(f"option of {name}", option, fields)
    try:
        checked: Any = TypeAdapter(config).validate_python(dict(given))
    except BadInput:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([name, *map(str, first["loc"])])
        raise BadInput(f"{where}: got {written(first['input'])}; {first['msg'][0].lower()}{first['msg'][1:]}") from None
    except Exception as error:  # a plugin's own fault: types that are none, a __post_init__ that raises
        raise BadInput(f"the options of {name} cannot be used: {told(error)}") from None
    for option in given:
        if isinstance(value := getattr(checked, option), str) and has_controls(value):
            raise BadInput(f"{name}.{option}: got {written(value)}; wanted no control characters")
    return checked
