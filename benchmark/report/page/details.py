"""What a cell opens: all that is known of each run, read from its folder, whatever state that is in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...contract.errors import BadInput
from ...store import RunFolder, Store
from ..figures.group import short
from ..figures.training import shown_epochs
from ..grouping import method_title, setting_title
from ..results import Result
from .repeat import entries, repeat_command

MOST_OF_A_TRACEBACK = 4_000
"""Characters, from its end, where the reason stands."""


def details(store: Store, results: Sequence[Result]) -> dict[str, Any]:
    """By `runs` the details of each run by its key, and by `shared` what many of them have in common, which they number."""
    shared: dict[str, int] = {}
    listed: list[Any] = []
    sweeps = entries(store)

    def common(data: Any) -> int:
        place = shared.setdefault(repr(data), len(listed))
        if place == len(listed):
            listed.append(data)
        return place

    runs = {}
    for result in results:
        folder, spec = store.run(result.key), result.spec
        environment = _environment(folder, result)
        runs[result.key] = {
            "method": method_title(result),
            "noise": common(noise_label(result)),
            "setting": common(setting_title(result)),
            "seed": spec.seed,
            "status": result.status,
            "folder": str(folder.path),
            "spec": _spec(result),
            "recipe": common({k: v for k, v in vars(spec.recipe).items() if k != "milestones" or v}),
            "started": environment.get("started"),
            "environment": common({k: v for k, v in environment.items() if k != "started"}),
            "metrics": {name: short(value) for name, value in result.metrics.items() if value is not None},
            "history": _history(folder),
            **_failure(folder, result),
            "command": repeat_command(sweeps, spec, result.key, environment),
        }
    return {"runs": runs, "shared": listed}


def noise_label(result: Result) -> str:
    """A noise as a switch shows it: `symmetric 30 %`."""
    rate = result.spec.noise_rate
    return result.spec.noise_kind + ("" if rate is None else f" {rate * 100:g} %")


def _spec(result: Result) -> dict[str, Any]:
    """What tells the run from others, and the hashes that hold it to its inputs."""
    spec = result.spec
    facts = {
        "dataset": spec.dataset.label,
        "method": spec.method,
        "options": spec.options_label,
        "noise": noise_label(result),
        "realised noise (%)": round(result.realised * 100, 4),
        "told more": ", ".join(result.privilege),
        "backbone": spec.backbone,
        "pretrained": spec.pretrained and f"{spec.pretrained} ({result.weights_match})",
        "held out (%)": round(spec.validation * 100, 4),
        "precision": spec.precision,
        "seed": spec.seed,
        "protocol": result.protocol,
        "key": result.key,
        "noise sha256": result.noise_sha256,
        "dataset sha256": result.dataset_sha256,
        "weights sha256": result.weights_sha256,
        "code": result.code,
    }
    return {name: value for name, value in facts.items() if value not in (None, "", 0.0) or name == "seed"}


def _environment(folder: RunFolder, result: Result) -> Mapping[str, Any]:
    """Empty for what has not begun."""
    if result.status == "missing":
        return {}
    try:
        found: Mapping[str, Any] = json.loads(json.dumps(folder.environment()), parse_constant=str)  # pages know no NaN
        return found
    except BadInput as damaged:
        return {"not known": str(damaged)}


def _history(folder: RunFolder) -> dict[str, Any] | None:
    """Columns and rows, of long trainings evenly spaced ones; None where no epoch has ended."""
    try:
        columns = folder.history()
    except BadInput as damaged:
        return {"damaged": str(damaged)}
    columns = {name: values for name, values in columns.items() if name != "epochs"}
    if not columns or not len(next(iter(columns.values()))):
        return None
    epochs = len(next(iter(columns.values())))
    kept = shown_epochs(epochs)
    return {
        "epochs": epochs,
        "columns": list(columns),
        "rows": [[short(float(values[k])) for values in columns.values()] for k in kept],
    }


def _failure(folder: RunFolder, result: Result) -> dict[str, str]:
    if result.status != "failed":
        return {}
    try:
        told = folder.failure().get("details", "")
    except BadInput as damaged:
        told = str(damaged)
    return {"error": result.error or "", "details": told[-MOST_OF_A_TRACEBACK:]}
