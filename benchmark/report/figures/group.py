"""The finished runs that one figure is drawn from, and what figures ask of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...cache import caches
from ...contract.errors import BadInput
from ...data import Prepared, load
from ...noise.artefact import Noise, read_artefact
from ...store import Store
from ..grouping import by_noise, grouped, method_title, noise_of, noise_title, setting_of, setting_title
from ..results import Result

OVERLAID = 8
"""Most methods whose lines can be told apart in one panel."""

PLANES = frozenset(("test_logits", "test_votes", "features"))
"""Stored arrays of two dimensions; the others have one."""
WHOLE = frozenset(("test_reference", "test_votes", "train_index", "train_given", "train_reference", "train_predicted", "index"))
"""Stored arrays of whole numbers; the others are of fractions."""
Row = dict[str, Any]
"""One line of a chart's data."""


class NotApplicable(Exception):
    """Why a figure cannot be drawn of some runs; shown in its place."""


@dataclass(frozen=True)
class Group:
    """The finished runs of one setting, or of one noise in it."""

    store: Store
    results: Sequence[Result]
    methods: Sequence[str]  #: of the whole setting in its order, so that a method keeps its colour

    def by_method(self) -> dict[str, list[Result]]:
        """The runs of each method that has any, a seed each where the group is of one noise."""
        groups = grouped(self.results, lambda result: (method_title(result),))
        return {name: groups[name,] for name in self.methods if (name,) in groups}

    def coloured(self, present: Sequence[str]) -> list[str]:
        """The methods that colours are for: all of the setting where they are few, else those `present`."""
        return list(self.methods if len(self.methods) <= OVERLAID else present)

    def noises(self) -> list[Group]:
        """The group cut by noise, rates rising."""
        return [replace(self, results=members) for members in grouped(by_noise(self.results), noise_of).values()]

    def hardest(self) -> Group:
        """The runs of the noise with the highest realised rate."""
        return max(self.noises(), key=lambda group: statistics.fmean(result.realised for result in group.results))

    @property
    def setting(self) -> str:
        """The setting in words."""
        return setting_title(self.results[0])

    @property
    def but_dataset(self) -> str:
        """What the settings of several datasets have in common, in words."""
        return self.setting.removeprefix(f"{self.results[0].spec.dataset.label}, ")

    @property
    def noise(self) -> str:
        """The noise in words, of a group that has one."""
        return noise_title(self.results, short=False)

    def seeds(self, *, band: bool = False) -> str:
        """How many seeds stand behind a method: `mean of 3 seeds`; with `band`, also what the band is."""
        counts = {len(runs) for runs in grouped(self.results, lambda r: (*noise_of(r), method_title(r))).values()}
        if counts == {1}:
            return "one seed" + (" (no band can be given)" if band else "")
        many = f"{min(counts)} seeds" if len(counts) == 1 else f"{min(counts)} to {max(counts)} seeds"
        return f"{many}; band: one standard deviation to each side of the mean" if band else many

    def arrays(
        self,
        result: Result,
        wanted: Collection[str],
        name: str = "predictions",
        below: Mapping[str, int] = MappingProxyType({}),
    ) -> dict[str, NDArray[Any]]:
        """Stored arrays of a run, in the order in which they are wanted. Raises BadInput where one is missing or cannot be.

        `below`: of an array of whole numbers, what all of them must be less than.
        """
        found = self.store.run(result.key).arrays(name, wanted)
        if "test_logits" in found and found["test_logits"].ndim == 2:
            below = {**below, "test_reference": found["test_logits"].shape[1]}
        lengths: dict[str, int] = {}
        for array in wanted:
            if array not in found:
                raise BadInput(f"runs/{result.key}/{name}.npz is damaged: there is no {array} in it")
            if fault := _fault(array, found[array], below.get(array), lengths):
                raise BadInput(f"runs/{result.key}/{name}.npz is damaged: {fault}")
        return found

    @cached_property
    def data(self) -> Prepared:
        """The images and labels, from the cache of this machine. Raises NotApplicable where they are not in it."""
        run = self.results[0]
        for folder in caches(run.spec.dataset.name):
            with suppress(BadInput):  # of other options, or damaged
                prepared = load(folder, run.spec.dataset)
                if prepared.sha256 == run.dataset_sha256:
                    return prepared
        raise NotApplicable(
            f"the images and reference labels of {run.spec.dataset.label} are not in this machine's cache; "
            f"python -m benchmark data prepare {run.spec.dataset.name} brings them there"
        )

    def noise_artefact(self, result: Result) -> Noise:
        """The given labels of a run. Raises BadInput."""
        return read_artefact(self.store.noise_path(result.noise_sha256))

    def classes(self, count: int) -> tuple[list[str], str]:
        """The names of `count` classes, each its own, and what is to be said of them; numbers where the cache lacks names."""
        try:
            names = self.data.data.classes
        except (NotApplicable, BadInput):
            return [str(k) for k in range(count)], " Classes have numbers: their names are not in this machine's cache."
        repeated = {name for name in names if names.count(name) > 1}
        return [f"{name} ({k})" if name in repeated else name for k, name in enumerate(names)], ""


def _fault(name: str, array: NDArray[Any], below: int | None, lengths: dict[str, int]) -> str:
    """What is wrong with a stored array, if anything; `lengths`, of the arrays before it, by what they are of."""
    of = name.partition("_")[0] if "_" in name else ""
    if array.ndim != (2 if name in PLANES else 1) or not array.size or lengths.setdefault(of, len(array)) != len(array):
        return f"its {name} has the shape {array.shape}"
    if array.dtype.kind not in ("iu" if name in WHOLE else "f"):
        return f"its {name} is {array.dtype}"
    if not np.isfinite(array).all():
        return f"not all values of its {name} are finite"
    least = -1 if name == "train_reference" else 0  # -1: an image from outside
    if name in WHOLE and not (least <= array.min() and (below is None or array.max() < below)):
        return f"the values of its {name} go from {array.min()} to {array.max()}"
    return ""


def settings(store: Store, results: Sequence[Result]) -> Iterator[Group]:
    """A group for each setting that has finished runs."""
    return _groups(store, results, setting_of)


def across_datasets(store: Store, results: Sequence[Result]) -> Iterator[Group]:
    """A group for each setting but for its dataset."""
    return _groups(store, results, lambda result: setting_of(result)[1:])


def _groups(store: Store, results: Sequence[Result], by: Callable[[Result], tuple[object, ...]]) -> Iterator[Group]:
    for which, members in grouped(by_noise(results), by).items():
        methods = list(dict.fromkeys(method_title(result) for result in results if by(result) == which))
        finished = [result for result in members if result.status == "finished"]
        if finished:
            yield Group(store, finished, methods)


def mean_and_band(values: Sequence[NDArray[np.float64]] | NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Mean, and mean less and plus one sample deviation, over the first axis (S, …); all alike of a single one."""
    array = np.asarray(values, np.float64)
    mean = array.mean(axis=0)
    spread = array.std(axis=0, ddof=1) if len(array) > 1 else np.zeros_like(mean)
    return mean, mean - spread, mean + spread


def short(value: float) -> float | None:
    """A number for a chart: five significant digits are more than a picture shows. None for what is not finite."""
    return float(f"{value:.5g}") if np.isfinite(value) else None


def percentiles(values: NDArray[Any]) -> NDArray[np.float64]:
    """The share (N,) of values that lie below each, ties half, in percent; only their order counts."""
    from scipy.stats import rankdata

    return np.asarray((rankdata(values) - 0.5) / len(values) * 100)
