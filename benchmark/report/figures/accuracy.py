"""Accuracy against the rate of the noise."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import altair as alt
import numpy as np

from . import lines
from .group import OVERLAID, Group, NotApplicable, Row, mean_and_band, short

X = lines.Scale("rate", "rate of the label noise (%)", "noise (%)")
Y = lines.Scale("accuracy", "test accuracy, last epoch (%)", "accuracy (%)")


def draw(group: Group) -> tuple[alt.TopLevelMixin, str]:
    """One panel a method, or one for all, for each kind of noise that has several rates."""
    by_kind = {kind: rows(group, kind) for kind in dict.fromkeys(result.spec.noise_kind for result in group.results)}
    kinds = {kind: found for kind, found in by_kind.items() if len({row["rate"] for row in found}) > 1}
    if not kinds:
        told = "; ".join(noise.noise for noise in group.noises())
        raise NotApplicable(f"it needs runs at two rates of one kind of noise, and there are: {told}")
    methods = [method for method in group.methods if any(row["method"] == method for found in kinds.values() for row in found)]
    coloured = group.coloured(methods)
    charts: list[alt.TopLevelMixin] = []
    for kind, found in kinds.items():
        drawn = chart(found, coloured, first=not charts)
        charts.append(drawn.properties(title=alt.TitleParams(kind, fontSize=10)) if len(kinds) > 1 else drawn)
    grey = f"; {lines.GREY_IS}" if len(coloured) > OVERLAID else ""
    caption = f"Test accuracy at the last epoch against the rate of {', '.join(kinds)} noise, {group.seeds(band=True)}{grey}."
    return charts[0] if len(charts) == 1 else alt.vconcat(*charts), caption


def chart(found: Sequence[Row], methods: Sequence[str], *, first: bool = True) -> alt.TopLevelMixin:
    """Rows as `rows` gives them, drawn."""
    rates = sorted({row["rate"] for row in found})
    air = (rates[-1] - rates[0]) * 0.03
    x = lines.Scale(X.field, X.title, X.brief, [rates[0] - air, rates[-1] + air])
    return lines.chart(found, methods, x, Y, first=first)


def rows(group: Group, kind: str) -> list[Row]:
    """A row for each rate and method: mean accuracy over the seeds, band, realised rate (%), seeds."""
    found: list[Row] = []
    for noise in group.noises():
        spec = noise.results[0].spec
        if spec.noise_kind != kind or spec.noise_rate is None:
            continue
        for method, runs in noise.by_method().items():
            mean, low, high = mean_and_band([np.array(run.metrics["acc_last"]) for run in runs])
            found.append(
                {
                    "method": method,
                    "rate": round(spec.noise_rate * 100, 6),
                    "realised": short(statistics.fmean(run.realised for run in runs) * 100),
                    "accuracy": short(float(mean)),
                    "low": short(float(low)),
                    "high": short(float(high)),
                    "seeds": len(runs),
                }
            )
    return found
