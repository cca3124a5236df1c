"""Accuracy over training, and beneath it memorisation: how many wrong labels the network has come to predict."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np

from . import lines, theme
from .group import OVERLAID, Group, NotApplicable, Row, mean_and_band, short

MOST_EPOCHS = 100
"""Points of a curve; of more epochs, evenly spaced ones are shown."""
ACCURACY = lines.Scale("value", "test accuracy (%)", "")
MEMORISED = lines.Scale("value", "wrong labels predicted (%)", "")
SERIES = {"test_accuracy": "test accuracy", "wrong_label_fit": "wrong labels predicted"}


def draw(group: Group) -> tuple[alt.TopLevelMixin, str]:
    """Accuracy above memorisation; of many methods, both in a panel for each."""
    found = rows(group)
    if not found:
        raise NotApplicable("no run has a history of more than one epoch")
    methods = [method for method in group.methods if any(row["method"] == method for row in found)]
    remembered = {row["method"] for row in found if row["series"] == SERIES["wrong_label_fit"]}
    absent = "" if remembered else " Memorisation (wrong_label_fit) is not in the history of these runs."
    if remembered and len(remembered) < len(methods):
        absent = (
            f" There is no memorisation (wrong_label_fit) in the histories of {', '.join(sorted(set(methods) - remembered))}."
        )
    stages = any((group.store.run(run.key).history().get("stage", np.zeros(1)) > 0).any() for run in group.results)
    anew = " Methods that train in stages begin anew at each." if stages else ""
    watched = " and, of the same 500 wrongly labelled training images (all, if fewer), the percentage predicted as labelled"
    what = "Test accuracy" + (watched if remembered else "")
    return chart(found, group.coloured(methods)), f"{what} after each epoch, {group.seeds(band=True)}.{absent}{anew}"


def chart(found: Sequence[Row], methods: Sequence[str]) -> alt.TopLevelMixin:
    """Rows as `rows` gives them, drawn."""
    accuracy, memorised = ([row for row in found if row["series"] == name] for name in SERIES.values())
    if len(methods) <= OVERLAID:
        x = lines.Scale("epoch", "epoch", "epoch", (1, max(row["epoch"] for row in found)), whole=True)
        upper = lines.overlaid(accuracy, methods, x, ACCURACY, 200)
        return alt.vconcat(upper, lines.overlaid(memorised, methods, x, MEMORISED, 140, first=False)) if memorised else upper
    ends = [row[name] for row in found for name in ("low", "high")]
    domain = theme.padded(min(ends), max(ends), 0, 100)
    width, height = theme.panel_size(len(methods))
    methods = [method for method in methods if any(row["method"] == method for row in found)]
    epochs = {method: max(row["epoch"] for row in found if row["method"] == method) for method in methods}
    several = len(set(epochs.values())) > 1
    panels = []
    for place, method in enumerate(methods):
        left, bottom = theme.edges(place, len(methods))
        base = alt.Chart(theme.data([row for row in found if row["method"] == method])).encode(
            x=alt.X(
                "epoch:Q",
                scale=alt.Scale(zero=False, nice=False),
                axis=theme.small_axis(bottom or several, "epoch" if bottom else "", **theme.whole_ticks((1, epochs[method]))),
            ),
            color=alt.Color(
                "series:N",
                scale=alt.Scale(domain=list(SERIES.values())),
                legend=alt.Legend(title=None, orient="bottom", symbolType="stroke", symbolOpacity=1) if memorised else None,
            ),
        )
        up = {"scale": alt.Scale(domain=domain, nice=False), "axis": theme.small_axis(left, "%")}
        tooltip = [alt.Tooltip(f"{field}:{kind}") for field, kind in TOOLTIP.items()]
        band = base.mark_area(opacity=0.18).encode(y=alt.Y("low:Q", **up), y2=alt.Y2("high:Q"))
        line = base.mark_line().encode(y=alt.Y("value:Q", **up), tooltip=tooltip)
        panels.append(alt.layer(band, line, width=width, height=height))
    return theme.small_multiples(panels, methods, labelled=several)


TOOLTIP = {"method": "N", "series": "N", "epoch": "Q", "value": "Q", "low": "Q", "high": "Q", "seeds": "Q"}


def rows(group: Group) -> list[Row]:
    """A row for each method, series and epoch: mean and band (%) over the seeds that trained so long."""
    found: list[Row] = []
    for method, runs in group.by_method().items():
        histories = [group.store.run(run.key).history() for run in runs]
        for column, series in SERIES.items():
            curves = [history[column] for history in histories if column in history and len(history[column]) > 1]
            curves = [curve for curve in curves if np.isfinite(curve).any()]
            if not curves:
                continue
            epochs = min(map(len, curves))
            mean, low, high = mean_and_band([curve[:epochs] for curve in curves])
            for k in shown_epochs(epochs):
                if np.isfinite(mean[k]):
                    found.append(
                        {
                            "method": method,
                            "series": series,
                            "epoch": k + 1,
                            "value": short(mean[k]),
                            "low": short(low[k]),
                            "high": short(high[k]),
                            "seeds": len(curves),
                        }
                    )
    return found


def shown_epochs(epochs: int) -> list[int]:
    """The places of up to about `MOST_EPOCHS` of so many epochs, evenly spaced, always with the last."""
    step = -(-epochs // MOST_EPOCHS)
    return list(range((epochs - 1) % step, epochs, step))
