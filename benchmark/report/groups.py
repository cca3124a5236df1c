"""Which results belong together, and what a group of them is called: never averaged over more than the seed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from .results import Result


def grouped(results: Sequence[Result], by: Callable[[Result], tuple[object, ...]]) -> dict[tuple[object, ...], list[Result]]:
    """Results by a key, in their order."""
    groups: dict[tuple[object, ...], list[Result]] = {}
    for result in results:
        groups.setdefault(by(result), []).append(result)
    return groups


def by_noise(results: Sequence[Result]) -> list[Result]:
    """Kinds of noise as they came, their rates rising, whatever sweep brought which."""
    kinds = list(dict.fromkeys(result.spec.noise_kind for result in results))
    return sorted(results, key=lambda result: (kinds.index(result.spec.noise_kind), result.spec.noise_rate or 0))


def setting_of(result: Result) -> tuple[object, ...]:
    """What runs must share to stand in one table or figure; only noise, method and seed may differ."""
    spec = result.spec
    recipe = spec.recipe
    trained = recipe.name if recipe.is_own else recipe
    return spec.dataset.label, spec.backbone, spec.pretrained, trained, spec.validation, spec.precision


def setting_title(result: Result) -> str:
    """A setting in words."""
    spec = result.spec
    weights = f" from {spec.pretrained} ({result.weights_match})" if spec.pretrained else ""
    held_out = f", {spec.validation * 100:g} % held out" if spec.validation else ""
    epochs = f"{spec.recipe.epochs} epoch{'s' if spec.recipe.epochs > 1 else ''} of"
    recipe = f"{'each method by' if spec.recipe.is_own else epochs} recipe {spec.recipe.name}"
    return f"{spec.dataset.label}, backbone {spec.backbone}{weights}, {recipe} in {spec.precision}{held_out}"


def method_of(result: Result) -> tuple[object, ...]:
    """A method with its options."""
    return (result.spec.method_label,)


def method_title(result: Result) -> str:
    """A method as it is called; † is told more than the given labels."""
    return result.spec.method_label + (" †" if result.privilege else "")


def noise_of(result: Result) -> tuple[object, ...]:
    """Kind and rate of the noise."""
    return result.spec.noise_kind, result.spec.noise_rate


def noise_title(members: Sequence[Result], *, short: bool) -> str:
    """A noise in words, with its realised rate over the seeds."""
    spec = members[0].spec
    realised = statistics.fmean({result.noise_sha256: result.realised for result in members}.values()) * 100
    kind = "" if short and spec.noise_rate is not None else f"{spec.noise_kind} "
    rate = "" if spec.noise_rate is None else f"{spec.noise_rate * 100:g} % "
    return f"{kind}{rate}(realised {realised:.2f} %)"
