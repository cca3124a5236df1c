"""Active and passive losses: one that raises the label's probability, one that lowers the others', both robust to wrong labels.

    L = alpha NCE + beta RCE,        NCE = log p_y / sum_k log p_k,        RCE = A (1 - p_y).

A loss whose sum over all possible labels is the same for every prediction cannot be misled by symmetric noise. Cross-entropy
divided by that sum, NCE, is one, but learns slowly; RCE, which is one as it stands, makes up for it. Prediction uses p.
Uncertainty: one minus the largest probability. Noise score: the log odds against the given label, because the probabilities
that this loss leads to tie at 0 and 1.

Deviations:
- The paper pairs several active and passive losses; this is NCE with RCE.
- alpha and beta are set for each dataset there: 1 and 1 for CIFAR-10, 10 and 0.1 for CIFAR-100, 1 and 10 for MNIST. The first
  pair serves all here: CIFAR-10 is one of the suite's, and nearest to expressions in the number of classes.
- A is 9.21, the natural logarithm of the code's clip at 1e-4, as in symmetric cross-entropy (`sce`).
- The code clips p at 1e-7 in RCE, and gradients at a norm of 5; neither is done here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.contract import NonNegative, Paper, Prediction, TrainingSet

from ._classifier import Classifier
from .sce import reverse_cross_entropy


@dataclass(frozen=True)
class APLConfig:
    """Options of active and passive losses; defaults from configs/cifar10/sym/nce+rce.yaml of the released code."""

    alpha: NonNegative = 1.0  # weight of the active part, NCE
    beta: NonNegative = 1.0  # weight of the passive part, RCE
    A: NonNegative = -math.log(1e-4)  # what -log 0 is taken to be in RCE


def normalised_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over the batch of log p_y / sum_k log p_k, a scalar in [0, 1]; logits (B, K), labels (B,)."""
    log_p = logits.log_softmax(dim=1)
    return (log_p.gather(1, labels[:, None]) / log_p.sum(dim=1, keepdim=True)).mean()


def active_passive_loss(logits: Tensor, labels: Tensor, alpha: float, beta: float, zero: float) -> Tensor:
    """alpha NCE + beta RCE, a scalar; logits (B, K), labels (B,), `zero` is A."""
    return alpha * normalised_cross_entropy(logits, labels) + beta * reverse_cross_entropy(logits, labels, zero)


class APL(Classifier):
    """Active and passive losses: normalised cross-entropy with reverse cross-entropy."""

    name = "apl"
    paper = Paper(
        title="Normalized Loss Functions for Deep Learning with Noisy Labels",
        authors="Ma, Huang, Wang, Romano, Erfani and Bailey",
        venue="ICML 2020",
        url="https://arxiv.org/abs/2006.13554",
        code="https://github.com/HanxunH/Active-Passive-Losses at 04bce53",
    )
    mean_over_samples = True
    Config = APLConfig
    own_recipe = {
        "epochs": 120,
        "batch_size": 128,
        "lr": 0.01,
        "weight_decay": 1e-4,
        "schedule": "cosine",
        "shift": 1 / 8,
    }

    def noise_score(self, prediction: Prediction, training_set: TrainingSet) -> Tensor:
        labels = training_set.labels[:, None]
        others = prediction.logits.scatter(1, labels, -torch.inf).logsumexp(dim=1)
        return others - prediction.logits.gather(1, labels)[:, 0]

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return active_passive_loss(logits, labels, self.config.alpha, self.config.beta, self.config.A)
