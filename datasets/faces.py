"""Faces: synthetic facial expressions, drawn on the spot; the suite's default dataset, which needs no file and no network.

An expression is a point in the space of the action units below. A face shows a mixture of two of them,

    units = w * EXPRESSIONS[first] + (1 - w) * EXPRESSIONS[second] + jitter,        w >= 1/2,

the second being another expression (a blend) or neutral (a weaker expression). The same weights are the true class
distribution of the image; its reference label is `first`, and its votes are ten draws from the distribution. So it is known of
each image how ambiguous it is. All that `VARIATION` lists (identity, pose, light, …) tells nothing about the class.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import BadInput, Card, Data, Dataset, Split

from ._mistakes import expression_mistakes

Array = NDArray[np.float32]

# What the face does in each expression: 0 is at rest, 1 is the most that a face can do.
# fmt: off
UNITS = (       "brow_in", "brow_out", "knit", "lid", "squint", "corner", "open", "wide", "lips", "wrinkle", "cheek", "teeth")
EXPRESSIONS = {
    "surprise":  (  0.9,      1.0,      0.0,    1.0,    0.0,      0.0,     1.0,   -0.7,    0.0,     0.0,      0.0,     0.1),
    "fear":      (  1.0,      0.0,      0.8,    0.9,    0.0,     -0.4,     0.4,    0.6,   -0.2,     0.0,      0.1,     0.9),
    "disgust":   ( -0.6,     -0.4,      0.5,   -0.5,    0.8,     -0.5,     0.2,   -0.2,    0.3,     1.0,      0.8,     0.3),
    "happiness": (  0.2,      0.2,      0.0,   -0.1,    0.6,      1.0,     0.4,    0.8,    0.0,     0.0,      0.9,     1.0),
    "sadness":   (  0.9,     -0.7,      0.4,   -0.5,    0.1,     -1.0,     0.0,   -0.3,    0.1,     0.0,      0.2,     0.0),
    "anger":     ( -1.0,      0.4,      1.0,    0.4,    0.4,     -0.4,     0.0,    0.0,   -0.8,     0.3,      0.1,     0.2),
    "neutral":   (  0.0,      0.0,      0.0,    0.0,    0.0,      0.0,     0.0,    0.0,    0.0,     0.0,      0.0,     0.0),
}
# fmt: on
CLASSES = tuple(EXPRESSIONS)
NEUTRAL = CLASSES.index("neutral")

BLENDED = 0.45  # share of the images that show two expressions
BLEND_WEIGHT = (0.5, 0.7)  # weight of the first expression in a blend
INTENSITY = (0.8, 1.0)  # weight of an expression shown alone, against neutral
JITTER = 0.08  # standard deviation of each action unit: people differ in how they show the same thing
VOTERS = 10
FLOOR = 0.03  # share of the votes given blindly

# Lengths in half image sides (24 pixels), y down; tones from 0, black, to 1, white. Each is drawn uniformly from its range.
VARIATION = {
    # who
    "face_width": (0.66, 0.80), "face_height": (0.88, 1.00), "jaw": (0.05, 0.28), "skin": (0.5, 0.85), "hair": (0.04, 0.42),
    "hairline": (-0.80, -0.55), "parting": (-0.25, 0.25), "temple": (0.5, 1.1), "beard": (-1.6, 0.7), "glasses": (-4.0, 1.0),
    "eye_x": (0.29, 0.37), "eye_y": (-0.22, -0.12), "eye_size": (0.13, 0.18), "eye_round": (0.055, 0.085), "iris": (0.05, 0.35),
    "brow_gap": (0.19, 0.25), "brow_thick": (0.025, 0.055), "brow_arch": (0.0, 0.06), "nose_y": (0.16, 0.26),
    "nose_width": (0.09, 0.15), "mouth_y": (0.47, 0.56),
    "mouth_width": (0.22, 0.30), "lip": (0.035, 0.075), "lip_tone": (0.5, 0.8),
    # how it is seen
    "turn": (-0.12, 0.12), "roll": (-0.12, 0.12), "size": (1.06, 1.20), "shift_x": (-0.05, 0.05), "shift_y": (-0.05, 0.05),
    "gaze": (-0.05, 0.05), "light_x": (-0.25, 0.25), "light_y": (-0.20, 0.10), "backdrop": (0.2, 0.8), "contrast": (0.8, 1.1),
    "brightness": (-0.08, 0.08), "blur": (0.0, 0.22), "grain": (0.005, 0.035),
    # what is in the way: half lengths and half breadths
    "bar": (0.0, 1.0), "bar_x": (-0.6, 0.6), "bar_y": (-0.6, 0.7), "bar_angle": (0.0, np.pi), "bar_long": (0.3, 1.0),
    "bar_broad": (0.15, 0.28), "bar_tone": (0.1, 0.8), "bar_stripes": (0.0, 0.12),
}  # fmt: skip
OCCLUDED = 0.15  # share of the images with something in the way

SIDE = 48  # pixels
FINE = 2  # subpixels per pixel along each axis
EDGE = 2 / (SIDE * FINE)  # width of a subpixel
BLOCK = 2 * len(CLASSES)  # images that share a random stream and are drawn at once; more would not fit the processor's cache


def sample_faces(rng: np.random.Generator) -> SimpleNamespace:
    """Draws all that is to know of a block of B faces, with equally many of each class.

    `labels` (B,), `blended` (B,) bool, `distribution` (B, K), `votes` (B, K); every action unit and every name of `VARIATION`
    as (B, 1, 1), to be combined with (B, S, S) images.
    """
    K, table = len(CLASSES), np.array(list(EXPRESSIONS.values()))
    first = rng.permutation(np.arange(BLOCK) % K)
    blended = rng.random(BLOCK) < BLENDED
    second = np.where(blended, (first + rng.integers(1, K, BLOCK)) % K, NEUTRAL)
    weight = np.where(blended, rng.uniform(*BLEND_WEIGHT, BLOCK), rng.uniform(*INTENSITY, BLOCK))[:, None]
    mixture = weight * np.eye(K)[first] + (1 - weight) * np.eye(K)[second]
    distribution = (1 - FLOOR) * mixture + FLOOR / K
    votes = rng.multinomial(VOTERS, distribution)
    units = weight * table[first] + (1 - weight) * table[second] + rng.normal(0, JITTER, (BLOCK, len(UNITS)))
    drawn = dict(zip(UNITS, units.T, strict=True)) | {name: rng.uniform(*ends, BLOCK) for name, ends in VARIATION.items()}
    looks = {name: values.astype(np.float32)[:, None, None] for name, values in drawn.items()}
    return SimpleNamespace(labels=first, blended=blended, distribution=distribution, votes=votes, **looks)


def cover(distance: Array, softness: float = EDGE) -> Array:
    """How much of each point (B, S, S) a shape covers, in [0, 1], from the signed distance to its edge, negative inside."""
    amount: Array = np.clip(0.5 - distance / softness, 0, 1)
    return amount


def length(x: Array, y: Array) -> Array:
    """The distance of each point (B, S, S) from the origin; several times as fast as `np.hypot`."""
    return np.sqrt(x * x + y * y)


def paint(canvas: Array, tone: Array | float, amount: Array) -> None:
    """Moves the canvas (B, S, S) in place towards `tone` by `amount` in [0, 1]."""
    canvas += amount * (tone - canvas)


def face_coordinates(face: SimpleNamespace) -> tuple[Array, Array]:
    """Where on the face each subpixel lies, x and y (B, S, S): the head is shifted, sized, rolled and turned."""
    line = (np.arange(SIDE * FINE, dtype=np.float32) + 0.5) * EDGE - 1
    x, y = (line[None, None, :] - face.shift_x) / face.size, (line[None, :, None] - face.shift_y) / face.size
    cos, sin = np.cos(face.roll), np.sin(face.roll)
    x, y = cos * x + sin * y, cos * y - sin * x
    x += face.turn * np.maximum(1 - (x / face.face_width) ** 2, 0)  # the outline stays, what lies between moves to one side
    return x, y


def draw_head(canvas: Array, x: Array, y: Array, face: SimpleNamespace) -> None:
    """Hair, neck, ears, the shaded skin and a beard, onto the canvas (B, S, S)."""
    side = np.abs(x)
    radius = length(x / (face.face_width - face.jaw * np.maximum(y, 0)), y / face.face_height)
    rim = (radius - 1) * face.face_width
    paint(canvas, face.hair, cover(length(x, y + 0.2) - face.face_width - 0.14))
    paint(canvas, face.skin * 0.6, cover(np.maximum(side - 0.4, 0.5 - y)))
    paint(canvas, face.skin * 0.8, cover(length((side - face.face_width) * 1.8, y + 0.05) - 0.18))
    paint(canvas, face.skin * (1.08 - 0.3 * radius**2), cover(rim))
    paint(canvas, face.hair, cover(np.maximum(rim - 0.05, y - face.hairline - face.temple * (x - face.parting) ** 2), 0.08))
    paint(canvas, face.hair, np.maximum(face.beard, 0) * cover(np.maximum(rim, 0.45 - 0.9 * x**2 - y), 0.12))


def draw_eyes(canvas: Array, x: Array, y: Array, face: SimpleNamespace) -> None:
    """Eyes and glasses; the left and the right at once, as they mirror each other, save for the gaze."""
    side = np.abs(x)
    across, down = side - face.eye_x, y - face.eye_y
    almond = np.maximum(1 - (across / face.eye_size) ** 2, 0)
    upper = -face.eye_round * np.maximum(1.2 + 0.9 * face.lid - 0.3 * face.squint, 0.1) * almond
    lower = face.eye_round * np.maximum(0.9 + 0.3 * face.lid - 0.9 * face.squint, 0.1) * almond
    inside = cover(np.maximum(upper - down, down - lower)) * (almond > 0)
    pupil = length(np.sign(x) * across - face.gaze, down)
    paint(canvas, 0.35 + 0.6 * face.skin, inside)
    paint(canvas, face.iris * np.clip(pupil / 0.04, 0, 1), inside * cover(pupil - 0.075))
    paint(canvas, 0.05, cover(np.abs(down - upper) - 0.018) * (almond > 0))
    paint(canvas, face.skin * 0.6, 0.6 * cover(np.abs(down - lower - 0.02) - 0.008, 0.04) * (almond > 0))
    rims = np.minimum(np.abs(length(across, down * 1.2) - 0.23), np.maximum(np.abs(down), side - face.eye_x + 0.23)) - 0.02
    paint(canvas, 0.08, (face.glasses > 0) * cover(rims))


def draw_brows(canvas: Array, x: Array, y: Array, face: SimpleNamespace) -> None:
    """Brows, the furrows of a frown between them, and the lines that raised brows make on the forehead."""
    side, down = np.abs(x), y - face.eye_y + face.brow_gap
    inner, span = 0.13 - 0.06 * face.knit, 0.40 + 0.05 * face.knit
    along = (side - inner) / span  # 0 at the inner end, 1 at the outer
    lift = 0.10 * (face.brow_in * (1 - along) + face.brow_out * along) - 0.03 * along
    height = down + lift + 4 * face.brow_arch * along * (1 - along)
    brow = np.maximum(np.abs(height) - face.brow_thick * (1.2 - 0.6 * along), (np.abs(along - 0.5) - 0.5) * span)
    paint(canvas, face.hair * 0.7, 0.9 * cover(brow, 0.04))
    furrows = np.maximum(np.abs(side - 0.05) - 0.012, np.abs(down - 0.04) - 0.09)
    paint(canvas, face.skin * 0.4, np.clip(face.knit, 0, 1) * cover(furrows, 0.04))
    lines = np.maximum(np.abs(np.abs(y + 0.60 - 0.1 * x**2) - 0.04) - 0.008, side - 0.3)
    paint(canvas, face.skin * 0.6, 0.4 * np.clip(face.brow_in + face.brow_out, 0, 2) * cover(lines, 0.04))


def draw_nose(canvas: Array, x: Array, y: Array, face: SimpleNamespace) -> None:
    """Nose, its wrinkles, and the folds that run from it past the corners of the mouth."""
    side, down = np.abs(x), y - face.nose_y + 0.05 * face.wrinkle
    ridge = np.maximum(np.abs(x - np.sign(face.light_x) * face.nose_width * 0.5) - 0.02, np.abs(down + 0.18) - 0.18)
    paint(canvas, face.skin * 0.7, 0.5 * cover(ridge, 0.08))
    paint(canvas, face.skin * 0.75, 0.8 * cover(length(side - face.nose_width, down * 1.3) - 0.05, 0.06))
    paint(canvas, face.skin * 0.25, cover(length(side - face.nose_width * 0.6, (down - 0.03) * 1.6) - 0.04, 0.04))
    wrinkles = np.maximum(np.abs(np.abs(y - face.eye_y - 0.06 + 0.4 * side) - 0.045) - 0.012, side - 0.16)
    paint(canvas, face.skin * 0.4, np.clip(face.wrinkle, 0, 1) * cover(wrinkles, 0.04))
    folds = np.maximum(np.abs(side - face.nose_width - 0.09 - 0.5 * down) - 0.012, np.abs(down - 0.10) - 0.12)
    paint(canvas, face.skin * 0.45, 0.8 * np.clip(face.cheek + 0.15, 0, 1) * cover(folds, 0.05))


def draw_mouth(canvas: Array, x: Array, y: Array, face: SimpleNamespace) -> None:
    """Lips, and behind them the dark of the open mouth with the upper teeth."""
    bow = (x / (face.mouth_width * (1 + 0.35 * face.wide))) ** 2  # 0 in the middle, 1 at the corners
    arc = np.maximum(1 - bow, 0)
    down = y - face.mouth_y + 0.15 * face.corner * (bow - 0.4) + 0.04 * face.wrinkle
    gap, thick = np.maximum(face.open, 0) * np.sqrt(arc), face.lip * np.maximum(1 + face.lips, 0.15) * arc
    upper, lower, shown = -0.08 * gap, 0.24 * gap, np.clip(face.teeth, 0, 1)
    lips = np.maximum(upper - thick - down, down - lower - 1.3 * thick)
    teeth = np.maximum(upper - down, down - np.minimum(upper + 0.13 * shown, lower))
    paint(canvas, face.skin * face.lip_tone, cover(lips, 0.04) * (arc > 0))
    paint(canvas, 0.08, cover(np.maximum(upper - down, down - lower) - 0.014) * (arc > 0))
    paint(canvas, 0.92, shown * cover(teeth) * (arc > 0))


def draw_bar(canvas: Array, x: Array, y: Array, face: SimpleNamespace) -> None:
    """What is in the way of some faces: a bar, striped as fingers and strands of hair are."""
    cos, sin = np.cos(face.bar_angle), np.sin(face.bar_angle)
    along = cos * (x - face.bar_x) + sin * (y - face.bar_y)
    away = cos * (y - face.bar_y) - sin * (x - face.bar_x)
    bar = np.maximum(np.abs(along) - face.bar_long, np.abs(away) - face.bar_broad)
    paint(canvas, face.bar_tone + face.bar_stripes * np.cos(40 * away), (face.bar < OCCLUDED) * cover(bar))


def draw(face: SimpleNamespace, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The photographs (B, SIDE, SIDE, 1) of the faces that `sample_faces` gave; `rng` draws the sensor's noise."""
    x, y = face_coordinates(face)
    canvas = np.broadcast_to(face.backdrop, x.shape).copy()
    for draw_part in (draw_head, draw_nose, draw_mouth, draw_brows, draw_eyes, draw_bar):
        draw_part(canvas, x, y, face)
    canvas *= 1 + face.light_x * x + face.light_y * y
    photo: Array = canvas.reshape(-1, SIDE, FINE, SIDE, FINE).mean(axis=(2, 4))
    photo = 0.5 + face.brightness + face.contrast * (photo - 0.5)
    for axis in (1, 2):
        photo += face.blur * (np.roll(photo, 1, axis) + np.roll(photo, -1, axis) - 2 * photo)
    photo += face.grain * rng.standard_normal(photo.shape, dtype=np.float32)
    pixels: NDArray[np.uint8] = np.rint(np.clip(photo, 0, 1) * 255).astype(np.uint8)
    return pixels[..., None]


