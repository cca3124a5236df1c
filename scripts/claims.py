"""What the rule of docs/protocol.md makes of each claim, with the differences that it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.report.comparison import Pairs, against
from benchmark.report.evidence import StoredEvidence
from benchmark.report.grouping import grouped, method_of, noise_of, noise_title
from benchmark.report.results import Result
from benchmark.score.statistics import t_interval
from benchmark.store import Store

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


def claims(group: Sequence[Result], store: Store) -> tuple[list[list[str]], str]:
    """The header and a row for each claim, and what stands in the cells."""
    columns = {noise_of(members[0]): members for members in grouped(group, noise_of).values()}
    noises = [noise for noise in (HUMAN, SYMMETRIC) if noise in columns]
    rows = [["claim of RUL", *(noise_title(columns[noise], short=False) for noise in noises)]]
    pairs = Pairs(group, "acc_last", StoredEvidence(store))
    holm = {(of.noise, of.method): of.p_value for of in against(pairs, (CLAIMANT,))}
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
            p = {rival: holm.get((noise, (rival,))) for rival in rivals} if metric == "acc_last" else {}
            cells.append(_verdict(found, p, digits=2 if metric == "acc_last" else 3, reverse=rivals == ("rul-relabel",)))
        rows.append([claim, *cells])
    what = (
        "Differences with 95 % intervals, each by itself, as below; p, which decides nothing here, is after Holm's correction "
        "for the whole table of differences. Those of claim 3 are over training images"
    )
    return rows, what


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


def _verdict(told: dict[str, Ends], p: Mapping[str, float | None], digits: int, *, reverse: bool) -> str:
    """`reverse`: the claim is that the rival is better."""
    signed = [(-high, -low) if reverse else (low, high) for _, low, high in told.values()]
    verdict = (
        "holds" if min(low for low, _ in signed) > 0 else "contradicted" if min(high for _, high in signed) < 0 else "open"
    )
    what = "; ".join(
        f"minus {rival} {mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f}{_p_text(p.get(rival))})"
        for rival, (mean, low, high) in told.items()
    )
    return f"**{verdict}**: {what}"


def _p_text(p: float | None) -> str:
    return "" if p is None else ", p < 0.001" if p < 0.001 else f", p {p:.3f}"
