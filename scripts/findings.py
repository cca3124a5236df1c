"""Writes the tables of docs/findings.md and of the README from results/reference/, so that neither goes stale.

python scripts/findings.py

A table stands between `<!-- KIND FOLDER ARGUMENTS: scripts/findings.py -->` and `<!-- end -->`; the kinds are those of `KINDS`.
"""

from __future__ import annotations

import re
import shlex
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from claims import HUMAN, SYMMETRIC, claims
from tabulate import tabulate

from benchmark.contract import BadInput
from benchmark.report.comparison import LEAST_SEEDS, LEVEL, Pairs, against
from benchmark.report.evidence import UNKNOWN, StoredEvidence
from benchmark.report.grouping import (
    by_noise,
    grouped,
    method_of,
    method_title,
    noise_of,
    noise_title,
    setting_of,
    setting_title,
    values_of,
)
from benchmark.report.results import Result, read_results
from benchmark.score.statistics import paired_difference, t_interval
from benchmark.store import Store

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = Path("results/reference")
PAGES = ("README.md", "docs/findings.md")
BLOCK = re.compile(r"(<!-- (\w+) ([\w-]+)((?: \S+)*): scripts/findings.py -->\n).*?(<!-- end -->)", re.S)
OF_TRAINING = ("noise_auroc", "noise_ap", "noise_unc_auroc", "wrong_label_fit")

Rows = list[list[str]]
Found = tuple[Rows, str, str]
"""The header and the rows, what they are, and the command that repeats them; FOLDER stands in it for the folder."""
TABLE = "python -m benchmark table FOLDER"
HERE = "python scripts/findings.py"
"""For what no command of the suite says by itself."""

CLEAN = ("symmetric", 0.0)


def pages(root: Path = ROOT) -> dict[Path, str]:
    """The text of every page that this script writes to."""
    texts = {root / page: (root / page).read_text(encoding="utf-8") for page in PAGES if (root / page).is_file()}
    for page, text in texts.items():
        if text.count("scripts/findings.py -->") != len(BLOCK.findall(text)):
            raise ValueError(f"{page}: a mark in it is not of the form <!-- KIND FOLDER ARGUMENTS: scripts/findings.py -->")
    return {page: BLOCK.sub(lambda found: _filled(found, root), text) for page, text in texts.items()}


def _filled(found: re.Match[str], root: Path) -> str:
    begin, kind, folder, arguments, end = found.groups()
    words = arguments.split()
    store = Store(root / REFERENCE / folder)
    (group,) = grouped(by_noise(read_results(store)), setting_of).values()
    rows, what, command = KINDS[kind](group, store, words)
    table = tabulate(rows[1:], rows[0], "pipe", disable_numparse=True)
    sample = _sample(_shown(kind, group, words), store, of_training=bool(words) and words[0] in OF_TRAINING)
    command = command.replace("FOLDER", str(REFERENCE / folder))
    return f"{begin}\n{table}\n\n*{setting_title(group[0])}. {what}; {sample}. From `{command}`.*\n\n{end}"


def _shown(kind: str, group: Sequence[Result], words: Sequence[str]) -> list[Result]:
    """Of which runs a table is."""
    if kind == "judged":
        return [run for run in group if noise_of(run) in (HUMAN, SYMMETRIC)]
    if kind == "inside":
        return _of_noise(group, words)
    if kind == "lost":
        seeds = {run.spec.seed for run in group if noise_of(run) == CLEAN}
        return [run for run in group if run.spec.seed in seeds]
    return list(group)


def _sample(group: Sequence[Result], store: Store, *, of_training: bool) -> str:
    """How many seeds a cell has, and how many images each is measured on."""
    ended = [run for run in group if run.status == "finished"]
    if not ended:
        return "nothing is finished"
    seeds = {noise_title(of, short=True).partition(" (")[0]: _seeds(of) for of in grouped(ended, noise_of).values()}
    told = f"seeds: {', '.join(f'{count} ({of})' for of, count in seeds.items())}" if len(set(seeds.values())) > 1 else ""
    first = store.run(ended[0].key)
    images = first.record().num_samples if of_training else len(first.outcomes()[1])
    devices = sorted({_device(store, run) for run in ended})
    return f"{told or f'{_seeds(ended)} seeds'}, {images:,} images each, trained on {' and '.join(devices)}"


def _device(store: Store, run: Result) -> str:
    try:
        device = store.run(run.key).environment().get("device")
    except BadInput:
        device = None
    return "a CPU" if device == "cpu" else str(device or UNKNOWN)


def _seeds(ended: Sequence[Result]) -> str:
    """As in `5`, or `3 to 5`."""
    counts = [len(cell) for cell in grouped(ended, lambda run: (*noise_of(run), *method_of(run))).values()]
    return " to ".join(map(str, sorted({min(counts), max(counts)})))


