"""Which results belong together: settings, methods, noises; and what they are called in tables."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from .results import Result


def grouped(results: Sequence[Result], by: Callable[[Result], tuple[object, ...]]) -> dict[tuple[object, ...], list[Result]]:
    """Results with the same value of `by`, the groups in the order of their first member."""
    groups: dict[tuple[object, ...], list[Result]] = {}
    for result in results:
        groups.setdefault(by(result), []).append(result)
    return groups


def by_noise(results: Sequence[Result]) -> list[Result]:
    """Kinds of noise as they came, their rates rising, whatever sweep brought which."""
    kinds = list(dict.fromkeys(result.spec.noise_kind for result in results))
    return sorted(results, key=lambda result: (kinds.index(result.spec.noise_kind), result.spec.noise_rate or 0))


def setting_of(result: Result) -> tuple[object, ...]:
    """What has tables of its own: dataset, backbone, weights, recipe, what is held out, precision; never averaged over."""
    spec = result.spec
    recipe = spec.recipe
    trained = recipe.name if recipe.is_own else recipe
    return spec.dataset.label, spec.backbone, spec.pretrained, trained, spec.validation, spec.precision


def setting_title(result: Result) -> str:
    """The setting as in titles of tables."""
    spec = result.spec
    weights = f" from {spec.pretrained} ({result.weights_match})" if spec.pretrained else ""
    held_out = f", {spec.validation * 100:g} % held out" if spec.validation else ""
    epochs = f"{spec.recipe.epochs} epoch{'s' if spec.recipe.epochs > 1 else ''} of"
    recipe = f"{'each method by' if spec.recipe.is_own else epochs} recipe {spec.recipe.name}"
    return f"{spec.dataset.label}, backbone {spec.backbone}{weights}, {recipe} in {spec.precision}{held_out}"


def method_of(result: Result) -> tuple[object, ...]:
    """What has a row of its own: a method with its options."""
    return (result.spec.method_label,)


def method_title(result: Result) -> str:
    """The method as in tables, marked † where it is told more than the given labels."""
    return result.spec.method_label + (" †" if result.privilege else "")


def noise_of(result: Result) -> tuple[object, ...]:
    """What has a column of its own: a kind of noise with its rate."""
    return result.spec.noise_kind, result.spec.noise_rate


def noise_title(members: Sequence[Result], *, short: bool) -> str:
    """A noise with its realised rate, the mean over its artefacts; `short`: without the kind, where there is a rate."""
    spec = members[0].spec
    realised = statistics.fmean({result.noise_sha256: result.realised for result in members}.values()) * 100
    kind = "" if short and spec.noise_rate is not None else f"{spec.noise_kind} "
    rate = "" if spec.noise_rate is None else f"{spec.noise_rate * 100:g} % "
    return f"{kind}{rate}(realised {realised:.2f} %)"


def values_of(members: Sequence[Result], metric: str) -> list[float]:
    """A metric of those that have it."""
    return [value for r in members if (value := r.metrics.get(metric)) is not None]


def keys_of(members: Sequence[Result]) -> tuple[str, ...]:
    """Which runs they are."""
    return tuple(result.key for result in members)
