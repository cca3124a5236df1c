"""What a run is, as data, and the key that names its result."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import packages_distributions
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from .contract.errors import BadInput, unknown

PROTOCOL = 1
"""Raised whenever training or scoring change results; part of every key. A golden run in the tests guards it."""


@dataclass(frozen=True)
class Recipe:
    """How every method of a table is trained; with the recipe `paper`, how one method is trained in its paper."""

    name: str  #: with what was changed in it, but for epochs, which have a column of their own: `common[batch_size=32]`
    epochs: int
    batch_size: int
    optimizer: Literal["sgd", "adam"]
    lr: float  #: the peak rate
    weight_decay: float
    momentum: float  #: of SGD
    schedule: Literal["one-cycle", "cosine", "exponential", "step", "constant"]
    warmup: float  #: one-cycle: the share of the steps in which the rate rises from 0 to its peak; it then falls to 0
    cycles: int  #: cosine: how often the rate starts anew at its peak and falls to `floor`
    floor: float  #: cosine: its lowest rate, as a share of the peak
    decay: float  #: exponential: the factor an epoch; step: the factor at each milestone
    milestones: tuple[float, ...]  #: step: shares of the schedule
    flip: float  #: probability of a mirrored image, for datasets whose classes survive it
    shift: float  #: largest shift in each direction, as a share of the image's side; the border is repeated
    erase: float  #: probability of one erased rectangle of 2 to 25 % of the area, filled with the mean colour

    @property
    def is_own(self) -> bool:
        """Whether it is each method's own, so that even the epochs of a table may differ."""
        return self.name.partition("[")[0] == OWN


OWN = "paper"
"""The recipe that every method brings itself: `SGD_RECIPE` with the method's `own_recipe`, or `common` where it has none."""


RECIPES: Mapping[str, Recipe] = {
    "common": Recipe(
        name="common",
        epochs=12,
        batch_size=64,
        optimizer="adam",
        lr=2e-3,
        weight_decay=1e-4,
        momentum=0.9,
        schedule="one-cycle",
        warmup=0.15,
        cycles=1,
        floor=0.0,
        decay=1.0,
        milestones=(),
        flip=0.5,
        shift=1 / 12,
        erase=0.0,
    ),
}

SGD_RECIPE = replace(RECIPES["common"], name=OWN, optimizer="sgd", lr=0.1, weight_decay=5e-4)
"""What most papers' own recipes have in common, and so what each one's `own_recipe` starts from."""


def recipe(
    name: str, epochs: int | None = None, batch_size: int | None = None, own: Mapping[str, Any] = MappingProxyType({})
) -> Recipe:
    """A named recipe with its epochs or batch size replaced; `own` is a method's, for the recipe `paper`. Raises BadInput."""
    if name not in (*RECIPES, OWN):
        raise unknown("recipe", name, [*RECIPES, OWN])
    base = RECIPES["common" if name == OWN else name]
    if name == OWN and own:
        base = replace(SGD_RECIPE, **own)
    changes = {"epochs": epochs, "batch_size": batch_size}
    given = {k: v for k, v in changes.items() if v is not None and v != getattr(base, k)}
    told = [f"{k}={v}" for k, v in given.items() if k != "epochs" or name == OWN]
    return replace(base, **given, name=name + (f"[{','.join(told)}]" if told else ""))  # type: ignore[arg-type]


@dataclass(frozen=True)
class DatasetSpec:
    """Which images: `cifar10`, or `cifar10@10k`, a stratified subset of its training images, or `cifar10@lt50`, a long tail."""

    name: str
    subset: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    imbalance: float | None = None  #: images of the training set's most frequent class over those of its rarest

    @classmethod
    def parse(cls, text: str, options: Mapping[str, Any], imbalance: float | None = None) -> DatasetSpec:
        """Reads `NAME` or `NAME@COUNT`, where COUNT is like 500 or 10k. Raises BadInput."""
        match = re.fullmatch(r"([^@]+)(?:@([0-9]{1,9})(k?))?", text)
        if match is None or (match[2] and int(match[2]) == 0):
            raise BadInput(f"dataset '{text}': wanted NAME or NAME@COUNT, as in cifar10 or cifar10@10k")
        count = int(match[2]) * (1000 if match[3] else 1) if match[2] else None
        return cls(match[1], count, dict(options), imbalance)

    @property
    def label(self) -> str:
        """As in tables: `ferplus[classes=8]@10k`."""
        options = f"[{','.join(f'{k}={v}' for k, v in self.options.items())}]" if self.options else ""
        tail = "" if self.imbalance is None else f"@lt{self.imbalance:g}"
        if self.subset is None:
            return self.name + options + tail
        count = f"{self.subset // 1000}k" if self.subset % 1000 == 0 else str(self.subset)
        return f"{self.name}{options}@{count}{tail}"


@dataclass(frozen=True)
class RunSpec:
    """One run: all that changes its result, but for the code and the contents of files (`key` adds those)."""

    dataset: DatasetSpec
    noise_kind: str  #: a file's is `file:<name>`
    noise_rate: float | None  #: a fraction
    method: str
    options: Mapping[str, Any]  #: the method's options that differ from its defaults
    backbone: str
    pretrained: str | None
    recipe: Recipe
    validation: float  #: the fraction of the training set that is held out
    precision: str
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for spec.json."""
        return asdict(self)

    def key(self, *, code: str, noise: str, weights: str | None) -> str:
        """16 hex digits: of the spec, the method's code, the noise artefact, the pretrained weights and the protocol."""
        words = json.dumps([PROTOCOL, self.to_dict(), code, noise, weights], sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()[:16]

    @property
    def method_label(self) -> str:
        """The method as in tables, with the options that were set: `scn[beta=0.5]`."""
        return self.method + (f"[{self.options_label}]" if self.options else "")

    @property
    def options_label(self) -> str:
        """`beta=0.5,margin=0.1`."""
        return ",".join(f"{k}={v}" for k, v in self.options.items())


def code_fingerprint(module_name: str) -> str:
    """sha256 of a plugin module's code and of the plugin modules that it imports, without comments and docstrings.

    So a changed method is run again, and a changed comment is not.
    """
    sources: dict[str, str] = {}
    _collect(module_name, sources)
    return hashlib.sha256(json.dumps(sorted(sources.values())).encode()).hexdigest()


def _collect(module_name: str, sources: dict[str, str]) -> None:
    """Adds the code of a module, and of the plugin modules that it imports."""
    file = _file(module_name)
    if file is None or file in sources:
        return
    if not file.endswith(".py"):  # compiled
        sources[file] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
        return
    with _ONE_AT_A_TIME:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
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
    file = _file(top_level)
    if file is None:
        return None
    return Path(file).parent.parent if Path(file).name == "__init__.py" else Path(file).parent


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
    """Where a module lies, or None for what is no module."""
    if module_name in sys.modules:
        return getattr(sys.modules[module_name], "__file__", None)
    try:
        spec = importlib.util.find_spec(module_name)
    except (ModuleNotFoundError, ValueError):  # a name that was imported from a module is not always one itself
        return None
    return spec.origin if spec and spec.has_location else None
