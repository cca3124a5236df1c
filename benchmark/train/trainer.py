"""The one harness: it trains any method, epoch by epoch, and knows of none.

A trainer holds the given labels only. Whoever drives it evaluates, stores and judges between the epochs.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..contract.method import Batch, Method, Prediction
from ..spec import Recipe
from ..streams import derive
from .memory import ADVICE, OutOfMemory, exhausted
from .model import Model, Predicted
from .optimise import Optimiser
from .parts import gradients, why_whole
from .pretrained import Weights
from .training_set import DeviceSet


class Diverged(Exception):
    """The loss is no longer a number."""


class Trainer(Model):
    """One run's training, from its first epoch to its last."""

    def __init__(
        self,
        method: type[Method],
        config: Any,
        training_set: DeviceSet,
        validation_set: DeviceSet | None,
        *,
        num_classes: int,
        recipe: Recipe,
        backbone: str,
        precision: str,
        seed: int,
        side: int | None = None,
        weights: Weights | None = None,
        privileged: Mapping[str, Any] = MappingProxyType({}),
    ):
        """`side`, `weights` and `privileged` are as for a `Model`."""
        self.training_set, self.validation_set = training_set, validation_set
        self.recipe = recipe
        super().__init__(
            method,
            config,
            num_classes=num_classes,
            num_samples=len(training_set),
            image_shape=training_set.image_shape,
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            backbone=backbone,
            precision=precision,
            seed=seed,
            device=training_set.device,
            side=side,
            weights=weights,
            privileged=privileged,
        )
        self.seconds = 0.0  #: spent in the epochs that are done
        self.parts = 1  #: in which each batch is done, one after the other
        self.optimiser: Optimiser | None = None

    def _seed(self, purpose: str, *counters: int) -> None:
        """Augmentation's stream, too."""
        super()._seed(purpose, *counters)
        self.training_set.seed_augmentation(derive(self.seed, f"augmentation/{purpose}", *counters))

    def train_epoch(self) -> dict[str, float]:
        """One epoch; gives its row of the history. Raises Diverged, and OutOfMemory; the trainer is then of no more use."""
        started = time.perf_counter()
        method, epoch = self.method, self.finished
        stage, within = self._stage_of(epoch)
        method.stage, method.epoch, method.logged = stage, epoch, {}
        method.progress = within / self.stages[stage]
        method.eval()
        if within == 0:
            self._seed("stage", stage)
            with torch.no_grad():
                method.begin_stage(stage, self.training_set)
            self.optimiser = Optimiser(method.param_groups(self.recipe.lr), self.recipe, self.device)
        assert self.optimiser is not None
        self._seed("epoch", epoch)
        with torch.no_grad():
            chosen = method.begin_epoch(epoch, self.training_set)
        batches = self._batches(chosen, epoch)
        method.train()
        total = torch.zeros((), device=self.device)
        for k, index in enumerate(batches):
            method.progress = (within + (k + 0.5) / len(batches)) / self.stages[stage]
            self.optimiser.set_progress(method.progress, self.stages[stage])
            total += self._gradients(index)
            self.optimiser.step()
            method.zero_grad(set_to_none=True)  # also what no group holds, or it would wait for a later stage
            with torch.no_grad():
                method.after_step()
        mean_loss = float(total) / max(1, len(batches))  # the epoch's one wait for the device
        if not np.isfinite(mean_loss):  # before a method computes something of what has no numbers
            raise Diverged(f"the loss was {mean_loss} in epoch {epoch + 1} of {self.epochs}")
        method.eval()
        method.progress = (within + 1) / self.stages[stage]
        with torch.no_grad():
            method.end_epoch(epoch, self.training_set)
        self.finished += 1
        if self.finished == self.epochs:
            self._seed("end")
            method.end_training(self.training_set, self.validation_set)
        seconds = time.perf_counter() - started
        self.seconds += seconds
        samples = sum(len(index) for index in batches)
        row = {
            "epoch": epoch + 1,
            "epochs": self.epochs,
            "stage": stage,
            "loss": mean_loss,
            "samples": samples,
            "seconds": seconds,
            "parts": self.parts,
        }
        return row | {name: float(value / count) for name, (value, count) in method.logged.items()}

    def _gradients(self, index: Tensor) -> Tensor:
        """Leaves the gradients of the batch of samples `index` (B,), and gives its loss. Raises OutOfMemory."""
        try:
            images = self.training_set.images(index, augmented=True)
            batch = Batch(images, self.training_set.labels[index], index, self.training_set)
            return gradients(self.method, batch, self.parts)
        except (RuntimeError, MemoryError) as error:
            memory, details = exhausted(error), traceback.format_exc()
            if memory is None:
                raise
        # Out here, where the error is gone, and with it what its frames hold: all that the step has filled the memory with.
        raise self._too_large(memory, len(index), details)

    def _too_large(self, memory: str, images: int, details: str) -> OutOfMemory:
        """What is to be said of a step of so many images that ran out of memory, and what is to be done."""
        step = f"out of {memory} in a training step of {images} images"
        if self.parts >= images:
            failure = OutOfMemory(f"{step}, even one at a time; {ADVICE}")
        elif why := why_whole(self.method):
            failure = OutOfMemory(f"{step}, which cannot be done in parts: {why}; a smaller --batch-size, {ADVICE}")
        else:
            failure = OutOfMemory(step, parts=2 * self.parts)
        failure.add_note(details)
        return failure

    def _batches(self, chosen: Tensor | None, epoch: int) -> list[Tensor]:
        """The epoch's batches of indices, in a random order; a last batch of one joins the one before it."""
        everything = torch.arange(len(self.training_set)) if chosen is None else chosen.cpu()
        if len(everything) < 2:
            raise ValueError(f"epoch {epoch + 1} has {len(everything)} training images; batch norms need two")
        generator = torch.Generator().manual_seed(derive(self.seed, "order", epoch))
        if self.recipe.balanced:
            labels = self.training_set.labels.cpu()[everything]
            order = torch.multinomial(1 / labels.bincount()[labels], len(everything), replacement=True, generator=generator)
        else:
            order = torch.randperm(len(everything), generator=generator)
        batches = list(torch.split(everything[order].to(self.device), self.recipe.batch_size))
        if len(batches) > 1 and len(batches[-1]) == 1:  # batch norms cannot learn from one image
            batches[-2:] = [torch.cat(batches[-2:])]
        return batches

    @torch.no_grad()
    def noise_score(self, predicted: Predicted) -> NDArray[np.float32]:
        """(N,) the method's noise scores, given its predictions for the training images."""
        self._seed("noise score")
        self.method.eval()
        on_device = Prediction(*(torch.from_numpy(a).to(self.device) for a in (predicted.logits, predicted.uncertainty)))
        score: NDArray[np.float32] = self.method.noise_score(on_device, self.training_set).float().cpu().numpy()
        return score

    @torch.no_grad()
    def features(self, images: DeviceSet, index: NDArray[np.int64]) -> NDArray[np.float16] | None:
        """(M, D) features of a set's images at `index` (M,), or None where the method shows none."""
        self._seed("features")
        self.method.eval()
        parts = [self.method.features(batch.images) for batch in images.batches(torch.from_numpy(index).to(self.device))]
        shown = [p.float().cpu() for p in parts if p is not None]
        return torch.cat(shown).half().numpy() if shown else None

    def state_dict(self) -> dict[str, Any]:
        """Everything that the epochs so far have changed; random streams are derived and need no saving."""
        assert self.optimiser is not None
        return {
            "method": self.method.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "finished": self.finished,
            "seconds": self.seconds,
            "parts": self.parts,
            "backbones_made": self._made,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state_dict` was taken."""
        self.seconds, self.parts, self._made = state["seconds"], state["parts"], state["backbones_made"]
        self.load(state["method"], state["finished"])
        self.optimiser = Optimiser(self.method.param_groups(self.recipe.lr), self.recipe, self.device)
        self.optimiser.load_state_dict(state["optimiser"])
