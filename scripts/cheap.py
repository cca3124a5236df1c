"""A method that learns next to nothing, for `speed.py`: what surrounds a training is timed by it, and not the training."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import Batch, Method, NonNegative, Paper, Prediction, Task, TrainingSet


@dataclass(frozen=True)
class CheapConfig:
    """What it takes."""

    wait: NonNegative = 0.0  # seconds before each epoch


class Cheap(Method):
    """For timing alone: a linear classifier of an image's mean, one batch an epoch."""

    name = "cheap"
    paper = Paper(title="", authors="", venue="", url="", code=None)
    Config = CheapConfig

    def __init__(self, task: Task, config: CheapConfig):
        super().__init__(task, config)
        self.classifier = nn.Linear(1, task.num_classes)

    def begin_epoch(self, epoch: int, training_set: TrainingSet) -> Tensor:
        time.sleep(self.config.wait)
        return torch.arange(64)

    def training_step(self, batch: Batch) -> Tensor:
        return F.cross_entropy(self.logits(batch.images), batch.labels)

    def predict(self, images: Tensor) -> Prediction:
        logits = self.logits(images)
        return Prediction(logits, -logits.amax(dim=1))

    def logits(self, images: Tensor) -> Tensor:
        """(B, K) of (B, C, H, W)."""
        logits: Tensor = self.classifier(images.mean(dim=(1, 2, 3))[:, None])
        return logits
