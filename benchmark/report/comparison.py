"""Which differences between the methods of a table are real: tests over pairs of runs that differ in the method only."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import combinations
from math import comb

import numpy as np

from ..score.arrays import Doubles
from ..score.statistics import Difference, holm, paired_difference, resample_images
from ..words import counted
from .evidence import Evidence
from .grouping import grouped, method_of, noise_of
from .results import Result

BASELINE = "ce"
"""What differences are measured from where nothing else is asked for and it is there."""
LEVEL = 0.05
"""The chance that a table without any true difference claims one."""
LEAST_SEEDS = 3
"""With fewer, nothing is tested."""

Key = tuple[object, ...]


class Pairs:
    """Pairs of the methods of one setting, for one metric that is an accuracy: `acc_last` or `macro_acc`.

    Two runs are a pair where noise artefact, data and seed are the same, and the outcomes of both can be read. Nothing is
    read before there are enough seeds for a test.
    """

    def __init__(self, group: Sequence[Result], metric: str, evidence: Evidence):
        self.metric, self._evidence = metric, evidence
        finished = [run for run in group if run.metrics.get(metric) is not None]
        self.columns = {
            noise: {method: {run.spec.seed: run for run in runs} for method, runs in grouped(members, method_of).items()}
            for noise, members in grouped(finished, noise_of).items()
        }
        """By noise, then by method, then by seed."""
        self._covariances: dict[Key, tuple[dict[str, int], Doubles]] = {}
        self.competitors = {method_of(run) for run in group if not run.privilege}

    def mean(self, noise: Key, method: Key) -> float:
        """The mean over a method's seeds, in percent."""
        return statistics.fmean(self._value(run) for run in self.columns[noise][method].values())

    def seeds(self, noise: Key, first: Key, second: Key) -> list[int]:
        """The seeds that make pairs of two methods."""
        ours, theirs = (self.columns[noise].get(method, {}) for method in (first, second))
        shared = [seed for seed in ours if seed in theirs and _same_labels(ours[seed], theirs[seed])]
        if len(shared) < LEAST_SEEDS:
            return shared
        return [seed for seed in shared if ours[seed].key in self.resampled and theirs[seed].key in self.resampled]

    def testable(self, noise: Key, first: Key, second: Key) -> bool:
        """Whether they share enough seeds."""
        return len(self.seeds(noise, first, second)) >= LEAST_SEEDS

    def difference(self, noise: Key, first: Key, second: Key) -> Difference:
        """How much better the first method is than the second, in points, over the seeds that they share."""
        shared = self.seeds(noise, first, second)
        ours, theirs = ([self.columns[noise][method][seed] for seed in shared] for method in (first, second))
        place, covariance = self._covariance(noise)
        both = [place[run.key] for run in (*ours, *theirs)]
        return paired_difference(self._values(ours), self._values(theirs), covariance[np.ix_(both, both)])

    def _values(self, runs: Sequence[Result]) -> Doubles:
        return np.array([self._value(run) for run in runs])

    def _covariance(self, noise: Key) -> tuple[dict[str, int], Doubles]:
        """Of a column's runs over resamples of the test images, and the place of each run in it."""
        if noise not in self._covariances:
            keys = [run.key for seeds in self.columns[noise].values() for run in seeds.values() if run.key in self.resampled]
            covariance = np.cov(np.stack([self.resampled[key] for key in keys]))
            self._covariances[noise] = {key: place for place, key in enumerate(keys)}, covariance
        return self._covariances[noise]

    @cached_property
    def resampled(self) -> dict[str, Doubles]:
        """By key, the metric of every run that can be tested, over resamples of the test images."""
        candidates = [
            run
            for methods in self.columns.values()
            for seeds in methods.values()
            if len(seeds) >= LEAST_SEEDS
            for run in seeds.values()
        ]
        found: dict[str, Doubles] = {}
        for runs in grouped(candidates, lambda run: (run.dataset_sha256,)).values():
            right = self._evidence.right(runs)
            told = [run for run in runs if run.key in right]
            if told:
                labels = self._evidence.labels(told[0]) if self.metric == "macro_acc" else None
                drawn = resample_images(np.stack([right[run.key] for run in told]), labels)
                found |= {run.key: row for run, row in zip(told, drawn, strict=True)}
        return found

    def _value(self, run: Result) -> float:
        return float(run.metrics[self.metric])  # type: ignore[arg-type]


