"""Lines of many methods: a few share a panel, more get one each, in which grey shows where the others lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np

from . import theme
from .group import OVERLAID, Row, short

GREY_IS = "grey: from the lowest to the highest of all methods, and their median"
"""What a caption says of the grey where each method has a panel."""


@dataclass(frozen=True)
class Scale:
    """An axis: the field of the rows that it shows, its title, a shorter one for small panels, its ends."""

    field: str
    title: str
    brief: str
    domain: Sequence[float] | None = None
    whole: bool = False  #: only whole numbers are ticks

    def of(self, kind: type[alt.X] | type[alt.Y], *, shown: bool = True, small: bool = False) -> alt.X | alt.Y:
        """Its encoding, as an x or a y."""
        scale = alt.Scale(zero=False, nice=False, domain=list(self.domain) if self.domain else alt.Undefined)
        ticks = theme.whole_ticks(self.domain) if self.whole and self.domain else {}
        axis = theme.small_axis(shown, self.brief, **ticks) if small else alt.Axis(title=self.title, tickCount=8, **ticks)
        return kind(f"{self.field}:Q", scale=scale, axis=axis)


def chart(
    rows: Sequence[Row], methods: Sequence[str], x: Scale, y: Scale, height: int = 260, *, first: bool = True
) -> alt.TopLevelMixin:
    """Lines over `x` of rows with `method`, x, y, and the ends `low` and `high` of their bands.

    Rows hold whatever else a tooltip should show under names that a reader understands. Of several charts that stand together
    the `first` has the legend's click, which the others follow.
    """
    y = _with_domain(y, rows)
    if len(methods) <= OVERLAID:
        return overlaid(rows, methods, x, y, height, first=first)
    context = [
        {x.field: at, "lowest": min(values), "highest": max(values), "median": short(float(np.median(values)))}
        for at, values in _by_place(rows, x, y).items()
    ]
    width, height = theme.panel_size(len(methods))
    panels = []
    for place, method in enumerate(methods):
        left, bottom = theme.edges(place, len(methods))
        across = x.of(alt.X, shown=bottom, small=True)
        up = y.of(alt.Y, shown=left, small=True)
        others = alt.Chart(theme.data(context)).encode(x=across)
        layers = [
            others.mark_area(color=theme.GREY, opacity=0.25).encode(y=_renamed(up, "lowest"), y2=alt.Y2("highest:Q")),
            others.mark_line(color=theme.GREY, strokeWidth=1).encode(y=_renamed(up, "median")),
            *_band_and_line([row for row in rows if row["method"] == method], across, up, y),
        ]
        panels.append(alt.layer(*layers, width=width, height=height))
    return theme.small_multiples(panels, methods)


def overlaid(
    rows: Sequence[Row], methods: Sequence[str], x: Scale, y: Scale, height: int = 260, *, first: bool = True
) -> alt.LayerChart:
    """All methods in one panel; a click on the legend fades the others."""
    y = _with_domain(y, rows)
    chosen, opacity = theme.highlight()
    across, up = x.of(alt.X), y.of(alt.Y)
    band, line, *points = _band_and_line(rows, across, up, y)
    told = theme.by_method(methods, {row["method"] for row in rows}, stroke=not points)
    dashes = told if not points else {"color": told["color"], "strokeDash": theme.dash(methods)}
    layers = [
        line.encode(**dashes, opacity=opacity),
        band.encode(color=told["color"], opacity=alt.condition(chosen, alt.value(0.15), alt.value(0.02))),
        *(mark.encode(**told, opacity=opacity) for mark in points),
    ]
    drawn = alt.layer(*layers, width=theme.WIDTH - 150, height=height)
    return drawn.add_params(chosen) if first else drawn


def _band_and_line(rows: Sequence[Row], across: alt.X | alt.Y, up: alt.X | alt.Y, y: Scale) -> list[alt.Chart]:
    """Band, line and, where a line has few points, its points."""
    base = alt.Chart(theme.data(rows)).encode(x=across)
    shown = [alt.Tooltip(f"{name}:{_kind(value)}") for name, value in (rows[0] if rows else {}).items()]
    layers = [
        base.mark_area(opacity=0.18).encode(y=_renamed(up, "low"), y2=alt.Y2("high:Q")),
        base.mark_line(clip=True).encode(y=up, tooltip=shown),
    ]
    places = {row[name] for row in rows for name in row if name not in ("method", y.field, "low", "high")}
    if len(places) <= 12:
        layers.append(base.mark_point(filled=True, size=36).encode(y=up, tooltip=shown))
    return layers


def _kind(value: object) -> str:
    return "Q" if isinstance(value, int | float) else "N"


def _renamed(encoding: alt.X | alt.Y, field: str) -> alt.X | alt.Y:
    same = encoding.copy()
    same.shorthand = f"{field}:Q"
    return same


def _by_place(rows: Sequence[Row], x: Scale, y: Scale) -> dict[float, list[float]]:
    places: dict[float, list[float]] = {}
    for row in sorted(rows, key=lambda row: float(row[x.field])):
        places.setdefault(row[x.field], []).append(row[y.field])
    return places


def _with_domain(y: Scale, rows: Sequence[Row]) -> Scale:
    """The axis with the domain that all panels share, where it has none of its own."""
    if y.domain is not None or not rows:
        return y
    ends = [row[name] for row in rows for name in (y.field, "low", "high") if row[name] is not None]
    return Scale(y.field, y.title, y.brief, theme.padded(min(ends), max(ends), floor=0, ceiling=100), y.whole)
