"""Does a method keep the contract? Each check says what was expected, what came, and how to mend it."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..contract.method import Batch, Method, Prediction, Task
from .case import Case, trained
from .checks import CHECKS, Verdict


def check_method(method: type[Method]) -> list[Verdict]:
    """Every conformance check of a method class, in order; a check that raises has failed. Takes some seconds on one core."""
    case = Case(method)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        return [check.verdict(case) for check in CHECKS]
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


def relative_speed(method: type[Method]) -> float:
    """Seconds of a whole training over those of plain cross-entropy on the same network, each the best of three."""
    return min(_seconds(method) for _ in range(3)) / min(_seconds(_Plain) for _ in range(3))


def _seconds(method: type[Method]) -> float:
    trainer = Case(method).trainer(count=192, batch_size=64)
    started = time.perf_counter()
    trained(trainer)
    return time.perf_counter() - started


class _Plain(Method):
    """What any method costs at least."""

    def __init__(self, task: Task, config: Any):
        super().__init__(task, config)
        self.backbone = task.make_backbone()
        self.classifier = nn.Linear(self.backbone.num_features, task.num_classes)

    def training_step(self, batch: Batch) -> Tensor:
        return F.cross_entropy(self.classifier(self.backbone.pooled(batch.images)), batch.labels)

    def predict(self, images: Tensor) -> Prediction:
        logits = self.classifier(self.backbone.pooled(images))
        return Prediction(logits, -logits.amax(dim=1))
