"""Writes a working method to start from: a file, or a package that installs beside the suite."""

from __future__ import annotations

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from .contract.errors import BadInput
from .contract.registry import load_plugins
from .contract.text import NAME
from .paths import write_whole


def new_method(name: str, folder: Path = Path(), *, package: bool = False) -> list[Path]:
    """Writes NAME.py below `folder`, or a package folder benchmark-NAME; gives what was written. Raises BadInput."""
    if not NAME.fullmatch(name) or ":" in name or name == "all":
        raise BadInput(f"method new {name}: wanted a name of lower-case letters, digits, '-' and '_'")
    if name in load_plugins().methods.plugins:
        raise BadInput(f"method new {name}: there is a method of this name already")
    module = name.replace("-", "_")
    words = {
        "name": name,
        "module": module,
        "title": name.replace("-", " ").replace("_", " ").capitalize(),
        "class": "".join(part.capitalize() for part in module.split("_")) if module[0].isalpha() else f"Method{module}",
    }
    root = folder / f"benchmark-{name}" if package else folder
    targets = {"method.py": root / (f"benchmark_{module}.py" if package else f"{module}.py")}
    if package:
        targets |= {
            "pyproject.toml": root / "pyproject.toml",
            "README.md": root / "README.md",
            "test_method.py": root / "tests" / f"test_{module}.py",
        }
    for path in [root, *targets.values()] if package else targets.values():
        if path.exists():
            raise BadInput(f"method new {name}: {path} is there already, and is left as it is")
    if not package and find_spec(module):  # a file of this name would be imported in its place
        raise BadInput(f"method new {name}: {module}.py would hide the Python module '{module}'; wanted another name")
    try:
        for template, path in targets.items():
            text = (files("benchmark.templates") / f"{template}.txt").read_text(encoding="utf-8")
            write_whole(path, Template(text).substitute(words).encode())
    except OSError as error:
        raise BadInput(f"method new {name}: {root} cannot be written ({error.strerror})") from None
    return list(targets.values())
