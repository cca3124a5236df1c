"""The command that repeats one run: the settings of the sweep that it belongs to, with its own method, noise and seed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ... import toml
from ...contract.errors import BadInput
from ...noise import brings_file, file_kind, source_of
from ...spec import OWN, DatasetSpec, RunSpec, recipe
from ...store import Store

Entry = Mapping[str, Any]
"""One sweep of a sweep.toml."""
CHANGES = ("epochs", "batch_size", "balanced")
"""What a sweep may change in a recipe."""


def entries(store: Store) -> list[Entry]:
    """The sweeps of a folder; none where its sweep.toml is missing or damaged, which costs the commands only."""
    try:
        found = toml.parsed(store.sweep_text() or "").get("sweep", [])
    except BadInput:
        return []
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def repeat_command(sweeps: Sequence[Entry], spec: RunSpec, key: str, environment: Mapping[str, Any]) -> str | None:
    """Trains the run again, in a folder of its own, on as many threads of the same device; None where no sweep has it.

    `environment`: as it was recorded, or nothing where the run has not begun.
    """
    matching = [entry for entry in sweeps if has_run(entry, spec)]
    if not matching:
        return None
    # Sweeps may differ in options only, or in whether a recipe's epochs were said.
    entry = min(matching, key=lambda e: (len(_settings(e, spec) ^ _own_settings(spec)), sum(e.get(k) is None for k in CHANGES)))
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
    more += [word for setting in sorted(_settings(entry, spec)) for word in ("--set", setting)]
    return shlex.join(["python", "-m", "benchmark", "run", *given, *more, "--out", f"repeat-{key}"])


def has_run(entry: Entry, spec: RunSpec) -> bool:
    """Whether a sweep may have brought a run: whatever of it the entry says is the run's."""
    try:
        _settings(entry, spec)
        dataset = DatasetSpec.parse(entry["dataset"], {}, entry.get("imbalance"))
        rates = [] if spec.noise_rate is None else [rate / 100 for rate in entry.get("noise", ())]
        trained: dict[str, Any] = {name: entry.get(name) for name in CHANGES}
        return (
            (dataset.name, dataset.subset, dataset.imbalance)
            == (spec.dataset.name, spec.dataset.subset, spec.dataset.imbalance)
            and spec.method in entry["methods"]
            and spec.seed in entry["seeds"]
            and (_noise_file(entry, spec) is not None or entry["noise_kind"] == spec.noise_kind)
            and (not rates or any(abs(rate - (spec.noise_rate or 0)) < 1e-9 for rate in rates))
            and entry["backbone"] == spec.backbone
            and (
                entry["recipe"] == OWN and all(value in (None, getattr(spec.recipe, name)) for name, value in trained.items())
                if spec.recipe.is_own
                else recipe(entry["recipe"], **trained) == spec.recipe
            )
            and abs(entry.get("validation", 0) / 100 - spec.validation) < 1e-9
            and (entry.get("pretrained") is None) == (spec.pretrained is None)
        )
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError, BadInput):  # a sweep.toml that somebody edited
        return False


def _noise_file(entry: Entry, spec: RunSpec) -> str | None:
    """The file that a run's noise came from, where it came from one."""
    kind = entry["noise_kind"]
    if not brings_file(kind):
        return None
    return next((file for file in entry.get("noise_files", ()) if file_kind(kind, Path(file)) == spec.noise_kind), None)


def _settings(entry: Entry, spec: RunSpec) -> set[str]:
    """NAME.OPTION=VALUE of the run's method and dataset, and of the dataset that images from outside come from."""
    outside = (source_of(spec.noise_kind) or "").partition("@")[0]
    options = entry.get("options", {})
    return {
        f"{name}.{option}={_text(value)}"
        for name in (spec.method, spec.dataset.name, outside)
        for option, value in options.get(name, {}).items()
    }


def _own_settings(spec: RunSpec) -> set[str]:
    """The same of what the run itself says: options that differ from their defaults."""
    both = ((spec.method, spec.options), (spec.dataset.name, spec.dataset.options))
    return {f"{name}.{option}={_text(value)}" for name, options in both for option, value in options.items()}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
