"""Numbers that papers have published, each with its source, how its epoch was chosen, and whether the source was read."""

from __future__ import annotations

import csv
import io
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Published(BaseModel):
    """One published number."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paper: str
    year: int
    method: str  #: as the paper calls it
    registered: str  #: the name of the method here, empty where it is not among them
    dataset: str
    noise_kind: str
    noise_rate: str  #: percent, empty where the labels bring their own
    metric: str
    selection: Literal["", "last", "best", "last10", "val"]  #: how its epoch was chosen, empty where the paper does not say
    mean: float
    std: float | None
    backbone: str
    source: str
    verified: Literal["yes", "no"]  #: whether the source itself was read
    notes: str


@cache
def published() -> tuple[Published, ...]:
    """All of them, in the order of scripts/published.csv."""
    text = (files("benchmark.scripts") / "published.csv").read_text(encoding="utf-8")
    return tuple(Published.model_validate({**row, "std": row["std"] or None}) for row in csv.DictReader(io.StringIO(text)))
