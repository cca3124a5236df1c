"""One run from its spec to its stored result: the only place where training meets the reference labels, to judge."""

from __future__ import annotations

import hashlib
import io
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..contract.errors import BadInput, told
from ..contract.text import one_line
from ..data import stratified
from ..score import accuracy, mistakes, score_test, score_training, select, wrong_label_fit
from ..store import NotStored, RunFolder, Store
from ..streams import numpy_stream
from ..train.device import settle
from ..train.memory import ADVICE, OutOfMemory, exhausted, release
from ..train.model import Predicted
from ..train.trainer import Diverged, Trainer
from .machine import environment, peak_memory, reset_peak_memory
from .plan import Job
from .ready import Ready, made_ready
from .recorded import record_of, weights_of

FEATURE_IMAGES = 1000
Row = dict[str, Any]
"""Of a history; or a machine and its versions."""
DIGEST = hashlib.sha256().digest_size
"""Bytes before a checkpoint's content."""
SPACING = 50
"""That many times as long as the last checkpoint took goes by before the next: a GPU's epoch may be as short as that."""


def execute(
    job: Job,
    root: Path,
    still_mine: Callable[[], None] = lambda: None,
    *,
    again: bool = False,
    retry: bool = False,
) -> str:
    """Does a job, or goes on with it where it was interrupted; gives its status.

    `again`: from its beginning, whatever is there; `retry`: also if it has failed; `still_mine` is called before anything is
    written, and does not return where another has the run by now. Raises NotStored and KeyboardInterrupt, but nothing that the
    job's own code raises.
    """
    folder = Store(root).run(job.key)
    if again:
        folder.discard()
    if folder.status == "finished" or (folder.status == "failed" and not retry):
        return folder.status
    try:
        _execute(job, root, folder, still_mine)
    except (KeyboardInterrupt, NotStored):
        raise
    except BaseException as error:  # a run that fails is recorded, whatever its plugin raised, and harms no other
        details = traceback.format_exc()
        still_mine()
        folder.fail(reason(error), details)
        return "failed"
    return "finished"


def reason(error: BaseException) -> str:
    """Why a training failed, in one line."""
    if isinstance(error, Diverged | BadInput | OutOfMemory):
        return one_line(str(error))
    if memory := exhausted(error):
        where = "moving the images, evaluation, the optimiser's state"
        return f"out of {memory} outside of the training steps ({where}); fewer images (--dataset NAME@COUNT), {ADVICE}"
    return told(error)


def _execute(job: Job, root: Path, folder: RunFolder, still_mine: Callable[[], None]) -> None:
    """From the last checkpoint, or from the beginning, to the end; after a want of memory once more, in more parts."""
    device = torch.device(job.device)
    settle(device, job.threads)
    parts: dict[int, int] = {}
    while not _attempt(job, root, folder, still_mine, parts):
        release(device)


def _attempt(job: Job, root: Path, folder: RunFolder, still_mine: Callable[[], None], parts: dict[int, int]) -> bool:
    """Trains and judges, and gives whether that was done; else it has put into `parts` what the next attempt has to know.

    `parts`: from an epoch on, in how many each batch is done at least. A step that does not fit into memory leaves an epoch
    half done, so that everything has to be built anew; epochs before it stay as they were.
    """
    ready = made_ready(job, root)
    trainer = ready.trainer
    machine = environment(job.device, job.threads)
    history, before = _resume(trainer, folder)
    machines = _machines(before, machine)
    still_mine()
    folder.begin(
        job.spec,
        {
            **machine,
            **({"earlier": machines[:-1]} if len(machines) > 1 else {}),
            "precision": job.spec.precision,
            "noise_sha256": job.noise_sha256,
            "noise_realised": job.realised,
            "pretrained": [str(match) for match in trainer.matches],
        },
    )
    if history:
        folder.save_history(history)
    reset_peak_memory(trainer.device)
    saved, cost, stored = time.monotonic(), 0.0, trainer.parts
    while trainer.finished < trainer.epochs:
        trainer.parts = max([trainer.parts, *(n for epoch, n in parts.items() if epoch <= trainer.finished)])
        try:
            history.append(_epoch(ready))
        except OutOfMemory as failure:
            if not failure.parts:
                raise
            parts[trainer.finished] = failure.parts
            return False
        still_mine()
        begun = time.monotonic()
        if begun - saved >= SPACING * cost or trainer.parts > stored:  # or a later try may need fewer, and end with other bits
            folder.save_checkpoint(_checkpoint(trainer, history, machines))
            saved, stored = time.monotonic(), trainer.parts
            cost = saved - begun
        folder.save_history(history)
    metrics = _judged(ready, history, folder, still_mine) | {"machines": len(machines)}
    content = weights_of(trainer)
    record = record_of(job, ready.data, ready.noise, ready.sets.train, ready.card, machine, content, metrics)
    still_mine()
    folder.save_model(content, record)
    folder.finish(metrics, job.inputs)  # last, because it declares the run finished
    return True


