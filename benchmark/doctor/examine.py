"""A whole output folder looked at: what is damaged, what lies there besides, and what is still to be done."""

from __future__ import annotations

import contextlib
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from os import stat_result
from pathlib import Path

from ..contract.errors import BadInput, need_folder
from ..contract.images import progress
from ..store import Store
from ..store.folder import DRIVER, RESULTS
from ..store.manifest import LARGE
from ..store.run import LOCK
from ..words import counted
from .examination import Examination
from .finding import Fault, Finding, in_order
from .grid import GRID, SWEEPS, Grid, read_grid
from .noises import Artefacts, examined_noises
from .orphans import orphans
from .results import stale
from .runs import Run, examined, half_of, in_use, is_old
from .tree import Tree, Unreadable

MANY = 50
"""Runs from which on a terminal shows how far an examination has come."""
_AT_THE_TOP = (GRID, SWEEPS, *RESULTS, "index.html", LOCK)
_FIGURES = (".pdf", ".svg", ".png", ".md")


def examine(root: Path) -> Examination:
    """Looks at everything that an output folder holds, and changes nothing. Raises BadInput where it is none.

    No link is followed, and nothing that lies in the folder is taken to be what it claims to be.
    """
    need_folder("doctor", root)
    tree, store, now = Tree(root), Store(root), time.time()
    try:
        top = tree.names()
    except Unreadable as error:
        raise BadInput(f"doctor {root}: {error}") from None
    if not {GRID, SWEEPS} & top.keys():
        raise BadInput(f"{root}: there is no sweep in it (neither {SWEEPS} nor {GRID})")
    grid = read_grid(tree, store)
    artefacts = examined_noises(tree, grid, now)
    findings = [*grid.faults, *artefacts.findings]
    there: dict[str, stat_result] = {}
    unseen = ""  # why no run can be looked at
    if "runs" in top:
        try:
            there = tree.names("runs")
        except Unreadable as error:
            unseen = str(error)
            findings.append(Finding("unverified", "runs", unseen))
    keys = [name for name in there if name in grid.lines or stat.S_ISDIR(there[name].st_mode)]
    runs: dict[str, Run] = {}
    with progress("verifying", len(keys), MANY) as advance:
        for key in keys:
            runs[key] = examined(tree, store, key, grid.lines.get(key), artefacts.labels, now)
            advance()
    findings += (finding for run in runs.values() for finding in _of_run(run, grid))
    if unseen:
        runs = {key: Run(key, faults=(Fault("unverified", unseen),), is_plain=False) for key in grid.lines}
    findings += _of_grid(grid, runs, artefacts)
    findings += orphans(grid, runs, [name for name in there if name not in runs], artefacts)
    used = in_use(tree, top, now)
    findings += _left_over(tree, top, used, now)
    if used:
        findings.append(Finding("in use", LOCK, "somebody is at work in this folder"))
    grid = replace(grid, faults=tuple(finding for finding in findings if finding.where in (GRID, SWEEPS)))
    findings += stale(tree, grid, runs)
    return Examination(root, grid, runs, artefacts, in_order(findings))


def _of_run(run: Run, grid: Grid) -> Iterator[Finding]:
    """What is wrong with a run, and what is left over in its folder; an orphan is left as it is."""
    place, of_grid = f"runs/{run.key}", run.key in grid.lines
    for fault in run.faults:
        goes = of_grid and grid.repeatable and fault.kind == "damaged"
        yield Finding(fault.kind, place, fault.what, tuple(f"{place}/{name}" for name in run.files) if goes else ())
    if run.status == "in use":
        yield Finding("in use", place, "somebody is at work on it, and it was not looked at")
    if not of_grid:
        return
    for name in run.leftovers:
        yield Finding("leftover", f"{place}/{name}", _why_left(name), (f"{place}/{name}",))
    label = f"{run.spec.label}: " if run.spec else ""
    if run.status == "failed" and not run.faults:
        yield Finding("failed", place, f"{label}{run.error}")
    if run.status == "started":
        yield Finding("unfinished", place, f"{label}begun, and goes on where it was stopped")


def _why_left(name: str) -> str:
    reasons = {"checkpoint.pt": "of a run that has ended", "failure.json": "of a run that has finished since"}
    return reasons.get(name, "a lock whose owner is gone" if _is_lock(name) else "a write that was cut short")


def _is_lock(name: str) -> bool:
    return name == LOCK or name.startswith(DRIVER)


def _of_grid(grid: Grid, runs: Mapping[str, Run], artefacts: Artefacts) -> Iterator[Finding]:
    """What the grid has and the folder has not, and where the two tell different stories."""
    of_grid = {key: runs[key] for key in grid.lines if key in runs}
    for key, run in of_grid.items():
        line = grid.lines[key].run.inputs
        if run.state == "verified" and run.inputs:
            differ = [name for name, value in vars(line).items() if value != getattr(run.inputs, name)]
            yield from (
                Finding("damaged", GRID, f"its {name} of {key} is not the one in the run's manifest") for name in differ
            )
    missing = [key for key in grid.lines if key not in runs or runs[key].state == "missing"]
    if missing:
        yield Finding("unfinished", "runs", f"{counted(len(missing), 'run')} of the grid not begun")
    finished = [run for run in of_grid.values() if run.status == "finished"]
    for name in LARGE:
        lacking = [run.key for run in finished if name in run.absent]
        if lacking and not any(name in run.ours for run in finished):
            yield Finding(
                "absent", "runs", f"{name} is not here, of {counted(len(lacking), 'finished run')}, and so not checked"
            )
        else:
            what = f"{name} is not here, and so not checked; other runs have theirs"
            yield from (Finding("absent", f"runs/{key}", what) for key in lacking)
    if artefacts.absent:
        count = counted(len(artefacts.absent), "noise artefact")
        yield Finding("absent", "noise", f"{count} of the grid not here, and so not checked")


def _left_over(tree: Tree, top: Mapping[str, stat_result], used: bool, now: float) -> Iterator[Finding]:
    """Files that were being written when their writer was killed, and the locks of those who are gone."""
    places = {name: about for name, about in top.items() if _is_lock(name) or half_of(name) in _AT_THE_TOP}
    if "figures" in top and stat.S_ISDIR(top["figures"].st_mode):
        with contextlib.suppress(Unreadable):
            figures = tree.names("figures").items()
            places |= {f"figures/{name}": about for name, about in figures if _is_half_a_figure(name)}
    for place, about in places.items():
        if stat.S_ISREG(about.st_mode) and (is_old(about, now) or (place == LOCK and not used)):
            yield Finding("leftover", place, _why_left(place), (place,))


def _is_half_a_figure(name: str) -> bool:
    return half_of(name).endswith(_FIGURES)
