"""Files as they lie on disk: which of a folder's are images, and what an image file says of itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .errors import BadInput
from .images import opened

ENDINGS = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"))
"""Of files that are taken for images."""
NOT_MEANT = frozenset(("__macosx", "@eadir", "thumbs.db", "desktop.ini"))
"""Files and folders that systems leave behind, as hidden ones are."""
LARGEST_TEXT = 2**26
"""Bytes of a list: fifty for each image of ImageNet. Cut into words it takes the memory of many times as much."""


def images_below(folder: Path) -> list[Path]:
    """The images in a folder and its folders, by name. Raises BadInput as `files_below` does."""
    return [path for path in files_below(folder) if is_image(path)]


def is_image(path: Path) -> bool:
    """Whether a file is taken for an image, by the ending of its name."""
    return path.suffix.lower() in ENDINGS


def files_below(folder: Path) -> list[Path]:
    """The files in a folder and its folders, by name, but hidden ones; links are followed, but those that `leads_up` names.

    A link that leads nowhere is among them, so that it is missed. Raises BadInput where a folder cannot be read.
    """
    return sorted(Path(place, name) for place, _, files in _walk(folder) for name in files)


def links_up_below(folder: Path) -> list[Path]:
    """The links in a folder and its folders that are not followed."""
    return sorted(
        Path(place, name) for place, names, _ in _walk(folder) for name in names if leads_up(Path(place, name), folder)
    )


def _walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each folder that belongs to `folder`, with the names in it, of folders and of files, that are meant."""
    entered: set[str] = set()  # no folder twice: two links may lead to it
    for place, folders, files in os.walk(folder, onerror=_unreadable, followlinks=True):
        if (here := os.path.realpath(place)) in entered:
            folders.clear()
            continue
        entered.add(here)
        meant = sorted(name for name in folders if is_meant(place, name))
        folders[:] = [name for name in meant if not leads_up(Path(place, name), folder)]
        yield place, meant, [name for name in files if is_meant(place, name)]


def leads_up(path: Path, folder: Path) -> bool:
    """Whether a path is a link to a folder that holds it, or `folder`: to follow it would bring in what lies beside."""
    if not path.is_symlink():
        return False
    target = os.path.realpath(path)
    return any(Path(os.path.realpath(place)).is_relative_to(target) for place in (path.parent, folder))


def folders_in(place: Path) -> list[Path]:
    """The folders in a folder, by name, but hidden ones and links that lead up. Raises BadInput where it cannot be read."""
    try:
        return sorted(f for f in place.iterdir() if f.is_dir() and is_meant(place, f.name) and not leads_up(f, place))
    except OSError as error:
        raise BadInput(f"{place} cannot be read ({error.strerror})") from None


def text_of(file: Path, largest: int = LARGEST_TEXT) -> str:
    """The text of a file in UTF-8, with or without a byte-order mark. Raises BadInput where it is none, or larger in bytes."""
    try:
        with file.open("rb") as stream:
            content = stream.read(largest + 1)
        if len(content) > largest:
            raise BadInput(f"{file}: it is larger than {largest:,} bytes")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{file}: it is no text in UTF-8") from None
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror})") from None


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
    with opened(path) as image:
        return image.size, image.mode
