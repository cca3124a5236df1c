"""A method built for one task, with the backbones that it asks for: what is trained, and what predicts."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..contract.method import Backbone, Method, Prediction, Task
from ..streams import derive
from .backbones import build_backbone
from .pretrained import Match, Weights, fill
from .training_set import DeviceSet


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


class Model:
    """A method with its backbones, on a device. It begins at its random weights; `load` puts it where a training ended."""

    def __init__(
        self,
        method: type[Method],
        config: Any,
        *,
        num_classes: int,
        num_samples: int,
        image_shape: tuple[int, int, int],
        epochs: int,
        batch_size: int,
        backbone: str,
        precision: str,
        seed: int,
        device: torch.device,
        side: int | None = None,
        weights: Weights | None = None,
        privileged: Mapping[str, Any] = MappingProxyType({}),
    ):
        """`image_shape`: (C, H, W); `side`, to which images are brought, and `weights` are for every backbone.

        `privileged`: what is known beyond the given labels, by the names of `PRIVILEGES`; the method gets what it declares.
        """
        self.image_shape, self.seed, self.device = image_shape, seed, device
        self.matches: list[Match] = []
        self._backbone, self._precision, self._side, self._weights, self._made = backbone, precision, side, weights, 0
        task = Task(
            num_classes,
            num_samples,
            image_shape,
            epochs,
            batch_size,
            self._make_backbone,
            **{name: privileged[name] for name in method.privilege},
        )
        self._seed("method")
        self.method = method(task, config).to(device)
        self.stages = self.method.stages(epochs)
        _check(self.method, self.stages)
        self.epochs = sum(self.stages)
        self.finished = 0  #: epochs that are done

    @property
    def networks(self) -> int:
        """How many backbones the method has asked for."""
        return self._made

    def _make_backbone(self) -> Backbone:
        """The k-th call's weights come from the k-th stream, and leave the method's own stream as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.seed, "weights", self._made))
            backbone = build_backbone(self._backbone, self.image_shape, self._precision, self._side)
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

    def _stage_of(self, epoch: int) -> tuple[int, int]:
        """The stage that an epoch belongs to, and its number within it."""
        stage = 0
        while epoch >= self.stages[stage]:
            epoch -= self.stages[stage]
            stage += 1
        return stage, epoch

    def load(self, state: Mapping[str, Tensor], finished: int | None = None) -> None:
        """The method's state as it was after `finished` epochs; None: after the last one."""
        self.finished = self.epochs if finished is None else finished
        self.method.stage, within = self._stage_of(self.finished - 1)
        self.method.epoch, self.method.progress = self.finished - 1, (within + 1) / self.stages[self.method.stage]
        self.method.load_state_dict(state)

    def predict(self, images: DeviceSet, purpose: str) -> Predicted:
        """Predictions for all of a set's plain images; the global stream is seeded by purpose and epoch."""
        return self.predict_batches((batch.images for batch in images.batches()), purpose)

    @torch.no_grad()
    def predict_batches(self, batches: Iterable[Tensor], purpose: str) -> Predicted:
        """The same for batches of normalised images (B, C, H, W), which are asked for one by one."""
        self._seed(purpose, self.finished)
        self.method.eval()
        parts = [self._predict(images) for images in batches]
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
