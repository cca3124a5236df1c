"""How figures look: colours that the colour-blind can tell apart, on light and on dark, sizes for a two-column paper.

Charts name no font and hardly a colour; they take both from the configuration, so that one definition serves the page in
either theme and the paper. Up to `OVERLAID` methods share a panel, each with its own colour, dash and mark; more get a panel
each, in which the others are seen in grey.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

import altair as alt

from .group import Row

WIDTH = 560
"""Pixels across two columns of a paper."""
GAP = 14
"""Pixels between panels."""
GREY = "#999999"
PERCENT = [-5, 105]
"""The domain of percentages with air for marks at its ends, which would push the panels' titles out of line."""

LIGHT_COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D", "#8C6D31", "#6A3D9A", "#8B0000",
)  # fmt: skip
"""Ten, as CIFAR-10 has classes: Okabe and Ito's, but for their yellow, which white paper swallows, and their black, which is
the text's."""
DARK_COLOURS = (
    "#56B4E9", "#FF8F45", "#2BC49A", "#E79AC6", "#F0CF4A", "#9D8CFF", "#D9D9D9", "#C9A06C", "#B5E655", "#FF6B6B",
)  # fmt: skip
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross")
DASHES = ([1, 0], [6, 2], [2, 2], [8, 2, 2, 2], [4, 4], [1, 3], [10, 3], [6, 2, 2, 2, 2, 2])

HEAT = ("#F7FBFF", "#6BAED6", "#08306B")
_FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"


def data(rows: Iterable[Row]) -> alt.InlineData:
    """Rows as a chart's data: a tuple, since altair copies a list, row by row, with every change of the chart."""
    return alt.InlineData(values=tuple(rows))


def config(theme: Literal["light", "dark"]) -> dict[str, Any]:
    """The Vega-Lite configuration of a theme."""
    light = theme == "light"
    text, faint, colours = ("#222222", "#E4E4E4", LIGHT_COLOURS) if light else ("#E6E6E6", "#3A3A3A", DARK_COLOURS)
    return {
        "background": "white" if light else "transparent",
        "font": _FONT,
        "view": {"stroke": None},
        "axis": {
            "labelFontSize": 9,
            "titleFontSize": 9.5,
            "titleFontWeight": "normal",
            "titlePadding": 4,
            "labelColor": text,
            "titleColor": text,
            "gridColor": faint,
            "domainColor": GREY,
            "tickColor": GREY,
            "tickSize": 3,
            "labelLimit": 110,
        },
        "legend": {
            "labelFontSize": 9,
            "titleFontSize": 9.5,
            "titleFontWeight": "normal",
            "labelColor": text,
            "titleColor": text,
        },
        "title": {
            "anchor": "start",
            "fontSize": 12,
            "fontWeight": "bold",
            "subtitleFontSize": 9.5,
            "subtitlePadding": 3,
            "color": text,
            "subtitleColor": text,
            "offset": 8,
        },
        "mark": {"color": colours[0]},
        "line": {"strokeWidth": 1.6},
        "text": {"color": text, "fontSize": 9},
        "rule": {"color": GREY},
        "range": {"category": list(colours), "symbol": list(SHAPES)},
        "concat": {"spacing": 12},
    }


