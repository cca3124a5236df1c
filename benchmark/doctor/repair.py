"""Removes what an examination has named, and nothing else; all of it can be made again."""

from __future__ import annotations

import time
from dataclasses import replace

from ..contract.errors import BadInput
from ..paths import need_writable
from ..report.write import write_tables
from ..store import Store
from ..store.lock import Lock
from ..store.run import LOCK
from .examination import Examination
from .finding import Finding, by_folder, in_order
from .results import RESULTS, stale
from .runs import Run, in_use, is_old
from .tree import Tree, Unreadable


def repair(found: Examination) -> tuple[Examination, list[str]]:
    """Removes leftovers, damaged runs and damaged artefacts, and writes stale tables anew. Raises BadInput.

    Gives what an examination would now say of the folder, and a line for each thing that was done or could not be. Nothing
    is done while somebody is at work in the folder, and nothing to a run that somebody has taken up since it was looked at.
    """
    need_writable("doctor --repair", found.root)
    tree = Tree(found.root)
    if in_use(tree, tree.names(), time.time()):
        raise BadInput(f"doctor --repair {found.root}: somebody is at work in this folder; wanted one that nobody uses")
    outcome: dict[str, str] = {}  # by place: why it is still there
    for finding in found.findings:
        for place in finding.deletes:
            if place not in outcome:
                outcome[place] = _delete(tree, place)
    gone = [place for place, why in outcome.items() if not why]
    said = [f"deleted: {text}" for text in by_folder(gone)]
    said += [f"not deleted: {place}: {why}" for place, why in outcome.items() if why]
    left = _without(found, set(gone), tree)
    if left.of("stale") or (left.states != found.states and (tree.root / RESULTS).is_file()):
        said.append(_write_tables(left))
    others = [finding for finding in left.findings if finding.kind != "stale"]
    return replace(left, findings=in_order([*others, *stale(tree, left.grid, left.runs)])), said


def _delete(tree: Tree, place: str) -> str:
    """Why a file could not be deleted; empty where it is gone."""
    *folder, name = place.split("/")
    try:
        if len(folder) == 2 and in_use(tree, tree.names(*folder), time.time(), *folder):
            return "somebody is at work there"
        if name == LOCK:
            return _end(Lock(tree.plain(*folder, name)))
        tree.delete(*folder, name)
    except Unreadable as error:
        return str(error)
    return ""


def _end(lock: Lock) -> str:
    """Ends a claim whose owner is gone as whoever takes it over does, so that nobody who did so meanwhile loses it."""
    owner = lock.owner()
    try:
        old = is_old(lock.path.stat(), time.time())  # looked at after its owner: who has taken it over since has touched it
        if not lock.claim(owner.token if owner and old else None):
            return "somebody is at work there"
        lock.release()
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"it cannot be deleted ({error.strerror})"
    return ""


def _without(found: Examination, gone: set[str], tree: Tree) -> Examination:
    """What is left to be said when these places are gone."""
    runs = dict(found.runs)
    for key, run in found.runs.items():
        if run.files and gone.issuperset(f"runs/{key}/{name}" for name in run.files):
            tree.prune("runs", key)
            runs[key] = Run(key)
    discarded = tuple(f"runs/{key}" for key, run in runs.items() if run.status != found.runs[key].status)
    artefacts = [name[6:-4] for name in gone if name.startswith("noise/") and not name.startswith("noise/.")]

    def stays(finding: Finding) -> bool:
        mended = bool(finding.deletes) and gone.issuperset(finding.deletes)
        return not mended and not (finding.where in discarded and finding.kind != "orphan")

    return replace(
        found,
        runs=runs,
        artefacts=replace(found.artefacts, absent=[*found.artefacts.absent, *artefacts]),
        findings=tuple(filter(stays, found.findings)),
    )


def _write_tables(found: Examination) -> str:
    """Writes those that are there anew, unless that would show, or follow, what cannot be trusted; gives what to say of it."""
    of_grid = [found.runs[key] for key in found.grid.lines if key in found.runs]
    if not found.grid.whole or any(run.state == "damaged" or not run.is_plain for run in of_grid):
        return f"not written anew: {RESULTS}: something that it is made of is still wrong"
    try:
        write_tables(Store(found.root), ())
    except BadInput as error:
        return f"not written anew: {RESULTS}: {error}"
    return "written anew: the tables"
