"""What an examination has found, in words and commands."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..report.write import fill_command
from ..store import Store
from ..words import counted
from .finding import WRONG, Finding, Kind
from .grid import GRID, Grid
from .noises import Artefacts
from .runs import Run

_STATES = {
    "verified": "finished and verified",
    "damaged": "damaged",
    "unverified": "not verified",
    "failed": "failed",
    "in use": "in use",
    "unfinished": "unfinished",
}


@dataclass(frozen=True)
class Examination:
    """An output folder as it is."""

    root: Path
    grid: Grid
    runs: Mapping[str, Run]  #: every run that has a folder, by key
    artefacts: Artefacts
    findings: tuple[Finding, ...]  #: what is wrong first

    @property
    def keys(self) -> list[str]:
        """Which runs there should be; where grid.json is damaged, those that are there too."""
        return list(dict.fromkeys([*self.grid.lines, *(() if self.grid.whole else self.runs)]))

    @property
    def states(self) -> Counter[str]:
        """How many runs are `verified`, `damaged`, `unverified`, `failed`, `in use` and `unfinished`."""
        found = (self.runs[key].state if key in self.runs else "missing" for key in self.keys)
        return Counter("unfinished" if state in ("started", "missing") else state for state in found)

    @property
    def wrong(self) -> list[Finding]:
        """What must not stay so."""
        return [finding for finding in self.findings if finding.kind in WRONG]

    @property
    def absent(self) -> dict[str, int]:
        """By the name of a large file how many finished runs of the grid have it elsewhere only; the noise artefacts too."""
        found = Counter(name for key in self.keys if key in self.runs for name in self.runs[key].absent)
        return dict(found) | ({"noise": len(self.artefacts.absent)} if self.artefacts.absent else {})

    def of(self, kind: Kind) -> list[Finding]:
        """The findings of a kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    def commands(self) -> dict[str, str]:
        """What may be done about it, by what it does."""
        found = {}
        states = self.states
        if self.grid.repeatable:
            run = fill_command(Store(self.root))
            if states["unfinished"]:
                found["runs what is missing"] = run
            if states["failed"]:
                found["runs again what has failed"] = f"{run} --retry-failed"
            if states["unverified"]:
                found["runs everything again"] = f"{run} --force"
            if not self.grid.whole:
                found[f"writes {GRID} anew, once it is deleted"] = run
        if self.of("stale"):
            found["writes the tables anew"] = shlex.join(["python", "-m", "benchmark", "table", str(self.root)])
        if places := [finding.where for finding in self.of("orphan") if finding.where.isprintable()]:
            found["deletes the orphans"] = shlex.join(["rm", "-r", *(str(self.root / place) for place in places)])
        return found

    def summary(self) -> str:
        """One line."""
        states = self.states
        told = ", ".join(f"{states[state]} {said}" for state, said in _STATES.items() if states[state])
        parts = [f"{counted(states.total(), 'run')}{f': {told}' if told else ''}"]
        parts.append(f"{counted(len(self.artefacts.labels), 'noise artefact')} verified")
        runs = {f"runs/{key}" for key in self.keys}
        for kind in WRONG:
            places = [place for place in dict.fromkeys(f.where for f in self.of(kind)) if place not in runs]
            noises = sum(place.startswith("noise/") for place in places)
            parts += [f"{place} {kind}" for place in places if not place.startswith("noise/")]
            parts += [f"{counted(noises, 'noise artefact')} {kind}"] if noises else []
        parts += [counted(len(found), kind) for kind in ("orphan", "leftover") if (found := self.of(kind))]
        lacks = [
            counted(count, "noise artefact") if name == "noise" else f"{name} of {counted(count, 'run')}"
            for name, count in self.absent.items()
        ]
        return "; ".join([*parts, *([f"not here, and so not checked: {', '.join(lacks)}"] if lacks else [])])
