"""Removes what an examination has named, and nothing else; all of it can be made again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
    is done while somebody is at work in the folder, and nothing to a run that somebody is at work on; nobody can take one up
    while it is mended.
    """
    need_writable("doctor --repair", found.root)
    tree = Tree(found.root)
    if in_use(tree, tree.names(), time.time()):
        raise BadInput(f"doctor --repair {found.root}: somebody is at work in this folder; wanted one that nobody uses")
    wanted: dict[str, list[str]] = {}  # places by their folder
    for place in dict.fromkeys(place for finding in found.findings for place in finding.deletes):
        wanted.setdefault(place.rpartition("/")[0], []).append(place)
    outcome: dict[str, str] = {}  # by place: why it is still there
    for folder, places in wanted.items():
        outcome |= _delete(tree, folder, places)
    gone = [place for place, why in outcome.items() if not why]
    said = [f"deleted: {text}" for text in by_folder(gone)]
    said += [f"not deleted: {place}: {why}" for place, why in outcome.items() if why]
    left = _without(found, set(gone), tree)
    if left.of("stale") or (left.states != found.states and (tree.root / RESULTS).is_file()):
        said.append(_write_tables(left))
    others = [finding for finding in left.findings if finding.kind != "stale"]
    return replace(left, findings=in_order([*others, *stale(tree, left.grid, left.runs)])), said


def _delete(tree: Tree, folder: str, places: Iterable[str]) -> dict[str, str]:
    """Why each of a folder's files could not be deleted, by place; empty where it is gone.

    Meanwhile nobody can take up the run that they are of, or plan one where they are of none; a lock goes as it is let go.
    """
    run = folder.split("/") if folder.startswith("runs/") else []
    with _held(tree, *run, LOCK) as why:
        return {place: why or ("" if place.rpartition("/")[2] == LOCK else _undeleted(tree, place)) for place in places}


def _undeleted(tree: Tree, place: str) -> str:
    try:
        tree.delete(*place.split("/"))
    except Unreadable as error:
        return str(error)
    return ""


@contextmanager
def _held(tree: Tree, *place: str) -> Iterator[str]:
    """Holds a lock, so that nobody takes up what it is of; gives why that cannot be, empty where it is held.

    From an owner who is gone it is taken as by whoever goes on with the work, so that nobody who did so meanwhile loses it.
    """
    *folder, name = place
    lock = Lock(tree.root.joinpath(*place))
    try:
        if name in tree.names(*folder):
            tree.plain(*place)
        owner = lock.owner()
        old = is_old(lock.path.stat(), time.time()) if owner else False  # after it: whoever has taken it over has touched it
        over = owner.token if owner and old else None
        taken = lock.claim(over) or lock.claim(over)  # the first may only clear away what a killed one's own claim has left
        why = "" if taken else "somebody is at work there"
    except Unreadable as error:
        why = str(error)
    except OSError as error:
        why = f"it cannot be deleted ({error.strerror})"
    try:
        yield why
    finally:
        lock.release()


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
    return "written anew: the tables, as `table` writes them without --baseline and --against"
