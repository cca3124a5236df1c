"""Images from files: decoded once, with all cores, and named where they cannot be."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import BadInput

Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels of the file's image."""


def decode(
    paths: Sequence[Path], side: int, channels: int, boxes: Sequence[Box] | None = None, into: Path | None = None
) -> NDArray[np.uint8]:
    """Images (N, side, side, channels) from files, or from boxes of them; mapped to the file `into`, else in memory.

    An image of another shape is scaled to cover the square, and its middle is taken. What a camera noted of its rotation is
    followed. Raises BadInput, which names the file, for an image that is missing or cannot be decoded whole.
    """
    shape = (len(paths), side, side, channels)
    images: NDArray[np.uint8] = np.lib.format.open_memmap(into, "w+", np.uint8, shape) if into else np.empty(shape, np.uint8)

    def one(k: int) -> None:
        images[k] = decode_one(paths[k], side, channels, boxes[k] if boxes else None)

    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        _progress(len(paths)) as advance,
    ):  # PIL decodes without the interpreter lock
        for _ in pool.map(one, range(len(paths))):
            advance()
    return images


def decode_one(path: Path, side: int, channels: int, box: Box | None = None) -> NDArray[np.uint8]:
    """One image (side, side, channels), as `decode` says."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened).convert("L" if channels == 1 else "RGB")
    except FileNotFoundError:
        raise BadInput(f"{path} is missing") from None
    except Exception as error:  # PIL's decoders raise types of their own
        raise BadInput(f"{path} cannot be decoded: {' '.join(str(error).split())}") from None
    if box is not None:
        picture = picture.crop(box)
    if picture.size != (side, side):
        picture = ImageOps.fit(picture, (side, side), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.uint8).reshape(side, side, channels)


@contextmanager
def _progress(count: int) -> Iterator[Any]:
    """Gives what is called once an image; a bar on a terminal, where there are many."""
    if count < 1000 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("decoding images", total=count)
        yield lambda: bar.advance(task)
