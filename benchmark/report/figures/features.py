"""The features of test images by their classes, methods side by side: figure 4 of the RUL paper's kind."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import altair as alt
import numpy as np
from numpy.typing import NDArray

from . import theme
from .group import Group, NotApplicable, Row, short

MOST_PANELS = 4
PERPLEXITY = 30.0


def draw(group: Group) -> tuple[alt.TopLevelMixin, str]:
    """A panel for each of the compared methods, of its first seed under the hardest noise."""
    group = group.hardest()
    stored = {}
    for method, runs in group.by_method().items():
        if group.store.run(runs[0].key).has("features"):
            reference = group.arrays(runs[0], ("test_reference",))["test_reference"]
            arrays = group.arrays(runs[0], ("features", "index"), "features", {"index": len(reference)})
            stored[method] = arrays["features"], reference[arrays["index"]]
    if not stored:
        raise NotApplicable("no method of this sweep shows its features")
    chosen = [method for name in compared() for method in stored if method.removesuffix(" †") == name]
    chosen = chosen or list(stored)[:MOST_PANELS]
    rows = [
        {"method": method, "class": int(label), "x": short(x), "y": short(y)}
        for method in chosen
        for (x, y), label in zip(layout(stored[method][0]), stored[method][1], strict=True)
    ]
    names, unnamed = group.classes(int(max(labels.max() for _, labels in stored.values())) + 1)
    caption = (
        f"Features of {len(stored[chosen[0]][1])} test images, each marked with the number of its reference class, laid out by "
        f"t-SNE (perplexity {PERPLEXITY:g}, fixed seed; distances between clusters mean nothing); one seed of each method, "
        f"{group.noise}."
        + (f" Features not shown: {', '.join(m for m in stored if m not in chosen)}." if len(chosen) < len(stored) else "")
    )
    return chart(rows, chosen, names), caption + unnamed


@cache
def compared() -> tuple[str, ...]:
    """The methods of the sweep `features` in scripts/, as in the RUL repository; without any, a figure shows its first."""
    sweep = (files("benchmark.scripts") / "features.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(sweep)["sweep"][0]["methods"])


def chart(rows: Sequence[Row], methods: Sequence[str], names: Sequence[str]) -> alt.TopLevelMixin:
    """Rows of `method`, `class`, `x` and `y`, drawn; the legend says what the numbers stand for."""
    side = {1: 380, 2: 250}.get(len(methods), 170 if len(methods) == 3 else 150)
    few = len(names) <= 20
    shown = [f"{k}  {name}" if name != str(k) else name for k, name in enumerate(names)]
    panels = []
    for method in methods:
        mine = [{**row, "name": shown[row["class"]]} for row in rows if row["method"] == method]
        legend = alt.Legend(title=None, orient="bottom", columns=4, symbolType="square", labelLimit=120) if few else None
        place = {"axis": None, "scale": alt.Scale(zero=False, nice=False, padding=6)}
        panel = (
            alt.Chart(theme.data(mine), view=alt.ViewConfig(stroke=theme.GREY))
            .mark_text(fontSize=7)
            .encode(
                x=alt.X("x:Q", **place),
                y=alt.Y("y:Q", **place),
                text="class:N",
                color=alt.Color("name:N", scale=alt.Scale(domain=shown), legend=legend),
                tooltip=["name:N"],
            )
            .properties(width=side, height=side, title=theme.caption_of_panel(method, side))
        )
        panels.append(panel)
    return alt.concat(*panels, columns=len(panels), spacing=8)


def layout(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Places (N, 2) of features (N, D): PCA to at most 50 dimensions, then t-SNE from the first two, the same every time.

    Where there are too few samples, or all are alike, the first two components themselves. Each axis reaches from 0 to 1.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    values = np.nan_to_num(features.astype(np.float64), posinf=0, neginf=0)
    values = (values - values.mean(axis=0)) / (values.std() or 1)
    parts = PCA(min(50, *values.shape), svd_solver="full").fit_transform(values)
    if parts.shape[1] < 2:
        parts = np.hstack([parts, np.zeros((len(parts), 2 - parts.shape[1]))])
    if len(values) > 3 * PERPLEXITY and parts[:, 0].std() > 0:
        start = parts[:, :2] / parts[:, 0].std() * 1e-4
        with threadpool_limits(1):  # its threads wait for each other by spinning, minutes on a busy machine
            parts = TSNE(perplexity=PERPLEXITY, init=start, learning_rate="auto", random_state=0).fit_transform(parts)
    low, span = parts[:, :2].min(axis=0), np.ptp(parts[:, :2], axis=0)
    return np.asarray((parts[:, :2] - low) / np.where(span > 0, span, 1))