def _machines(before: list[Row], machine: Row) -> list[Row]:
    """What a run is trained on: the machines of its epochs so far, and this one where it, or a version on it, is another."""
    same = before and all(machine.get(name) == value for name, value in before[-1].items() if name != "started")
    return before if same else [*before, machine]


def _epoch(ready: Ready) -> Row:
    """Trains an epoch and evaluates it; its row of the history."""
    trainer, sets, given = ready.trainer, ready.sets, ready.given
    row: Row = trainer.train_epoch()
    row["test_accuracy"] = accuracy(trainer.predict(sets.test, "test").logits, ready.data.data.test.labels)
    if sets.validation is not None:
        predicted = trainer.predict(sets.validation, "validation")
        row["validation_accuracy"] = accuracy(predicted.logits, given[sets.held_out])
    if sets.wrong is not None:
        guess = trainer.predict(sets.wrong, "watched").logits.argmax(axis=1)
        row["wrong_label_fit"] = wrong_label_fit(guess, given[sets.watched], ready.reference[sets.watched])
    return row


def _checkpoint(trainer: Trainer, history: list[Row], machines: list[Row]) -> bytes:
    """All that it takes to go on, as torch writes it, after its own sha256: torch reads damaged tensors without a word."""
    buffer = io.BytesIO()
    torch.save({"trainer": trainer.state_dict(), "history": history, "machines": machines}, buffer)
    content = buffer.getvalue()
    return hashlib.sha256(content).digest() + content


def _resume(trainer: Trainer, folder: RunFolder) -> tuple[list[Row], list[Row]]:
    """Goes on from the checkpoint, where there is a whole one, else starts over; gives the epochs so far and their machines."""
    stored = folder.checkpoint() or b""
    digest, content = stored[:DIGEST], stored[DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        return [], []
    state = torch.load(io.BytesIO(content), map_location=trainer.device, weights_only=True)
    trainer.load_state_dict(state["trainer"])
    return state["history"], state["machines"]


def _judged(ready: Ready, history: list[Row], folder: RunFolder, still_mine: Callable[[], None]) -> Row:
    """Predicts, stores that, and scores it."""
    trainer, sets, data, kept = ready.trainer, ready.sets, ready.data, ready.sets.kept
    given, reference = ready.given[kept], ready.reference[kept]
    test, train = trainer.predict(sets.test, "test"), trainer.predict(sets.train, "training")
    noise_score = trainer.noise_score(train)
    _check_finite(test, train, noise_score)
    predicted = train.logits.argmax(axis=1)
    labels, votes = data.data.test.labels, data.data.test.votes
    history[-1]["test_accuracy"] = accuracy(test.logits, labels)  # the last epoch may have been judged on another machine
    still_mine()
    folder.save_history(history)
    folder.save_arrays(
        "predictions",
        {
            "test_logits": test.logits,
            "test_uncertainty": test.uncertainty,
            "test_reference": labels,
            "test_votes": votes,
            "train_index": kept,
            "train_given": given,
            "train_reference": reference,
            "train_predicted": predicted,
            "train_uncertainty": train.uncertainty,
            "train_noise_score": noise_score,
        },
    )
    folder.save_arrays("outcomes", {"right": ~mistakes(test.logits, labels), "reference": labels})
    index = _feature_images(labels)
    features = trainer.features(sets.test, index)
    if features is not None:
        folder.save_arrays("features", {"features": features, "index": index})
    judged = [row for row in history if row["stage"] == history[-1]["stage"]]  # earlier stages trained other models
    validation = [row["validation_accuracy"] for row in judged] if sets.validation is not None else None
    samples = sum(row["samples"] for row in history)
    return {
        **select([row["test_accuracy"] for row in judged], validation),
        **score_test(test.logits, test.uncertainty, labels, votes),
        **score_training(predicted, given, reference, noise_score, train.uncertainty),
        "networks": trainer.networks,
        "train_seconds": round(trainer.seconds, 3),
        "images_per_second": round(samples / trainer.seconds, 1),
        "peak_memory_mb": round(peak_memory(trainer.device) / 2**20, 1),
        "parts": trainer.parts,  # of a batch, in the last epoch, which has the most
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
