"""The one harness: it trains any method, epoch by epoch, and knows of none.

A trainer holds the given labels only. Whoever drives it evaluates, stores and judges between the epochs.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..contract.method import Backbone, Batch, Method, Prediction, Task
from ..spec import Recipe
from ..streams import derive
from .backbones import build_backbone
from .optimise import Optimiser
from .pretrained import Match, Weights, fill
from .training_set import DeviceSet


class Diverged(Exception):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class Predicted:
    """A whole split's predictions, in the split's order."""

    logits: NDArray[np.float32]  #: (N, K)
    uncertainty: NDArray[np.float32]  #: (N,)


def _check(method: Method, stages: list[int]) -> None:
    """Raises ValueError for a method that breaks the contract in a way that would be noticed late, or never."""
    if not stages or min(stages) < 1:
        raise ValueError(f"stages() gave {stages}; wanted at least one epoch in each")
    for name, value in method.state_dict().items():
        if not isinstance(value, Tensor):
            raise ValueError(f"the state '{name}' is no tensor; wanted parameters and buffers alone")


class Trainer:
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
        """`side`, to which images are brought, and `weights` are for every backbone that the method makes.

        `privileged`: what is known beyond the given labels, by the names of `PRIVILEGES`; the method gets what it declares.
        """
        self.training_set, self.validation_set = training_set, validation_set
        self.recipe, self.seed = recipe, seed
        self.device = training_set.device
        self.matches: list[Match] = []
        self._backbone, self._precision, self._side, self._weights, self._made = backbone, precision, side, weights, 0
        task = Task(
            num_classes,
            len(training_set),
            training_set.image_shape,
            recipe.epochs,
            recipe.batch_size,
            self._make_backbone,
            **{name: privileged[name] for name in method.privilege},
        )
        self._seed("method")
        self.method = method(task, config).to(self.device)
        self.stages = self.method.stages(recipe.epochs)
        _check(self.method, self.stages)
        self.epochs = sum(self.stages)
        self.finished = 0  #: epochs that are done
        self.seconds = 0.0  #: spent in them
        self.optimiser: Optimiser | None = None

    @property
    def networks(self) -> int:
        """How many backbones the method has asked for."""
        return self._made

    def _make_backbone(self) -> Backbone:
        """The k-th call's weights come from the k-th stream, and leave the method's own stream as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.seed, "weights", self._made))
            backbone = build_backbone(self._backbone, self.training_set.image_shape, self._precision, self._side)
        backbone.to(self.device)
        self._made += 1
        if self._weights is not None:
            self.matches.append(fill(backbone.named_as_published, self._weights.tensors, self._weights.name))
        return backbone

    def _seed(self, purpose: str, *counters: int) -> None:
        """Starts every stream that a method can draw from anew, numpy's too, which scikit-learn uses unasked."""
        seed = derive(self.seed, purpose, *counters)
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)
        self.training_set.seed_augmentation(derive(self.seed, f"augmentation/{purpose}", *counters))

    def _stage_of(self, epoch: int) -> tuple[int, int]:
        """The stage that an epoch belongs to, and its number within it."""
        stage = 0
        while epoch >= self.stages[stage]:
            epoch -= self.stages[stage]
            stage += 1
        return stage, epoch

    def train_epoch(self) -> dict[str, float]:
        """One epoch; gives its row of the history. Raises Diverged."""
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
            images = self.training_set.images(index, augmented=True)
            loss = method.training_step(Batch(images, self.training_set.labels[index], index, self.training_set))
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            method.zero_grad(set_to_none=True)  # also what no group holds, or it would wait for a later stage
            with torch.no_grad():
                method.after_step()
            total += loss.detach()
        method.eval()
        method.progress = (within + 1) / self.stages[stage]
        with torch.no_grad():
            method.end_epoch(epoch, self.training_set)
        self.finished += 1
        if self.finished == self.epochs:
            self._seed("end")
            method.end_training(self.training_set, self.validation_set)
        mean_loss = float(total) / max(1, len(batches))  # the epoch's one wait for the device
        if not np.isfinite(mean_loss):
            raise Diverged(f"the loss was {mean_loss} in epoch {epoch + 1} of {self.epochs}")
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
        }
        return row | {name: float(value / count) for name, (value, count) in method.logged.items()}

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
    def predict(self, images: DeviceSet, purpose: str) -> Predicted:
        """Predictions for all of a set's plain images; the global stream is seeded by purpose and epoch."""
        self._seed(purpose, self.finished)
        self.method.eval()
        parts = [self._predict(batch.images) for batch in images.batches()]
        return Predicted(
            torch.cat([p.logits for p in parts]).float().cpu().numpy(),
            torch.cat([p.uncertainty for p in parts]).float().cpu().numpy(),
        )

    def _predict(self, images: Tensor) -> Prediction:
        prediction = self.method.predict(images)
        wanted = (len(images), self.method.task.num_classes), (len(images),)
        found = tuple(prediction.logits.shape), tuple(prediction.uncertainty.shape)
        if found != wanted:
            raise ValueError(f"predict() gave logits and uncertainty of shapes {found}; wanted {wanted}")
        return prediction

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
            "backbones_made": self._made,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state_dict` was taken."""
        self.finished, self.seconds, self._made = state["finished"], state["seconds"], state["backbones_made"]
        self.method.stage, within = self._stage_of(self.finished - 1)
        self.method.epoch, self.method.progress = self.finished - 1, (within + 1) / self.stages[self.method.stage]
        self.method.load_state_dict(state["method"])
        self.optimiser = Optimiser(self.method.param_groups(self.recipe.lr), self.recipe, self.device)
        self.optimiser.load_state_dict(state["optimiser"])
