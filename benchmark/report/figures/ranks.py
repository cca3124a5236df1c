"""Critical-difference diagram: average ranks of methods, and which of them cannot be told apart."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from ..ranking import ranking
from . import theme
from .group import Group, NotApplicable, Row

LINE, BAR = 15, 6
"""Pixels from name to name, and from clique to clique."""


def draw(group: Group) -> tuple[alt.TopLevelMixin, str]:
    """The methods that are finished on every dataset."""
    found = ranking(group.results)
    if isinstance(found, str):
        raise NotApplicable(found)
    left_out = f" Left out, for want of results: {', '.join(found.left_out)}." if found.left_out else ""
    return chart(found.methods, found.ranks.tolist(), found.cliques, found.apart), (
        f"Average rank by accuracy at the last epoch over {len(found.datasets)} datasets ({', '.join(found.datasets)}), of "
        "each the mean over noises and seeds; methods joined by a bar are not told apart (Nemenyi, after Friedman's test: "
        f"p = {found.friedman:.2g}).{left_out}"
    )


def chart(
    names: Sequence[str], ranks: Sequence[float], cliques: Sequence[Sequence[int]] = (), distance: float | None = None
) -> alt.TopLevelMixin:
    """Methods along an axis of average ranks, the best at the left, their names at both sides.

    Args:
        names: (M,) methods.
        ranks: (M,), 1 is best.
        cliques: groups of places in `names` that cannot be told apart; a bar joins each that has two or more.
        distance: the critical difference in ranks, drawn as a length above the axis where there is one.

    Source: Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006, figure 1.
    """
    best, worst = 1.0, float(max(len(names), 2))
    width, side = theme.WIDTH - 250, 0.02 * (worst - best)
    order = sorted(range(len(names)), key=lambda k: (ranks[k], names[k]))
    left, right = order[: (len(order) + 1) // 2], order[(len(order) + 1) // 2 :][::-1]
    bars = sorted((group for group in ([ranks[k] for k in clique] for clique in cliques) if len(group) > 1), key=min)
    top = 12 + BAR * len(bars)
    lines: list[Row] = []
    texts: list[Row] = []
    for half, end, align in ((left, best - side, "right"), (right, worst + side, "left")):
        for place, k in enumerate(half):
            y = top + 8 + LINE * place
            lines += [
                {"x": ranks[k], "y": 0, "x2": ranks[k], "y2": y, "method": names[k], "rank": ranks[k]},
                {"x": ranks[k], "y": y, "x2": end, "y2": y, "method": names[k], "rank": ranks[k]},
            ]
            texts.append({"x": end, "y": y, "text": f"{theme.cut(names[k], 22)} {ranks[k]:.2f}", "align": align})
    height = top + 8 + LINE * max(len(left), 1)
    x = alt.X(
        "x:Q",
        scale=alt.Scale(domain=[best, worst], nice=False),
        axis=alt.Axis(title="average rank", orient="top", grid=False, tickMinStep=1, titlePadding=8),
    )
    y = alt.Y("y:Q", scale=alt.Scale(domain=[0, height], reverse=True, nice=False), axis=None)
    layers: list[alt.Chart] = [
        alt.Chart(theme.data(lines))
        .mark_rule(strokeWidth=1)
        .encode(x=x, x2="x2:Q", y=y, y2="y2:Q", tooltip=["method:N", "rank:Q"])
    ]
    for align, dx in (("right", -4), ("left", 4)):
        mark = alt.Chart(theme.data([text for text in texts if text["align"] == align]))
        layers.append(mark.mark_text(align=align, dx=dx, baseline="middle").encode(x=x, y=y, text="text:N"))
    thick = [{"x": min(group) - side / 2, "x2": max(group) + side / 2, "y": 8 + BAR * k} for k, group in enumerate(bars)]
    if thick:
        layers.append(
            alt.Chart(theme.data(thick)).mark_rule(strokeWidth=3.5, color=theme.LIGHT_COLOURS[1]).encode(x=x, x2="x2:Q", y=y)
        )
    if distance:
        ruler = [{"x": best, "x2": min(best + distance, worst), "y": -44, "text": f"critical difference {distance:.2f}"}]
        base = alt.Chart(theme.data(ruler))
        layers.append(base.mark_rule(strokeWidth=2).encode(x=x, x2="x2:Q", y=y))
        layers.append(base.mark_text(align="left", dx=2, dy=-7).encode(x=x, y=y, text="text:N"))
    return alt.layer(*layers).properties(width=width, height=height)
