"""Cross-entropy: the baseline that believes every label.

A linear classifier on the pooled features, with p the softmax of its logits:

    L = -log p_y.

Uncertainty: one minus the largest probability (Hendrycks and Gimpel, ICLR 2017). Noise score: one minus the probability of the
given label.

Deviations: none.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from benchmark.contract import Paper

from ._classifier import Classifier


class CrossEntropy(Classifier):
    """Cross-entropy on the given labels: the baseline that believes every one."""

    name = "ce"
    paper = Paper(
        title="A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks",
        authors="Hendrycks and Gimpel",
        venue="ICLR 2017",
        url="https://arxiv.org/abs/1610.02136",
    )
    mean_over_samples = True

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels)
