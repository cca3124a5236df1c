"""Datasets in a memory-mapped cache that all runs and processes share, each read once."""

from __future__ import annotations

import glob
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .contract.config import changed_options
from .contract.dataset import Data, Dataset, Split
from .contract.errors import BadInput, told
from .contract.text import NAME, has_controls, written
from .fingerprint import code_fingerprint
from .noise import ASYMMETRIC, EXACT, HUMAN
from .paths import write_whole

FORMAT = 4
"""Of the cache; raised when its files change."""
RACY = 5.0
"""Seconds in which a file may change again without its time telling."""
OWNER = "owner"
"""A file in what is being made, which its process holds."""
BLOCK = 4096
"""Images that are looked at together, where a set may not fit the memory."""


def cache_root() -> Path:
    """Where caches lie: $BENCHMARK_CACHE, or the user's cache folder."""
    given = os.environ.get("BENCHMARK_CACHE")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "noisy-label-benchmark"


def prepare(dataset: Dataset) -> Path:
    """The cache folder of a dataset, made now if it is not there yet. Raises BadInput.

    The folder's name is made of the options, the names and contents of the files read and the plugin's code. It is written
    beside its place and moved there whole, so it is never seen half, and two processes that make it do not harm each other.
    One that was cut off later is made again.
    """
    try:
        folder = cache_root() / f"{dataset.name}-{_fingerprint(dataset)[:16]}"
        _remove_abandoned(folder)
        if not is_whole(folder):
            with _beside(folder) as part:
                data = _read(dataset, part / "scratch")
                _check(dataset.name, data)
                try:
                    _write(dataset, data, part)
                    shutil.rmtree(part / "scratch")
                    (part / OWNER).unlink()
                    _put_in_place(part, folder)
                except OSError as error:
                    raise BadInput(f"the cache {folder} cannot be written ({error.strerror})") from None
    except BadInput:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin's own fault, and named as such
        raise BadInput(f"dataset '{dataset.name}' failed: {told(error)}") from error
    return folder


def caches(name: str) -> list[Path]:
    """Every cache of a dataset that this version can read, found without its plugin; none of what no dataset can be called."""
    found: list[Path] = []
    if not NAME.fullmatch(name):
        return found
    for meta in sorted(cache_root().glob(f"{glob.escape(name)}-*/meta.json")):
        with suppress(OSError, ValueError, AttributeError):
            if json.loads(meta.read_text(encoding="utf-8")).get("format") == FORMAT:
                found.append(meta.parent)
    return found


