"""Writes the tables of docs/findings.md and of the README from results/reference/, so that neither goes stale.

python scripts/findings.py

A table stands between `<!-- KIND FOLDER ARGUMENTS: scripts/findings.py -->` and `<!-- end -->`; the kinds are those of `KINDS`.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tabulate import tabulate

from benchmark.report.comparison import Pairs
from benchmark.report.evidence import StoredEvidence
from benchmark.report.grouping import by_noise, grouped, method_of, noise_of, noise_title, setting_of, setting_title, values_of
from benchmark.report.results import Result, read_results
from benchmark.score.statistics import holm, t_interval
from benchmark.store import Store

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = Path("results/reference")
PAGES = ("README.md", "docs/findings.md")
BLOCK = re.compile(r"(<!-- (\w+) ([\w-]+)((?: \S+)*): scripts/findings.py -->\n).*?(<!-- end -->)", re.S)
Rows = list[list[str]]


def pages(root: Path = ROOT) -> dict[Path, str]:
    """The text of every page that this script writes to."""
    texts = {root / page: (root / page).read_text(encoding="utf-8") for page in PAGES if (root / page).is_file()}
    return {page: BLOCK.sub(lambda found: _filled(found, root), text) for page, text in texts.items()}


def _filled(found: re.Match[str], root: Path) -> str:
    begin, kind, folder, arguments, end = found.groups()
    store = Store(root / REFERENCE / folder)
    (group,) = grouped(by_noise(read_results(store)), setting_of).values()
    rows, caption = KINDS[kind](group, store, arguments.split())
    table = tabulate(rows[1:], rows[0], "pipe", disable_numparse=True)
    return f"{begin}\n{table}\n\n*{setting_title(group[0])}. {caption}*\n\n{end}"


def accuracy(group: Sequence[Result], store: Store, arguments: Sequence[str]) -> tuple[Rows, str]:
    """Mean and standard deviation over seeds of an accuracy: methods down, noises across."""
    metric = arguments[0]
    noises = grouped(group, noise_of).values()
    rows = [["method", *(noise_title(members, short=False) for members in noises)]]
    for (method,), runs in grouped(group, method_of).items():
        cells = [values_of([run for run in runs if run in members], metric) for members in noises]
        rows.append([f"`{method}`", *(_spread(values) for values in cells)])
    return (
        rows,
        f"`{metric}` (%), mean ± standard deviation, {_seeds(group)}; repeat: `python -m benchmark table {_at(store)}`.",
    )


def beside(group: Sequence[Result], store: Store, arguments: Sequence[str]) -> tuple[Rows, str]:
    """How much better a method is than each other one, in points, with 95 % intervals."""
    metric, first = arguments
    pairs = Pairs(group, metric, StoredEvidence(store))
    others = [method for method in grouped(group, method_of) if method != (first,)]
    noises = grouped(group, noise_of)
    tested = [(n, m) for n in noises for m in others if pairs.testable(n, (first,), m)]
    found = {pair: pairs.difference(pair[0], (first,), pair[1]) for pair in tested}
    p = dict(zip(tested, holm([difference.p_value for difference in found.values()]), strict=True))
    rows = [[f"`{first}` minus", *(noise_title(members, short=False) for members in noises.values())]]
    for method in others:
        cells = []
        for noise in noises:
            if (noise, method) not in found:
                cells.append("")
                continue
            difference = found[noise, method]
            low, high = difference.interval()
            mark = "**" if p[noise, method] <= 0.05 else ""
            cells.append(f"{mark}{difference.mean:+.2f}{mark} ({low:+.2f} to {high:+.2f})")
        rows.append([f"`{method[0]}`", *cells])
    caption = (
        f"`{metric}`, points, with 95 % intervals over seeds and test images; bold: p at most 0.05 after Holm's correction for "
        f"{len(tested)} comparisons; {_seeds(group)}; repeat: `python -m benchmark table {_at(store)} --baseline {first}`."
    )
    return rows, caption


def score(group: Sequence[Result], store: Store, arguments: Sequence[str]) -> tuple[Rows, str]:
    """Mean of a score over seeds with Student's 95 % interval."""
    metric = arguments[0]
    noises = [members for members in grouped(group, noise_of).values() if values_of(members, metric)]
    rows = [["method", *(noise_title(members, short=False) for members in noises)]]
    for (method,), runs in grouped(group, method_of).items():
        cells = [values_of([run for run in runs if run in members], metric) for members in noises]
        rows.append([f"`{method}`", *(_interval(values) for values in cells)])
    return (
        rows,
        f"`{metric}`, mean with Student's 95 % interval, {_seeds(group)}; repeat: `python -m benchmark table {_at(store)}`.",
    )


def gap(group: Sequence[Result], store: Store, _: Sequence[str]) -> tuple[Rows, str]:
    """How much the best epoch on the test set flatters, in points over the last one."""
    noises = list(grouped(group, noise_of).values())
    rows = [["method", *(noise_title(members, short=False) for members in noises)]]
    for (method,), runs in grouped(group, method_of).items():
        cells = []
        for members in noises:
            ended = [run for run in runs if run in members and run.metrics]
            cells.append(_interval([float(r.metrics["acc_best"] or 0) - float(r.metrics["acc_last"] or 0) for r in ended]))
        rows.append([f"`{method}`", *cells])
    caption = (
        "Accuracy of the best epoch on the test set minus that of the last, points, mean with Student's 95 % interval, "
        f"{_seeds(group)}; repeat: `python -m benchmark table {_at(store)}`."
    )
    return rows, caption


KINDS: dict[str, Callable[[Sequence[Result], Store, Sequence[str]], tuple[Rows, str]]] = {
    kind.__name__: kind for kind in (accuracy, beside, score, gap)
}


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "missing"
    return f"{statistics.fmean(values):.2f}" + (f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else "")


def _interval(values: Sequence[float]) -> str:
    if not values:
        return ""
    ends = t_interval(np.array(values))
    return f"{statistics.fmean(values):.3f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")


def _seeds(group: Sequence[Result]) -> str:
    counts = {len(cell) for cell in grouped(group, lambda run: (*noise_of(run), *method_of(run))).values()}
    return f"{min(counts)} seeds" if len(counts) == 1 else f"{min(counts)} to {max(counts)} seeds"


def _at(store: Store) -> str:
    return str(REFERENCE / store.root.name)


def main() -> None:
    """Writes what has changed."""
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
