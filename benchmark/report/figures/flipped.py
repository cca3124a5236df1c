"""The uncertainty of training images whose given label is right against that of those whose label is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
from numpy.typing import NDArray

from . import theme
from .group import Group, NotApplicable, Row, percentiles, short

BINS = 20
KINDS = ("label right", "label wrong")


def draw(group: Group) -> tuple[alt.TopLevelMixin, str]:
    """A panel for each method."""
    if all(run.realised == 0 for run in group.results):
        raise NotApplicable("no given label is wrong")
    found = rows(group)
    return chart(found, list(group.by_method())), (
        "Where training images stand when the method's uncertainty ranks them (percentile, 100 = least sure), those with a "
        f"right and those with a wrong given label, each group by itself; {BINS} bins, images of all runs together "
        f"({group.seeds()}). "
        "An uncertainty that knows nothing of the labels has both at the dashed line."
    )


def chart(found: Sequence[Row], methods: Sequence[str]) -> alt.TopLevelMixin:
    """Rows as `rows` gives them, drawn."""
    width, height = theme.panel_size(len(methods))
    top = max(row["images"] for row in found)
    panels = []
    for place, method in enumerate(methods):
        left, bottom = theme.edges(place, len(methods))
        mine = [row for row in found if row["method"] == method]
        ends = [{**row, "percentile": row["to"]} for row in mine if row["to"] == 100]  # where the last step ends
        y = alt.Y(
            "images:Q",
            scale=alt.Scale(domain=[0, top * 1.15], nice=False),
            axis=theme.small_axis(left, "of group (%)"),
            stack=None,
        )
        legend = alt.Legend(title=None, orient="bottom", symbolType="square", symbolOpacity=1)
        base = alt.Chart(theme.data([*mine, *ends])).encode(
            x=alt.X("percentile:Q", scale=alt.Scale(domain=[0, 100]), axis=theme.small_axis(bottom, "uncertainty")),
            y=y,
            color=alt.Color("labels:N", scale=alt.Scale(domain=list(KINDS)), legend=legend),
        )
        tooltip = [alt.Tooltip("labels:N"), *(alt.Tooltip(f"{name}:Q") for name in ("percentile", "to", "images"))]
        fill = base.mark_area(opacity=0.2, interpolate="step-after")
        bars = base.mark_line(strokeWidth=1.3, interpolate="step-after").encode(tooltip=tooltip)
        flat = alt.Chart(theme.data([{"images": 100 / BINS}]))
        rule = flat.mark_rule(strokeDash=[3, 3], strokeWidth=1).encode(y=y)
        panels.append(alt.layer(rule, fill, bars, width=width, height=height))
    return theme.small_multiples(panels, methods)


def rows(group: Group) -> list[Row]:
    """A row for each method, group of labels and bin of percentiles: the share of the group's images in it (%)."""
    found: list[Row] = []
    for method, runs in group.by_method().items():
        counts = np.zeros((2, BINS))
        for run in runs:
            arrays = group.arrays(run, ("train_reference", "train_given", "train_uncertainty"))
            wrong = arrays["train_given"] != arrays["train_reference"]
            counts += histogram(arrays["train_uncertainty"], wrong)
        for labels, count in zip(KINDS, counts, strict=True):
            for b, share in enumerate(count / max(count.sum(), 1) * 100):
                ends = {"percentile": b * 100 / BINS, "to": (b + 1) * 100 / BINS}
                found.append({"method": method, "labels": labels, **ends, "images": short(share)})
    return found


def histogram(uncertainty: NDArray[np.floating], wrong: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Counts (2, BINS) of samples with a right and with a wrong label by the percentile of their uncertainty (N,)."""
    rank = percentiles(uncertainty)
    return np.stack([np.histogram(rank[which], BINS, (0, 100))[0] for which in (~wrong, wrong)]).astype(np.float64)