def _by_method(group: Sequence[Result], noises: Sequence[Sequence[Result]], cell: Callable[[list[Result]], str]) -> Rows:
    """Methods down, noises across; what has failed is told."""
    rows = [["method", *(noise_title(members, short=False) for members in noises)]]
    for runs in grouped(group, method_of).values():
        cells = []
        for members in noises:
            of_cell = [run for run in runs if run in members]
            failed = sum(run.status == "failed" for run in of_cell)
            cells.append(cell(of_cell) + (f" ({failed} of {len(of_cell)} failed)" if failed else ""))
        rows.append([method_title(runs[0]), *cells])
    return rows


def accuracy(group: Sequence[Result], _: Store, words: Sequence[str]) -> Found:
    """Mean and standard deviation over seeds of an accuracy."""
    noises = list(grouped(group, noise_of).values())
    rows = _by_method(group, noises, lambda runs: _spread(values_of(runs, words[0])))
    return rows, f"`{words[0]}` (%), mean ± standard deviation", TABLE


def beside(group: Sequence[Result], store: Store, words: Sequence[str]) -> Found:
    """How much better a method's accuracy is than each other one's, in points, with 95 % intervals."""
    metric, first = words
    pairs = Pairs(group, metric, StoredEvidence(store))
    found = {(of.noise, of.method): of for of in against(pairs, (first,))}

    def cell(runs: list[Result]) -> str:
        of = found.get((noise_of(runs[0]), method_of(runs[0]))) if runs else None
        if of is None:
            return ""
        low, high = of.difference.interval()
        mark = "**" if of.p_value is not None and of.p_value <= LEVEL else ""
        return f"{mark}{-of.difference.mean:+.2f}{mark} ({-high:+.2f} to {-low:+.2f})"

    rows = _by_method([run for run in group if run.spec.method_label != first], list(grouped(group, noise_of).values()), cell)
    rows[0][0] = f"{first} minus"
    count = sum(of.p_value is not None for of in found.values())
    what = (
        f"`{metric}`, points, with 95 % intervals over seeds and test images, each by itself; bold: p at most {LEVEL} after "
        f"Holm's correction for {count} comparisons"
    )
    return rows, what, f"{TABLE} --baseline {shlex.quote(first)}"


def lead(group: Sequence[Result], _: Store, words: Sequence[str]) -> Found:
    """How much larger a score of a method is than each other one's, or than another score of its own, at equal seeds."""
    metric, first, *other = words
    noises = [members for members in grouped(group, noise_of).values() if values_of(members, metric)]
    ours = {(noise_of(run), run.spec.seed): run.metrics for run in group if run.spec.method_label == first and run.metrics}

    def cell(runs: list[Result]) -> str:
        pairs = [
            (ours[place].get(metric), run.metrics.get(other[0] if other else metric))
            for run in runs
            if run.metrics and (place := (noise_of(run), run.spec.seed)) in ours
        ]
        return _interval([a - b for a, b in pairs if a is not None and b is not None], sign="+")

    shown = [run for run in group if (run.spec.method_label == first) == bool(other)]
    rows = _by_method(shown, noises, cell)
    rows[0][0] = f"{first}: `{metric}` minus `{other[0]}`" if other else f"{first} minus"
    return rows, f"`{metric}`, difference at equal seeds, mean with Student's 95 % interval over seeds", HERE


def score(group: Sequence[Result], _: Store, words: Sequence[str]) -> Found:
    """Mean of a score over seeds with Student's interval."""
    noises = [members for members in grouped(group, noise_of).values() if values_of(members, words[0])]
    rows = _by_method(group, noises, lambda runs: _interval(values_of(runs, words[0])))
    return rows, f"`{words[0]}`, mean with Student's 95 % interval over seeds", HERE


def gap(group: Sequence[Result], _: Store, words: Sequence[str]) -> Found:
    """How much the best epoch on the test set flatters, in points over the last one."""
    noises = list(grouped(group, noise_of).values())

    def cell(runs: list[Result]) -> str:
        best, last = values_of(runs, "acc_best"), values_of(runs, "acc_last")
        found = [b - a for a, b in zip(last, best, strict=True)]
        return f"{statistics.fmean(found):.2f} (to {max(found):.2f})" if found else "missing"

    what = "Accuracy of the best epoch on the test set minus the last one's, points, mean and largest of the seeds"
    return _by_method(group, noises, cell), what, HERE


