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

from benchmark.report.comparison import LEVEL, Pairs, against
from benchmark.report.evidence import StoredEvidence
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
from benchmark.score.statistics import t_interval
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

OWN = "msp_auroc"
"""What claim 4 holds the claimant against: another score of its own runs."""
HUMAN, SYMMETRIC = ("human", None), ("symmetric", 0.2)
CLAIMS: dict[str, tuple[str, tuple[str, ...], tuple[tuple[str, float | None], ...]]] = {
    "1. it beats `ce`, SCN and DUL under label noise": ("acc_last", ("ce", "scn", "dul"), (HUMAN, SYMMETRIC)),
    "2. what helps is the relative uncertainty": (
        "acc_last",
        ("ce-two-head", "rul-random-share", "rul-equal-share"),
        (HUMAN, SYMMETRIC),
    ),
    "3. its uncertainty finds wrong labels better than theirs": ("noise_unc_auroc", ("ce", "scn", "dul"), (HUMAN, SYMMETRIC)),
    "4. its uncertainty finds its own mistakes better than its probabilities": (
        "error_auroc",
        (OWN,),
        (HUMAN, SYMMETRIC),
    ),
    "5. its uncertainty finds ambiguous faces better than theirs": ("vote_spearman", ("ce", "scn", "dul"), (HUMAN,)),
    "7. relabelling is vital for it under noise": ("acc_last", ("rul-relabel",), (HUMAN, SYMMETRIC)),
}
"""Of docs/protocol.md, which says what decides: the measure, what `rul` is held against, and the noises."""
CLAIMANT = "rul"


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
    judged = [run for run in group if kind != "claims" or noise_of(run) in (HUMAN, SYMMETRIC)]
    sample = _sample(judged, store, of_training=bool(words) and words[0] in OF_TRAINING)
    command = command.replace("FOLDER", str(REFERENCE / folder))
    return f"{begin}\n{table}\n\n*{setting_title(group[0])}. {what}; {sample}. From `{command}`.*\n\n{end}"


def _sample(group: Sequence[Result], store: Store, *, of_training: bool) -> str:
    """How many seeds a cell has, and how many images each is measured on."""
    ended = [run for run in group if run.status == "finished"]
    if not ended:
        return "nothing is finished"
    seeds = {noise_title(of, short=True).partition(" (")[0]: _seeds(of) for of in grouped(ended, noise_of).values()}
    told = f"seeds: {', '.join(f'{count} ({of})' for of, count in seeds.items())}" if len(set(seeds.values())) > 1 else ""
    first = store.run(ended[0].key)
    images = first.record().num_samples if of_training else len(first.outcomes()[1])
    return f"{told or f'{_seeds(ended)} seeds'}, {images:,} images each"


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
    return rows, what, f"{TABLE} --baseline {first}"


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


def claims(group: Sequence[Result], store: Store, _: Sequence[str]) -> Found:
    """What the protocol's rule makes of each claim, with the differences that it rests on."""
    columns = {noise_of(members[0]): members for members in grouped(group, noise_of).values()}
    noises = [noise for noise in (HUMAN, SYMMETRIC) if noise in columns]
    rows = [["claim of RUL", *(noise_title(columns[noise], short=False) for noise in noises)]]
    pairs = Pairs(group, "acc_last", StoredEvidence(store))
    for claim, (metric, rivals, asked) in CLAIMS.items():
        cells = []
        for noise in noises:
            if noise not in asked:
                cells.append("not asked")
                continue
            members = columns[noise]
            if lacking := _lacking(members, (CLAIMANT, *(rival for rival in rivals if rival != OWN))):
                cells.append(f"not judged: {lacking}")
                continue
            found = {rival: _ends(pairs, members, metric, rival) for rival in rivals}
            cells.append(_verdict(found, digits=2 if metric == "acc_last" else 3, reverse=rivals == ("rul-relabel",)))
        rows.append([claim, *cells])
    return rows, "Differences with 95 % intervals, as below; those of claim 3 are over training images", HERE


Ends = tuple[float, float, float]
"""A difference and its interval's two ends."""


def _lacking(members: Sequence[Result], methods: Sequence[str]) -> str:
    """Which of these methods' runs have not all been finished; a verdict on some seeds might be another with the rest."""
    seeds = {run.spec.seed for run in members}
    done = {name: {r.spec.seed for r in members if r.spec.method_label == name and r.metrics} for name in methods}
    return ", ".join(f"{name} {len(done[name])} of {len(seeds)} seeds" for name in methods if done[name] != seeds)


def _ends(pairs: Pairs, members: Sequence[Result], metric: str, rival: str) -> Ends:
    """How much better the claimant is than a rival, or than another score of its own."""
    first, second = (next((method_of(r) for r in members if r.spec.method_label == name), ()) for name in (CLAIMANT, rival))
    if metric == "acc_last":
        difference = pairs.difference(noise_of(members[0]), first, second)
        return difference.mean, *difference.interval()
    ours, theirs = (
        {run.spec.seed: run.metrics[score] for run in members if run.spec.method_label == name}
        for name, score in ((CLAIMANT, metric), (CLAIMANT, OWN) if rival == OWN else (rival, metric))
    )
    found = np.subtract(*([scores[seed] for seed in ours] for scores in (ours, theirs)), dtype=np.float64)
    ends = t_interval(found)
    assert ends is not None
    return float(found.mean()), *ends


def _verdict(told: dict[str, Ends], digits: int, *, reverse: bool) -> str:
    """`reverse`: the claim is that the rival is better."""
    signed = [(-high, -low) if reverse else (low, high) for _, low, high in told.values()]
    verdict = (
        "holds" if min(low for low, _ in signed) > 0 else "contradicted" if min(high for _, high in signed) < 0 else "open"
    )
    what = "; ".join(
        f"minus {rival} {mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
        for rival, (mean, low, high) in told.items()
    )
    return f"**{verdict}**: {what}"


KINDS = {kind.__name__: kind for kind in (accuracy, beside, score, lead, gap, claims)}


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
    """Writes what has changed."""
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
