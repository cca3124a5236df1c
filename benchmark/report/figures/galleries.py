"""Galleries: the images that a method is most and least sure of, and the wrong labels that it caught and missed."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import altair as alt
import numpy as np
from numpy.typing import NDArray

from ...contract.errors import BadInput
from ...noise.artefact import OUTSIDE
from ..results import Result
from . import theme
from .group import OVERLAID, Group, NotApplicable, Row, short

SHARPEST = 64
"""Pixels of an image's longer side in a gallery; larger ones are reduced."""
WIDEST = 110
"""Most pixels of the column with the methods' names."""


@dataclass(frozen=True)
class Cell:
    """One image of a gallery."""

    url: str
    lines: tuple[str, ...]  #: what stands beneath it
    told: Row  #: what its tooltip shows


@dataclass(frozen=True)
class Size:
    """How a gallery is laid out, in pixels."""

    names: float  #: the column with the methods' names; 0 where they stand above the images
    columns: int  #: methods side by side
    lines: int  #: of text beneath an image

    COUNT: ClassVar[int] = 4  #: images a side
    MIDDLE: ClassVar[float] = 10  #: between the sides, and twice that between columns

    @classmethod
    def of(cls, methods: Sequence[str]) -> Size:
        """Few methods leave room for names beside the images and words beneath them, many for numbers."""
        if len(methods) > OVERLAID:
            return cls(0, 2, 2)
        return cls(min(WIDEST, 10 + 5.2 * max(map(len, methods))), 1, 3)

    @property
    def column(self) -> float:
        """From column to column."""
        return (theme.WIDTH + 2 * self.MIDDLE) / self.columns

    @property
    def cell(self) -> float:
        """From image to image."""
        return (self.column - 3 * self.MIDDLE - self.names) / (2 * self.COUNT)

    @property
    def image(self) -> float:
        """An image's side."""
        return self.cell - 4

    @property
    def row(self) -> float:
        """From method to method."""
        return self.image + 9 * self.lines + (22 if self.names == 0 else 8)


def draw_uncertain(group: Group) -> tuple[alt.TopLevelMixin, str]:
    """The test images at both ends of each method's uncertainty."""
    group = group.hardest()
    split, (names, _) = group.data.data.test, group.classes(0)

    def ends(run: Result, size: Size) -> tuple[list[Cell], list[Cell]]:
        arrays = group.arrays(run, ("test_logits", "test_uncertainty", "test_reference"))
        if arrays["test_logits"].shape != (len(split), len(names)):
            raise BadInput(f"runs/{run.key}: it has other test images than {run.spec.dataset.label}")
        u, predicted, reference = arrays["test_uncertainty"], arrays["test_logits"].argmax(axis=1), arrays["test_reference"]
        order = np.argsort(u, kind="stable")

        def cell(k: int) -> Cell:
            words = names[reference[k]], f"read {names[predicted[k]]}"
            told = {"reference": names[reference[k]], "predicted": names[predicted[k]], "uncertainty": short(float(u[k]))}
            numbers = f"{reference[k]}→{predicted[k]}"
            return _cell(split.images[k], words, numbers, told, split.votes, k, int(reference[k]), names, size)

        return [cell(int(k)) for k in order[: size.COUNT]], [cell(int(k)) for k in order[::-1][: size.COUNT]]

    chart, licence = _gallery(group, ends, ("least uncertain", "most uncertain"))
    votes = ", the votes for it" if split.votes is not None else ""
    return chart, (
        f"The test images that each method is least and most uncertain of, with the reference class{votes}, and the predicted "
        f"class; one seed, {group.noise}. {licence}"
    )


def draw_flipped(group: Group) -> tuple[alt.TopLevelMixin, str]:
    """The wrong labels at both ends of each method's noise score."""
    group = group.hardest()
    if all(run.realised == 0 for run in group.results):
        raise NotApplicable("no given label is wrong")
    split, (names, _) = group.data.data.train, group.classes(0)

    def ends(run: Result, size: Size) -> tuple[list[Cell], list[Cell]]:
        wanted = "train_index", "train_given", "train_reference", "train_noise_score"
        below = {"train_index": len(split), "train_given": len(names), "train_reference": len(names)}
        index, given, reference, score = group.arrays(run, wanted, below=below).values()
        order = missed_first(score, given, reference)

        def cell(k: int) -> Cell:
            words = f"given {names[given[k]]}", f"is {names[reference[k]]}"
            told = {"given": names[given[k]], "reference": names[reference[k]], "noise score": short(float(score[k]))}
            numbers = f"{given[k]}≠{reference[k]}"
            return _cell(
                split.images[index[k]], words, numbers, told, split.votes, int(index[k]), int(reference[k]), names, size
            )

        return [cell(int(k)) for k in order[::-1][: size.COUNT]], [cell(int(k)) for k in order[: size.COUNT]]

    chart, licence = _gallery(group, ends, ("caught", "missed"))
    votes = " and the votes for the latter" if split.votes is not None else ""
    outside = " Images from outside are left out." if any(group.noise_artefact(run).outside for run in group.results) else ""
    return chart, (
        "Of the training images whose given label is wrong, those to which each method gives the highest noise score (caught) "
        f"and the lowest (missed), with given and reference label{votes}; one seed, {group.noise}.{outside} {licence}"
    )


