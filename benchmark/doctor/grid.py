"""What the runs of a folder are held to: its grid and its sweeps, as far as these can be trusted themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..contract.errors import BadInput
from ..contract.files import text_of
from ..report.page.repeat import Entry, has_run
from ..spec import key_of
from ..store import Inputs, PlannedRun, Store
from ..toml import LARGEST, parsed
from .finding import Finding
from .tree import Tree, Unreadable

GRID, SWEEPS = "grid.json", "sweep.toml"
KEY = re.compile("[0-9a-f]{16}")
"""What a run's folder is called; no other name in a grid becomes a path."""


@dataclass(frozen=True)
class Line:
    """A line of grid.json whose key is the hash of what stands in it."""

    run: PlannedRun
    spec: Mapping[str, Any]  #: as plain data


@dataclass(frozen=True)
class Grid:
    """grid.json and sweep.toml."""

    lines: Mapping[str, Line]  #: by key; only those that can be trusted
    planned: int  #: lines, with the others
    sweeps: Sequence[Entry]
    faults: tuple[Finding, ...]

    @property
    def whole(self) -> bool:
        """Whether grid.json is."""
        return not any(fault.where == GRID for fault in self.faults)

    @property
    def repeatable(self) -> bool:
        """Whether sweep.toml is, so that a command can be given that runs what is missing."""
        return not any(fault.where == SWEEPS for fault in self.faults)


def read_grid(tree: Tree, store: Store) -> Grid:
    """Both files, with what is wrong with them: that is said, and never mended, because nothing else says what was planned."""
    faults: list[Finding] = []
    lines: dict[str, Line] = {}
    planned: list[PlannedRun] = []
    sweeps: list[Entry] | None = None
    try:
        specs = plain_json(tree.plain(GRID))
        planned = store.plan()
        lines, wrong = _lines(planned, specs)
        faults += (Finding("damaged", GRID, what) for what in wrong)
    except Unreadable as error:
        faults.append(_unreadable(tree, GRID, error))
    except BadInput as error:
        faults.append(Finding("damaged", GRID, str(error).rpartition("is damaged: ")[2]))
    try:
        sweeps = _sweeps(tree.plain(SWEEPS))
        faults += (Finding("damaged", SWEEPS, what) for what in _left_out(lines, sweeps))
    except Unreadable as error:
        faults.append(_unreadable(tree, SWEEPS, error))
    except BadInput as error:
        faults.append(Finding("damaged", SWEEPS, str(error).removeprefix(f"{tree.root / SWEEPS}: ")))
    return Grid(lines, len(planned), sweeps or [], tuple(faults))


def plain_json(path: Path) -> Any:
    """What a file holds, digit by digit. Raises BadInput."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is damaged: it is not JSON ({' '.join(str(error).split())})") from None


def key_of_stored(spec: Mapping[str, Any], inputs: Inputs) -> str | None:
    """The key of a spec as it is stored; None where it is beyond what anybody can have written."""
    try:
        return key_of(
            spec,
            code=inputs.code,
            noise=inputs.noise_sha256,
            weights=inputs.weights_sha256,
            protocol=inputs.protocol,
        )
    except (ValueError, RecursionError):  # numbers of thousands of digits, nests of thousands of lists
        return None


def _unreadable(tree: Tree, name: str, error: Unreadable) -> Finding:
    if name not in tree.names():
        return Finding("damaged", name, "it is missing")
    return Finding("unverified", name, str(error))


def _lines(planned: Sequence[PlannedRun], specs: Any) -> tuple[dict[str, Line], list[str]]:
    """The lines that can be trusted, and what is wrong with the others."""
    lines: dict[str, Line] = {}
    wrong = []
    for number, (run, plain) in enumerate(zip(planned, specs, strict=True), 1):
        if not KEY.fullmatch(run.key):
            wrong.append(f"line {number}: the key '{run.key}' is none; wanted 16 hex digits")
        elif key_of_stored(plain["spec"], run.inputs) != run.key:
            wrong.append(f"line {number}: the key {run.key} is not that of its spec, code, labels and weights")
        elif run.key in lines:
            wrong.append(f"line {number}: the run {run.key} is in it twice")
        else:
            lines[run.key] = Line(run, plain["spec"])
    return lines, [*wrong, *_at_odds(lines)]


def _at_odds(lines: Mapping[str, Line]) -> Iterator[str]:
    """Facts that no key covers are the same for all runs of one code, dataset or weights."""
    known: dict[tuple[Any, ...], tuple[str, Any]] = {}
    told = set()
    for key, line in lines.items():
        run = line.run
        for name, of in (
            ("privilege", (run.code, run.spec.method)),
            ("images_of", (run.dataset_sha256, run.spec.dataset.name)),
            ("imbalance", (run.dataset_sha256,)),
            ("weights_match", (run.weights_sha256, run.spec.backbone)),
            ("dataset_sha256", (run.noise_sha256,)),
            ("realised", (run.noise_sha256,)),
        ):
            what, value = (name, *of), getattr(run, name)
            first, before = known.setdefault(what, (key, value))
            if before != value and what not in told:
                told.add(what)
                yield f"its {name} of {key} is {value!r}, and {before!r} of {first}, which can only be the same"


def _sweeps(path: Path) -> list[Entry]:
    """The sweeps of sweep.toml, read within the limits of the command that would run them. Raises BadInput."""
    found = parsed(text_of(path, LARGEST)).get("sweep")
    if not isinstance(found, list) or not found or not all(isinstance(entry, dict) for entry in found):
        raise BadInput("there is no sweep in it (no [[sweep]])")
    return found


def _left_out(lines: Mapping[str, Line], sweeps: Sequence[Entry]) -> Iterator[str]:
    lost = [key for key, line in lines.items() if not any(has_run(entry, line.run.spec) for entry in sweeps)]
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        yield f"none of its sweeps has the run {lost[0]}{more} of grid.json, so that the command would not run it again"
