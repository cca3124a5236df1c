"""`list`: what can be named on the command line."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Option

from ..contract.errors import BadInput, unknown
from .arguments import as_json_text, path_of
from .terminal import tell

PUBLISHED = "published"


def list_(
    what: Annotated[str, typer.Argument(metavar="methods|datasets|noises|backbones|sweeps|published")],
    plugin: Annotated[list[str] | None, Option(help="A Python file with methods or datasets; repeatable.")] = None,
    paper: Annotated[str | None, Option(help="Of published: only papers with this in their name.")] = None,
    dataset: Annotated[str | None, Option(help="Of published: only this dataset.")] = None,
    method: Annotated[str | None, Option(help="Of published: only this method.")] = None,
    json_: Annotated[bool, Option("--json", help="An array of objects.")] = False,
) -> None:
    """List what there is, with citation and one line each."""
    from ..listing import OURS, PLUGGED, published

    known = (*PLUGGED, *OURS, PUBLISHED)
    if what not in known:
        raise unknown("list", what, known)
    filters = {"paper": paper, "dataset": dataset, "method": method}
    for name, value in filters.items():
        if value is not None and what != PUBLISHED:
            raise BadInput(f"--{name} {value}: it chooses among published numbers; wanted list {PUBLISHED}")
    files = [path_of("--plugin", p) for p in plugin or []]
    if files and what not in PLUGGED:
        raise BadInput(f"--plugin {files[0]}: it adds {' and '.join(PLUGGED)}; wanted list {' or '.join(PLUGGED)}")
    broken: dict[str, str] = {}
    if what in PLUGGED:
        rows, broken = PLUGGED[what](files)
    else:
        rows = published(**filters) if what == PUBLISHED else OURS[what]()
    if json_:
        print(as_json_text(rows))
    else:
        names = [row["name"] + (" †" if row.get("privilege") else "") for row in rows]
        width = max(map(len, names), default=0)
        for name, row in zip(names, rows, strict=True):
            print(f"{name:<{width}}  {row['summary']}")
            if row["citation"]:
                print(f"{'':<{width}}  {row['citation']}")
        if any(name.endswith("†") for name in names):
            print("† is told more than the given labels, and is no competitor")
    for name, reason in broken.items():
        tell(f"{name}: cannot be used: {reason}")