def missed_first(score: NDArray[np.floating], given: NDArray[np.int64], reference: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of the wrong labels, those with the lowest noise score first; images from outside are none."""
    wrong = np.flatnonzero((given != reference) & (reference != OUTSIDE))
    return wrong[np.argsort(score[wrong], kind="stable")]


def _cell(
    pixels: NDArray[np.uint8],
    words: tuple[str, str],
    numbers: str,
    told: Row,
    votes: NDArray[np.int64] | None,
    k: int,
    reference: int,
    names: Sequence[str],
    size: Size,
) -> Cell:
    lines = words if size.lines == 3 else (numbers,)
    if votes is not None:
        count, total = int(votes[k, reference]), int(votes[k].sum())
        lines = (*lines, f"{count} of {total} votes" if size.lines == 3 else f"{count}/{total}")
        cast = [(int(n), name) for n, name in zip(votes[k], names, strict=True) if n]
        told = {**told, "votes": ", ".join(f"{name} {n}" for n, name in sorted(cast, key=lambda vote: -vote[0]))}
    return Cell(picture(pixels), lines, told)


def picture(pixels: NDArray[np.uint8]) -> str:
    """An image (H, W, C) as a data URL: JPEG or PNG, whichever is smaller, at most `SHARPEST` pixels a side."""
    from PIL import Image

    image = Image.fromarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0])
    image.thumbnail((SHARPEST, SHARPEST), Image.Resampling.LANCZOS)
    encoded = {}
    for kind, options in (("jpeg", {"quality": 85}), ("png", {"optimize": True})):
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        encoded[kind] = buffer.getvalue()
    kind, content = min(encoded.items(), key=lambda pair: len(pair[1]))
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _gallery(
    group: Group, ends: Callable[[Result, Size], tuple[list[Cell], list[Cell]]], titles: tuple[str, str]
) -> tuple[alt.TopLevelMixin, str]:
    """A row for each method's first seed, and what must be said of the images' licence, which also stands in the picture."""
    runs = {method: of_method[0] for method, of_method in group.by_method().items()}
    size = Size.of(list(runs))
    data = group.data
    licence = f"Licence of the images: {data.licence}."
    if not data.publishable:
        licence = f"Not to be published: {licence[0].lower()}{licence[1:]}"
    names, _ = group.classes(0)
    key = [f"{k} {name}" for k, name in enumerate(names)] if size.lines < 3 and len(names) <= 20 else []
    return chart({method: ends(run, size) for method, run in runs.items()}, titles, size, [*_wrapped(key), licence]), licence


def _wrapped(entries: Sequence[str]) -> list[str]:
    import textwrap

    return textwrap.wrap("   ".join(entry.replace(" ", " ") for entry in entries), 120)


def chart(
    rows: dict[str, tuple[list[Cell], list[Cell]]], titles: tuple[str, str], size: Size, notes: Sequence[str]
) -> alt.LayerChart:
    """A row for each method: images of one end, then of the other; `notes` are lines beneath."""
    images: list[Row] = []
    texts: list[Row] = []
    below = -(-len(rows) // size.columns)
    sides = (size.names, size.names + size.COUNT * size.cell + size.MIDDLE)
    for place, (method, ends) in enumerate(rows.items()):
        left, y = place // below * size.column, 18 + place % below * size.row
        if place % below == 0:
            texts += [{"x": left + x, "y": 6, "text": title, "kind": "head"} for x, title in zip(sides, titles, strict=True)]
        texts.append({"x": left, "y": y + (size.image / 2 if size.names else 6), "text": method, "kind": "name"})
        y += 0 if size.names else 13
        for x, cells in zip(sides, ends, strict=True):
            for k, cell in enumerate(cells):
                at = left + x + k * size.cell
                images.append({"x": at, "y": y, "url": cell.url, "method": method, **cell.told})
                texts += [
                    {"x": at, "y": y + size.image + 6 + 9 * line, "text": text, "kind": "line"}
                    for line, text in enumerate(cell.lines)
                ]
    y = 18 + below * size.row
    foot = [{"x": 0, "y": y + 8 + 12 * line, "text": note} for line, note in enumerate(notes)]
    where = {"x": alt.X("x:Q", scale=None, axis=None), "y": alt.Y("y:Q", scale=None, axis=None)}
    tooltip = [f"{name}:N" for name in (images[0] if images else {}) if name not in ("x", "y", "url")]
    picture_mark = alt.Chart(theme.data(images)).mark_image(width=size.image, height=size.image, align="left", baseline="top")
    layers = [picture_mark.encode(**where, url="url:N", tooltip=tooltip)]
    beside = size.names - 4 if size.names else size.column - 20
    for kind, font, limit in (("head", 9.5, size.column / 2), ("name", 9.5, beside), ("line", 7.5, size.cell - 2)):
        values = [row for row in texts if row["kind"] == kind]
        mark = alt.Chart(theme.data(values)).mark_text(align="left", baseline="middle", fontSize=font, limit=limit)
        layers.append(mark.encode(**where, text="text:N"))
    mark = alt.Chart(theme.data(foot)).mark_text(align="left", baseline="middle", fontSize=8, limit=theme.WIDTH)
    layers.append(mark.encode(**where, text="text:N"))
    return alt.layer(*layers).properties(width=theme.WIDTH, height=y + 12 * len(notes) + 8)
