"""Cross-entropy: the baseline that believes every label.

A linear classifier on the pooled features, L = -log p_y. Its uncertainty is one minus the largest probability (Hendrycks and
Gimpel, ICLR 2017), its noise score one minus the probability of the given label.

Deviations: none.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import Batch, Method, NoOptions, Paper, Prediction, Task

from ._heads import one_minus_largest


class CrossEntropy(Method):
    """Cross-entropy on the given labels: the baseline that believes every one."""

    name = "ce"
    paper = Paper(
        title="A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks",
        authors="Hendrycks and Gimpel",
        venue="ICLR 2017",
        url="https://arxiv.org/abs/1610.02136",
    )

    def __init__(self, task: Task, config: NoOptions):
        super().__init__(task, config)
        self.backbone = task.make_backbone()
        self.classifier = nn.Linear(self.backbone.num_features, task.num_classes)

    def training_step(self, batch: Batch) -> Tensor:
        return F.cross_entropy(self.classifier(self.backbone.pooled(batch.images)), batch.labels)

    def predict(self, images: Tensor) -> Prediction:
        logits = self.classifier(self.backbone.pooled(images))
        return Prediction(logits, one_minus_largest(logits))

    def features(self, images: Tensor) -> Tensor:
        return self.backbone.pooled(images)