def lost(group: Sequence[Result], store: Store, words: Sequence[str]) -> Found:
    """How many points more than another method each one loses from noise, at equal seeds; that one's own loss in its row."""
    metric, other = words
    drawn = Pairs(group, metric, StoredEvidence(store)).resampled  # over the same resamples of the test images for every run
    found = {
        (run.spec.method_label, noise_of(run), run.spec.seed): (run.metrics[metric], drawn[run.key])
        for run in group
        if run.key in drawn
    }

    def loss(method: str, run: Result) -> np.ndarray | None:
        """Points that it loses, and then those over the resamples; None where one of the two runs is not there."""
        clean, noisy = (found.get((method, noise, run.spec.seed)) for noise in (CLEAN, noise_of(run)))
        return np.array([clean[0] - noisy[0], *(clean[1] - noisy[1])]) if clean and noisy else None

    def cell(runs: list[Result]) -> str:
        losses = [(loss(run.spec.method_label, run), loss(other, run)) for run in runs]
        both = [(own, its) for own, its in losses if own is not None and its is not None]
        if len(both) < LEAST_SEEDS:
            return "missing"
        own, its = (np.stack(side) for side in zip(*both, strict=True))
        its = its * (runs[0].spec.method_label != other)
        difference = paired_difference(own[:, 0], its[:, 0], np.cov(np.concatenate([own, its])[:, 1:]))
        low, high = difference.interval()
        return f"{difference.mean:+.2f} ({low:+.2f} to {high:+.2f})"

    noises = [members for members in grouped(group, noise_of).values() if noise_of(members[0]) != CLEAN]
    what = (
        f"`{metric}` without noise minus with it, points: of {other} in its row, of every other method beyond that, at equal "
        "seeds, with 95 % intervals over seeds and test images"
    )
    return _by_method(group, noises, cell), what, HERE


def inside(group: Sequence[Result], store: Store, words: Sequence[str]) -> Found:
    """What `scripts/inside.py` found in predictions and models: mean over seeds, lowest to highest."""
    rows = pd.read_csv(store.root / "inside.csv").reindex(columns=["key", *INSIDE])
    table = [["method", *(title for title, _ in INSIDE.values())]]
    for runs in grouped(_of_noise(group, words), method_of).values():
        of = rows[rows["key"].isin([run.key for run in runs])]
        if len(of) != len(runs):
            raise ValueError(f"{store.root / 'inside.csv'} tells of {len(of)} of {len(runs)} runs of {method_title(runs[0])}")
        table.append([method_title(runs[0]), *(_range(of[column], how) for column, (_, how) in INSIDE.items())])
    what = f"{' '.join(words)}: mean (lowest to highest of the seeds), from the third column of figures on over training images"
    return table, what, "python scripts/inside.py FOLDER"


def _of_noise(group: Sequence[Result], words: Sequence[str]) -> list[Result]:
    """Finished runs of a noise that is named as in `human` or `symmetric 20`."""
    noise = words[0], float(words[1]) / 100 if len(words) > 1 else None
    return [run for run in group if noise_of(run) == noise and run.status == "finished"]


INSIDE = {
    "rare": ("recall of the rarest class, %", "{:.0f}"),
    "within": ("mistakes found within predicted classes", "{:.2f}"),
    "share_low": ("share, 5 %", "{:.2f}"),
    "share_high": ("share, 95 %", "{:.2f}"),
    "as_given": ("of mistakes on wrong labels, as given, %", "{:.0f}"),
    "spoilt": ("right labels spoilt, %", "{:.0f}"),
    "mended": ("wrong labels mended, %", "{:.0f}"),
    "none_left": ("no label left of", "{}"),
}
"""Columns of inside.csv that are shown: what stands above them, and how they are written."""


def _range(values: pd.Series, how: str) -> str:
    values = values.dropna()
    if not len(values):
        return ""
    if values.dtype.kind not in "if":
        return "; ".join(dict.fromkeys(values))
    return f"{how.format(values.mean())} ({how.format(values.min())} to {how.format(values.max())})"


def judged(group: Sequence[Result], store: Store, _: Sequence[str]) -> Found:
    """Of each claim, whether it holds."""
    return *claims(group, store), HERE


KINDS = {kind.__name__: kind for kind in (accuracy, beside, score, lead, gap, lost, inside, judged)}


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "missing"
    return f"{statistics.fmean(values):.2f}" + (f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else "")


def _interval(values: Sequence[float], sign: str = "") -> str:
    if not values:
        return "missing"
    ends = t_interval(np.array(values))
    told = f" ({ends[0]:{sign}.3f} to {ends[1]:{sign}.3f})" if ends else ""
    return f"{statistics.fmean(values):{sign}.3f}{told}"


def main() -> None:
    """Writes what has changed, and says of each page whether anything had."""
    for page, text in pages().items():
        as_it_was = page.read_text(encoding="utf-8") == text
        page.write_text(text, encoding="utf-8")
        print(f"{page.relative_to(ROOT)}: {'as it was' if as_it_was else 'its tables were other ones'}")


if __name__ == "__main__":
    main()
