"""Reliability diagrams: how far confidence can be believed."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np

from ...score.curves import reliability
from ...score.metrics import ece
from . import theme
from .group import Group, Row, short

BINS = 15


def draw(group: Group) -> tuple[alt.TopLevelMixin, str]:
    """A panel for each method."""
    return chart(rows(group), list(group.by_method()), errors(group)), (
        f"Reliability diagrams: accuracy against confidence (the largest probability) of the test images, in {BINS} bins of "
        "equal width; a dot's area is the share of the images in its bin, and on the dashed line confidence can be believed. "
        f"Bins hold the images of all runs together ({group.seeds()}); over each panel, ECE (%), the mean over the runs."
    )


def chart(found: Sequence[Row], methods: Sequence[str], eces: dict[str, float]) -> alt.TopLevelMixin:
    """Rows as `rows` gives them, drawn; `eces` in percent stand over the panels."""
    width, height = theme.panel_size(len(methods), ratio=1.0)
    largest = max(row["share"] for row in found)
    panels, titles = [], []
    for place, method in enumerate(methods):
        left, bottom = theme.edges(place, len(methods))
        base = alt.Chart(theme.data([row for row in found if row["method"] == method]))
        scale = alt.Scale(domain=theme.PERCENT, nice=False)
        x = alt.X("confidence:Q", scale=scale, axis=theme.small_axis(bottom, "confidence (%)"))
        y = alt.Y("accuracy:Q", scale=scale, axis=theme.small_axis(left, "accuracy (%)"))
        ideal = alt.Chart(theme.data([{"confidence": 0, "accuracy": 0}, {"confidence": 100, "accuracy": 100}]))
        size = alt.Size("share:Q", scale=alt.Scale(domain=[0, largest], range=[3, width]), legend=None)
        tooltip = [alt.Tooltip(f"{name}:Q") for name in ("confidence", "accuracy", "share", "images")]
        layers = (
            ideal.mark_line(color=theme.GREY, strokeDash=[3, 3], strokeWidth=1).encode(x=x, y=y),
            base.mark_rule(strokeWidth=1).encode(x=x, y=y, y2=alt.Y2("confidence:Q")),
            base.mark_point(filled=True, opacity=0.9).encode(x=x, y=y, size=size, tooltip=tooltip),
        )
        name = f"{theme.cut(method, 30)}: {'' if len(methods) > 16 else 'ECE '}{eces[method]:.1f}"
        titles.append(name)
        panels.append(alt.layer(*layers, width=width, height=height))
    return theme.small_multiples(panels, titles)


def rows(group: Group) -> list[Row]:
    """A row for each method and bin that is not empty: confidence, accuracy and share of the images (%), and their count."""
    found: list[Row] = []
    for method, runs in group.by_method().items():
        stored = [group.arrays(run, ("test_logits", "test_reference")) for run in runs]
        logits, reference = (np.concatenate([a[name] for a in stored]) for name in ("test_logits", "test_reference"))
        pooled = reliability(logits, reference, BINS)
        for b in np.flatnonzero(pooled.count):
            found.append(
                {
                    "method": method,
                    "confidence": short(pooled.confidence[b] * 100),
                    "accuracy": short(pooled.accuracy[b] * 100),
                    "share": short(pooled.count[b] / pooled.count.sum() * 100),
                    "images": int(pooled.count[b]),
                }
            )
    return found


def errors(group: Group) -> dict[str, float]:
    """The calibration error (%) of each method, a mean over its runs."""
    of: dict[str, float] = {}
    for method, runs in group.by_method().items():
        stored = [group.arrays(run, ("test_logits", "test_reference")) for run in runs]
        of[method] = float(np.mean([ece(a["test_logits"], a["test_reference"], BINS) for a in stored]))
    return of
