"""One run from its spec to its stored result: the only place where training meets the reference labels, to judge."""

from __future__ import annotations

import io
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..contract.config import checked_options
from ..contract.errors import BadInput, told
from ..contract.registry import load_plugins
from ..data import Prepared, load, replace_images, stratified
from ..fingerprint import code_fingerprint
from ..noise import Noise, judged_by, read_artefact
from ..score import accuracy, score_test, score_training, select, wrong_label_fit
from ..spec import RunSpec
from ..store import RunFolder, Store
from ..streams import numpy_stream
from ..train.backbones import Input
from ..train.device import settle
from ..train.model import Predicted
from ..train.pretrained import colour_statistics, input_of, load_weights
from ..train.trainer import Diverged, Trainer
from ..train.training_set import Augmentation, DeviceSet
from .machine import environment, peak_memory, reset_peak_memory
from .plan import Job
from .recorded import record_of, weights_of

FEATURE_IMAGES = 1000
WATCHED = 500
"""Training images with a wrong label, whose predictions each epoch tell how many of those labels have been learned by heart."""


def execute(job: Job, root: Path, again: bool = False, each_epoch: Callable[[], None] = lambda: None) -> str:
    """Does a job, or goes on with it where it was interrupted; gives its status. Only an interrupt ends in an exception.

    `again`: from its beginning, whatever is there; `each_epoch` is called after every epoch.
    """
    folder = Store(root).run(job.key)
    if again:
        folder.discard()
    if folder.status == "finished":
        return "finished"
    try:
        _execute(job, root, folder, each_epoch)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a run that fails is recorded, whatever its plugin raised, and harms no other
        folder.fail(reason(error), traceback.format_exc())
        return "failed"
    return "finished"


def reason(error: BaseException) -> str:
    """Why a training failed, in one line."""
    if isinstance(error, Diverged | BadInput):
        return " ".join(str(error).split())
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return "out of memory on the device; a smaller --batch-size may fit"
    return told(error)


def _execute(job: Job, root: Path, folder: RunFolder, each_epoch: Callable[[], None]) -> None:
    spec, device = job.spec, torch.device(job.device)
    settle(device, job.threads)
    data = load(job.cache, spec.dataset)
    noise = read_artefact(Store(root).noise_path(job.noise_sha256))
    given, outside = noise.given, noise.outside
    if outside and job.outer:
        replace_images(data, outside.replaced, load(*job.outer).data.train.images[outside.source])
    kept, held_out = _hold_out(given, spec)
    weights = load_weights(job.weights, spec.backbone) if job.weights else None
    shown = input_of(spec.backbone, weights)
    reference = judged_by(np.asarray(data.data.train.labels), outside)
    sets = _Sets(data, given, reference, kept, held_out, spec, device, shown)
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
    machine = environment(job.device, job.threads)
    folder.begin(
        spec,
        {
            **machine,
            "precision": spec.precision,
            "noise_sha256": job.noise_sha256,
            "noise_realised": job.realised,
            "pretrained": [str(match) for match in trainer.matches],
        },
    )
    history = _resume(trainer, folder)
    reset_peak_memory(device)
    while trainer.finished < trainer.epochs:
        history.append(_epoch(trainer, sets, data, given, reference))
        folder.save_checkpoint(_checkpoint(trainer, history))
        folder.save_history(history)
        each_epoch()
    metrics = _judged(trainer, sets, data, given, reference, history, folder)
    content, card = weights_of(trainer), plugins.datasets[spec.dataset.name].card
    folder.save_model(content, record_of(job, data, noise, sets.train, card, machine, content, metrics))
    folder.finish(metrics)  # last, because it declares the run finished


def _privileged(data: Prepared, noise: Noise, kept: NDArray[np.int64], device: torch.device) -> dict[str, Any]:
    """What the methods that declare it may know beyond the given labels."""
    votes = data.data.train.votes
    return {
        "votes": None if votes is None else torch.from_numpy(np.asarray(votes)[kept]).to(device),
        "noise_rate": noise.realised,
        "transition": torch.from_numpy(noise.transition).float().to(device),
    }


class _Sets:
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


