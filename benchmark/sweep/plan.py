"""From a sweep to jobs: everything that can be wrong is found here, before anything is written."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..contract.config import changed_options
from ..contract.errors import BadInput
from ..contract.registry import Plugins, load_plugins
from ..data import Prepared, load, prepare
from ..noise import FILE, Noise, make
from ..spec import DatasetSpec, RunSpec, code_fingerprint
from .sweep import Sweep, checked_options


@dataclass(frozen=True)
class Job:
    """One run with all that a worker needs to do it."""

    spec: RunSpec
    key: str
    noise_sha256: str
    realised: float  #: the noise's realised rate
    cache: Path  #: of the prepared dataset
    weights: Path | None
    device: str
    threads: int
    plugins: tuple[str, ...]
    imbalance: float  #: images of the test set's most frequent class over those of its rarest

    def row(self) -> dict[str, Any]:
        """For grid.json."""
        return {
            "key": self.key,
            "noise_sha256": self.noise_sha256,
            "realised": self.realised,
            "imbalance": self.imbalance,
            "spec": self.spec.to_dict(),
        }


@dataclass(frozen=True)
class Plan:
    """A whole grid, ready to be run."""

    sweep: Sweep  #: with precision and threads fixed
    jobs: list[Job]
    noises: dict[str, Noise]  #: by sha256
    notes: tuple[str, ...]  #: what a user should be told: of the data, of the weights


def data_root(given: str | None) -> Path | None:
    """--data-root, or $BENCHMARK_DATA. Raises BadInput."""
    root = given or os.environ.get("BENCHMARK_DATA")
    if root and not Path(root).is_dir():
        raise BadInput(f"--data-root {root}: there is no such folder")
    return Path(root) if root else None


def prepared(plugins: Plugins, spec: DatasetSpec, root: Path | None) -> tuple[DatasetSpec, Path, Prepared]:
    """A dataset's spec with checked options, its cache folder and its arrays. Raises BadInput."""
    kind = plugins.datasets[spec.name]
    config = checked_options(spec.name, kind.Config, spec.options)
    cache = prepare(kind(config, root))
    spec = replace(spec, options=changed_options(config))
    return spec, cache, load(cache, spec)


def plan(sweep: Sweep, root: Path | None, device: str, threads: int) -> Plan:
    """Checks every name, option and file of a sweep, prepares its data and labels, and gives its jobs. Raises BadInput."""
    from ..train.backbones import build_backbone, check_backbone
    from ..train.device import resolve_device, resolve_precision
    from ..train.pretrained import fill, read_weights

    plugins = load_plugins(sweep.plugins)
    configs = {name: checked_options(name, plugins.methods[name].Config, sweep.options.get(name, {})) for name in sweep.methods}
    codes = {name: code_fingerprint(plugins.methods[name].__module__) for name in sweep.methods}
    _check_options_used(sweep, plugins)
    on = resolve_device(device)
    sweep = sweep.model_copy(update={"precision": resolve_precision(sweep.precision, on), "threads": threads})
    check_backbone(sweep.backbone)
    weights = Path(sweep.pretrained).resolve() if sweep.pretrained else None
    weights_sha256 = None
    if weights:
        read_weights(weights)
        weights_sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    recipe = sweep.full_recipe
    dataset, cache, data = prepared(plugins, sweep.dataset_spec(), root)
    H, W, C = data.data.train.images.shape[1:]
    backbone = build_backbone(sweep.backbone, (C, H, W), "fp32")
    matched = [str(fill(backbone.named_as_published, read_weights(weights), weights.name))] if weights else []
    if sweep.validation and len(data.data.train) * sweep.validation / 100 < len(data.data.classes):
        raise BadInput(f"--validation {sweep.validation:g}: fewer images than classes would be held out")
    counts = np.bincount(data.data.test.labels)
    imbalance = float(counts.max() / counts[counts > 0].min())
    jobs: list[Job] = []
    noises: dict[str, Noise] = {}
    made: dict[tuple[str, float | None, int | None], Noise] = {}
    for spec, file in sweep.runs():
        spec = replace(spec, dataset=dataset, options=changed_options(configs[spec.method]), recipe=recipe)
        spec = replace(spec, pretrained=weights.name if weights else None)  # the key covers its content, not its folder
        which = (spec.noise_kind, spec.noise_rate, spec.seed if spec.noise_rate is not None else None)
        if which not in made:
            made[which] = _noise(spec, file, data)
            noises[made[which].sha256] = made[which]
        noise = made[which]
        key = spec.key(code=codes[spec.method], noise=noise.sha256, weights=weights_sha256)
        jobs.append(Job(spec, key, noise.sha256, noise.realised, cache, weights, on.type, threads, sweep.plugins, imbalance))
    return Plan(sweep, jobs, noises, (*data.data.notes, *matched))


def _noise(spec: RunSpec, file: Path | None, data: Prepared) -> Noise:
    return make(
        FILE if file else spec.noise_kind,
        spec.noise_rate,
        spec.seed,
        dataset=spec.dataset.label,
        dataset_sha256=data.sha256,
        reference=np.asarray(data.data.train.labels),
        num_classes=len(data.data.classes),
        human_labels=data.data.human_labels,
        file=file,
    )


def _check_options_used(sweep: Sweep, plugins: Plugins) -> None:
    used = {*sweep.methods, sweep.dataset_spec().name}
    for name in sweep.options:
        if name not in used:
            if name in plugins.methods.plugins or name in plugins.datasets.plugins:
                raise BadInput(f"--set {name}.…: '{name}' is not part of this sweep")
            raise BadInput(
                f"--set {name}.…: there is no method or dataset of that name in this sweep ({', '.join(sorted(used))})"
            )
