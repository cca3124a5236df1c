"""The noise artefacts of a folder: each against its name, its own sha256, and the grid."""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..contract.errors import BadInput
from ..noise import Noise, read_artefact
from .finding import Finding
from .grid import GRID, Grid, Line
from .runs import half_of, is_old
from .tree import Tree, Unreadable

FOREIGN = "it is not a noise artefact of this suite"
_ARTEFACT = re.compile(r"([0-9a-f]{64})\.npz")


@dataclass
class Artefacts:
    """What lies in the folder `noise`."""

    labels: dict[str, NDArray[np.int32]] = field(default_factory=dict)  #: given ones (N,), of whole artefacts by sha256
    unused: list[str] = field(default_factory=list)  #: sha256 of whole ones that no run of the grid uses
    strangers: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)  #: sha256 of those that the grid uses
    findings: list[Finding] = field(default_factory=list)


def examined_noises(tree: Tree, grid: Grid, now: float) -> Artefacts:
    """Reads every artefact. `now`: seconds since the epoch."""
    found = Artefacts()
    users: dict[str, list[Line]] = {}
    for line in grid.lines.values():
        users.setdefault(line.run.noise_sha256, []).append(line)
    there = {}
    if "noise" in tree.names():
        try:
            there = tree.names("noise")
        except Unreadable as error:
            found.findings.append(Finding("unverified", "noise", str(error)))
    for name, about in there.items():
        place, match = f"noise/{name}", _ARTEFACT.fullmatch(name)
        if match is None:
            if not _ARTEFACT.fullmatch(half_of(name)):
                found.strangers.append(name)
            elif is_old(about, now):
                found.findings.append(Finding("leftover", place, "a write that was cut short", deletes=(place,)))
            continue
        sha256 = match[1]
        try:
            noise = read_artefact(tree.plain("noise", name))
            if noise.sha256 != sha256:
                raise BadInput(f"it is the artefact {noise.sha256}")
        except Unreadable as error:
            found.findings.append(Finding("unverified", place, str(error)))
        except BadInput as error:
            what, again = str(error).rpartition(f"{name}: ")[2], sha256 in users and grid.repeatable
            if _is_whole(tree, name) and FOREIGN in what:
                found.findings.append(Finding("unverified", place, "a whole archive, but no noise artefact of this version"))
            else:
                found.findings.append(Finding("damaged", place, what, deletes=(place,) if again else ()))
        else:
            found.labels[sha256] = noise.given.astype(np.int32)
            if sha256 in users:
                found.findings += (Finding("damaged", GRID, what) for what in _at_odds(noise, users[sha256]))
            else:
                found.unused.append(sha256)
    found.absent = [sha256 for sha256 in users if f"{sha256}.npz" not in there]
    return found


def _is_whole(tree: Tree, name: str) -> bool:
    """Whether an archive is as it was written, by its own checksums."""
    try:
        with tree.opened("noise", name) as file, zipfile.ZipFile(file) as archive:
            return archive.testzip() is None
    except Exception:  # zipfile and zlib raise types of their own
        return False


def _at_odds(noise: Noise, users: Sequence[Line]) -> Iterator[str]:
    """What the grid says of an artefact, which is held to its name by the key."""
    run = users[0].run  # the grid agrees with itself in this, or says so
    if run.dataset_sha256 != noise.header.dataset_sha256:
        yield f"its dataset_sha256 of {run.key} is not that of the run's noise artefact"
    if not math.isclose(run.realised, noise.realised, abs_tol=1e-12):
        yield f"its realised of {run.key} is {run.realised:g}, and {noise.realised:g} in the run's noise artefact"
