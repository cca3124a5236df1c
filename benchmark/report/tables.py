"""Tables from results: what stands in cells and captions."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..contract.privilege import PRIVILEGES
from ..score.statistics import t_interval
from ..words import counted
from .comparison import LEVEL, Against, Pairs, against, best_of
from .evidence import Evidence
from .formats import Bold, Cell, Table
from .grouping import (
    by_noise,
    grouped,
    keys_of,
    method_of,
    method_title,
    noise_of,
    noise_title,
    setting_of,
    setting_title,
    values_of,
)
from .ranking import Ranking, ranking
from .results import COSTS, METRICS, Result

_DECIMALS = {
    "networks": 0,
    "nll": 3,
    "brier": 3,
    "aurc": 4,
    "error_auroc": 3,
    "msp_auroc": 3,
    "noise_auroc": 3,
    "noise_ap": 3,
    "noise_unc_auroc": 3,
    "vote_spearman": 3,
}
_TITLES = {
    "acc_last": "accuracy, last epoch",
    "acc_last5": "last five epochs",
    "acc_val": "best on validation",
    "acc_best": "best on test (oracle)",
    "macro_acc": "mean over classes",
    "train_seconds": "seconds",
    "images_per_second": "images/s",
    "peak_memory_mb": "peak MB",
}
_COST_TITLES = {"networks": "networks", "train_seconds": "seconds"}


def tables(results: Sequence[Result], evidence: Evidence, baseline: str, *, asked: bool = False) -> list[Table]:
    """The tables of each setting, and of all datasets together where they are enough to rank methods.

    A setting has its headline (accuracy; the mean over classes too where they are imbalanced), the differences from the
    method `baseline` where there are seeds to test them, and a table of all metrics. Runs that differ in anything but the seed
    are never averaged: each setting (dataset, backbone, weights, recipe, epochs) has its own tables, each noise its own column,
    each method with its options its own row. `asked`: whether somebody wants to see the differences from that baseline.
    """
    made: list[Table] = []
    for of_many in grouped(by_noise(results), lambda run: setting_of(run)[1:]).values():
        found = ranking(of_many, baseline)
        for group in grouped(of_many, setting_of).values():
            shown = {"acc_last": "Test accuracy"}
            if max(result.imbalance for result in group) > 1.5:
                shown["macro_acc"] = "Mean of the classes' test accuracies"
            pairs = {metric: Pairs(group, metric, evidence) for metric in shown}
            made += [headline(group, pairs[metric], f"{title} (%)") for metric, title in shown.items()]
            for metric in shown:
                made += [replace(one, printed=asked) for one in differences(group, pairs[metric], shown[metric], baseline)]
            made.append(details(group, found if isinstance(found, str) else ""))
        if not isinstance(found, str):
            made.append(ranks(of_many, found))
    return made


def headline(group: Sequence[Result], pairs: Pairs, title: str) -> Table:
    """Methods down, noises across, then what a method costs: its networks, and the mean time that a run of it trains."""
    metric, noises, best = pairs.metric, grouped(group, noise_of), best_of(pairs)
    one_kind = len({result.spec.noise_kind for result in group}) == 1
    columns = ("method", *(noise_title(members, short=one_kind) for members in noises.values()), *_COST_TITLES.values())
    rows, runs = [], []
    counts = {n for cell in grouped(group, _cell_of).values() if (n := len(values_of(cell, metric)))}
    for method, of_method in grouped(group, method_of).items():
        cells: list[Cell] = []
        behind = [[r for r in of_method if noise_of(r) == noise] for noise in noises]
        for noise, members in zip(noises, behind, strict=True):
            text = _cell(members, metric, counted=len(counts) > 1)
            cells.append(Bold(text) if (noise, method) in best.cells else text)
        runs.append(((), *map(keys_of, behind), *[keys_of(of_method)] * len(_COST_TITLES)))
        rows.append((method_title(of_method[0]), *cells, *(_mean_text(of_method, cost) for cost in _COST_TITLES)))
    kind = f"Noise {group[0].spec.noise_kind}, " if one_kind else "Several kinds of noise, "
    caption = f"{kind}{_spread(counts)}, last epoch.{best.caption}{_told_more(group)}"
    return Table(f"{title}: {setting_title(group[0])}", columns, tuple(rows), caption, tuple(runs))


def differences(group: Sequence[Result], pairs: Pairs, title: str, baseline: str) -> list[Table]:
    """One row for each noise and method with its difference from the baseline; no table where no seeds can tell one."""
    beside = {(found.noise, found.method): found for found in against(pairs, (baseline,))}
    if not beside:
        return []
    rows: list[tuple[Cell, ...]] = []
    runs = []
    for noise, members in grouped(group, noise_of).items():
        for method, of_method in grouped(members, method_of).items():
            if (noise, method) in beside or (method == (baseline,) and values_of(of_method, pairs.metric)):
                values = values_of(of_method, pairs.metric)
                rows.append(
                    (
                        noise_title(members, short=False),
                        method_title(of_method[0]),
                        f"{statistics.fmean(values):.2f}",
                        _interval_text(t_interval(np.array(values))),
                        *_beside(beside.get((noise, method))),
                    )
                )
                runs.append(_of_row(of_method, 2, len(rows[-1])))
    count = sum(found.p_value is not None for found in beside.values())
    caption = (
        "Means over the seeds with their 95 % t-intervals; differences in points over the seeds that both methods have, with "
        "95 % intervals and p values of pairs of runs, test images drawn again by bootstrap and seeds by Student's law. Each "
        f"interval holds by itself. p is after Holm's correction for {counted(count, 'comparison')} (a table "
        "that compares every two methods of a column corrects for more, and may find less), bold where it is at most "
        f"{LEVEL}.{_told_more(group)}"
    )
    columns = ("noise", "method", "mean", "its 95 % interval", f"minus {baseline}", "95 % interval", "p")
    head = f"{title} beside {baseline}: {setting_title(group[0])}"
    return [Table(head, columns, tuple(rows), caption, tuple(runs), names=2, printed=False)]


def ranks(results: Sequence[Result], found: Ranking) -> Table:
    """Average ranks over datasets, the best first, with Wilcoxon's test of each method against the baseline."""
    best = found.ranks.min()
    apart = found.differ and float(np.ptp(found.ranks)) >= found.apart
    rows: list[tuple[Cell, ...]] = []
    runs = []
    for i in np.argsort(found.ranks, kind="stable"):
        text = f"{found.ranks[i]:.2f}"
        p = found.p_values.get(found.methods[i])
        bold = apart and found.ranks[i] - best < found.apart
        rows.append((found.methods[i], Bold(text) if bold else text, "" if p is None else _p_text(p)))
        runs.append(_of_row([r for r in results if r.spec.method_label == found.methods[i]], 1, 3))
    friedman = "< 0.001" if found.friedman < 0.001 else f"= {found.friedman:.3f}"
    claims = f"Friedman's test finds no difference (p {friedman}), so that no two methods are compared."
    if found.differ:
        bold_means = "no further than that from the best" if apart else "none, as no two do"
        claims = (
            f"Friedman's test finds a difference (p {friedman}). Two average ranks have to differ by {found.apart:.2f} "
            f"(Nemenyi, {LEVEL}); bold: {bold_means}."
        )
    most = len(found.methods) - 1
    if found.p_values and most * 2 / 2 ** len(found.datasets) > LEVEL:
        claims += (
            f" p: Wilcoxon's signed-rank test after Holm's correction; over {len(found.datasets)} datasets none of {most} "
            f"comparisons can have one of {LEVEL} or less, so that it tells neither of a difference nor of none."
        )
    elif found.p_values:
        claims += f" p: Wilcoxon's signed-rank test after Holm's correction, bold where it is at most {LEVEL}."
    lacking = f" Not finished on all of them: {', '.join(found.left_out)}." if found.left_out else ""
    caption = (
        f"Average ranks of accuracy at the last epoch over {len(found.datasets)} datasets ({', '.join(found.datasets)}), in "
        f"each the mean over its noises and seeds. {claims}{lacking}{_told_more(results)}"
    )
    title = setting_title(results[0]).removeprefix(f"{results[0].spec.dataset.label}, ")
    return Table(
        f"Average ranks: {title}",
        ("method", "average rank", f"p against {found.baseline}"),
        tuple(rows),
        caption,
        tuple(runs),
        printed=False,
    )


