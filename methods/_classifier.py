"""The plain classifier that many methods train: a linear layer on the backbone's pooled features."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from benchmark.contract import Batch, Method, Prediction, Task

from ._uncertainty import one_minus_largest


class Classifier(Method):
    """Backbone, pooled features, linear layer; a method that changes the loss alone writes `loss`."""

    def __init__(self, task: Task, config: Any):
        super().__init__(task, config)
        self.backbone = task.make_backbone()
        self.classifier = nn.Linear(self.backbone.num_features, task.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, K)."""
        return self.classifier(self.features(images))  # type: ignore[no-any-return]

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The scalar loss of logits (B, K) with given labels (B,)."""
        raise NotImplementedError

    def training_step(self, batch: Batch) -> Tensor:
        return self.loss(self(batch.images), batch.labels)

    def predict(self, images: Tensor) -> Prediction:
        logits = self(images)
        return Prediction(logits, one_minus_largest(logits))

    def features(self, images: Tensor) -> Tensor:
        return self.backbone.pooled(images)