def _hold_out(given: NDArray[np.int64], spec: RunSpec) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Which training images are trained on, and which are held out (None where none are), stratified by given label."""
    everything = np.arange(len(given))
    if not spec.validation:
        return everything, None
    held_out = stratified(given, round(spec.validation * len(given)), numpy_stream(spec.seed, "validation"))
    return np.setdiff1d(everything, held_out), held_out


def _epoch(
    trainer: Trainer, sets: _Sets, data: Prepared, given: NDArray[np.int64], reference: NDArray[np.int64]
) -> dict[str, Any]:
    """Trains an epoch and evaluates it; its row of the history."""
    row: dict[str, Any] = trainer.train_epoch()
    row["test_accuracy"] = accuracy(trainer.predict(sets.test, "test").logits, data.data.test.labels)
    if sets.validation is not None:
        predicted = trainer.predict(sets.validation, "validation")
        row["validation_accuracy"] = accuracy(predicted.logits, given[sets.held_out])
    if sets.wrong is not None:
        guess = trainer.predict(sets.wrong, "watched").logits.argmax(axis=1)
        row["wrong_label_fit"] = wrong_label_fit(guess, given[sets.watched], reference[sets.watched])
    return row


def _checkpoint(trainer: Trainer, history: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    torch.save({"trainer": trainer.state_dict(), "history": history}, buffer)
    return buffer.getvalue()


def _resume(trainer: Trainer, folder: RunFolder) -> list[dict[str, Any]]:
    """Goes on from the checkpoint, where there is one; gives the history so far."""
    content = folder.checkpoint()
    if content is None:
        return []
    try:
        state = torch.load(io.BytesIO(content), map_location=trainer.device, weights_only=True)
        history: list[dict[str, Any]] = state["history"]
        trained = state["trainer"]
    except Exception:  # zip, pickle and torch each raise types of their own for a damaged file; the run starts over
        return []
    trainer.load_state_dict(trained)
    folder.save_history(history)
    return history


def _judged(
    trainer: Trainer,
    sets: _Sets,
    data: Prepared,
    given: NDArray[np.int64],
    reference: NDArray[np.int64],
    history: list[dict[str, Any]],
    folder: RunFolder,
) -> dict[str, Any]:
    """Predicts, stores that, and scores it."""
    test, train = trainer.predict(sets.test, "test"), trainer.predict(sets.train, "training")
    noise_score = trainer.noise_score(train)
    _check_finite(test, train, noise_score)
    predicted = train.logits.argmax(axis=1)
    votes = data.data.test.votes
    folder.save_arrays(
        "predictions",
        {
            "test_logits": test.logits,
            "test_uncertainty": test.uncertainty,
            "test_reference": data.data.test.labels,
            "test_votes": votes,
            "train_index": sets.kept,
            "train_given": given[sets.kept],
            "train_reference": reference[sets.kept],
            "train_predicted": predicted,
            "train_uncertainty": train.uncertainty,
            "train_noise_score": noise_score,
        },
    )
    index = _feature_images(data.data.test.labels)
    features = trainer.features(sets.test, index)
    if features is not None:
        folder.save_arrays("features", {"features": features, "index": index})
    judged = [row for row in history if row["stage"] == history[-1]["stage"]]  # earlier stages trained other models
    validation = [row["validation_accuracy"] for row in judged] if sets.validation is not None else None
    samples = sum(row["samples"] for row in history)
    return {
        **select([row["test_accuracy"] for row in judged], validation),
        **score_test(test.logits, test.uncertainty, data.data.test.labels, votes),
        **score_training(predicted, given[sets.kept], reference[sets.kept], noise_score),
        "networks": trainer.networks,
        "train_seconds": round(trainer.seconds, 3),
        "images_per_second": round(samples / trainer.seconds, 1),
        "peak_memory_mb": round(peak_memory(trainer.device) / 2**20, 1),
    }


def _check_finite(test: Predicted, train: Predicted, noise_score: NDArray[np.float32]) -> None:
    for name, arrays in (
        ("logits", (test.logits, train.logits)),
        ("uncertainties", (test.uncertainty, train.uncertainty)),
        ("noise scores", (noise_score,)),
    ):
        if not all(np.isfinite(array).all() for array in arrays):
            raise Diverged(f"the method's {name} are not all finite")


def _feature_images(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The test images whose features are kept: the same for every run, and of each class its share."""
    if len(labels) <= FEATURE_IMAGES:
        return np.arange(len(labels))
    return stratified(np.asarray(labels), FEATURE_IMAGES, numpy_stream(0, "features"))
