"""What a reader must know before the first number: what ran, how, when, and on what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ...spec import Recipe
from ..grouping import method_title, setting_title
from ..results import Result
from .details import noise_label

STATES = {"finished": "finished", "started": "running or interrupted", "failed": "failed", "missing": "missing"}


def facts(results: Sequence[Result], environments: Sequence[Mapping[str, Any]], started: Sequence[str]) -> dict[str, list[str]]:
    """By title, what there is to say of a sweep, a line each. `environments`: empty for runs that have not begun."""
    counts = Counter(result.status for result in results)
    state = ", ".join(f"{counts[status]} {words}" for status, words in STATES.items() if counts[status])
    told = {
        "Runs": [f"{len(results)}: {state}"],
        "Settings": [setting_title(result) for result in results],
        "Methods": [", ".join(dict.fromkeys(map(method_title, results)))],
        "Label noise": [", ".join(dict.fromkeys(map(noise_label, results)))],
        "Seeds": [", ".join(str(seed) for seed in sorted({result.spec.seed for result in results}))],
        "Begun": [_span(sorted(started))] if started else [],
        "Hardware": [_joined(found, ("device", "processor", "cores", "threads")) for found in environments],
        "Versions": [_joined(found, ("suite", "python", "torch", "timm", "numpy", "platform")) for found in environments],
        "Recipes": [_recipe(result.spec.recipe) for result in results],
        "Protocol": [
            f"number {protocol}: every method with the same given labels, backbone and seeds; the last epoch is the headline, "
            "and what is chosen by test images is called an oracle"
            for protocol in sorted({result.protocol for result in results})
        ],
    }
    return {title: lines for title, found in told.items() if (lines := [line for line in dict.fromkeys(found) if line])}


def _span(times: Sequence[str]) -> str:
    first, last = (time.replace("T", " ").removesuffix("Z") for time in (times[0], times[-1]))
    return f"{first} UTC" if first == last else f"the first {first} UTC, the last {last} UTC"


def _joined(found: Mapping[str, Any], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {found[name]}" for name in names if found.get(name) is not None)


def _recipe(recipe: Recipe) -> str:
    changed = {name: value for name, value in vars(recipe).items() if name != "name" and value not in (0.0, False, ())}
    return f"{recipe.name}: " + ", ".join(
        f"{name} {value:g}" if type(value) is float else f"{name} {value}" for name, value in changed.items()
    )
