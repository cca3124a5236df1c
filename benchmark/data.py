"""A prepared dataset as runs use it: mapped into memory, and cut to the part that a spec names."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .contract.dataset import Data, Split
from .contract.errors import BadInput
from .paths import write_whole
from .spec import DatasetSpec
from .streams import numpy_stream


@dataclass(frozen=True)
class Prepared:
    """A dataset as the suite uses it."""

    data: Data
    sha256: str  #: of all images, labels and votes, the classes, whether a mirrored image keeps its label, and the selection
    mean: NDArray[np.float32]  #: (C,) of the whole training set, also where a part of it was selected, in [0, 1]
    std: NDArray[np.float32]  #: (C,)
    flip_keeps_label: bool
    licence: str
    publishable: bool  #: whether the licence lets everybody print single images


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
        licence, publishable = meta["licence"], meta["publishable"]
        mean, std = np.array(meta["mean"], np.float32), np.array(meta["std"], np.float32)
    except Exception:  # whatever numpy and json raise over files that are not theirs
        raise BadInput(f"the cache {folder} is damaged; the same command makes it again") from None
    selected: list[NDArray[np.int64]] = []
    rows, labels = np.arange(len(train)), np.asarray(train.labels)
    if spec.subset is not None:
        if not len(classes) <= spec.subset <= len(train):
            raise BadInput(f"{spec.label}: wanted {len(classes)} to {len(train)} training images")
        selected.append(stratified(labels, spec.subset, numpy_stream(0, "subset")))
        rows, labels = rows[selected[-1]], labels[selected[-1]]
    if spec.imbalance is not None:
        selected.append(long_tail(labels, spec.imbalance, numpy_stream(0, "imbalance")))
        rows, labels = rows[selected[-1]], labels[selected[-1]]
        notes += _about_tail(labels, spec.imbalance)
    if selected:
        sha256 = hashlib.sha256(sha256.encode() + b"".join(index.tobytes() for index in selected)).hexdigest()
        train = train.take(rows, _images_at(rows, train.images, folder))
        human = {kind: of_people[rows] for kind, of_people in human.items()}
    return Prepared(Data(train, test, classes, human, notes, mistakes), sha256, mean, std, keeps, licence, publishable)


def replace_images(prepared: Prepared, places: NDArray[np.int64], others: NDArray[np.uint8]) -> None:
    """Puts other images (M, …) in the places (M,) of the training set, brought to its shape; the cache stays as it is.

    Nobody has voted on them: where there are votes, theirs become one for each class.
    """
    train = prepared.data.train
    train.images[places] = as_shape(others, train.images.shape[1:])
    if train.votes is not None:
        train.votes[places] = 1


def shared_images(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> int:
    """How many of the images (N, …) are, to the pixel, among the others (M, …)."""
    if images.shape[1:] != others.shape[1:]:
        return 0
    known = {hashlib.sha256(image.tobytes()).digest() for image in others}
    return sum(hashlib.sha256(image.tobytes()).digest() in known for image in images)


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


def _images_at(rows: NDArray[np.int64], images: NDArray[np.uint8], folder: Path) -> NDArray[np.uint8]:
    """Some of a cache's images, mapped into memory like all of them, so that no process has a copy of its own."""
    path = folder / f"selected-{hashlib.sha256(rows.tobytes()).hexdigest()[:16]}.npy"
    shape = [len(rows), *images.shape[1:]]
    try:
        return _mapped(path, shape)
    except (OSError, ValueError, EOFError):  # not there yet, or damaged
        pass
    chosen, buffer = images[rows], io.BytesIO()
    np.save(buffer, chosen)
    try:
        write_whole(path, buffer.getvalue(), lasting=False)
    except OSError:  # a cache that may only be read
        return chosen
    return _mapped(path, shape)


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


def _about_tail(labels: NDArray[np.int64], ratio: float) -> tuple[str, ...]:
    """A line where whole numbers, or classes that were rare before, make the tail's ratio another than was asked for."""
    counts = np.bincount(labels)
    found = counts.max() / counts[counts > 0].min()
    if 0.95 < found / ratio < 1.05:
        return ()
    return (
        f"imbalance {ratio:g}: the most frequent class has {counts.max()} images and the rarest {counts[counts > 0].min()}, "
        f"which is {found:.3g} times as many",
    )


def stratified(labels: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`count` sorted indices into labels (N,), each class keeping its share as nearly as whole numbers allow."""
    order = rng.permutation(len(labels))
    classes, sizes = np.unique(labels, return_counts=True)
    exact = sizes * count / len(labels)
    quota = np.floor(exact).astype(int)
    quota[np.argsort(quota - exact, kind="stable")[: count - quota.sum()]] += 1
    chosen = [order[labels[order] == c][:q] for c, q in zip(classes, quota, strict=True)]
    return np.sort(np.concatenate(chosen))
