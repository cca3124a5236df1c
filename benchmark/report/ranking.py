"""Average ranks of methods over datasets, where there are enough of them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..score.arrays import Doubles
from ..score.statistics import average_ranks, cliques, critical_difference, friedman_p, holm, wilcoxon_p
from .comparison import BASELINE, LEVEL
from .grouping import grouped, method_of, noise_of, values_of
from .results import Result

LEAST_BLOCKS = 6
"""Below six, no outcome of Wilcoxon's signed-rank test has a p below 0.05 (the smallest of five is 2 / 2^5 = 0.0625)."""


@dataclass(frozen=True)
class Ranking:
    """What a critical-difference diagram shows."""

    methods: tuple[str, ...]
    datasets: tuple[str, ...]  #: the blocks; datasets of the same images (`ferplus` and `fer2013`) are one
    accuracy: Doubles  #: (datasets, methods), in percent: the mean over a dataset's noises and seeds
    ranks: Doubles  #: (methods,), average ranks; 1 is the best
    friedman: float  #: p that all methods rank alike
    apart: float  #: the critical difference: how far two average ranks have to differ
    cliques: tuple[tuple[int, ...], ...]  #: positions of methods that are not told apart, the bars of the diagram; all of
    #: them where Friedman's test finds no difference, without which there is nothing to look for between two
    baseline: str
    p_values: Mapping[str, float]  #: of each method against the baseline, Wilcoxon's after Holm's correction; none where
    #: Friedman's test finds no difference, or the baseline is not among them
    left_out: tuple[str, ...]  #: methods that lack a result somewhere

    @property
    def differ(self) -> bool:
        """Whether Friedman's test finds a difference."""
        return self.friedman <= LEVEL


def ranking(results: Sequence[Result], baseline: str = BASELINE) -> Ranking | str:
    """Ranks the competitors of runs that differ in dataset, noise, method and seed; or says why it does not.

    A block is a dataset. Its seeds, noises, rates and subsets show the same images and are no blocks of their own, and neither
    are other labels for them (`ferplus` judges the images of `fer2013`): a method has one value in each, the mean over all of
    its columns.
    """
    competing = [run for run in results if not run.privilege]
    blocks = grouped([run for run in competing if values_of([run], "acc_last")], lambda run: (run.images_of,))
    if len(blocks) < LEAST_BLOCKS:
        return (
            f"Methods are not ranked: average ranks want at least {LEAST_BLOCKS} datasets, and there "
            f"{'is' if len(blocks) == 1 else 'are'} {len(blocks)} "
            "(seeds, noises and other labels of the same images are not independent)."
        )
    everyone = list(dict.fromkeys(method_of(run) for run in competing))
    columns = {name: grouped(runs, lambda run: (run.spec.dataset.label, *noise_of(run))) for name, runs in blocks.items()}
    whole = [
        method
        for method in everyone
        if all(method in {method_of(run) for run in cell} for cells in columns.values() for cell in cells.values())
    ]
    if len(whole) < 3:
        return f"Methods are not ranked: only {len(whole)} of them are finished on all {len(blocks)} datasets, of at least 3."
    accuracy = np.array([[_mean_of(list(cells.values()), method) for method in whole] for cells in columns.values()])
    ranks, apart, friedman = average_ranks(accuracy), critical_difference(len(whole), len(blocks)), friedman_p(accuracy)
    names = [str(method[0]) for method in whole]
    p_values: dict[str, float] = {}
    if friedman <= LEVEL and baseline in names:
        base = accuracy[:, names.index(baseline)]
        others = {name: wilcoxon_p(accuracy[:, i], base) for i, name in enumerate(names) if name != baseline}
        p_values = dict(zip(others, map(float, holm(list(others.values()))), strict=True))
    return Ranking(
        methods=tuple(names),
        datasets=tuple(str(name[0]) for name in blocks),
        accuracy=accuracy,
        ranks=ranks,
        friedman=friedman,
        apart=apart,
        cliques=tuple(cliques(ranks, apart if friedman <= LEVEL else np.inf)),
        baseline=baseline,
        p_values=p_values,
        left_out=tuple(str(method[0]) for method in everyone if method not in whole),
    )


def _mean_of(cells: Sequence[Sequence[Result]], method: tuple[object, ...]) -> float:
    return statistics.fmean(
        statistics.fmean(values_of([run for run in cell if method_of(run) == method], "acc_last")) for cell in cells
    )
