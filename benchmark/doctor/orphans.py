"""What belongs to no run of the grid, with why it may be there; a repair leaves it alone, because it may be meant."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

from ..report.page.repeat import has_run
from ..store import Inputs
from .finding import Finding
from .grid import GRID, SWEEPS, Grid, Line
from .noises import Artefacts
from .runs import Run

_CHANGED = {
    "code": "the method's code has changed since",
    "noise_sha256": "the labels have changed since",
    "weights_sha256": "the pretrained weights have changed since",
    "protocol": "the rules of training and scoring have changed since",
}


def orphans(grid: Grid, runs: Mapping[str, Run], others: Sequence[str], artefacts: Artefacts) -> Iterator[Finding]:
    """Runs, artefacts and files. `others`: what else lies in the folder `runs`.

    Where grid.json is damaged, nobody can say which runs and artefacts it had.
    """
    strays = {key: run for key, run in runs.items() if key not in grid.lines} if grid.whole else {}
    by_spec = {line.run.spec: line for line in grid.lines.values()}
    codes: dict[str, set[str]] = {}
    for line in grid.lines.values():
        codes.setdefault(line.run.spec.method, set()).add(line.run.code)
    for key, run in strays.items():
        if run.spec is None:
            yield Finding(
                "orphan",
                f"runs/{key}",
                f"{run.state}: no spec.json that can be read says what it is" if run.ours else "it is empty",
            )
            continue
        reason = _replaced(run, by_spec.get(run.spec)) or _of_old_code(run, codes.get(run.spec.method, set()))
        if not reason and run.state == "verified" and any(has_run(entry, run.spec) for entry in grid.sweeps):
            yield Finding("damaged", GRID, f"it lacks the run {key} ({run.spec.label}), which a sweep of {SWEEPS} has")
        else:
            yield Finding("orphan", f"runs/{key}", f"{run.state}, {run.spec.label}: {reason or 'in no sweep of this folder'}")
    for name in others:
        yield Finding("orphan", f"runs/{name}", "it is no run")
    for key, run in runs.items():
        for name in run.strangers:
            yield Finding("orphan", f"runs/{key}/{name}", "nothing of the suite has written it")
    users = {run.inputs.noise_sha256: key for key, run in strays.items() if run.inputs}
    for sha256 in artefacts.unused if grid.whole else ():
        why = f"of the run {users[sha256]}, which is in no grid" if sha256 in users else "no run uses it"
        yield Finding("orphan", f"noise/{sha256}.npz", why)
    for name in artefacts.strangers:
        yield Finding("orphan", f"noise/{name}", "it is no noise artefact by its name")


def _replaced(run: Run, line: Line | None) -> str:
    """Why another run has taken a run's place in the grid; empty where none has."""
    if line is None:
        return ""
    changed = [said for name, said in _CHANGED.items() if run.inputs and _differ(line.run.inputs, run.inputs, name)]
    why = " and ".join(changed) or "what it hangs on has changed since"
    return f"{why}; {line.run.key} has taken its place, and it was kept on purpose"


def _of_old_code(run: Run, codes: Container[str]) -> str:
    """Why a run left the grid with all others of its method; empty where it did not."""
    if not codes or run.inputs is None or run.inputs.code in codes:
        return ""
    return f"{_CHANGED['code']}; it was kept on purpose"


def _differ(a: Inputs, b: Inputs, name: str) -> bool:
    return bool(getattr(a, name) != getattr(b, name))
