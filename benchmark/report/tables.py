"""Tables from results: one model of cells and captions, four formats."""

from __future__ import annotations

import csv
import html
import io
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from ..contract.privilege import PRIVILEGES
from .results import COSTS, METRICS, Result

FORMATS = ("md", "csv", "tex", "html")
_DECIMALS = {
    "networks": 0,
    "nll": 3,
    "brier": 3,
    "aurc": 4,
    "error_auroc": 3,
    "msp_auroc": 3,
    "noise_auroc": 3,
    "noise_ap": 3,
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


@dataclass(frozen=True)
class Table:
    """Text in cells, with what a reader must know of it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    main: bool = True  #: whether a run ends with printing it


def tables(results: Sequence[Result]) -> list[Table]:
    """The headline tables (accuracy; over classes too where they are imbalanced) and one of all metrics, for each setting.

    Runs that differ in anything but the seed are never averaged: each setting (dataset, backbone, weights, recipe, epochs) has
    its own tables, each noise its own column, each method with its options its own row.
    """
    made = []
    for group in _grouped(_by_noise(results), _setting).values():
        made.append(headline(group, "acc_last", "Test accuracy (%)"))
        if max(result.imbalance for result in group) > 1.5:
            made.append(headline(group, "macro_acc", "Mean of the classes' test accuracies (%)"))
        made.append(details(group))
    return made


def _by_noise(results: Sequence[Result]) -> list[Result]:
    """Kinds of noise as they came, their rates rising, whatever sweep brought which."""
    kinds = list(dict.fromkeys(result.spec.noise_kind for result in results))
    return sorted(results, key=lambda result: (kinds.index(result.spec.noise_kind), result.spec.noise_rate or 0))


def headline(group: Sequence[Result], metric: str, title: str) -> Table:
    """Methods down, noises across, then what a method costs: its networks, and the mean time that a run of it trains."""
    noises = _grouped(group, _noise)
    one_kind = len({result.spec.noise_kind for result in group}) == 1
    columns = ("method", *(_noise_title(members, short=one_kind) for members in noises.values()), *_COST_TITLES.values())
    rows = []
    counts = {n for cell in _grouped(group, lambda r: (*_noise(r), *_method(r))).values() if (n := len(_values(cell, metric)))}
    for of_method in _grouped(group, _method).values():
        cells = [[r for r in of_method if _noise(r) == noise] for noise in noises]
        accuracies = [_cell(cell, metric, counted=len(counts) > 1) for cell in cells]
        rows.append((_method_title(of_method[0]), *accuracies, *(_mean_text(of_method, cost) for cost in _COST_TITLES)))
    kind = f"Noise {group[0].spec.noise_kind}, " if one_kind else "Several kinds of noise, "
    caption = f"{kind}{_spread(counts)}, last epoch.{_told_more(group)}"
    return Table(f"{title}: {_setting_title(group[0])}", columns, tuple(rows), caption)


def details(group: Sequence[Result]) -> Table:
    """One row for each noise and method, every metric that applies, each the mean over the seeds."""
    cells = _grouped(group, lambda r: (*_noise(r), *_method(r)))
    shown = [METRICS[0]] + [m for m in (*METRICS[1:], "networks", *COSTS) if any(r.metrics.get(m) is not None for r in group)]
    rows = []
    for members in cells.values():
        values = [_cell(members, "acc_last", counted=False), *(_mean_text(members, metric) for metric in shown[1:])]
        rows.append((_noise_title(members, short=False), _method_title(members[0]), *values))
    columns = ("noise", "method", *(_TITLES.get(metric, metric) for metric in shown))
    return Table(
        f"All metrics: {_setting_title(group[0])}",
        columns,
        tuple(rows),
        f"Means over seeds (the first with its standard deviation), last epoch unless named otherwise.{_told_more(group)}",
        main=False,
    )


def render(made: Sequence[Table], results: Sequence[Result], fill: str) -> dict[str, str]:
    """The text of each format, and under `main` what is printed; `fill` is the command that runs what is missing."""
    notes = _notes(results, fill)
    return {
        "md": _joined(made, notes),
        "main": _joined([table for table in made if table.main], notes),
        "csv": "\n".join(_csv(table) for table in made) + "".join(f"\n{_csv_line(f'# {note}')}" for note in notes),
        "tex": "\n".join(_tex(table) for table in made if table.main) + "".join(f"\n% {note}\n" for note in notes),
        "html": _html(made, notes),
    }


def _joined(made: Sequence[Table], notes: Sequence[str]) -> str:
    return "\n".join(_md(table) for table in made) + "".join(f"\n{note}\n" for note in notes)


def _md(table: Table) -> str:
    head, *rows = [[cell.replace("|", "\\|") for cell in row] for row in (table.columns, *table.rows)]
    body = tabulate(rows, head, tablefmt="pipe", disable_numparse=True, colalign=_aligned(table))
    return f"**{table.title}**\n\n{body}\n\n{table.caption}\n"


def _csv(table: Table) -> str:
    return "".join(_csv_line(*cells) for cells in ([f"# {table.title}. {table.caption}"], table.columns, *table.rows))


def _csv_line(*cells: str) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def _tex(table: Table) -> str:
    body = tabulate(table.rows, table.columns, tablefmt="latex_booktabs", disable_numparse=True, colalign=_aligned(table))
    caption = tabulate([[f"{table.title}. {table.caption}"]], tablefmt="latex").split("\n")[2].removesuffix(r" \\").strip()
    return f"\\begin{{table}}\n\\centering\n\\caption{{{caption}}}\n{body}\n\\end{{table}}\n"


def _html(made: Sequence[Table], notes: Sequence[str]) -> str:
    parts = []
    for table in made:
        body = tabulate(table.rows, table.columns, tablefmt="html", disable_numparse=True, colalign=_aligned(table))
        parts.append(f"<h2>{html.escape(table.title)}</h2>\n{body}\n<p>{html.escape(table.caption)}</p>")
    parts += [f"<p>{html.escape(note)}</p>" for note in notes]
    style = (
        "body{font-family:sans-serif}table{border-collapse:collapse}tr{border-bottom:1px solid #ccc}"
        "td,th{padding:.2em .8em;white-space:nowrap;text-align:left}"
    )
    head = f'<meta charset="utf-8"><title>Results</title><style>{style}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _aligned(table: Table) -> tuple[str, ...]:
    texts = 2 if table.columns[0] == "noise" else 1
    return ("left",) * texts + ("right",) * (len(table.columns) - texts)


def _notes(results: Sequence[Result], fill: str) -> list[str]:
    notes = [
        f"Failed: {r.spec.method_label}, {_noise_title([r], short=False)}, seed {r.spec.seed}: {r.error} "
        f"(runs/{r.key}/failure.json)"
        for r in results
        if r.error
    ]
    if notes:
        notes.append(f"This command runs what has failed again: {fill} --retry-failed")
    missing = [r for r in results if r.status in ("missing", "started")]
    if missing:
        notes.append(f"{len(missing)} of {len(results)} runs are missing; this command runs them: {fill}")
    return notes


def _setting(result: Result) -> tuple[object, ...]:
    spec = result.spec
    recipe = spec.recipe
    trained = recipe.name if recipe.is_own else recipe
    return spec.dataset.label, spec.backbone, spec.pretrained, trained, spec.validation, spec.precision


def _setting_title(result: Result) -> str:
    spec = result.spec
    weights = f" from {spec.pretrained} ({result.weights_match})" if spec.pretrained else ""
    held_out = f", {spec.validation * 100:g} % held out" if spec.validation else ""
    epochs = f"{spec.recipe.epochs} epoch{'s' if spec.recipe.epochs > 1 else ''} of"
    recipe = f"{'each method by' if spec.recipe.is_own else epochs} recipe {spec.recipe.name}"
    return f"{spec.dataset.label}, backbone {spec.backbone}{weights}, {recipe} in {spec.precision}{held_out}"


def _method(result: Result) -> tuple[object, ...]:
    return (result.spec.method_label,)


def _method_title(result: Result) -> str:
    return result.spec.method_label + (" †" if result.privilege else "")


def _noise(result: Result) -> tuple[object, ...]:
    return result.spec.noise_kind, result.spec.noise_rate


def _noise_title(members: Sequence[Result], *, short: bool) -> str:
    spec = members[0].spec
    realised = statistics.fmean({result.noise_sha256: result.realised for result in members}.values()) * 100
    kind = "" if short and spec.noise_rate is not None else f"{spec.noise_kind} "
    rate = "" if spec.noise_rate is None else f"{spec.noise_rate * 100:g} % "
    return f"{kind}{rate}(realised {realised:.2f} %)"


def _told_more(group: Sequence[Result]) -> str:
    told = {_method_title(r): " and ".join(PRIVILEGES[name] for name in r.privilege) for r in group if r.privilege}
    return "".join(
        f" {title} is told more than the given labels ({what}), and is no competitor." for title, what in told.items()
    )


def _spread(counts: set[int]) -> str:
    """What stands behind the cells, of which each has as many seeds as one of `counts`."""
    if counts <= {1}:
        return "one seed (no spread can be given)"
    several = f"{counts.copy().pop()} seeds" if len(counts) == 1 else "as many seeds as n says"
    return f"mean ± standard deviation over {several}"


def _values(members: Sequence[Result], metric: str) -> list[float]:
    return [value for r in members if (value := r.metrics.get(metric)) is not None]


def _cell(members: Sequence[Result], metric: str, *, counted: bool) -> str:
    values = _values(members, metric)
    if not values:
        return "failed" if any(r.status == "failed" for r in members) else "missing" if members else ""
    text = f"{statistics.fmean(values):.2f}" + (f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else "")
    if len(values) < len(members):
        return f"{text} ({len(values)} of {len(members)})"
    return f"{text} (n = {len(values)})" if counted else text


def _mean_text(members: Sequence[Result], metric: str) -> str:
    values = _values(members, metric)
    return f"{statistics.fmean(values):.{_DECIMALS.get(metric, 1 if metric in COSTS else 2)}f}" if values else ""


def _grouped(results: Sequence[Result], by: Callable[[Result], tuple[object, ...]]) -> dict[tuple[object, ...], list[Result]]:
    groups: dict[tuple[object, ...], list[Result]] = {}
    for result in results:
        groups.setdefault(by(result), []).append(result)
    return groups