def _fingerprint(dataset: Dataset) -> str:
    """sha256 of all that decides what is read: options, code, and the names and contents of all sources.

    The contents of files whose sizes and times have not changed since are not read again.
    """
    what = (FORMAT, dataset.name, changed_options(dataset.config), code_fingerprint(type(dataset).__module__))
    words, stamps, newest = hashlib.sha256(repr(what).encode()), hashlib.sha256(repr(what).encode()), 0.0
    files = [(_name(source, dataset.root), source) for source in dataset.sources()]
    try:
        for name, source in files:
            found = source.stat()
            stamps.update(repr((name, str(source), found.st_size, found.st_mtime_ns)).encode())
            newest = max(newest, found.st_mtime)
        known = cache_root() / "stamps" / stamps.hexdigest()
        if known.is_file() and re.fullmatch("[0-9a-f]{64}", stamp := known.read_text(encoding="ascii", errors="replace")):
            return stamp
        for name, source in files:
            with source.open("rb") as file:
                words.update(name.encode() + hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise BadInput(f"{dataset.name}: {error.filename} cannot be read ({error.strerror})") from None
    if files and newest < time.time() - RACY:
        with suppress(OSError):  # the next one reads the contents again
            write_whole(known, words.hexdigest().encode())
    return words.hexdigest()


def _name(source: Path, root: Path | None) -> str:
    return str(source.relative_to(root) if root and source.is_relative_to(root) else source)


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder`, removed at the end if it is still there. Raises BadInput where nothing can be written."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        part.chmod(0o755)  # mkdtemp's is for the owner alone, and a cache may be shared
        owner = (part / "held").open("wb")
    except OSError as error:
        raise BadInput(
            f"the cache folder {folder.parent} cannot be written ({error.strerror}); BENCHMARK_CACHE names another"
        ) from None
    with owner:
        _lock(owner)
        (part / "held").rename(part / OWNER)  # only now: who finds it unheld removes the folder
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    """Removes what processes that were killed have left of this cache: nobody holds it any more."""
    for part in folder.parent.glob(f".{folder.name}-*"):
        with suppress(OSError), (part / OWNER).open("rb") as owner:
            if _lock(owner):
                shutil.rmtree(part, ignore_errors=True)


def _lock(file: BinaryIO) -> bool:
    """Holds an open file against other processes until it is closed; gives whether it is certain that no other holds it."""
    try:
        import fcntl
    except ImportError:  # Windows, where nobody can tell, so that what was left stays
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_whole(folder: Path) -> bool:
    """Whether a cache has all its files in their sizes, and all labels and votes as they were written."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        return all(
            (folder / f"{name}.npy").stat().st_size == file["size"]
            and (file["sha256"] is None or _sha256(folder / f"{name}.npy") == file["sha256"])
            for name, file in meta["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _read(dataset: Dataset, scratch: Path) -> Data:
    """What a dataset reads, with a folder for what is too large for the memory; the folder is its only for that time."""
    scratch.mkdir()
    dataset.scratch = scratch
    try:
        return dataset.read()
    finally:
        dataset.scratch = None


def _put_in_place(part: Path, folder: Path) -> None:
    try:
        part.rename(folder)
    except OSError:
        if is_whole(folder):  # another process was first; its copy has the same content
            return
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)


def _write(dataset: Dataset, data: Data, part: Path) -> None:
    content = hashlib.sha256(repr((data.classes, dataset.flip_keeps_label)).encode())
    arrays = {f"{s}_{name}": getattr(split, name) for s, split in _splits(data) for name in ("images", "labels", "votes")}
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None}
    for array in arrays.values():
        for block in _blocks(array):
            content.update(block.tobytes())
    arrays |= {f"{s}_names": split.names for s, split in _splits(data) if split.names is not None}
    arrays |= {f"labels_{kind}": labels for kind, labels in data.human_labels.items()}
    arrays |= {f"mistakes_{kind}": matrix for kind, matrix in data.mistakes.items()}
    for name, array in arrays.items():
        with (part / f"{name}.npy").open("wb") as file:
            np.save(file, array)
            file.flush()
            os.fsync(file.fileno())
    files = [(name, part / f"{name}.npy") for name in arrays]
    mean, std = channel_statistics(data.train.images)
    meta = {
        "format": FORMAT,
        "licence": dataset.card.licence,
        "publishable": dataset.card.publishable,
        "classes": data.classes,
        "notes": data.notes,
        "human": list(data.human_labels),
        "mistakes": list(data.mistakes),
        "shapes": {name: array.shape for name, array in arrays.items()},
        # Images are too many to be read again each time.
        "files": {
            name: {"size": file.stat().st_size, "sha256": None if name.endswith("_images") else _sha256(file)}
            for name, file in files
        },
        "sha256": content.hexdigest(),
        "mean": mean.tolist(),
        "std": std.tolist(),
        "flip_keeps_label": dataset.flip_keeps_label,
    }
    (part / "meta.json").write_text(json.dumps(meta, ensure_ascii=False), encoding="utf-8")


def _blocks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The array in parts that fit the memory, though it may not."""
    for start in range(0, len(array), BLOCK):
        yield array[start : start + BLOCK]


def _splits(data: Data) -> tuple[tuple[str, Split], tuple[str, Split]]:
    return ("train", data.train), ("test", data.test)


def _check(name: str, data: Data) -> None:
    if not isinstance(data, Data):
        raise BadInput(f"dataset '{name}' failed: read() gave a {type(data).__name__}; wanted a Data")
    K = len(data.classes)
    if K < 2:
        raise BadInput(f"{name}: it has {K} classes; wanted at least two")
    if bad := next((c for c in data.classes if not isinstance(c, str) or has_controls(c)), None):
        raise BadInput(f"{name}: one of its classes is called {written(bad)}; wanted text without control characters")
    for which, split in (("training", data.train), ("test", data.test)):
        if split.images.dtype != np.uint8 or split.images.ndim != 4 or split.images.shape[-1] not in (1, 3):
            found = f"{split.images.dtype} {split.images.shape}"
            raise BadInput(f"{name}: its {which} images are {found}; wanted uint8 (N, H, W, C) with C 1 or 3")
        if len(split.images) != len(split.labels) or not len(split):
            raise BadInput(f"{name}: {len(split.images)} {which} images and {len(split.labels)} labels")
        _check_labels(f"{name}: its {which} labels", split.labels, len(split), K)
        votes = split.votes
        if votes is not None and (votes.shape != (len(split), K) or not np.issubdtype(votes.dtype, np.integer)):
            raise BadInput(f"{name}: its {which} votes are {votes.dtype} {votes.shape}; wanted whole numbers {(len(split), K)}")
        if votes is not None and votes.min() < 0:
            raise BadInput(f"{name}: some of its {which} votes are negative; wanted counts")
        if split.names is not None and split.names.shape != (len(split),):
            raise BadInput(f"{name}: its {which} names are {split.names.shape}; wanted {(len(split),)}")
    shapes = data.train.images.shape[1:], data.test.images.shape[1:]
    if shapes[0] != shapes[1]:
        raise BadInput(f"{name}: its training images are {shapes[0]} and its test images {shapes[1]}; wanted one shape")
    for kind, matrix in data.mistakes.items():
        if not re.fullmatch(f"{ASYMMETRIC}(-[a-z0-9-]+)?(?<!{EXACT})", kind):
            raise BadInput(f"{name}: a map of its mistakes is called '{kind}'; wanted {ASYMMETRIC}, or {ASYMMETRIC}-NAME")
        if matrix.shape != (K, K) or not np.isfinite(matrix).all() or matrix.min() < 0 or matrix.diagonal().any():
            raise BadInput(f"{name}: its map '{kind}' is {matrix.shape}; wanted shares {(K, K)} of the other classes")
    if not isinstance(data.notes, tuple):
        raise BadInput(f"{name}: its notes are a {type(data.notes).__name__}; wanted a tuple of lines")
    for kind, labels in data.human_labels.items():
        if not re.fullmatch(f"{HUMAN}(-[a-z0-9-]+)?", kind):
            raise BadInput(f"{name}: its human labels are called '{kind}'; wanted {HUMAN}, or {HUMAN}-NAME")
        _check_labels(f"{name}: its labels of kind {kind}", labels, len(data.train), K)


def _check_labels(what: str, labels: NDArray[np.int64], count: int, num_classes: int) -> None:
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise BadInput(f"{what} are {labels.dtype} {labels.shape}; wanted whole numbers ({count},)")
    if labels.min() < 0 or labels.max() >= num_classes:
        raise BadInput(f"{what} lie outside 0 to {num_classes - 1}")


def channel_statistics(images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation (C,) of images (N, H, W, C), in units of the full range."""
    counts = np.zeros((images.shape[-1], 256), np.int64)
    for block in _blocks(images):
        counts += [np.bincount(block[..., channel].ravel(), minlength=256) for channel in range(images.shape[-1])]
    values = np.arange(256) / 255
    means: list[float] = []
    stds: list[float] = []
    for count in counts:
        share = count / count.sum()
        means.append(float(share @ values))
        stds.append(math.sqrt(max(float(share @ values**2) - means[-1] ** 2, 1e-8)))
    return np.array(means, np.float32), np.array(stds, np.float32)
