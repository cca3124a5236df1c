"""Risk against coverage: the error that is left when the images that a method is least sure of are removed."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
from numpy.typing import NDArray

from ...score.curves import risk_coverage
from ...score.metrics import mistakes
from . import lines
from .group import OVERLAID, Group, Row, mean_and_band, short

REMOVED = np.arange(0, 96) / 100
"""Shares of the images that are removed; beyond, the error is that of a handful."""
X = lines.Scale("removed", "most uncertain test images removed (%)", "removed (%)", (0, 95))
Y = lines.Scale("error", "error among the others (%)", "error (%)")


def draw(group: Group) -> tuple[alt.TopLevelMixin, str]:
    """One line a method."""
    found = rows(group)
    methods = list(group.by_method())
    grey = f"; {lines.GREY_IS}" if len(group.coloured(methods)) > OVERLAID else ""
    return chart(found, group.coloured(methods)), (
        f"Risk-coverage curves: the error among the test images that are left when those that the method is most uncertain of "
        f"are removed, {group.seeds(band=True)}{grey}."
    )


def chart(found: Sequence[Row], methods: Sequence[str]) -> alt.TopLevelMixin:
    """Rows as `rows` gives them, drawn."""
    return lines.chart(found, methods, X, Y)


def rows(group: Group) -> list[Row]:
    """A row for each method and share removed (%): mean error (%) over the seeds, and band."""
    found: list[Row] = []
    for method, runs in group.by_method().items():
        curves = []
        for run in runs:
            arrays = group.arrays(run, ("test_logits", "test_uncertainty", "test_reference"))
            wrong = mistakes(arrays["test_logits"], arrays["test_reference"])
            curves.append(error_left(arrays["test_uncertainty"], wrong, REMOVED))
        mean, low, high = mean_and_band(curves)
        for k, share in enumerate(REMOVED):
            ends = {"error": short(mean[k]), "low": short(low[k]), "high": short(high[k])}
            found.append({"method": method, "removed": round(share * 100, 6), **ends, "seeds": len(curves)})
    return found


def error_left(
    uncertainty: NDArray[np.floating], wrong: NDArray[np.bool_], removed: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The error (M,) in percent that is left when shares (M,) of the samples are removed, the most uncertain first.

    Exact at each share: r(k) of `score.curves.risk_coverage`, where k is the count that is left, rounded up.
    """
    risk = risk_coverage(uncertainty, wrong).risk
    kept = np.ceil(np.round((1 - removed) * len(risk), 9)).astype(int)
    return np.asarray(risk[np.maximum(kept, 1) - 1] * 100)
