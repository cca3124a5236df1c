"""Numbers that papers have published, each with its source, how its epoch was chosen, and whether the source was read."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..contract.errors import BadInput, unknown
from ..noise import takes_rate

UNSTATED = "unstated"
"""The law of noise that a paper calls symmetric without saying whether the true class may be drawn again."""

CLEAN = "none"
"""The noise of labels as they are distributed."""

EPOCHS = {
    "": "epoch not known",
    "last": "last epoch",
    "best": "best epoch on the test set",
    "last10": "mean of the last 10 epochs",
    "val": "epoch by held-out images",
}
"""How a published number's epoch was chosen."""


class Published(BaseModel):
    """One published number: what the paper says in its own words and, in `registered…`, `weights` and `epochs`, in ours."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    paper: str = Field(min_length=1)
    year: int = Field(ge=1990, le=2100)
    method: str = Field(min_length=1)
    registered: str  #: the method's name here, empty where it is not among them
    dataset: str = Field(min_length=1)
    registered_dataset: str = Field(pattern=r"^[a-z0-9-]+(\[classes=([0-9]+|\?)\])?$")  #: `?`: how many, is not known
    noise_kind: str = Field(min_length=1)
    registered_noise: str  #: a kind of ours, `none` or `unstated`
    noise_rate: float = Field(ge=0, le=100)  #: percent
    metric: Literal["accuracy", "macro_acc", "nll", "ece"]  #: the first two in percent, `ece` as a fraction
    selection: Literal["", "last", "best", "last10", "val"]  #: how its epoch was chosen, empty where it is not known
    mean: float
    std: float | None = Field(ge=0)
    backbone: str
    registered_backbone: str = Field(pattern=r"^[a-z0-9-]*$")  #: not all of them are among ours; empty where it is not known
    weights: str = Field(pattern=r"^[a-z0-9-]*$")  #: of which the backbone starts; `none`: of none; empty where it is not known
    epochs: int | None = Field(ge=1)
    source: str = Field(min_length=1)
    verified: Literal["yes", "no"]  #: whether the source itself was read
    notes: str

    @field_validator("std", "epochs", mode="before")
    @classmethod
    def _empty_is_none(cls, given: Any) -> Any:
        return None if given == "" else given

    @field_validator("registered_noise")
    @classmethod
    def _is_a_kind(cls, given: str) -> str:
        if given not in (CLEAN, UNSTATED):
            takes_rate(given)  # raises for what is none
        return given

    @model_validator(mode="after")
    def _noise_has_a_rate(self) -> Self:
        if (self.registered_noise == CLEAN) != (self.noise_rate == 0):
            raise ValueError(f"registered_noise {self.registered_noise} with a noise_rate of {self.noise_rate:g}")
        return self

    @property
    def value(self) -> float:
        """The mean in the unit of results.csv."""
        return self.mean * self._unit

    @property
    def spread(self) -> float | None:
        """The standard deviation in the unit of results.csv."""
        return None if self.std is None else self.std * self._unit

    @property
    def _unit(self) -> float:
        return 100.0 if self.metric == "ece" else 1.0

    @property
    def noise(self) -> str:
        """The noise in the paper's words: `symmetric, 20 %`."""
        return self.noise_kind if self.noise_rate == 0 else f"{self.noise_kind}, {self.noise_rate:g} %"


@cache
def published() -> tuple[Published, ...]:
    """All of them, in the order of scripts/published.csv."""
    return read_published((files("benchmark.scripts") / "published.csv").read_text(encoding="utf-8"), "published.csv")


def read_published(text: str, name: str) -> tuple[Published, ...]:
    """The rows of a CSV with a column for each field. Raises BadInput with one line for each bad row."""
    reader = csv.DictReader(io.StringIO(text))
    if (columns := list(reader.fieldnames or [])) != list(Published.model_fields):
        raise BadInput(f"{name}: its columns are {', '.join(columns) or 'none'}; wanted {', '.join(Published.model_fields)}")
    rows, bad = [], []
    for row in reader:
        try:
            rows.append(Published.model_validate(row))
        except ValidationError as error:
            first = error.errors()[0]
            where = f"{first['loc'][0]}: got {first['input']!r}; " if first["loc"] else ""
            bad.append(f"{name}, line {reader.line_num}: {where}{first['msg']}")
        except BadInput as error:
            bad.append(f"{name}, line {reader.line_num}: registered_noise: {error}")
    if bad:
        raise BadInput("\n".join(bad))
    return tuple(rows)


def fitting(
    rows: Sequence[Published], paper: str | None = None, dataset: str | None = None, method: str | None = None
) -> list[Published]:
    """Those of a paper (part of its name), a dataset and a method (by either name). Raises BadInput for unknown ones.

    A dataset's name also means it with other options, and a method's all of its forms: `co-teaching` also `co-teaching:oracle`.
    """
    for what, given, of_row in (("dataset", dataset, _datasets), ("method", method, _methods)):
        valid = {name for row in rows for name in of_row(row)}
        if given is not None and given.lower() not in {name.lower() for name in valid}:
            raise unknown(f"{what} of the published numbers", given, valid)
    if paper is not None and not any(paper.lower() in row.paper.lower() for row in rows):
        raise unknown("paper of the published numbers", paper, {row.paper for row in rows})
    return [
        row
        for row in rows
        if (paper is None or paper.lower() in row.paper.lower())
        and (dataset is None or dataset.lower() in {name.lower() for name in _datasets(row)})
        and (method is None or method.lower() in {name.lower() for name in _methods(row)})
    ]


def _datasets(row: Published) -> set[str]:
    return {row.dataset, row.registered_dataset, row.registered_dataset.partition("[")[0]}


def _methods(row: Published) -> set[str]:
    return {row.method, row.registered, row.registered.partition(":")[0]} - {""}
