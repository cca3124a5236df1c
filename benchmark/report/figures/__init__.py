"""The figures of a report, drawn from finished runs; only what draws imports altair."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from ...contract.errors import BadInput
from ...store import Store
from ..results import Result, read_results
from .group import Group, NotApplicable, across_datasets, settings

if TYPE_CHECKING:
    import altair as alt


@dataclass(frozen=True)
class Figure:
    """One sort of figure."""

    name: str
    title: str
    of_each: Literal["datasets", "setting", "noise"]  #: whether one is of all datasets of a recipe and backbone, of all noises
    #: of a setting, or of one
    draw: str  #: MODULE.FUNCTION here, from a Group to chart and caption
    images: bool = False  #: whether it shows images of the dataset


FIGURES = (
    Figure("accuracy-noise", "Accuracy against noise", "setting", "accuracy.draw"),
    Figure("training", "Training curves", "noise", "training.draw"),
    Figure("risk-coverage", "Risk against coverage: the most uncertain removed", "noise", "risk.draw"),
    Figure("reliability", "Reliability", "noise", "reliability.draw"),
    Figure("clean-flipped", "Uncertainty of right and wrong labels", "noise", "flipped.draw"),
    Figure("votes", "Uncertainty against human disagreement", "noise", "votes.draw"),
    Figure("confusion", "Confusion", "noise", "matrices.draw_confusion"),
    Figure("noise-transition", "Noise transition", "noise", "matrices.draw_noise"),
    Figure("cost", "Accuracy against cost", "noise", "cost.draw"),
    Figure("ranks", "Average ranks over datasets", "datasets", "ranks.draw"),
    Figure("features", "Features", "setting", "features.draw"),
    Figure(
        "gallery-uncertainty", "The least and the most uncertain images", "setting", "galleries.draw_uncertain", images=True
    ),
    Figure("gallery-flipped", "Wrong labels caught and missed", "setting", "galleries.draw_flipped", images=True),
)
"""In the order of a report."""


@dataclass(frozen=True)
class Drawing:
    """A figure of some runs."""

    figure: Figure
    stem: str  #: names its files
    about: str  #: the setting, and the noise where it has one
    runs: Sequence[Result]
    caption: str
    chart: alt.TopLevelMixin
    private: bool  #: whether it shows images whose licence does not let everybody print them

    @cached_property
    def plain(self) -> Mapping[str, Any]:
        """The Vega-Lite definition, data and all, but for the theme's configuration."""
        spec: dict[str, Any] = self.chart.to_dict(validate=False)
        spec["datasets"] = {name: list(rows) for name, rows in spec["datasets"].items()}
        spec.pop("config", None)  # altair's own
        return spec

    def spec(self, theme: Literal["light", "dark"] = "light") -> dict[str, Any]:
        """The whole Vega-Lite definition in one theme."""
        from .theme import config

        return {**self.plain, "config": config(theme)}


@dataclass(frozen=True)
class Missing:
    """A figure that cannot be drawn of some runs."""

    figure: Figure
    stem: str
    about: str
    runs: Sequence[Result]
    reason: str
    damaged: bool  #: whether it applies, and a file that it needs cannot be used


def figures(
    store: Store, names: Sequence[str] | None = None, results: Sequence[Result] | None = None
) -> Iterator[Drawing | Missing]:
    """The figures of these names (all, if None) in their order: one for each setting, or for each noise in it.

    `results`: those of the store, where they have been read before. There are no figures where no run is finished. Raises
    BadInput where the folder holds no sweep.
    """
    results = read_results(store) if results is None else results
    groups = list(settings(store, results))
    if not groups:
        return
    scopes = {
        "datasets": list(across_datasets(store, results)),
        "setting": groups,
        "noise": [noise for group in groups for noise in group.noises()],
    }
    for figure in FIGURES:
        if names is None or figure.name in names:
            cases = scopes[figure.of_each]
            for stem, case in zip(_stems(figure, cases), cases, strict=True):
                yield _draw(figure, stem, case)


def _draw(figure: Figure, stem: str, group: Group) -> Drawing | Missing:
    from altair.utils.schemapi import debug_mode

    from . import theme

    about = {"noise": f"{group.setting}; noise {group.noise}", "datasets": group.but_dataset}.get(figure.of_each, group.setting)
    module, _, function = figure.draw.partition(".")
    try:
        with debug_mode(False):  # else altair checks each part of a chart whenever it is put into another
            chart, caption = getattr(import_module(f"{__name__}.{module}"), function)(group)
            chart.title = theme.title(figure.title, [about], theme.WIDTH)
    except (NotApplicable, BadInput) as reason:  # a damaged file costs the figures that need it, and is told
        return Missing(figure, stem, about, group.results, str(reason), isinstance(reason, BadInput))
    private = figure.images and not group.data.publishable
    return Drawing(figure, stem, about, group.results, caption, chart, private)


def _stems(figure: Figure, cases: Sequence[Group]) -> list[str]:
    """A file name for each case: the figure's, with what tells the cases apart where there are several."""
    words = [_words(case, figure) for case in cases]
    differ = [len({word[k] for word in words}) > 1 for k in range(len(words[0]))]
    stems: list[str] = []
    for word in words:
        said = [text for text, needed in zip(word, differ, strict=True) if needed and text]
        stem = "-".join([figure.name, *(_slug(text) for text in said)])
        same = sum(other == stem or re.fullmatch(rf"{re.escape(stem)}_\d+", other) is not None for other in stems)
        stems.append(stem if not same else f"{stem}_{same + 1}")
    return stems


def _words(group: Group, figure: Figure) -> tuple[str, ...]:
    spec = group.results[0].spec
    rate = "" if spec.noise_rate is None else f" {spec.noise_rate * 100:g}"
    kind = (spec.noise_kind + rate,) if figure.of_each == "noise" else ()
    dataset = () if figure.of_each == "datasets" else (spec.dataset.label,)
    return (*dataset, spec.backbone, spec.pretrained or "", spec.recipe.name, f"{spec.recipe.epochs} epochs", *kind)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.@=]+", "-", text.rpartition("/")[2].lower()).strip("-.")[:60] or "x"
