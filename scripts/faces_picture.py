"""Draws docs/faces.png for the README: ten faces of each expression, the most certain by their votes first.

python scripts/faces_picture.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmark.datasets.faces import Faces

COLUMNS, SCALE, MARGIN = 10, 2, 92


def main() -> None:
    """Writes the picture."""
    data = Faces(Faces.Config(), None).read()
    side = data.test.images.shape[1] * SCALE
    sheet = Image.new("L", (MARGIN + COLUMNS * side, len(data.classes) * side), 255)
    pen = ImageDraw.Draw(sheet)
    for row, name in enumerate(data.classes):
        pen.text((4, row * side + side // 2 - 6), name, fill=0, font_size=14)
        members = np.flatnonzero(data.test.labels == row)
        agreement = data.test.votes[members, row] if data.test.votes is not None else np.zeros(len(members))
        order = members[np.argsort(-agreement, kind="stable")]
        for column, index in enumerate(order[np.linspace(0, len(order) - 1, COLUMNS).astype(int)]):
            face = Image.fromarray(data.test.images[index, :, :, 0]).resize((side, side), Image.Resampling.BICUBIC)
            sheet.paste(face, (MARGIN + column * side, row * side))
    sheet.save(Path(__file__).parents[1] / "docs" / "faces.png", optimize=True)


if __name__ == "__main__":
    main()
