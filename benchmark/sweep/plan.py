"""From a sweep to jobs: everything that can be wrong is found here, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..contract.config import changed_options, checked_options
from ..contract.errors import BadInput
from ..contract.method import Method
from ..contract.registry import Plugins, load_plugins
from ..contract.text import printable
from ..data import Prepared
from ..fingerprint import code_fingerprint
from ..noise import Noise, source_of
from ..spec import PROTOCOL, Recipe
from ..store import PlannedRun
from .inputs import Noises, Outer, data_root, need_images, prepared
from .sweep import Sweep

if TYPE_CHECKING:
    import torch

ALL = "all"
"""In place of a method's name."""


@dataclass(frozen=True)
class Job(PlannedRun):
    """One run with all that a worker needs to do it."""

    cache: Path  #: of the prepared dataset
    outer: Outer | None  #: where images from outside come from
    weights: str | None  #: a file, or a name
    device: str
    threads: int
    plugins: tuple[str, ...]
    data_root: str | None  #: as it was given


@dataclass(frozen=True)
class Plan:
    """A whole grid, ready to be run."""

    sweep: Sweep  #: with precision and threads fixed
    jobs: list[Job]
    noises: dict[str, Noise]  #: by sha256
    notes: tuple[str, ...]  #: what a user should be told: of the data, of the weights


def named(sweep: Sweep) -> tuple[Sweep, list[str]]:
    """The sweep with `all` replaced by the names of all methods that can be used, and why others are not. Raises BadInput."""
    if ALL not in sweep.methods:
        return sweep, []
    plugins = load_plugins(sweep.plugins)
    spec, _, data = prepared(plugins, sweep.dataset_spec(), data_root(sweep.data_root))
    lacks = {name: lack for name in plugins.methods if (lack := _lack(plugins.methods[name], data))}
    usable = tuple(name for name in plugins.methods if name not in lacks)
    out = [f"left out: '{name}' cannot be used: {reason}" for name, reason in plugins.methods.broken.items()]
    out += [f"left out: '{name}' needs {lack}, and {spec.label} has none" for name, lack in lacks.items()]
    sweep = sweep.model_copy(update={"methods": tuple(dict.fromkeys(m for m in sweep.methods if m != ALL)) + usable})
    sweep.need_few_runs()
    return sweep, out


def _lack(method: type[Method], data: Prepared) -> str | None:
    """What a method wants of a dataset and does not find."""
    return "votes for its training images" if "votes" in method.privilege and data.data.train.votes is None else None


def plan(sweep: Sweep, on: torch.device, threads: int, *, fetch: bool = True) -> Plan:
    """Checks every name, option and file of a sweep, prepares its data and labels, and gives its jobs. Raises BadInput.

    `fetch`: whether pretrained weights may be fetched; where they may not and are not here, the jobs have no keys yet.
    """
    from ..train.backbones import build_backbone, check_backbone
    from ..train.device import resolve_precision
    from ..train.pretrained import at_hand, fill, input_of, load_weights

    plugins = load_plugins(sweep.plugins)
    options = {name: changed_options(_config(sweep, plugins.methods[name])) for name in sweep.methods}
    codes = {name: code_fingerprint(plugins.methods[name].__module__) for name in sweep.methods}
    _check_options_used(sweep, plugins)
    sweep = sweep.model_copy(update={"precision": resolve_precision(sweep.precision, on), "threads": threads})
    check_backbone(sweep.backbone)
    need_images(plugins, sweep)  # weights may take minutes to come, or to be waited for in vain
    here = sweep.pretrained is None or fetch or at_hand(sweep.pretrained, sweep.backbone)
    weights = load_weights(sweep.pretrained, sweep.backbone) if sweep.pretrained and here else None
    recipes = {name: _recipe(sweep, plugins.methods[name]) for name in sweep.methods}
    dataset, cache, data = prepared(plugins, sweep.dataset_spec(), data_root(sweep.data_root))
    for name in sweep.methods:
        if lack := _lack(plugins.methods[name], data):
            raise BadInput(f"the method '{name}' needs {lack}, and {dataset.label} has none")
    H, W, C = data.data.train.images.shape[1:]
    backbone = build_backbone(sweep.backbone, (C, H, W), "fp32", input_of(sweep.backbone, weights).side)
    match = fill(backbone.named_as_published, weights.tensors, weights.name) if weights else None
    if sweep.validation and len(data.data.train) * sweep.validation / 100 < len(data.data.classes):
        raise BadInput(f"--validation {sweep.validation:g}: fewer images than classes would be held out")
    counts = np.bincount(data.data.test.labels)
    imbalance = float(counts.max() / counts[counts > 0].min())
    jobs: list[Job] = []
    noises: dict[str, Noise] = {}
    made = Noises(plugins, sweep, dataset, data)
    for spec, file in sweep.runs():
        spec = replace(
            spec,
            dataset=dataset,
            options=options[spec.method],
            recipe=recipes[spec.method],
            pretrained=weights.name if weights else None,  # the key covers its content, not its folder
        )
        noise = made.of(spec, file)
        noises[noise.sha256] = noise
        jobs.append(
            Job(
                spec=spec,
                key=spec.key(code=codes[spec.method], noise=noise.sha256, weights=weights.sha256 if weights else None)
                if here
                else "",
                noise_sha256=noise.sha256,
                weights_sha256=weights.sha256 if weights else None,
                dataset_sha256=data.sha256,
                code=codes[spec.method],
                protocol=PROTOCOL,
                realised=noise.realised,
                images_of=plugins.datasets[dataset.name].images_of or dataset.name,
                imbalance=imbalance,
                privilege=plugins.methods[spec.method].privilege,
                weights_match=match.share if match else None,
                cache=cache,
                outer=made.outer,
                weights=sweep.pretrained,
                device=on.type,
                threads=threads,
                plugins=sweep.plugins,
                data_root=sweep.data_root,
            )
        )
    of_weights = [str(match)] if match else []
    if not here:
        of_weights = [f"--pretrained {sweep.pretrained}: not on this machine yet; a run fetches them, and has its key then"]
    return Plan(sweep, jobs, noises, tuple(map(printable, (*data.data.notes, *of_weights, *made.notes))))


def _config(sweep: Sweep, method: type[Method]) -> Any:
    own = method.own_options if sweep.full_recipe().is_own else {}
    return checked_options(method.name, method.Config, {**own, **sweep.options.get(method.name, {})})


def _recipe(sweep: Sweep, method: type[Method]) -> Recipe:
    try:
        return sweep.full_recipe(method.own_recipe)
    except TypeError as error:
        raise BadInput(f"the method '{method.name}' has an `own_recipe` that is none: {error}") from None


def _check_options_used(sweep: Sweep, plugins: Plugins) -> None:
    used = {*sweep.methods, sweep.dataset_spec().name, (source_of(sweep.noise_kind) or "").partition("@")[0]}
    for name in sweep.options:
        if name not in used:
            if name in plugins.methods.plugins or name in plugins.datasets.plugins:
                raise BadInput(f"--set {name}.…: '{name}' is not part of this sweep")
            raise BadInput(
                f"--set {name}.…: there is no method or dataset of that name in this sweep ({', '.join(sorted(used))})"
            )
