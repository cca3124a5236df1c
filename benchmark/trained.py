"""A finished run's model, loaded to predict for images of anyone's: the library behind `predict` and `export`."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .contract.config import checked_options
from .contract.errors import BadInput, told
from .contract.files import files_below, is_image
from .contract.images import decode_one, progress, without_warnings
from .contract.method import Method
from .contract.registry import load_plugins
from .fingerprint import code_fingerprint
from .paths import need_writable
from .record import ModelRecord
from .store import NotStored, RunFolder
from .train.backbones import check_backbone
from .train.device import resolve_device
from .train.model import Model
from .train.training_set import DeviceSet, evaluation_batch

PURPOSE = "test"
"""Of the random stream that stochastic methods predict with: the one that the run's own test images were predicted with."""


@dataclass(frozen=True)
class Predictions:
    """What a model says of N images, in their order, over K classes."""

    labels: NDArray[np.int64]  #: (N,) the most probable class, an index into the model's `classes`
    probabilities: NDArray[np.float32]  #: (N, K), rows sum to 1
    uncertainty: NDArray[np.float32]  #: (N,) the method's own; larger = less sure, comparable within one model only
    logits: NDArray[np.float32]  #: (N, K), of which the probabilities are the softmax; as in predictions.npz


class TrainedModel:
    """A trained model; `load_model` makes it.

    It is given images as the dataset's own were: of faces, say, cut out alike. Files are brought to their shape and colours as
    the datasets bring their own files (`contract.images.decode_one`).
    """

    def __init__(self, record: ModelRecord, model: Model):
        self.record = record  #: what it is, and what it was trained on
        self._model = model

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the K classes."""
        return self.record.classes

    def predict(self, images: NDArray[np.uint8] | str | Path | Sequence[str | Path]) -> Predictions:
        """Labels, probabilities and uncertainty for images: uint8 (N, H, W, C) in the dataset's own shape, or files.

        A folder stands for the images in it and in its folders, by name, as `images_at` finds them. Images are read and
        predicted a batch at a time, so that any number of files can be given.

        A method that draws at random when it predicts draws from the run's own stream for its test images, begun anew at each
        call: the same call gives the same numbers, and the test set, in its order and in one call, gives those that the run
        stored. What a single image gets hangs on the images before it for such methods.

        Raises BadInput for no images, for arrays of another shape or type, for a file that is missing or cannot be decoded, and
        where the model's numbers are not finite.
        """
        size = evaluation_batch(self._model.image_shape, self.record.side, self._model.device)
        parts = self._cut(images, size) if isinstance(images, np.ndarray) else self._decoded(images_at(images)[0], size)
        with _streams_kept(self._model.device):
            predicted = self._model.predict_batches(map(self._normalised, parts), PURPOSE)
        if not (np.isfinite(predicted.logits).all() and np.isfinite(predicted.uncertainty).all()):
            raise BadInput(f"the model of run {self.record.key} says nothing of some images: its numbers are not all finite")
        probabilities = torch.from_numpy(predicted.logits).softmax(dim=1).numpy()
        return Predictions(predicted.logits.argmax(axis=1), probabilities, predicted.uncertainty, predicted.logits)

    def _cut(self, images: NDArray[np.uint8], size: int) -> Iterator[NDArray[np.uint8]]:
        C, H, W = self._model.image_shape
        if images.dtype != np.uint8 or images.shape[1:] != (H, W, C) or not len(images):
            raise BadInput(f"the images are {images.dtype} {images.shape}; wanted uint8 (N, {H}, {W}, {C}) with N at least 1")
        for start in range(0, len(images), size):
            yield images[start : start + size]

    def _decoded(self, paths: Sequence[Path], size: int) -> Iterator[NDArray[np.uint8]]:
        C, H, W = self._model.image_shape
        if H != W:
            raise BadInput(f"the model's images are {H}x{W}, which files are not brought to; wanted an array of such images")
        # Threads are enough: PIL decodes without the interpreter lock.
        with without_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool, progress("predicting", len(paths)) as advance:
            for start in range(0, len(paths), size):
                images = np.empty((len(paths[start : start + size]), H, W, C), np.uint8)
                for k, image in enumerate(pool.map(lambda path: decode_one(path, H, C), paths[start : start + size])):
                    images[k] = image
                    advance()
                yield images

    def _normalised(self, images: NDArray[np.uint8]) -> Tensor:
        """Images (B, H, W, C) as the network was shown them, (B, C, H, W)."""
        mean, std = np.array(self.record.mean, np.float32), np.array(self.record.std, np.float32)
        pixels = np.require(images, requirements=["C", "W"])  # torch takes no others; a copy where they are not
        shown = DeviceSet(pixels, None, None, mean=mean, std=std, device=self._model.device)
        return shown.images(torch.arange(len(pixels), device=self._model.device))


def images_at(places: str | Path | Sequence[str | Path]) -> tuple[list[Path], list[Path]]:
    """The image files that are meant: each file that is named, and of a folder all that are images by their endings.

    The second list has the files of folders that are none by their endings; hidden files and what systems leave behind are in
    neither, as with the dataset `folder`. Raises BadInput for a place at which there is nothing, or no image.
    """
    found: list[Path] = []
    others: list[Path] = []
    for place in map(Path, [places] if isinstance(places, str | Path) else places):
        if place.is_dir():
            files = files_below(place)
            if not any(map(is_image, files)):
                raise BadInput(f"{place}: there is no image in it")
            for path in files:
                (found if is_image(path) else others).append(path)
        elif place.exists():
            found.append(place)
        else:
            raise BadInput(f"{place}: there is no such file or folder")
    if not found:
        raise BadInput("no images were given")
    return found, others


def load_model(folder: str | Path, *, device: str = "auto", plugins: Sequence[str | Path] = ()) -> TrainedModel:
    """The model of a finished run (`OUT/runs/KEY`), or of a folder that `export` wrote, ready to predict.

    It runs in the run's precision on `device` (auto, cpu, cuda or mps); neither dataset nor sweep are needed. `plugins`: the
    Python files whose method it is, where that is no built-in or installed one.

    Raises BadInput where the folder has no whole model in it, or where the method is missing or is no longer the one that was
    trained.
    """
    place = Path(folder)
    content, record = RunFolder(place).model()
    return _built(place, content, record, device, plugins)


def export_model(folder: Path, out: Path, *, plugins: Sequence[str | Path] = ()) -> ModelRecord:
    """Copies the model of a finished run to a new folder `out`, from which `load_model` loads it anywhere; gives its record.

    Raises BadInput as `load_model` does, so that what is handed on can be loaded, and where `out` is not new, or cannot be
    written.
    """
    try:
        new = not out.exists() or (out.is_dir() and not any(out.iterdir()))
    except OSError as error:
        raise BadInput(f"--out {out}: it cannot be read ({error.strerror})") from None
    if not new:
        raise BadInput(f"--out {out}: it is there already; wanted a new folder, or an empty one")
    need_writable("--out", out)
    content, record = RunFolder(folder).model()
    _built(folder, content, record, "cpu", plugins)
    try:
        out.mkdir(parents=True, exist_ok=True)
        RunFolder(out).save_model(content, record)
    except NotStored as error:
        raise BadInput(f"--out {out}: {error}") from None
    except OSError as error:
        raise BadInput(f"--out {out}: it cannot be written ({error.strerror})") from None
    return record


def _built(folder: Path, content: bytes, record: ModelRecord, device: str, plugins: Sequence[str | Path]) -> TrainedModel:
    """The model of a record with its weights as safetensors. Raises BadInput as `load_model` does."""
    spec, on = record.spec, resolve_device(device)
    method = _method(folder, record, plugins)
    config = checked_options(spec.method, method.Config, spec.options)
    check_backbone(spec.backbone)  # timm would look for other names on the network
    state = _tensors(folder, content)
    try:
        with _streams_kept(on):
            model = Model(
                method,
                config,
                num_classes=len(record.classes),
                num_samples=record.num_samples,
                image_shape=record.image_shape,
                epochs=spec.recipe.epochs,
                batch_size=spec.recipe.batch_size,
                backbone=spec.backbone,
                precision=spec.precision,
                seed=spec.seed,
                device=on,
                side=record.side,
                privileged=_privileged(record, on),
            )
    except BadInput:
        raise
    except Exception as error:  # a plugin's own fault, and named as such
        raise BadInput(f"{folder}: the method '{spec.method}' cannot be built: {told(error)}") from None
    _check_fit(folder, model.method.state_dict(), state)
    model.load(state)
    return TrainedModel(record, model)


@contextmanager
def _streams_kept(device: torch.device) -> Iterator[None]:
    """Whatever is seeded and drawn within, the random streams of whoever calls go on as if it had not been."""
    numpys, pythons = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        np.random.set_state(numpys)
        random.setstate(pythons)


def _method(folder: Path, record: ModelRecord, plugins: Sequence[str | Path]) -> type[Method]:
    methods = load_plugins(plugins).methods
    try:
        method = methods[record.spec.method]
    except BadInput as error:
        raise BadInput(f"{folder}: {error}; a method from a file needs it again, with --plugin FILE") from None
    if code_fingerprint(method.__module__) != record.code:
        raise BadInput(
            f"{folder}: the code of the method '{record.spec.method}' is not the one that was trained; "
            "wanted that code again, or the run again"
        )
    return method


def _tensors(folder: Path, content: bytes) -> dict[str, Tensor]:
    from safetensors.torch import load

    try:
        tensors: dict[str, Tensor] = load(content)
    except Exception as error:  # safetensors raises types of its own
        raise BadInput(f"{folder}: its model.safetensors cannot be read: {told(error)}") from None
    return tensors


def _privileged(record: ModelRecord, device: torch.device) -> dict[str, Any]:
    """What was known beyond the labels, as far as a prediction may hang on it: nobody's votes, which stay with their images."""
    transition = record.transition
    return {
        "votes": torch.zeros(record.num_samples, len(record.classes), dtype=torch.int64, device=device),
        "noise_rate": record.noise_realised,
        "transition": None if transition is None else torch.tensor(transition, dtype=torch.float32, device=device),
    }


def _check_fit(folder: Path, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Raises BadInput where the file's tensors are not the model's, all of them and no others."""
    for name in sorted(wanted.keys() | found.keys()):
        have, want = (_described(tensors.get(name)) for tensors in (found, wanted))
        if have != want:
            raise BadInput(f"{folder}: its model.safetensors does not fit: the tensor {name} is {have}; wanted {want}")


def _described(tensor: Tensor | None) -> str:
    return "not there" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