def details(group: Sequence[Result], not_ranked: str) -> Table:
    """One row for each noise and method, every metric that applies, each the mean over the seeds."""
    cells = grouped(group, _cell_of)
    shown = [METRICS[0]] + [m for m in (*METRICS[1:], "networks", *COSTS) if any(r.metrics.get(m) is not None for r in group)]
    rows, runs = [], []
    for members in cells.values():
        values = [_cell(members, "acc_last", counted=False), *(_mean_text(members, metric) for metric in shown[1:])]
        rows.append((noise_title(members, short=False), method_title(members[0]), *values))
        runs.append(_of_row(members, 2, 2 + len(values)))
    columns = ("noise", "method", *(_TITLES.get(metric, metric) for metric in shown))
    return Table(
        f"All metrics: {setting_title(group[0])}",
        columns,
        tuple(rows),
        "Means over seeds (the first ± its standard deviation), last epoch unless named otherwise; nothing here is tested."
        f"{_told_more(group)}{f' {not_ranked}' if not_ranked else ''}",
        tuple(runs),
        names=2,
        printed=False,
        typeset=False,
    )


def notes(results: Sequence[Result], fill: str) -> list[str]:
    """What was trained in parts or on several machines, what failed and what is missing; `fill` is the command that runs it."""
    said = [f"Failed: {_run_title(r)}: {r.error} (runs/{r.key}/failure.json)" for r in results if r.error]
    if said:
        said.append(f"This command runs what has failed again: {fill} --retry-failed")
    missing = [r for r in results if r.status in ("missing", "started")]
    if missing:
        said.append(f"{len(missing)} of {len(results)} runs are missing; this command runs them: {fill}")
    in_parts = [r for r in results if (r.metrics.get("parts") or 1) > 1]
    if in_parts:
        listed = "; ".join(f"{_run_title(r)} ({r.metrics['parts']:g} parts, runs/{r.key}/history.csv)" for r in in_parts)
        said.append(
            "For want of memory, batches were done in parts, with their gradients added up: the same computation to rounding, "
            f"but that a method which draws has drawn other numbers. So of {listed}"
        )
    moved = [r for r in results if (r.metrics.get("machines") or 1) > 1]
    if moved:
        listed = "; ".join(f"{_run_title(r)} (runs/{r.key}/environment.json)" for r in moved)
        said.append(
            "Interrupted, and gone on with on another machine or with other versions, so that no single one of them gives the "
            f"same bits: {listed}"
        )
    return said


