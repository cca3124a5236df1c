"""Generalised cross-entropy: between cross-entropy, which learns fast, and absolute error, which withstands wrong labels.

    L_q = (1 - p_y^q) / q,        0 < q <= 1.

For q -> 0 it is -log p_y, for q = 1 it is 1 - p_y. Its gradient is p_y^q times that of cross-entropy: the less the network
believes a label, the less it learns from it. Prediction uses p.
Uncertainty: one minus the largest probability. Noise score: one minus the probability of the given label.

Deviations:
- The paper's second loss, truncated where p_y <= 0.5, is left out. It selects samples, on top of L_q: every tenth epoch the
  set is pruned by the network that was best on held-out images, which no method here sees while it trains, and from an epoch
  on that is set for each dataset (40 of 120, 80 of 150). The code, which is not the authors', prunes by the network that was
  best on the *test* images. Later comparisons mean L_q when they say GCE.
- The paper adds up the losses of a batch; the code averages them, as here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.contract import Paper, Part

from ._classifier import Classifier


@dataclass(frozen=True)
class GCEConfig:
    """Options of generalised cross-entropy."""

    q: Part = 0.7  # from 0, cross-entropy, to 1, absolute error; the paper's, for all its datasets and noise levels


def generalised_cross_entropy(logits: Tensor, labels: Tensor, q: float) -> Tensor:
    """The mean over the batch of (1 - p_y^q) / q, a scalar; logits (B, K), labels (B,)."""
    log_p = logits.log_softmax(dim=1).gather(1, labels[:, None])
    return -torch.expm1(q * log_p).mean() / q  # through log p: the gradient of p^q itself is infinite at p = 0


class GCE(Classifier):
    """Generalised cross-entropy: between cross-entropy and absolute error."""

    name = "gce"
    paper = Paper(
        title="Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
        authors="Zhang and Sabuncu",
        venue="NeurIPS 2018",
        url="https://arxiv.org/abs/1805.07836",
        code="https://github.com/AlanChou/Truncated-Loss at fef5908",
    )
    mean_over_samples = True
    Config = GCEConfig
    own_recipe = {
        "epochs": 120,
        "batch_size": 128,
        "lr": 0.01,
        "weight_decay": 1e-4,
        "schedule": "step",
        "milestones": (40 / 120, 80 / 120),
        "decay": 0.1,
        "shift": 1 / 8,
    }

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return generalised_cross_entropy(logits, labels, self.config.q)
