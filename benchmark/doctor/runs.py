"""One run's folder: how far it has come, what is wrong with it, and what lies there besides."""

from __future__ import annotations

import contextlib
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import stat_result

import numpy as np
from numpy.typing import NDArray

from ..contract.errors import BadInput
from ..paths import PART
from ..spec import RunSpec
from ..store import Inputs, RunFolder, Store
from ..store.lock import Lock
from ..store.manifest import LARGE, MANIFEST, SMALL
from ..store.run import LOCK, STACK
from .finding import Fault
from .finished import Checkup
from .grid import Line
from .tree import Tree, Unreadable

OURS = (*SMALL, *LARGE, MANIFEST, "failure.json", "checkpoint.pt")
"""What a run's folder may hold."""
STALE = 600.0
"""Seconds after which a lock that nobody has touched, or a file that nobody has moved to its place, is left over."""
_TEMPORARY = re.compile(rf"\.(.+?)(?:{PART}|-of-|-[0-9a-f]{{32}}).*")
_SERVED = (("finished", "checkpoint.pt"), ("failed", "checkpoint.pt"), ("finished", "failure.json"))
"""What a run of that status should have lost when it ended."""


@dataclass
class Run:
    """A run's folder, and what was found in it."""

    key: str  #: its name
    status: str = "missing"  #: `finished`, `failed`, `started`, `missing` or `in use`
    spec: RunSpec | None = None
    inputs: Inputs | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    error: str | None = None  #: why it failed
    faults: tuple[Fault, ...] = ()
    absent: tuple[str, ...] = ()  #: large files of a finished run
    ours: tuple[str, ...] = ()  #: what the suite has written
    is_plain: bool = True  #: whether all of that is plain files in a plain folder
    leftovers: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()  #: what nothing of the suite has written

    @property
    def state(self) -> str:
        """Its status; of a finished run what became of its examination: `verified`, `damaged` or `unverified`."""
        kinds = {fault.kind for fault in self.faults}
        wrong = next((kind for kind in ("damaged", "unverified") if kind in kinds), None)
        return wrong or ("verified" if self.status == "finished" else self.status)

    @property
    def files(self) -> tuple[str, ...]:
        """What goes with the run, in this order: no half of it counts as finished. None where something would stay."""
        first = [name for name in ("metrics.json", "failure.json") if name in self.ours]
        return tuple(dict.fromkeys([*first, *self.ours])) if self.is_plain else ()


def half_of(name: str) -> str:
    """The file that a file will become, or would have if its writer had not been killed; empty for any other file."""
    found = _TEMPORARY.fullmatch(name)
    return found[1] if found else ""


def is_old(about: stat_result, now: float) -> bool:
    """Whether nobody can be at work on it any more. `now`: seconds since the epoch."""
    return now - about.st_mtime >= STALE


def in_use(tree: Tree, there: Mapping[str, stat_result], now: float, *place: str) -> bool:
    """Whether a folder with these files is locked by somebody who is still at work in it, as far as can be seen from here."""
    if LOCK not in there or not stat.S_ISREG(there[LOCK].st_mode) or is_old(there[LOCK], now):
        return False
    try:
        owner = Lock(tree.plain(*place, LOCK)).owner()
    except Unreadable:
        return True
    return owner is not None and not owner.is_dead()


def examined(tree: Tree, store: Store, key: str, line: Line | None, labels: Mapping[str, NDArray[np.int32]], now: float) -> Run:
    """Looks at a run's folder; what is in use is left alone. The arguments are as for `Checkup` and `is_old`."""
    run = Run(key)
    try:
        there = tree.names("runs", key)
    except Unreadable as error:
        run.faults, run.is_plain = (Fault("unverified", str(error)),), False
        return run
    run.ours = tuple(name for name in there if name in OURS or half_of(name) in (*OURS, LOCK, STACK))
    run.is_plain = all(stat.S_ISREG(there[name].st_mode) for name in run.ours)
    run.strangers = tuple(name for name, about in there.items() if not _is_known(name, about))
    run.status = "in use" if in_use(tree, there, now, "runs", key) else _status(there)
    run.leftovers = tuple(
        name
        for name, about in there.items()
        if stat.S_ISREG(about.st_mode) and ((run.status, name) in _SERVED or _is_left(name, about, run.status == "in use", now))
    )
    folder = store.run(key)
    if run.status == "finished":
        checkup = Checkup(tree, folder, line, there, labels)
        run.faults = tuple(checkup.faults())
        run.spec, run.inputs, run.metrics = checkup.spec, checkup.inputs, checkup.metrics
        run.absent = tuple(checkup.absent)
    elif run.status != "missing":
        _look_at_unfinished(tree, folder, run)
    return run


def _is_known(name: str, about: stat_result) -> bool:
    """Whether a file is told of elsewhere: as one of the run, or as left over."""
    return name in (*SMALL, *LARGE, MANIFEST) or (stat.S_ISREG(about.st_mode) and (name in OURS or _is_passing(name)))


def _is_passing(name: str) -> bool:
    """Whether a file is there only while somebody is at work on the run."""
    return name == LOCK or half_of(name) in (*OURS, LOCK, STACK)


def _is_left(name: str, about: stat_result, used: bool, now: float) -> bool:
    """Whether a file of that kind is there because its maker was killed."""
    return _is_passing(name) and (is_old(about, now) or (name == LOCK and not used))


def _status(there: Mapping[str, stat_result]) -> str:
    """As `RunFolder.status` has it."""
    known = (("metrics.json", "finished"), ("failure.json", "failed"), ("spec.json", "started"))
    return next((status for name, status in known if name in there), "missing")


def _look_at_unfinished(tree: Tree, folder: RunFolder, run: Run) -> None:
    """Why it failed, and what it was to be; its spec is written anew when it goes on, and so may be anything."""
    if run.status == "failed":
        try:
            tree.plain("runs", run.key, "failure.json")
            run.error = str(folder.failure().get("error", "unknown"))
        except Unreadable as error:
            run.faults = (Fault("unverified", f"failure.json: {error}"),)
        except BadInput as error:
            run.faults = (Fault("damaged", str(error).replace(f"{folder.path}/", "", 1)),)
    with contextlib.suppress(Unreadable, BadInput):
        tree.plain("runs", run.key, "spec.json")
        run.spec = folder.spec()