def make_split(size: int, *key: int) -> Split:
    """The first `size` images of the endless row that `key` names: a larger split begins with the smaller one."""
    parts = []
    for block in range(-(-size // BLOCK)):
        rng = np.random.Generator(np.random.PCG64([*key, block]))
        face = sample_faces(rng)
        parts.append((draw(face, rng), face.labels, face.votes))
    images, labels, votes = (np.concatenate(part)[:size] for part in zip(*parts, strict=True))
    return Split(images, labels, votes)


@dataclass(frozen=True)
class Config:
    """How many faces to draw, and which."""

    train: int = 2400  #: training images
    test: int = 1000  #: test images
    seed: int = 0  #: another seed draws other faces

    def __post_init__(self) -> None:
        K = len(CLASSES)
        for name, low, high in (("train", K, 1_000_000), ("test", K, 1_000_000), ("seed", 0, 2**32 - 1)):
            if not low <= getattr(self, name) <= high:
                raise BadInput(f"faces.{name} is {getattr(self, name)}; wanted a whole number from {low} to {high}")


class Faces(Dataset):
    """Synthetic faces with seven expressions, a known class distribution and ten votes each."""

    name = "faces"
    card = Card(
        summary="synthetic facial expressions, 48×48 grey, 7 classes, 10 votes an image; drawn on the spot, no download",
        citation="none: it is part of this suite",
        source="datasets/faces.py",
        licence="MIT (the project's own)",
        publishable=True,
        defects=(
            "not real faces: figures on it say nothing about the recognition of real expressions",
            "the votes are drawn from the mixture that the face was made of; nobody looked at the images",
            "balanced by construction, whereas real expression datasets are not",
        ),
    )
    Config = Config

    def read(self) -> Data:
        """Draws both splits, from streams of their own."""
        config: Config = self.config
        train, test = (make_split(count, config.seed, k) for k, count in enumerate((config.train, config.test)))
        return Data(train, test, CLASSES, mistakes=expression_mistakes(CLASSES))
