"""A dataset read once, in a memory-mapped cache that all runs and processes share."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .contract.config import changed_options
from .contract.dataset import Data, Dataset, Split
from .contract.errors import BadInput, told
from .fingerprint import code_fingerprint
from .noise import HUMAN
from .spec import DatasetSpec
from .streams import numpy_stream

FORMAT = 3
"""Of the cache; raised when its files change."""
BLOCK = 4096
"""Images that are looked at together, where a set may not fit the memory."""


@dataclass(frozen=True)
class Prepared:
    """A dataset as the suite uses it."""

    data: Data
    sha256: str  #: of all images, labels and votes, the classes, and whether a mirrored image keeps its label
    mean: NDArray[np.float32]  #: (C,) of the training images, in [0, 1]
    std: NDArray[np.float32]  #: (C,)
    flip_keeps_label: bool


def cache_root() -> Path:
    """Where caches lie: $BENCHMARK_CACHE, or the user's cache folder."""
    given = os.environ.get("BENCHMARK_CACHE")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "noisy-label-benchmark"


def prepare(dataset: Dataset) -> Path:
    """The cache folder of a dataset, made now if it is not there yet. Raises BadInput.

    The folder's name is made of the options, the names and contents of the files read and the plugin's code. It is written
    beside its place and moved there whole, so it is never seen half, and two processes that make it do not harm each other.
    """
    try:
        folder = cache_root() / f"{dataset.name}-{_fingerprint(dataset)[:16]}"
        if not folder.is_dir():
            with _beside(folder) as part:
                dataset.scratch = part / "scratch"
                dataset.scratch.mkdir()
                data = dataset.read()
                _check(dataset.name, data)
                _write(dataset, data, part)
                shutil.rmtree(dataset.scratch)
                _put_in_place(part, folder)
    except BadInput:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin's own fault, and named as such
        raise BadInput(f"dataset '{dataset.name}' failed: {told(error)}") from error
    return folder


