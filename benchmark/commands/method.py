"""`method new` and `method check`: a method of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from .arguments import as_json_text, path_of


def method_new(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits, '-' and '_'.")],
    package: Annotated[bool, Option("--package", help="An installable package with entry point and test.")] = False,
) -> None:
    """Write a working method to start from: NAME.py, or a package in benchmark-NAME/."""
    from ..scaffold import new_method

    for path in new_method(name, package=package):
        print(path)


def method_check(
    what: Annotated[str, typer.Argument(metavar="NAME_OR_FILE", help="A registered method, or a Python file with methods.")],
    plugin: Annotated[list[str] | None, Option(help="A Python file with methods or datasets; repeatable.")] = None,
    json_: Annotated[bool, Option("--json", help="An array of objects.")] = False,
) -> None:
    """Check whether a method keeps the contract; what fails says how to mend it."""
    from ..conformance import check_method, relative_speed
    from ..contract.registry import load_plugins, methods_in_file

    files = [path_of("--plugin", p) for p in plugin or []]
    is_file = what.endswith(".py") or Path(what).is_dir()
    chosen = methods_in_file(Path(path_of("method check", what))) if is_file else [load_plugins(files).methods[what]]
    failed, rows = 0, []
    for kind in chosen:
        verdicts = check_method(kind)
        broken = sum(not verdict.passed for verdict in verdicts)
        failed += broken
        rows += [{"method": kind.name, **vars(verdict)} for verdict in verdicts]
        if not json_:
            print("".join([f"{kind.name}:\n", *(f"  {verdict}\n" for verdict in verdicts)]), end="")
            if not broken:  # what breaks the contract may not train at all
                print(f"  training takes {relative_speed(kind):.1f} times as long as plain cross-entropy")
    if json_:
        print(as_json_text(rows))
    if failed:
        raise typer.Exit(1)