def by_method(methods: Sequence[str], shown: Collection[str], *, stroke: bool = False) -> dict[str, Any]:
    """The encodings by which methods are told apart, the same in all figures of a setting.

    Colour and mark, which tell 40 methods apart; with `stroke`, for lines without marks, colour and dash, which tell
    `OVERLAID`. The legend has those that are `shown`.
    """
    columns = 1 if len(shown) <= 20 else 2
    symbol = {"symbolType": "stroke", "symbolSize": 400, "symbolStrokeWidth": 2} if stroke else {"symbolSize": 50}
    listed = [method for method in methods if method in shown]
    legend = alt.Legend(title=None, columns=columns, symbolLimit=0, labelLimit=170, symbolOpacity=1, values=listed, **symbol)
    colour = alt.Color("method:N", scale=alt.Scale(domain=list(methods)), legend=legend)
    if stroke:
        dashes = alt.Scale(domain=list(methods), range=list(DASHES))
        return {"color": colour, "strokeDash": alt.StrokeDash("method:N", scale=dashes, legend=legend)}
    marks = [SHAPES[(k + k // len(LIGHT_COLOURS)) % len(SHAPES)] for k in range(len(methods))]
    shapes = alt.Scale(domain=list(methods), range=marks)
    return {"color": colour, "shape": alt.Shape("method:N", scale=shapes, legend=legend)}


def dash(methods: Sequence[str]) -> alt.StrokeDash:
    """A method's dash, for a line whose legend shows marks.

    Its domain has a name more than that of the colours: of one domain, Vega-Lite would join the legend that there is with the
    one that there is not, and warn of it.
    """
    scale = alt.Scale(domain=[*methods, ""], range=[*DASHES[: len(methods)], [1, 0]])
    return alt.StrokeDash("method:N", scale=scale, legend=None)


def highlight() -> tuple[alt.Parameter, Any]:
    """A click on a legend's entry fades the other methods: the parameter, and the opacity that follows it."""
    chosen = alt.selection_point(name="highlight", fields=["method"], bind="legend")
    return chosen, alt.condition(chosen, alt.value(1.0), alt.value(0.12))


def title(text: str, beneath: Sequence[str], width: float) -> alt.TitleParams:
    """A figure's title, with lines beneath that are broken where the figure ends."""
    wide = max(30, int(width / 5))
    return alt.TitleParams(
        textwrap.wrap(text, max(24, int(width / 6.5))),
        subtitle=[line for part in beneath for line in textwrap.wrap(part, wide)],
    )


def caption_of_panel(text: str, width: float) -> alt.TitleParams:
    """What stands over a panel of that width: mostly a method's name, in two lines where it is long."""
    font = 9.5 if width > 100 else 8.5
    lines = broken(text, int((width + 12) / (font * 0.52)))
    return alt.TitleParams(
        lines, fontSize=font, fontWeight="normal", anchor="middle", offset=3, frame="group", lineHeight=font + 1
    )


def broken(text: str, most: int) -> list[str]:
    """A name in up to two lines of `most` characters, broken at a mark or a space, its end cut where there is no room."""
    if len(text) <= most:
        return [text]
    head = ""
    for part in re.findall(r"[^-:,_ \[\]]*[-:,_ \[\]]?", text):
        if head and len(head) + len(part) > most:
            break
        head += part
    head = head[:most]
    rest = text[len(head) :]
    return [head, cut(rest, most)]


def cut(text: str, most: int) -> str:
    """A text of at most `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def columns_for(panels: int) -> int:
    """How many small panels stand side by side."""
    return min(panels, 4 if panels <= 16 else 5)


def panel_size(panels: int, ratio: float = 0.75) -> tuple[int, int]:
    """Width and height of each of so many small panels, so that they fill a page's width and labels still fit."""
    columns = columns_for(panels)
    width = min(190, (WIDTH - 34 - (columns - 1) * GAP) // columns)
    return width, int(width * ratio)


def edges(place: int, panels: int) -> tuple[bool, bool]:
    """Whether a panel stands leftmost, and whether there is none beneath it: only there are axes labelled."""
    columns = columns_for(panels)
    return place % columns == 0, place + columns >= panels


def small_axis(shown: bool, text: str, **options: Any) -> alt.Axis:
    """An axis of a small panel; labelled where `shown`."""
    more = {"tickCount": 3, **options}
    return alt.Axis(title=text, **more) if shown else alt.Axis(title=None, labels=False, ticks=False, **more)


def whole_ticks(domain: Sequence[float]) -> dict[str, Any]:
    """The options of an axis of whole numbers: Vega would put ticks between them where they are few."""
    first, last = math.ceil(domain[0]), math.floor(domain[1])
    return {"values": list(range(first, last + 1)), "format": "d"} if last - first < 8 else {}


def small_multiples(panels: Sequence[alt.LayerChart], names: Sequence[str], *, labelled: bool = False) -> alt.ConcatChart:
    """Panels of the same size in rows, their names above them; `labelled`: axes beneath all of them have labels."""
    columns = columns_for(len(panels))
    titles = [caption_of_panel(name, panel_size(len(panels))[0]) for name in names]
    lines = max(len(title.text) for title in titles)
    rows = 8 + 10 * lines + (12 if labelled else 0)
    for panel, title in zip(panels, titles, strict=True):
        panel.title = title
    return alt.concat(*panels, columns=columns, bounds="flush", spacing={"row": rows, "column": GAP})


def padded(low: float, high: float, floor: float | None = None, ceiling: float | None = None) -> list[float]:
    """The domain of an axis that shows what lies from `low` to `high`, with some air."""
    air = (high - low) * 0.05 or 1.0
    bottom, top = low - air, high + air
    return [bottom if floor is None else max(floor, bottom), top if ceiling is None else min(ceiling, top)]