def _same_labels(one: Result, other: Result) -> bool:
    return (one.noise_sha256, one.dataset_sha256) == (other.noise_sha256, other.dataset_sha256)


@dataclass(frozen=True)
class Best:
    """Which cells of a table stand in bold, and what its caption says of that."""

    cells: frozenset[tuple[Key, Key]]  #: noise and method
    caption: str


def best_of(pairs: Pairs) -> Best:
    """The competitors than which no other of their column is significantly better, in columns where methods are told apart.

    Each is held against all others and not against the best alone: that one is chosen by the same numbers, and may scatter so
    much that it tells less than the second does. Who could not be held against the best is not bold. Holm's correction is for
    every two methods, over all columns of the table.
    """
    if max((len(pairs.competitors & methods.keys()) for methods in pairs.columns.values()), default=0) < 2:
        return Best(frozenset(), "")
    tested = list(_tested(pairs))
    if not tested:
        return Best(frozenset(), " Nothing is bold: no two methods share three seeds, which a test takes.")
    differences = [pairs.difference(*pair) for pair in tested]
    adjusted = holm([difference.p_value for difference in differences])
    worse = {
        (noise, second if difference.mean > 0 else first)
        for (noise, first, second), difference, p in zip(tested, differences, adjusted, strict=True)
        if p <= LEVEL
    }
    told_apart = {noise for noise, _ in worse}
    bold: set[tuple[Key, Key]] = set()
    for noise in told_apart:
        met = [set(two) for of, *two in tested if of == noise]
        entrants = [method for method in pairs.columns[noise] if any(method in two for two in met)]
        best = max(entrants, key=partial(pairs.mean, noise))
        bold |= {(noise, method) for two in met if best in two for method in two} - worse
    how = (
        f"(pairs of runs, test images drawn again by bootstrap and seeds by Student's law, p at most {LEVEL} after Holm's "
        f"correction for {counted(len(tested), 'comparison')}: every two methods of a column; beside one method alone "
        "there are fewer, and more may be found)"
    )
    caption = (
        f" Bold: no other method of the column is significantly better {how}; where no two are told apart, nothing is bold."
        if bold
        else f" Nothing is bold: no two methods of a column are told apart {how}."
    )
    of_all = sum(comb(len(pairs.competitors & methods.keys()), 2) for methods in pairs.columns.values())
    if len(tested) < of_all:
        caption += " Methods that share fewer than three seeds are not held against each other."
    return Best(frozenset(bold), caption)


def _tested(pairs: Pairs) -> Iterator[tuple[Key, Key, Key]]:
    """(noise, first, second) of every two competitors that share enough seeds."""
    for noise, methods in pairs.columns.items():
        for first, second in combinations([method for method in methods if method in pairs.competitors], 2):
            if pairs.testable(noise, first, second):
                yield noise, first, second


@dataclass(frozen=True)
class Against:
    """A method beside the baseline, at one noise."""

    noise: Key
    method: Key
    difference: Difference
    p_value: float | None  #: after Holm's correction; None for a method that is no competitor


def against(pairs: Pairs, baseline: Key) -> list[Against]:
    """Every method's difference from the baseline, at every noise where they share enough seeds."""
    beside = [
        (noise, method, pairs.difference(noise, method, baseline))
        for noise, methods in pairs.columns.items()
        for method in methods
        if method != baseline and pairs.testable(noise, method, baseline)
    ]
    ranked = [(noise, method) for noise, method, _ in beside if method in pairs.competitors]
    adjusted = holm([difference.p_value for _, method, difference in beside if method in pairs.competitors])
    p = dict(zip(ranked, map(float, adjusted), strict=True))
    return [Against(noise, method, difference, p.get((noise, method))) for noise, method, difference in beside]
