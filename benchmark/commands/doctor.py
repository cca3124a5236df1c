"""`doctor`: an output folder verified, and mended where that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from ..contract.text import printable
from .arguments import as_json_text, path_of

if TYPE_CHECKING:
    from ..doctor import Examination

SHOWN = 20
"""Findings of a kind; --json gives all."""
WIDEST = 300
"""Characters of what is said of one."""


def doctor(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="The output folder of a sweep.")],
    repair_: Annotated[
        bool, Option("--repair", help="Delete damaged runs and leftovers, and write stale tables anew; the rest is only told.")
    ] = False,
    json_: Annotated[bool, Option("--json", help="One object.")] = False,
) -> None:
    """Verify every finished run of a sweep, and list what is damaged, left over, orphaned or unfinished.

    The exit status is 1 where something is wrong, and after --repair where something still is.
    """
    from ..doctor import examine, repair

    path_of("doctor", folder)
    found = examine(Path(folder))
    now, done = repair(found) if repair_ else (found, [])
    if json_:
        print(as_json_text(_plain(found, now, done)))
    else:
        for line in (*_findings(found), *_deletes(found, asked=repair_), *done, *_commands(now), now.summary()):
            print(printable(line))
    if now.wrong:
        raise typer.Exit(1)


def _findings(found: Examination) -> Iterator[str]:
    for _, of_kind in groupby(found.findings, lambda finding: finding.kind):
        shown = list(of_kind)
        for finding in shown[:SHOWN]:
            what = finding.what if len(finding.what) <= WIDEST else f"{finding.what[:WIDEST]}…"
            yield f"{finding.kind:<10}  {finding.where}  {what}"
        if len(shown) > SHOWN:
            yield f"{'':<10}  … {len(shown) - SHOWN} more; --json shows all"


def _deletes(found: Examination, *, asked: bool) -> Iterator[str]:
    """What a repair would do, file by file; where it was asked for, it says itself what it has done."""
    from ..doctor import by_folder

    if asked:
        return
    for text in by_folder(place for finding in found.findings for place in finding.deletes):
        yield f"--repair deletes {text}"
    if found.of("stale"):
        yield "--repair writes the tables anew, without --baseline and --against"


def _commands(found: Examination) -> Iterator[str]:
    for does, command in found.commands().items():
        yield f"{does}: {command}"


def _plain(found: Examination, now: Examination, done: list[str]) -> dict[str, Any]:
    left = set(now.findings)
    return {
        "folder": printable(str(found.root)),
        "findings": [
            {
                "kind": finding.kind,
                "where": printable(finding.where),
                "what": printable(finding.what),
                "deletes": list(finding.deletes),
                "mended": finding not in left,
            }
            for finding in found.findings
        ],
        "done": done,
        "commands": now.commands(),
        "runs": dict(now.states),
        "noise_artefacts": len(now.artefacts.labels),
        "absent": now.absent,
        "summary": printable(now.summary()),
    }