def _run_title(result: Result) -> str:
    return f"{result.spec.method_label}, {noise_title([result], short=False)}, seed {result.spec.seed}"


def _of_row(members: Sequence[Result], names: int, columns: int) -> tuple[tuple[str, ...], ...]:
    """The same runs behind every cell of a row, but for its names."""
    return ((),) * names + (keys_of(members),) * (columns - names)


def _cell_of(result: Result) -> tuple[object, ...]:
    return (*noise_of(result), *method_of(result))


def _beside(found: Against | None) -> tuple[Cell, Cell, Cell]:
    """Difference, interval and p; empty for the baseline itself, the p also for a method that is no competitor."""
    if found is None:
        return "", "", ""
    p: Cell = "" if found.p_value is None else _p_text(found.p_value)
    return f"{found.difference.mean:+.2f}", _interval_text(found.difference.interval()), p


def _p_text(p: float) -> Cell:
    text = "< 0.001" if p < 0.001 else f"{p:.3f}"
    return Bold(text) if p <= LEVEL else text


def _interval_text(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.2f} to {ends[1]:.2f}"


def _told_more(group: Sequence[Result]) -> str:
    told = {method_title(r): " and ".join(PRIVILEGES[name] for name in r.privilege) for r in group if r.privilege}
    return "".join(
        f" {title} is told more than the given labels ({what}), and is no competitor." for title, what in told.items()
    )


def _spread(counts: set[int]) -> str:
    """What stands behind the cells, of which each has as many seeds as one of `counts`."""
    if counts <= {1}:
        return "one seed (no spread can be given)"
    several = f"{counts.copy().pop()} seeds" if len(counts) == 1 else "as many seeds as n says"
    return f"mean ± standard deviation over {several}"


def _cell(members: Sequence[Result], metric: str, *, counted: bool) -> str:
    values = values_of(members, metric)
    if not values:
        return "failed" if any(r.status == "failed" for r in members) else "missing" if members else ""
    text = f"{statistics.fmean(values):.2f}" + (f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else "")
    if len(values) < len(members):
        return f"{text} ({len(values)} of {len(members)})"
    return f"{text} (n = {len(values)})" if counted else text


def _mean_text(members: Sequence[Result], metric: str) -> str:
    values = values_of(members, metric)
    return f"{statistics.fmean(values):.{_DECIMALS.get(metric, 1 if metric in COSTS else 2)}f}" if values else ""
