"""What an examination says of an output folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["damaged", "unverified", "stale", "absent", "leftover", "orphan", "failed", "unfinished", "in use"]
WRONG: tuple[Kind, ...] = ("damaged", "unverified", "stale")
"""What must not stay so; the others are notes. In this order they are shown, and the notes after them."""


@dataclass(frozen=True)
class Finding:
    """One thing about one place."""

    kind: Kind
    where: str  #: below the output folder
    what: str
    deletes: tuple[str, ...] = ()  #: files that a repair removes, below the output folder; a run's folder goes with the last


@dataclass(frozen=True)
class Fault:
    """What is wrong with one run."""

    kind: Literal["damaged", "unverified"]
    what: str


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By kind, what is wrong first; those of a kind as they were found."""
    kinds = get_args(Kind)
    return tuple(sorted(findings, key=lambda finding: kinds.index(finding.kind)))


def by_folder(places: Iterable[str]) -> list[str]:
    """Files by the folder that they are in, each once: `runs/KEY: metrics.json, spec.json`."""
    found: dict[str, list[str]] = {}
    for place in dict.fromkeys(places):
        folder, _, name = place.rpartition("/")
        found.setdefault(folder, []).append(name)
    return [f"{folder}: {', '.join(names)}" if folder else ", ".join(names) for folder, names in found.items()]
