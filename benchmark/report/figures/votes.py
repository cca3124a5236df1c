"""Uncertainty against the disagreement of people: is the method unsure where they are?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from ...score.metrics import vote_spearman
from ..results import Result
from . import theme
from .group import OVERLAID, Group, NotApplicable, Row, percentiles, short

BINS, FEWEST = 10, 5
"""Bins of entropy, and the images that one must hold to be shown."""
POINTS = 250
"""Images of one run that are shown as points where few methods leave room for them."""


def draw(group: Group) -> tuple[alt.TopLevelMixin, str]:
    """A panel for each method."""
    if not group.store.run(group.results[0].key).arrays("predictions", ("test_votes",)):
        raise NotApplicable(f"nobody voted on the test images of {group.results[0].spec.dataset.label}")
    found = rows(group)
    if not found:
        raise NotApplicable("the votes on the test images leave nothing to compare: too few of one entropy")
    methods = list(group.by_method())
    points = samples(group) if len(methods) <= OVERLAID else []
    dots = f", dots: the same {POINTS} images of one run" if points else ""
    caption = (
        f"Uncertainty (percentile among the test images, 100 = least sure) against the entropy of the human votes in nats: "
        f"median and quartiles in bins of entropy, images of all runs together ({group.seeds()}){dots}. "
        "Over each panel, Spearman's rank correlation, a mean over the runs."
    )
    return chart(found, methods, correlations(group), points), caption


def chart(
    found: Sequence[Row], methods: Sequence[str], rhos: dict[str, float | None], points: Sequence[Row] = ()
) -> alt.TopLevelMixin:
    """Rows as `rows` and `samples` give them, drawn; `rhos` stand over the panels."""
    width, height = theme.panel_size(len(methods))
    most = max(row["entropy"] for row in [*found, *points])
    panels, titles = [], []
    for place, method in enumerate(methods):
        left, bottom = theme.edges(place, len(methods))
        x = alt.X(
            "entropy:Q",
            scale=alt.Scale(domain=[-0.03 * most, most * 1.03], nice=False),
            axis=theme.small_axis(bottom, "vote entropy"),
        )
        up = {"scale": alt.Scale(domain=theme.PERCENT, nice=False), "axis": theme.small_axis(left, "uncertainty")}
        dots = alt.Chart(theme.data([row for row in points if row["method"] == method]))
        base = alt.Chart(theme.data([row for row in found if row["method"] == method]))
        tooltip = [alt.Tooltip(f"{name}:Q") for name in ("entropy", "median", "low", "high", "images")]
        layers = (
            [dots.mark_point(filled=True, size=7, opacity=0.45, color=theme.GREY).encode(x=x, y=alt.Y("uncertainty:Q", **up))]
            if points
            else []
        )
        layers += [
            base.mark_area(opacity=0.25).encode(x=x, y=alt.Y("low:Q", **up), y2=alt.Y2("high:Q")),
            base.mark_line(point={"size": 18}).encode(x=x, y=alt.Y("median:Q", **up), tooltip=tooltip),
        ]
        rho = rhos[method]
        value = "" if rho is None else f": {'' if len(methods) > 16 else 'ρ = '}{rho:.2f}".replace("-", "−")
        name = theme.cut(method, 30) + value
        titles.append(name)
        panels.append(alt.layer(*layers, width=width, height=height))
    return theme.small_multiples(panels, titles)


def rows(group: Group) -> list[Row]:
    """A row for each method and bin of entropy: mean entropy, median and quartiles of the uncertainty's percentile."""
    found: list[Row] = []
    for method, runs in group.by_method().items():
        pairs = [disagreement(**_asked(group, run)) for run in runs]
        found += [{"method": method, **row} for row in binned(*(np.concatenate(arrays) for arrays in zip(*pairs, strict=True)))]
    return found


def samples(group: Group) -> list[Row]:
    """A row for each of `POINTS` images, the same of each method's first run."""
    found: list[Row] = []
    for method, runs in group.by_method().items():
        entropy, rank = disagreement(**_asked(group, runs[0]))
        chosen = np.random.default_rng(0).permutation(len(entropy))[:POINTS]
        found += [{"method": method, "entropy": short(entropy[k]), "uncertainty": short(rank[k])} for k in chosen]
    return found


def correlations(group: Group) -> dict[str, float | None]:
    """Spearman's rho of each method, a mean over the runs that have one."""
    of: dict[str, float | None] = {}
    for method, runs in group.by_method().items():
        rhos = [rho for run in runs if (rho := vote_spearman(**_asked(group, run))) is not None]
        of[method] = float(np.mean(rhos)) if rhos else None
    return of


def _asked(group: Group, run: Result) -> dict[str, NDArray[Any]]:
    arrays = group.arrays(run, ("test_uncertainty", "test_votes"))
    return {"uncertainty": arrays["test_uncertainty"], "votes": arrays["test_votes"]}


def disagreement(
    uncertainty: NDArray[np.float64], votes: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of the images that somebody voted on (M,): the entropy of the votes (N, K) in nats, and the uncertainty's percentile."""
    asked = votes.sum(axis=1) > 0
    share = votes[asked] / votes[asked].sum(axis=1, keepdims=True)
    entropy = -np.sum(share * np.log(share, out=np.zeros_like(share, np.float64), where=share > 0), axis=1) + 0.0
    return entropy, percentiles(uncertainty[asked])


def binned(entropy: NDArray[np.float64], rank: NDArray[np.float64]) -> list[Row]:
    """Median and quartiles of `rank` (N,) in bins of equal width of `entropy` (N,) that hold at least `FEWEST` images."""
    top = entropy.max(initial=0)
    place = np.minimum((entropy / top * BINS).astype(int), BINS - 1) if top > 0 else np.zeros(len(entropy), int)
    found: list[Row] = []
    for b in range(BINS):
        mine = rank[place == b]
        if len(mine) >= FEWEST:
            low, middle, high = np.percentile(mine, (25, 50, 75))
            at = {"entropy": short(entropy[place == b].mean()), "median": short(middle), "low": short(low), "high": short(high)}
            found.append({**at, "images": len(mine)})
    return found
