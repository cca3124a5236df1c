"""What accuracy costs: seconds of training against test accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np

from ..evidence import machines_of
from . import theme
from .group import Group, Row, mean_and_band, short
from .labels import Box, place_labels

HEIGHT = 330


def draw(group: Group) -> tuple[alt.TopLevelMixin, str]:
    """A point for each method."""
    found = rows(group)
    machines = sorted({machine for run in group.results for machine in machines_of(group.store.run(run.key))})
    told = machines[0] if len(machines) == 1 else f"different machines, so that seconds do not compare: {'; '.join(machines)}"
    bars = "; bars: one standard deviation to each side" if any(row["low"] != row["accuracy"] for row in found) else ""
    line = (
        "The dashed line joins the methods than which no competitor is both cheaper and better. "
        if len(front(found)) > 1
        else ""
    )
    return chart(found, group.coloured([row["method"] for row in found])), (
        "Test accuracy at the last epoch against the seconds that a run trains, mean of "
        f"{group.seeds()}{bars}. {line}Trained on {told}; runs side by side slow each other."
    )


def chart(found: Sequence[Row], methods: Sequence[str]) -> alt.TopLevelMixin:
    """Rows as `rows` gives them, drawn."""
    columns = 1 if len(methods) <= 20 else 2
    width = theme.WIDTH - (150 if columns == 1 else 230)
    seconds, accuracies = ([row[name] for row in found] for name in ("seconds", "accuracy"))
    across = [min(seconds) / 1.15, max(seconds) * 1.3]
    up = theme.padded(min(row["low"] for row in found), max(row["high"] for row in found), 0, 100)
    chosen, opacity = theme.highlight()
    told = theme.by_method(methods, {row["method"] for row in found})
    x = alt.X(
        "seconds:Q",
        scale=alt.Scale(type="log", domain=across, nice=False),
        axis=alt.Axis(title="seconds of training (log)", values=_ticks(*across), format="~g"),
    )
    axis = {"scale": alt.Scale(domain=up, nice=False), "axis": alt.Axis(title="test accuracy, last epoch (%)")}
    y = alt.Y("accuracy:Q", **axis)
    base = alt.Chart(theme.data(found))
    tooltip = [alt.Tooltip("method:N"), *(alt.Tooltip(f"{name}:Q") for name in found[0] if name != "method")]
    points = [
        (
            float(np.log(s / across[0]) / np.log(across[1] / across[0]) * width),
            float((up[1] - a) / (up[1] - up[0]) * HEIGHT),
        )
        for s, a in zip(seconds, accuracies, strict=True)
    ]
    best = front(found)
    order = sorted(range(len(found)), key=lambda k: (k not in best, -accuracies[k]))
    boxes = place_labels([found[k]["method"] for k in order], [points[k] for k in order], points, (width, HEIGHT))
    written = [{"method": found[k]["method"], "x": b.x, "y": b.y} for k, b in zip(order, boxes, strict=True) if b]
    layers = [
        alt.Chart(theme.data([found[k] for k in best])).mark_line(color=theme.GREY, strokeDash=[4, 3]).encode(x=x, y=y),
        base.mark_rule(strokeWidth=1).encode(x=x, y=alt.Y("low:Q", **axis), y2="high:Q", color=told["color"], opacity=opacity),
        base.mark_point(filled=True, size=55).encode(x=x, y=y, **told, opacity=opacity, tooltip=tooltip).add_params(chosen),
        alt.Chart(theme.data(written))
        .mark_text(align="left", baseline="middle", fontSize=Box.FONT)
        .encode(x=alt.X("x:Q", scale=None), y=alt.Y("y:Q", scale=None), text="method:N", opacity=opacity),
    ]
    return alt.layer(*layers).resolve_scale(x="shared", y="shared").properties(width=width, height=HEIGHT)


def rows(group: Group) -> list[Row]:
    """A row for each method: mean seconds and accuracy (%) over the seeds, with the accuracy's band."""
    found: list[Row] = []
    for method, runs in group.by_method().items():
        mean, low, high = mean_and_band([np.array(run.metrics["acc_last"]) for run in runs])
        seconds = float(np.mean([run.metrics["train_seconds"] for run in runs]))
        ends = {"accuracy": short(float(mean)), "low": short(float(low)), "high": short(float(high))}
        told_more = bool(runs[0].privilege)
        found.append(
            {"method": method, "seconds": short(max(seconds, 1e-3)), **ends, "seeds": len(runs), "told more": told_more}
        )
    return found


def front(found: Sequence[Row]) -> list[int]:
    """The places of the competitors than which none is both cheaper and better, by rising cost."""
    best: list[int] = []
    competing = [k for k, row in enumerate(found) if not row["told more"]]
    for k in sorted(competing, key=lambda k: (found[k]["seconds"], -found[k]["accuracy"])):
        if not best or found[k]["accuracy"] > found[best[-1]]["accuracy"]:
            best.append(k)
    return best


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 of every decade between two values; where these are fewer than two, all whole ones of it."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for digits in ((1, 2, 5), range(1, 10), np.arange(1, 10, 0.25)):
        ticks = [round(float(d) * 10.0**e, 6) for e in decades for d in digits if low <= d * 10.0**e <= high]
        if len(ticks) > 1:
            return ticks
    return [low, high]
