"""The code of a plugin as a hash: what decides whether a stored result is still that of the method at hand."""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import sys
import threading
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.metadata import packages_distributions
from pathlib import Path


def code_fingerprint(module_name: str) -> str:
    """sha256 of a plugin module's code and of the plugin modules that it imports, without comments and docstrings.

    So a changed method is run again, and a changed comment is not.
    """
    sources: dict[str, str] = {}
    _collect(module_name, sources)
    return hashlib.sha256(json.dumps(sorted(sources.values())).encode()).hexdigest()


def suite_fingerprint() -> str:
    """sha256 of the code of the suite and of the plugins that come with it, wherever it lies and however it was installed."""
    contents = {
        file.read_bytes()
        for package in ("benchmark", *(name.rstrip(".") for name in _BUILT_IN))
        for folder in map(Path, importlib.import_module(package).__path__)
        for file in folder.rglob("*.py")
        if "scripts" not in file.relative_to(folder).parts  # which a wheel has in its package, and a clone beside it
    }
    return hashlib.sha256(b"".join(sorted(hashlib.sha256(content).digest() for content in contents))).hexdigest()


def _collect(module_name: str, sources: dict[str, str]) -> None:
    """Adds the code of a module, and of the plugin modules that it imports."""
    file = _file(module_name)
    if file is None or file in sources:
        return
    content = Path(file).read_bytes()
    try:
        with _ONE_AT_A_TIME:
            tree = ast.parse(content)
    except (SyntaxError, ValueError):  # compiled, or never meant to be imported: its bytes stand for it
        sources[file] = hashlib.sha256(content).hexdigest()
        return
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    sources[file] = ast.unparse(tree)
    package = module_name if Path(file).name == "__init__.py" else module_name.rpartition(".")[0]
    for name in [*_parents(module_name), *_imported(tree, package)]:
        if name.startswith(_BUILT_IN) or _is_kin(name, module_name):
            _collect(name, sources)


def _is_kin(name: str, of: str) -> bool:
    """Whether a module belongs to the plugin whose module `of` imports it: it is of the same top-level package, or beside it.

    Beside it is a module of the same folder, and where that is the folder of all that is installed, of the same distribution.
    """
    top, own = name.partition(".")[0], of.partition(".")[0]
    if "benchmark" in (top, own):
        return False
    folder = _folder(own)
    if top == own or folder is None or _folder(top) != folder:
        return top == own
    return folder.name not in _LIBRARIES or bool(_distributions(top) & _distributions(own))


def _folder(top_level: str) -> Path | None:
    """In which a top-level module or package lies."""
    file, folders = _file(top_level), _folders(top_level)
    if folders:
        return Path(folders[0]).parent
    return Path(file).parent if file else None


def _distributions(top_level: str) -> set[str]:
    return set(packages_distributions().get(top_level, ()))


def _parents(module_name: str) -> list[str]:
    """`a` and `a.b` of `a.b.c`: they are imported with it."""
    parts = module_name.split(".")[:-1]
    return [".".join(parts[: k + 1]) for k in range(len(parts))]


_ONE_AT_A_TIME = threading.Lock()  # CPython 3.11 loses count of its recursion where two threads parse at once
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_BUILT_IN = ("benchmark.methods.", "benchmark.datasets.")
_LIBRARIES = ("site-packages", "dist-packages")


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """The full names of all modules that a module of `package` imports, or may: `from a import b` gives a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".") if package else []
            above = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (above, node.module) if part)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _file(module_name: str) -> str | None:
    """Where a module's code lies, or None for what has none of its own: built in, a bare folder, a name in a module.

    Nothing is imported for it, not even the packages that the module lies in.
    """
    parent, _, name = module_name.rpartition(".")
    if module_name in sys.modules:
        return getattr(sys.modules[module_name], "__file__", None)
    if not parent:
        found = _found(name)
        return found.origin if found and found.has_location else None
    places = (Path(folder, place) for folder in _folders(parent) for place in (f"{name}/__init__.py", f"{name}.py"))
    return next((str(place) for place in places if place.is_file()), None)


def _folders(package: str) -> list[str]:
    """Where the modules of a package lie; none for a plain module."""
    parent, _, name = package.rpartition(".")
    if package in sys.modules:
        return list(getattr(sys.modules[package], "__path__", ()))
    if not parent:
        found = _found(name)
        return list(found.submodule_search_locations or ()) if found else []
    return [str(Path(folder, name)) for folder in _folders(parent) if Path(folder, name).is_dir()]


def _found(top_level: str) -> ModuleSpec | None:
    return (
        next((found for finder in sys.meta_path if (found := finder.find_spec(top_level, None))), None) if top_level else None
    )
