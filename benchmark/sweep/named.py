"""The sweeps that are shipped, one a published table: scripts/*.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import Any

from ..contract.errors import unknown
from .sweep import read_settings

Settings = dict[str, Any]  # of one sweep, as a file has them

_DEFAULT = "default.toml"  # what a sweep is where nothing else is said, and no published table

SMALL: Settings = {
    "recipe": "common",
    "backbone": "small",
    "pretrained": None,
    "epochs": None,  # the recipe's
    "batch_size": None,
    "seeds": [0],
}
"""What the scale `small` puts in place of a published table's settings; None: nothing."""

SMALL_IMAGES = "5k"
"""Of each dataset, as many training images at the scale `small`."""


@dataclass(frozen=True)
class NamedSweep:
    """A published table as sweeps."""

    name: str
    about: str  #: one line
    citation: str
    entries: tuple[Settings, ...]  #: the settings of each sweep

    @property
    def datasets(self) -> tuple[str, ...]:
        """The names of its datasets."""
        return tuple(dict.fromkeys(entry["dataset"] for entry in self.entries))


def names() -> list[str]:
    """Of all that are shipped."""
    found = (entry.name for entry in files("benchmark.scripts").iterdir())
    return sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml") and name != _DEFAULT)


def named_sweep(name: str) -> NamedSweep:
    """One of them. Raises BadInput, with the nearest name, where there is none of that name."""
    if name not in (valid := names()):
        raise unknown("named sweep", name, valid)
    with as_file(files("benchmark.scripts") / f"{name}.toml") as file:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
        return NamedSweep(name, said["about"], said["citation"], tuple(read_settings(file)))


def only(entries: Sequence[Settings], datasets: Sequence[str] | None, methods: Sequence[str] | None) -> list[Settings]:
    """The sweeps of some of their datasets, which may be subsets (`cifar10@5k`), and methods. Raises BadInput for others."""
    of_name = None if datasets is None else {text.partition("@")[0]: text for text in datasets}
    _need("dataset", of_name or (), [entry["dataset"] for entry in entries])
    _need("method", methods or (), [name for entry in entries for name in entry["methods"]])
    kept = []
    for entry in entries:
        left = [name for name in entry["methods"] if methods is None or name in methods]
        if left and (of_name is None or entry["dataset"] in of_name):
            gone = set(entry["methods"]) - set(left)
            options = {name: values for name, values in entry.get("options", {}).items() if name not in gone}
            dataset = entry["dataset"] if of_name is None else of_name[entry["dataset"]]
            kept.append({**entry, "dataset": dataset, "methods": left, "options": options})
    return kept


def _need(what: str, wanted: Iterable[str], have: Sequence[str]) -> None:
    for name in wanted:
        if name not in have:
            raise unknown(f"{what} of this sweep", name, set(have))


def small(entry: Settings) -> Settings:
    """A sweep at the scale `small`: what a machine without a GPU can do, and nothing that a published number judges."""
    dataset = entry["dataset"] if "@" in entry["dataset"] else f"{entry['dataset']}@{SMALL_IMAGES}"
    changed = {**entry, **SMALL, "dataset": dataset}
    return {name: value for name, value in changed.items() if value is not None}
