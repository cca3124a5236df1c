"""Names beside points, where there is room for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Box:
    """Where a text stands: its left end, the middle of its height, its size; pixels."""

    FONT: ClassVar[float] = 8.5

    x: float
    y: float
    width: float
    height: float

    def meets(self, other: Box) -> bool:
        """Whether the two overlap."""
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and abs(self.y - other.y) < (self.height + other.height) / 2
        )


def place_labels(
    names: Sequence[str],
    points: Sequence[tuple[float, float]],
    marks: Sequence[tuple[float, float]],
    size: tuple[float, float],
    mark: float = 8,
) -> list[Box | None]:
    """A place beside its point (x, y) for each name, in turn; None where every place would hide another name or a mark.

    `marks` are all points of the picture, `mark` the side of one, `size` the picture's width and height; all in pixels.
    """
    taken = [Box(x - mark / 2, y, mark, mark) for x, y in marks]
    placed: list[Box | None] = []
    for name, (x, y) in zip(names, points, strict=True):
        width, height, gap = len(name) * Box.FONT * 0.56, Box.FONT + 1, mark / 2 + 2
        places = [
            (x + gap, y),
            (x - gap - width, y),
            (x - width / 2, y - gap - height / 2),
            (x - width / 2, y + gap + height / 2),
            (x + gap, y - height),
            (x + gap, y + height),
            (x - gap - width, y - height),
            (x - gap - width, y + height),
        ]
        fitting = (
            box
            for box in (Box(left, middle, width, height) for left, middle in places)
            if box.x >= 0
            and box.x + box.width <= size[0]
            and height / 2 <= box.y <= size[1] - height / 2
            and not any(box.meets(other) for other in taken)
        )
        box = next(fitting, None)
        placed.append(box)
        if box:
            taken.append(box)
    return placed
