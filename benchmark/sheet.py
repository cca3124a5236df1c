"""A contact sheet: images of each class side by side, to see what a dataset holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .contract.dataset import Split

if TYPE_CHECKING:
    from PIL.Image import Image

MARGIN, SMALLEST = 130, 96
"""Pixels of the names' column; the least side of an image on the sheet."""
MOST_CLASSES = 50


def contact_sheet(split: Split, classes: tuple[str, ...], columns: int = 10) -> Image:
    """A row for each class (the first 50) with `columns` of its images.

    Where humans voted, from those that they agree on to those that they do not; else spread over the whole split.
    """
    from PIL import Image, ImageDraw

    height, width, channels = split.images.shape[1:]
    scale = max(1, -(-SMALLEST // height))
    height, width = height * scale, width * scale
    shown = classes[:MOST_CLASSES]
    sheet = Image.new("L" if channels == 1 else "RGB", (MARGIN + columns * width, len(shown) * height), "white")
    pen = ImageDraw.Draw(sheet)
    for row, name in enumerate(shown):
        pen.text((4, row * height + height // 2 - 7), _label(row, name), fill="black", font_size=13)
        members = np.flatnonzero(split.labels == row)
        if split.votes is not None:
            shares = split.votes[members, row] / np.maximum(1, split.votes[members].sum(axis=1))
            members = members[np.argsort(-shares, kind="stable")]
        places = np.linspace(0, len(members) - 1, min(columns, len(members))).astype(int)
        for column, index in enumerate(members[places]):
            pixels = split.images[index]
            picture = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
            sheet.paste(picture.resize((width, height), Image.Resampling.BICUBIC), (MARGIN + column * width, row * height))
    return sheet


def _label(number: int, name: str) -> str:
    """A class's name, where the font has letters for it."""
    from PIL import ImageFont

    font = ImageFont.load_default(13)
    nothing = font.getmask("\uffff").getbbox(), bytes(font.getmask("\uffff"))
    drawn = [(mask.getbbox(), bytes(mask)) for mask in map(font.getmask, name)]
    return f"class {number}" if nothing in drawn else name[:18]
