"""The command that repeats one run: the settings of the sweep that it belongs to, with its own method, noise and seed."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...contract.errors import BadInput
from ...noise import brings_file, file_kind, source_of
from ...spec import DatasetSpec, RunSpec
from ...store import Store

Entry = Mapping[str, Any]
"""One sweep of a sweep.toml."""


def entries(store: Store) -> list[Entry]:
    """The sweeps of a folder; none where its sweep.toml is missing or damaged, which costs the commands only."""
    try:
        found = tomllib.loads(store.sweep_text() or "").get("sweep", [])
    except (BadInput, tomllib.TOMLDecodeError):
        return []
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def repeat_command(sweeps: Sequence[Entry], spec: RunSpec, key: str, environment: Mapping[str, Any]) -> str | None:
    """Trains the run again, in a folder of its own, on as many threads of the same device; None where no sweep has it.

    `environment`: as it was recorded, or nothing where the run has not begun.
    """
    matching = [entry for entry in sweeps if _has(entry, spec)]
    if not matching:
        return None
    entry = min(matching, key=lambda entry: sum(1 for _ in _options(entry, spec)))  # an option more is another run's
    device = str(environment.get("device", "auto"))
    words: dict[str, Any] = {
        "--dataset": entry["dataset"],
        "--imbalance": entry.get("imbalance"),
        "--methods": spec.method,
        "--noise-kind": entry["noise_kind"],
        "--noise": None if spec.noise_rate is None else f"{spec.noise_rate * 100:.10g}",
        "--noise-file": _noise_file(entry, spec),
        "--seed": spec.seed,
        "--recipe": entry.get("recipe"),
        "--epochs": entry.get("epochs"),
        "--batch-size": entry.get("batch_size"),
        "--backbone": spec.backbone,
        "--pretrained": entry.get("pretrained"),
        "--validation": f"{spec.validation * 100:.10g}" if spec.validation else None,
        "--precision": spec.precision,
        "--device": device if device in ("auto", "cpu", "mps") else "cuda",  # a GPU is recorded by its name
        "--threads": environment.get("threads") or entry.get("threads"),
        "--data-root": entry.get("data_root"),
    }
    given = [str(word) for option, value in words.items() if value is not None for word in (option, value)]
    more = ["--balanced"] if entry.get("balanced") else []
    more += [word for plugin in entry.get("plugins", ()) for word in ("--plugin", str(plugin))]
    more += [word for setting in _options(entry, spec) for word in ("--set", setting)]
    return shlex.join(["python", "-m", "benchmark", "run", *given, *more, "--out", f"repeat-{key}"])


def _has(entry: Entry, spec: RunSpec) -> bool:
    """Whether a sweep may have brought a run: whatever of it the entry says is the run's."""
    try:
        dataset = DatasetSpec.parse(entry["dataset"], {}, entry.get("imbalance"))
        rates = [] if spec.noise_rate is None else [rate / 100 for rate in entry.get("noise", ())]
        name, recipe = spec.recipe.name.partition("[")[0], spec.recipe
        said = {"epochs": recipe.epochs, "batch_size": recipe.batch_size, "balanced": recipe.balanced}
        return (
            (dataset.name, dataset.subset, dataset.imbalance)
            == (spec.dataset.name, spec.dataset.subset, spec.dataset.imbalance)
            and spec.method in entry["methods"]
            and spec.seed in entry["seeds"]
            and (_noise_file(entry, spec) is not None or entry["noise_kind"] == spec.noise_kind)
            and (not rates or any(abs(rate - (spec.noise_rate or 0)) < 1e-9 for rate in rates))
            and (entry["backbone"], entry.get("recipe", name)) == (spec.backbone, name)
            and all(entry.get(option) in (None, value) for option, value in said.items())
            and abs(entry.get("validation", 0) / 100 - spec.validation) < 1e-9
            and (entry.get("pretrained") is None) == (spec.pretrained is None)
            and _set(entry, spec.method).items() >= {k: _text(v) for k, v in spec.options.items() if not recipe.is_own}.items()
            and _set(entry, spec.dataset.name).items() >= {k: _text(v) for k, v in spec.dataset.options.items()}.items()
        )
    except (KeyError, TypeError, BadInput):  # a sweep.toml that somebody edited
        return False


def _noise_file(entry: Entry, spec: RunSpec) -> str | None:
    """The file that a run's noise came from, where it came from one."""
    kind = entry["noise_kind"]
    if not brings_file(kind):
        return None
    return next((file for file in entry.get("noise_files", ()) if file_kind(kind, Path(file)) == spec.noise_kind), None)


def _set(entry: Entry, name: str) -> dict[str, str]:
    return {option: _text(value) for option, value in entry.get("options", {}).get(name, {}).items()}


def _options(entry: Entry, spec: RunSpec) -> Iterator[str]:
    """NAME.OPTION=VALUE of the run's method and dataset, and of the dataset that images from outside come from."""
    outside = (source_of(spec.noise_kind) or "").partition("@")[0]
    for name in dict.fromkeys((spec.method, spec.dataset.name, outside)):
        yield from (f"{name}.{option}={value}" for option, value in _set(entry, name).items())


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
