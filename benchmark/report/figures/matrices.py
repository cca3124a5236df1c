"""Matrices of classes: what the noise made of them, and what each method takes them for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from ..results import Result
from . import theme
from .group import Group, NotApplicable, Row, short

MOST_CLASSES = 20
"""Classes that a matrix shows; of more, those that go wrong most."""
WRITTEN = 10
"""Most classes whose cells have their numbers written in."""

Matrix = NDArray[np.float64]


def draw_noise(group: Group) -> tuple[alt.TopLevelMixin, str]:
    """The transition matrix of the noise, a mean over its realisations."""
    if all(run.realised == 0 for run in group.results):
        raise NotApplicable("no given label is wrong")
    found = {run.noise_sha256: group.noise_artefact(run).transition for run in group.results}
    matrix = np.mean(list(found.values()), axis=0) * 100
    names, unnamed = group.classes(len(matrix))
    shown = worst([matrix])
    drawn = f"{len(found)} draws of the noise" if len(found) > 1 else "one draw of the noise"
    return chart({"": matrix}, names, shown, "given label"), (
        "Noise-transition matrix: the percentage of the training images of each reference class (row) that were given each "
        f"label (column), measured, {'mean of ' if len(found) > 1 else ''}{drawn}.{_part(shown, names)}{unnamed}"
    )


def draw_confusion(group: Group) -> tuple[alt.TopLevelMixin, str]:
    """A confusion matrix for each method."""
    matrices = {
        method: np.mean([confusion(**_stored(group, run)) for run in runs], axis=0)
        for method, runs in group.by_method().items()
    }
    names, unnamed = group.classes(len(next(iter(matrices.values()))))
    shown = worst(list(matrices.values()))
    return chart(matrices, names, shown, "predicted"), (
        f"Confusion matrices: the percentage of the test images of each reference class (row) that are predicted as each class "
        f"(column), mean of {group.seeds()}.{_part(shown, names)}{unnamed}"
    )


def _stored(group: Group, run: Result) -> dict[str, NDArray[Any]]:
    arrays = group.arrays(run, ("test_logits", "test_reference"))
    return {"logits": arrays["test_logits"], "reference": arrays["test_reference"]}


def confusion(logits: NDArray[np.float64], reference: NDArray[np.int64]) -> Matrix:
    """Percentages (K, K) of each reference class (row) that logits (N, K) predict as each; zeros for a class without images."""
    K = logits.shape[1]
    counts = np.zeros((K, K))
    np.add.at(counts, (reference, logits.argmax(axis=1)), 1)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * 100)


def worst(matrices: Sequence[Matrix]) -> list[int]:
    """The up to `MOST_CLASSES` classes that the matrices, on average, keep least of, in their own order."""
    kept = np.mean([matrix.diagonal() for matrix in matrices], axis=0)
    return sorted(np.argsort(kept, kind="stable")[:MOST_CLASSES].tolist())


def _part(shown: Sequence[int], names: Sequence[str]) -> str:
    if len(shown) == len(names):
        return ""
    return f" Shown are the {len(shown)} of {len(names)} classes that go wrong most; rows do not add up to 100."


def chart(matrices: dict[str, Matrix], names: Sequence[str], shown: Sequence[int], across: str) -> alt.TopLevelMixin:
    """Matrices (K, K) in percent, a panel each, cut to the classes `shown`; `across` says what columns are."""
    single = len(matrices) == 1
    numbered = len(matrices) > 4
    labels = [str(k) if numbered else names[k] for k in range(len(names))]
    width = min(400, 28 * len(shown)) if single else theme.panel_size(len(matrices), 1.0)[0]
    key = [f"{k} {names[k]}" for k in shown] if numbered and names != labels else []
    panels = []
    for place, matrix in enumerate(matrices.values()):
        left, bottom = (True, True) if single else theme.edges(place, len(matrices))
        rows: list[Row] = [
            {"reference": labels[i], across: labels[j], "percent": short(matrix[i, j])} for i in shown for j in shown
        ]
        order = [labels[k] for k in shown]
        base = alt.Chart(theme.data(rows)).encode(
            x=alt.X(
                f"{across}:N", sort=order, scale=alt.Scale(domain=order), axis=_axis(bottom, across, numbered, vertical=True)
            ),
            y=alt.Y(
                "reference:N",
                sort=order,
                scale=alt.Scale(domain=order),
                axis=_axis(left, "reference", numbered, vertical=False),
            ),
        )
        heat = alt.Color(
            "percent:Q",
            scale=alt.Scale(range=list(theme.HEAT), domain=[0, 50, 100], interpolate="lab"),
            legend=alt.Legend(title="%", gradientLength=80),
        )
        tooltip = [alt.Tooltip("reference:N"), alt.Tooltip(f"{across}:N"), alt.Tooltip("percent:Q")]
        layers = [base.mark_rect(stroke=theme.GREY, strokeWidth=0.2).encode(color=heat, tooltip=tooltip)]
        if len(shown) <= WRITTEN and width / len(shown) >= 15:
            dark = alt.condition(alt.datum.percent > 55, alt.value("white"), alt.value("#222222"))
            size = 9 if width / len(shown) >= 20 else 7
            layers.append(base.mark_text(fontSize=size).encode(text=alt.Text("percent:Q", format=".0f"), color=dark))
        panels.append(alt.layer(*layers, width=width, height=width))
    drawn = panels[0] if single else theme.small_multiples(panels, list(matrices))
    return alt.vconcat(drawn, _key(key)) if key else drawn


def _axis(shown: bool, title: str, numbered: bool, *, vertical: bool) -> alt.Axis:
    """Class names along an edge, upright where they would run into each other."""
    options = {"grid": False, "labelLimit": 80, "ticks": False, "labelOverlap": True}
    if not shown:
        return alt.Axis(title=None, labels=False, **options)
    return alt.Axis(title=title, labelAngle=-90 if vertical and not numbered else 0, **options)


def _key(entries: Sequence[str]) -> alt.Chart:
    """What the numbers of the classes stand for, in columns."""
    columns = 4
    rows = [{"x": k % columns, "y": k // columns, "text": entry} for k, entry in enumerate(entries)]
    lines = -(-len(entries) // columns)
    place = {"scale": alt.Scale(domain=[0, columns], nice=False), "axis": None}
    down = {"scale": alt.Scale(domain=[lines, 0], nice=False), "axis": None}
    mark = alt.Chart(theme.data(rows)).mark_text(align="left", baseline="top", limit=theme.WIDTH // columns - 8)
    return mark.encode(x=alt.X("x:Q", **place), y=alt.Y("y:Q", **down), text="text:N").properties(
        width=theme.WIDTH, height=lines * 13
    )