def _fingerprint(dataset: Dataset) -> str:
    """sha256 of all that decides what is read."""
    what = (FORMAT, dataset.name, changed_options(dataset.config), code_fingerprint(type(dataset).__module__))
    words = hashlib.sha256(repr(what).encode())
    for source in dataset.sources():
        try:
            with source.open("rb") as file:
                name = source.relative_to(dataset.root) if dataset.root and source.is_relative_to(dataset.root) else source
                words.update(str(name).encode() + hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise BadInput(f"{dataset.name}: {source} cannot be read ({error.strerror})") from None
    return words.hexdigest()


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder`, removed at the end if it is still there. Raises BadInput where nothing can be written."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        part.chmod(0o755)  # mkdtemp's is for the owner alone, and a cache may be shared
    except OSError as error:
        raise BadInput(
            f"the cache folder {folder.parent} cannot be written ({error.strerror}); BENCHMARK_CACHE names another"
        ) from None
    try:
        yield part
    except OSError as error:
        raise BadInput(f"the cache {folder} cannot be written ({error.strerror})") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _put_in_place(part: Path, folder: Path) -> None:
    try:
        part.rename(folder)
    except OSError:  # another process was first; its copy has the same content
        if not folder.is_dir():
            raise


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
    mean, std = channel_statistics(data.train.images)
    meta = {
        "classes": data.classes,
        "notes": data.notes,
        "human": list(data.human_labels),
        "mistakes": list(data.mistakes),
        "shapes": {name: array.shape for name, array in arrays.items()},
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
    shapes = data.train.images.shape[1:], data.test.images.shape[1:]
    if shapes[0] != shapes[1]:
        raise BadInput(f"{name}: its training images are {shapes[0]} and its test images {shapes[1]}; wanted one shape")
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


def load(folder: Path, spec: DatasetSpec) -> Prepared:
    """A prepared dataset with its arrays mapped into memory, cut to the subset that `spec` names. Raises BadInput."""
    try:
        meta: dict[str, Any] = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        arrays = {name: _mapped(folder / f"{name}.npy", shape) for name, shape in meta["shapes"].items()}
        train, test = (
            Split(arrays[f"{s}_images"], arrays[f"{s}_labels"], arrays.get(f"{s}_votes"), arrays.get(f"{s}_names"))
            for s in ("train", "test")
        )
        human = {kind: arrays[f"labels_{kind}"] for kind in meta["human"]}
        mistakes = {kind: arrays[f"mistakes_{kind}"] for kind in meta["mistakes"]}
        classes, notes, sha256, keeps = tuple(meta["classes"]), tuple(meta["notes"]), meta["sha256"], meta["flip_keeps_label"]
        mean, std = np.array(meta["mean"], np.float32), np.array(meta["std"], np.float32)
    except Exception:  # whatever numpy and json raise over files that are not theirs
        raise BadInput(f"the cache {folder} is damaged; remove that folder, and it is made again") from None
    if spec.subset is not None:
        if not len(classes) <= spec.subset <= len(train):
            raise BadInput(f"{spec.label}: wanted {len(classes)} to {len(train)} training images")
        index = stratified(train.labels, spec.subset, numpy_stream(0, "subset"))
        train, human = train.take(index), {kind: labels[index] for kind, labels in human.items()}
    if spec.imbalance is not None:
        index = long_tail(train.labels, spec.imbalance, numpy_stream(0, "imbalance"))
        train, human = train.take(index), {kind: labels[index] for kind, labels in human.items()}
    return Prepared(Data(train, test, classes, human, notes, mistakes), sha256, mean, std, keeps)


def replace_images(prepared: Prepared, places: NDArray[np.int64], others: NDArray[np.uint8]) -> None:
    """Puts other images (M, …) in the places (M,) of the training set, brought to its shape; the cache stays as it is.

    Nobody has voted on them: where there are votes, theirs become one for each class.
    """
    train = prepared.data.train
    train.images[places] = as_shape(others, train.images.shape[1:])
    if train.votes is not None:
        train.votes[places] = 1


def as_shape(images: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Images (N, h, w, c) as (N, H, W, C): resized, in grey or in colour."""
    from PIL import Image

    if images.shape[1:] == shape:
        return images
    H, W, C = shape
    resized = np.empty((len(images), *shape), np.uint8)
    for k, image in enumerate(images):
        picture = Image.fromarray(image if image.shape[-1] == 3 else image[..., 0])
        picture = picture.convert("L" if C == 1 else "RGB").resize((W, H), Image.Resampling.BILINEAR)
        resized[k] = np.asarray(picture).reshape(shape)
    return resized


def _mapped(path: Path, shape: list[int]) -> NDArray[Any]:
    array: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)  # copy-on-write: torch wants to be able to write
    if list(array.shape) != shape:
        raise ValueError(f"{path} has the shape {array.shape}")
    return array


def long_tail(labels: NDArray[np.int64], ratio: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Sorted indices into labels (N,) by which classes fall off exponentially, the first with `ratio` times the last's images.

    Cui et al., CVPR 2019: the k-th of K classes keeps n ratio^(-k / (K - 1)) of the most frequent one's n; the classes rank by
    their images, equal ones in their order. A class that has fewer keeps all; each keeps at least one.
    """
    order = rng.permutation(len(labels))
    classes, sizes = np.unique(labels, return_counts=True)
    ranked = np.argsort(-sizes, kind="stable")
    wanted = sizes.max() * ratio ** (-np.arange(len(classes)) / max(1, len(classes) - 1))
    quota = np.maximum(1, np.floor(wanted + 1e-9)).astype(int)
    chosen = [order[labels[order] == classes[c]][:q] for c, q in zip(ranked, quota, strict=True)]
    return np.sort(np.concatenate(chosen))


def stratified(labels: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`count` sorted indices into labels (N,), each class keeping its share as nearly as whole numbers allow."""
    order = rng.permutation(len(labels))
    classes, sizes = np.unique(labels, return_counts=True)
    exact = sizes * count / len(labels)
    quota = np.floor(exact).astype(int)
    quota[np.argsort(quota - exact, kind="stable")[: count - quota.sum()]] += 1
    chosen = [order[labels[order] == c][:q] for c, q in zip(classes, quota, strict=True)]
    return np.sort(np.concatenate(chosen))
