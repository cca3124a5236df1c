"""Files as they lie on disk: which of a folder's are images, and what an image file says of itself."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import BadInput
from .images import reason

ENDINGS = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"))
"""Of files that are taken for images."""
NOT_MEANT = frozenset(("__macosx", "@eadir", "thumbs.db", "desktop.ini"))
"""Files and folders that systems leave behind, as hidden ones are."""


def images_below(folder: Path) -> list[Path]:
    """The images in a folder and its folders, by name. Raises BadInput as `files_below` does."""
    return [path for path in files_below(folder) if is_image(path)]


def is_image(path: Path) -> bool:
    """Whether a file is taken for an image, by the ending of its name."""
    return path.suffix.lower() in ENDINGS


def files_below(folder: Path) -> list[Path]:
    """The files in a folder and its folders, by name, but hidden ones; links are followed.

    A link that leads nowhere is among them, so that it is missed. Raises BadInput where a folder cannot be read.
    """
    found: list[Path] = []
    entered: set[str] = set()  # no folder twice: a link may lead back to where it lies
    for place, folders, files in os.walk(folder, onerror=_unreadable, followlinks=True):
        here = os.path.realpath(place)
        folders[:] = [] if here in entered else sorted(name for name in folders if is_meant(place, name))
        found += [Path(place, name) for name in files if here not in entered and is_meant(place, name)]
        entered.add(here)
    return sorted(found)


def is_meant(place: str | Path, name: str) -> bool:
    """Whether a file or folder is a user's, neither hidden nor left by a system. Raises BadInput for a name that is no text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise BadInput(f"{place}: the name {name!a} in it is no valid text; wanted UTF-8") from None
    return not name.startswith(".") and name.lower() not in NOT_MEANT


def _unreadable(error: OSError) -> None:
    raise BadInput(f"{error.filename} cannot be read ({error.strerror})")


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) of an image file. Raises BadInput."""
    return header(path)[0]


def header(path: Path) -> tuple[tuple[int, int], str]:
    """(width, height) of an image file, and what PIL calls its mode; its pixels are not read. Raises BadInput."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.size, image.mode
    except Exception as error:  # PIL's decoders raise types of their own
        raise BadInput(f"{path} cannot be decoded: {reason(error)}") from None
