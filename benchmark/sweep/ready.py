"""A run made ready to be trained: its images on the device, its given labels, its method."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..contract.config import checked_options
from ..contract.dataset import Card
from ..contract.errors import BadInput
from ..contract.registry import load_plugins
from ..data import Prepared, load, replace_images, stratified
from ..fingerprint import code_fingerprint
from ..noise import Noise, judged_by, read_artefact
from ..spec import RunSpec
from ..store import Store
from ..streams import numpy_stream
from ..train.backbones import Input
from ..train.pretrained import colour_statistics, input_of, load_weights
from ..train.trainer import Trainer
from ..train.training_set import Augmentation, DeviceSet
from .plan import Job

WATCHED = 500
"""Training images with a wrong label, whose predictions each epoch tell how many of those labels have been learned by heart."""


@dataclass(frozen=True)
class Ready:
    """A trainer, and what its results are judged by."""

    trainer: Trainer
    sets: Sets
    data: Prepared
    noise: Noise
    given: NDArray[np.int64]  #: (N,) of the whole training set
    reference: NDArray[np.int64]  #: (N,)
    card: Card


class Sets:
    """The images as training, held-out and test set, and those of the training set that are watched.

    Only the first two know labels, the given ones.
    """

    def __init__(
        self,
        data: Prepared,
        given: NDArray[np.int64],
        reference: NDArray[np.int64],
        kept: NDArray[np.int64],
        held_out: NDArray[np.int64] | None,
        spec: RunSpec,
        device: torch.device,
        shown: Input,
    ):
        channels = data.data.train.images.shape[-1]
        mean, std = (data.mean, data.std) if shown.mean is None else colour_statistics(shown, channels)
        common: dict[str, Any] = {"mean": mean, "std": std, "device": device, "side": shown.side}
        recipe, side = spec.recipe, max(data.data.train.images.shape[1:3])
        augmentation = Augmentation(
            flip=recipe.flip if data.flip_keeps_label else 0.0, shift=round(recipe.shift * side), erase=recipe.erase
        )
        images = data.data.train.images
        self.kept, self.held_out = kept, held_out
        self.train = DeviceSet(images, given, kept, augmentation=augmentation, **common)
        self.validation = None if held_out is None else DeviceSet(images, given, held_out, **common)
        self.test = DeviceSet(data.data.test.images, None, None, **common)
        wrong = kept[given[kept] != reference[kept]]
        self.watched = np.sort(numpy_stream(spec.seed, "watched").permutation(wrong)[:WATCHED])
        self.wrong = DeviceSet(images[self.watched], None, None, **common) if len(wrong) else None


def made_ready(job: Job, root: Path, images: int | None = None) -> Ready:
    """Builds what a job needs. Raises BadInput where code or weights have changed since it was planned.

    `images`: trains on as many of the first only, to see how fast it is.
    """
    spec, device = job.spec, torch.device(job.device)
    data = load(job.cache, spec.dataset)
    noise = read_artefact(Store(root).noise_path(job.noise_sha256))
    given, outside = noise.given, noise.outside
    if outside and job.outer:
        replace_images(data, outside.replaced, load(*job.outer).data.train.images[outside.source])
    kept, held_out = _hold_out(given, spec)
    kept = kept[:images]
    weights = load_weights(job.weights, spec.backbone) if job.weights else None
    shown = input_of(spec.backbone, weights)
    reference = judged_by(np.asarray(data.data.train.labels), outside)
    sets = Sets(data, given, reference, kept, held_out, spec, device, shown)
    plugins = load_plugins(job.plugins)
    method = plugins.methods[spec.method]
    if code_fingerprint(method.__module__) != job.code:
        raise BadInput("the method's code changed after the sweep had begun; the same command runs the new one")
    if weights and weights.sha256 != job.weights_sha256:
        raise BadInput(f"{job.weights} changed after the sweep had begun; the same command uses the new one")
    trainer = Trainer(
        method,
        checked_options(spec.method, method.Config, spec.options),
        sets.train,
        sets.validation,
        num_classes=len(data.data.classes),
        recipe=spec.recipe,
        backbone=spec.backbone,
        precision=spec.precision,
        seed=spec.seed,
        side=shown.side,
        weights=weights,
        privileged=_privileged(data, noise, kept, device),
    )
    return Ready(trainer, sets, data, noise, given, reference, plugins.datasets[spec.dataset.name].card)


def _privileged(data: Prepared, noise: Noise, kept: NDArray[np.int64], device: torch.device) -> dict[str, Any]:
    """What the methods that declare it may know beyond the given labels."""
    votes = data.data.train.votes
    return {
        "votes": None if votes is None else torch.from_numpy(np.asarray(votes)[kept]).to(device),
        "noise_rate": noise.realised,
        "transition": torch.from_numpy(noise.transition).float().to(device),
    }


def _hold_out(given: NDArray[np.int64], spec: RunSpec) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Which training images are trained on, and which are held out (None where none are), stratified by given label."""
    everything = np.arange(len(given))
    if not spec.validation:
        return everything, None
    held_out = stratified(given, round(spec.validation * len(given)), numpy_stream(spec.seed, "validation"))
    return np.setdiff1d(everything, held_out), held_out
