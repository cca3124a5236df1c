"""What a sweep takes from outside: its dataset, prepared, and the labels that noise makes of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..cache import prepare
from ..contract.config import changed_options, checked_options
from ..contract.dataset import Dataset
from ..contract.errors import BadInput, need_folder, told
from ..contract.registry import Plugins
from ..data import Prepared, load, shared_images
from ..noise import Facts, Names, Noise, is_drawn, make, source_of
from ..spec import DatasetSpec, RunSpec
from .sweep import Sweep

MOST_LABELS = 2**29
"""Of all noises of a sweep, which its plan keeps: 4 GiB."""


class Outer(NamedTuple):
    """The dataset that images from outside come from."""

    cache: Path
    spec: DatasetSpec


def data_root(given: str | None) -> Path | None:
    """--data-root, or $BENCHMARK_DATA, of which a dataset that needs it says what is missing. Raises BadInput."""
    if given:
        need_folder("--data-root", Path(given))
    root = given or os.environ.get("BENCHMARK_DATA")
    return Path(root) if root else None


def dataset_of(plugins: Plugins, spec: DatasetSpec, root: Path | None) -> tuple[DatasetSpec, Dataset]:
    """A dataset's spec with checked options, and the dataset. Raises BadInput."""
    kind = plugins.datasets[spec.name]
    config = checked_options(spec.name, kind.Config, spec.options)
    try:
        dataset = kind(config, root)
    except BadInput:
        raise
    except Exception as error:  # a plugin's own fault, and named as such
        raise BadInput(f"dataset '{spec.name}' failed: {told(error)}") from None
    return replace(spec, options=changed_options(config)), dataset


def need_images(plugins: Plugins, sweep: Sweep) -> None:
    """Raises BadInput, with how to get it, where a sweep's dataset is not there; reads and decodes nothing."""
    dataset_of(plugins, sweep.dataset_spec(), data_root(sweep.data_root))[1].sources()


def prepared(plugins: Plugins, spec: DatasetSpec, root: Path | None) -> tuple[DatasetSpec, Path, Prepared]:
    """A dataset's spec with checked options, its cache folder and its arrays. Raises BadInput."""
    spec, dataset = dataset_of(plugins, spec, root)
    cache = prepare(dataset)
    return spec, cache, load(cache, spec)


class Noises:
    """The noises of a sweep, each made once."""

    def __init__(self, plugins: Plugins, sweep: Sweep, spec: DatasetSpec, data: Prepared):
        self.kind = sweep.noise_kind
        self.notes: list[str] = []
        self.outer: Outer | None = None  #: where images from outside come from
        self._made: dict[tuple[float | None, Path | None, int | None], Noise] = {}
        train, test = data.data.train, data.data.test
        count = sweep.noises * (len(set(sweep.seeds)) if is_drawn(self.kind) else 1)
        if count * len(train) > MOST_LABELS:
            raise BadInput(
                f"{count:,} noises of {len(train):,} labels each would fill the memory; wanted fewer seeds or rates, "
                f"{MOST_LABELS // len(train):,} noises at most"
            )
        self.names = (
            None if train.names is None else Names(train.names.tolist(), [] if test.names is None else test.names.tolist())
        )
        self._facts = Facts(
            dataset=spec.label,
            dataset_sha256=data.sha256,
            labels=np.asarray(train.labels),
            classes=data.data.classes,
            images=train.images,
            votes=train.votes,
            names=self.names,
            human_labels=data.data.human_labels,
            mistakes=data.data.mistakes,
        )
        if name := source_of(self.kind):
            source = DatasetSpec.parse(name, sweep.options.get(name.partition("@")[0], {}))
            source, cache, images = prepared(plugins, source, data_root(sweep.data_root))
            if known := shared_images(images.data.train.images, train.images):
                raise BadInput(
                    f"noise kind '{self.kind}': {known} of its images are the dataset's own; wanted another dataset's"
                )
            self.outer = Outer(cache, source)
            self._facts = replace(self._facts, source_count=len(images.data.train), source_sha256=images.sha256)

    def of(self, spec: RunSpec, file: Path | None) -> Noise:
        """The noise of a run. Raises BadInput."""
        which = spec.noise_rate, file, spec.seed if is_drawn(self.kind) else None
        if which not in self._made:
            self._made[which], notes = make(self.kind, spec.noise_rate, spec.seed, replace(self._facts, file=file))
            self.notes += [note for note in notes if note not in self.notes]
        return self._made[which]
