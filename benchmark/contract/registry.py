"""Finds the plugins: the built-in folders, installed packages' entry points, and loose files."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .dataset import Card, Dataset
from .errors import BadInput, need_file, told, unknown
from .privilege import PRIVILEGES
from .text import NAME

if TYPE_CHECKING:
    from .method import Method

Plugin = TypeVar("Plugin", bound="Method | Dataset")


@dataclass
class Registry(Generic[Plugin]):
    """The plugins of one sort by name, and those that could not be had with the reason."""

    what: str  #: "method" or "dataset"
    base: type  #: of its plugins
    plugins: dict[str, type[Plugin]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> type[Plugin]:
        """The plugin called `name`. Raises BadInput with the nearest name, or with the reason why it is broken."""
        if name in self.plugins:
            return self.plugins[name]
        if name in self.broken:
            raise BadInput(f"the {self.what} '{name}' cannot be used: {self.broken[name]}")
        raise unknown(self.what, name, self.plugins)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.plugins))

    def add(self, plugin: type[Plugin]) -> None:
        """Registers a plugin; where its name is taken, neither can be used and the name says so."""
        if fault := _fault(plugin):
            self.broken[str(getattr(plugin, "name", None) or plugin.__name__)] = f"{_place(plugin)}: {fault}"
            return
        known = self.plugins.get(plugin.name)
        if known is None and plugin.name not in self.broken:
            self.plugins[plugin.name] = plugin
        elif known is not plugin:
            places = " and ".join(_place(p) for p in (known, plugin) if p is not None)
            self.plugins.pop(plugin.name, None)
            self.broken[plugin.name] = f"two {self.what}s have this name: {places}"


class Plugins:
    """Everything that can be named on the command line; each sort is looked for when it is first wanted."""

    @cached_property
    def methods(self) -> Registry[Method]:
        """The methods; with them comes torch, which takes seconds to import."""
        from .method import Method

        return _found(Registry("method", Method))

    @cached_property
    def datasets(self) -> Registry[Dataset]:
        """The datasets."""
        return _found(Registry("dataset", Dataset))


def load_plugins(files: Sequence[str | Path] = ()) -> Plugins:
    """Finds all plugins.

    A built-in or installed plugin that fails to import is kept under its name in `broken` and harms no other; one of `files`
    that does not import, holds no plugin, or takes a name that exists, raises BadInput.
    """
    found = Plugins()
    for file in files:
        _load_file(Path(file), found.methods, found.datasets)
    return found


def methods_in_file(file: Path) -> list[type[Method]]:
    """The methods that a loose file defines, whatever else has their names. Raises BadInput."""
    from .method import Method

    methods: Registry[Method] = Registry("method", Method)
    _load_file(file, methods, Registry("dataset", Dataset), what="method check")
    if not methods.plugins:
        raise BadInput(f"{file}: it defines no Method with a name")
    return list(methods.plugins.values())


def _found(registry: Registry[Plugin]) -> Registry[Plugin]:
    """The registry with the built-in and the installed plugins of its sort."""
    _load_folder(registry, importlib.import_module(f"benchmark.{registry.what}s"))
    _load_entry_points(registry, f"benchmark.{registry.what}s")
    return registry


def _load_folder(registry: Registry[Any], package: ModuleType) -> None:
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda i: i.name):
        if not info.name.startswith("_"):
            try:
                module = importlib.import_module(f"{package.__name__}.{info.name}")
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # whatever a plugin raises at import is its own fault, and named as such
                registry.broken[info.name.replace("_", "-")] = told(error)
                continue
            for plugin in plugins_in(module, registry.base):
                registry.add(plugin)


def _load_entry_points(registry: Registry[Any], group: str) -> None:
    for entry in entry_points(group=group):
        try:
            loaded = entry.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # as above
            registry.broken[entry.name] = told(error)
            continue
        found = plugins_in(loaded, registry.base) if isinstance(loaded, ModuleType) else [loaded]
        for plugin in found:
            if inspect.isclass(plugin) and issubclass(plugin, registry.base) and hasattr(plugin, "name"):
                registry.add(plugin)
            else:
                registry.broken[entry.name] = f"{entry.value} is no {registry.what} with a name"


def _load_file(file: Path, *registries: Registry[Any], what: str = "--plugin") -> None:
    need_file(what, file)
    try:
        module = _import_file(file.resolve())
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise BadInput(f"{what} {file} cannot be imported: {told(error)}") from None
    count = 0
    for registry in registries:
        for plugin in plugins_in(module, registry.base):
            before = dict(registry.broken)
            registry.add(plugin)
            count += 1
            for name in registry.broken.keys() - before.keys():
                raise BadInput(f"{what} {file}: {registry.broken[name]}")
    if not count:
        raise BadInput(f"{what} {file}: it defines no Method and no Dataset with a name")


def _import_file(file: Path) -> ModuleType:
    """Imports a loose file once a process, under a name that no other file, and no other content, can have.

    It can import what lies beside it, as a script could.
    """
    name = f"benchmark_plugin_{file.stem}_{hashlib.sha256(str(file).encode() + file.read_bytes()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError("it is not a Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    if str(file.parent) not in sys.path:  # last, so that its neighbours hide nothing
        sys.path.append(str(file.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def plugins_in(module: ModuleType, base: type) -> list[type[Any]]:
    """The plugin classes that a module defines itself, in the order in which it does."""
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, base) and value.__module__ == module.__name__ and "name" in vars(value)
    ]


def _fault(plugin: type) -> str | None:
    """What keeps a class from being used as a plugin, where anything does."""
    name = getattr(plugin, "name", None)
    if not isinstance(name, str) or not NAME.fullmatch(name) or name == "all":
        return f"its name is {name!r}; wanted lower-case letters, digits, '-', '_' and ':'"
    about, kind = _described_by(plugin)
    if not isinstance(getattr(plugin, about, None), kind):
        return f"the class {plugin.__name__} has no `{about}` that is a {kind.__name__}"
    if inspect.isabstract(plugin):
        return f"the class {plugin.__name__} lacks {', '.join(sorted(getattr(plugin, '__abstractmethods__', ())))}"
    if not dataclasses.is_dataclass(getattr(plugin, "Config", None)):
        return f"the Config of {plugin.__name__} is no dataclass"
    privilege = getattr(plugin, "privilege", ())
    if not isinstance(privilege, tuple) or not all(isinstance(p, str) and p in PRIVILEGES for p in privilege):
        return f"{plugin.__name__} declares the privilege {privilege!r}; wanted a tuple of {', '.join(PRIVILEGES)}"
    return None


def _described_by(plugin: type) -> tuple[str, type]:
    """The attribute that says what a plugin is, and its type."""
    if issubclass(plugin, Dataset):
        return "card", Card
    from .method import Paper

    return "paper", Paper


def _place(plugin: type) -> str:
    return getattr(sys.modules.get(plugin.__module__), "__file__", None) or plugin.__module__
