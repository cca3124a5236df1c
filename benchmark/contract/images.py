"""Images from files: decoded once, with all cores, and named where they cannot be."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import BadInput
from .text import one_line

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What is decoded, whatever a file is called. PIL knows forty more, and would hand PostScript to another program."""
MOST_PIXELS = 2**27
"""Of an image, and of a box: half a gigabyte while they are decoded. A header may claim any number."""
MANY_PIXELS = 2**24
"""Of an image that is decoded while no other one as large is: the memory is not to grow with the cores."""
Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels of the file's image."""
T = TypeVar("T")
R = TypeVar("R")


def decode(
    paths: Sequence[Path], side: int, channels: int, boxes: Sequence[Box] | None = None, into: Path | None = None
) -> NDArray[np.uint8]:
    """Images (N, side, side, channels) from files, or from boxes of them; mapped to the file `into`, else in memory.

    An image of another shape is scaled to cover the square, and its middle is taken. What a camera noted of its rotation is
    followed, before a box is cut out. Transparency is dropped, and of 16 bits the higher eight are kept. Raises BadInput, which
    names the file, for an image that is missing or cannot be decoded whole.
    """
    shape = (len(paths), side, side, channels)
    images: NDArray[np.uint8] = np.lib.format.open_memmap(into, "w+", np.uint8, shape) if into else np.empty(shape, np.uint8)

    def one(k: int) -> None:
        images[k] = decode_one(paths[k], side, channels, boxes[k] if boxes else None)

    on_all_cores(one, range(len(paths)))
    return images


def on_all_cores(work: Callable[[T], R], images: Sequence[T]) -> list[R]:
    """What `work` gives for each image, in their order; the first error ends it. Many images show a bar on a terminal."""
    results = []
    # Threads are enough: PIL decodes without the interpreter lock.
    with without_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool, progress("reading images", len(images)) as advance:
        for result in pool.map(work, images):
            results.append(result)
            advance()
    return results


@contextmanager
def without_warnings() -> Iterator[None]:
    """Keeps what PIL warns of off standard error: an image is used, or refused by name. For one thread, around its others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def decode_one(path: Path, side: int, channels: int, box: Box | None = None) -> NDArray[np.uint8]:
    """One image (side, side, channels), as `decode` says."""
    from PIL import Image, ImageOps

    picture = _decoded(path, "L" if channels == 1 else "RGB")
    if box is not None:
        left, top, right, bottom = box
        if not (max(left, 0) < min(right, picture.width) and max(top, 0) < min(bottom, picture.height)):
            raise BadInput(f"{path}: the box {box} holds none of its {picture.width}x{picture.height} pixels")
        if (right - left) * (bottom - top) > MOST_PIXELS:
            raise BadInput(f"{path}: the box {box} cannot be cut out: it has more than {MOST_PIXELS:,} pixels")
        picture = picture.crop(box)  # black, where the box is larger than the image
    if picture.size != (side, side):
        picture = ImageOps.fit(picture, (side, side), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.uint8).reshape(side, side, channels)


def _decoded(path: Path, mode: str) -> Any:
    """A file's image, decoded whole, upright and in the mode. Raises BadInput, which names the file."""
    from PIL import Image, ImageOps

    with opened(path) as image, _LARGE if image.width * image.height > MANY_PIXELS else nullcontext():
        image.load()
        picture: Image.Image = image
        with suppress(Exception):  # a note on the rotation that cannot be read makes no image unreadable
            picture = ImageOps.exif_transpose(image)
        return _eight_bits(picture).convert(mode)


_LARGE = threading.Lock()


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A file's image, of which nothing but the header has been read yet. Raises BadInput, which names the file.

    So does whatever goes wrong within.
    """
    from PIL import Image

    need_image(path)
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"it has {image.width} x {image.height} pixels; wanted at most {MOST_PIXELS:,}")
            yield image
    except Exception as error:  # PIL's decoders raise types of their own
        raise BadInput(f"{path} cannot be decoded: {reason(error)}") from None


def need_image(path: Path) -> None:
    """Raises BadInput where there is no file; a named pipe would wait for ever for who writes into it."""
    if not is_file(path):
        raise BadInput(f"{path} cannot be decoded: it is no file" if exists(path) else f"{path} is missing")


def is_file(path: Path) -> bool:
    """Whether there is a file, or a link to one, that a system calls regular: no folder, pipe or socket."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises OSError for a name that is too long


def exists(path: Path) -> bool:
    """Whether there is anything at the path, or where its links lead."""
    return os.path.exists(path)  # noqa: PTH110 - as for `is_file`


def reason(error: Exception) -> str:
    """Why PIL could not read a file, in one line; it would name the file once more where it knows no such format."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "it is no image of a known format"
    return one_line(str(error)) or type(error).__name__


def _eight_bits(picture: Any) -> Any:
    """The picture with at most eight bits a channel: PIL's own conversion would cut 16 bits off at white."""
    from PIL import Image

    if picture.mode == "F":
        raise ValueError("its pixels are fractions; wanted 8 or 16 bits")
    if picture.mode.startswith("I"):
        values = np.asarray(picture)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError(f"its pixels go from {values.min()} to {values.max()}; wanted 8 or 16 bits")
        return Image.fromarray((values >> 8).astype(np.uint8))
    if picture.mode == "P" and "transparency" in picture.info:
        return picture.convert("RGBA")  # as PIL asks for, in a warning
    return picture


@contextmanager
def progress(what: str, count: int, many: int = 1000) -> Iterator[Callable[[], None]]:
    """Gives what is called once an image, or whatever is counted; a bar on a terminal, where there are `many`."""
    if count < many or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=count)
        yield lambda: bar.advance(task)
