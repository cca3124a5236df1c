"""Early-learning regularisation: what a network said of each image before it memorised the wrong labels holds it back later.

Every training image has a target t (K,), a running average of its own predictions, and the loss rewards agreement with it:

    t <- beta * t + (1 - beta) * p / sum p,        L = CE(z, y) + lambda * mean log(1 - <t, p>),

with p the softmax of the logits z, clamped to [1e-4, 1 - 1e-4]; no gradient flows into t. The second term grows steep as <t, p>
nears 1: it keeps the gradients of rightly labelled images alive, and cancels those of wrongly labelled ones.
Prediction uses p. Uncertainty: one minus the largest probability. Noise score: the part of the target that lies off the
given label.

Deviations (the released code is followed):
- The authors call a label wrong where it is not the largest entry of t. A score has to order the labels: it is 1 - t_y, of a
  target that the prediction for the plain image has moved once more, because the clamp would let all confident images tie.
- beta and lambda are tuned by dataset and noise (CIFAR-10: 0.7 and 3, asymmetric 0.9 and 1; CIFAR-100: 0.9 and 7): the values
  of config_cifar10.json are taken for all, and `--recipe paper` is of the same file.
- The rate's 15 cycles are of 10 epochs each in the code; with `--epochs N`, of N / 15.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.contract import Batch, Fraction, NonNegative, Paper, Prediction, Task, TrainingSet

from ._classifier import Classifier


@dataclass(frozen=True)
class ELRConfig:
    """Options of ELR; defaults from config_cifar10.json of the released code."""

    beta: Fraction = 0.7  # how much of a target stays at each visit of its image, once an epoch
    weight: NonNegative = 3.0  # lambda, of the regularisation over the cross-entropy


def clamped_probability(logits: Tensor) -> Tensor:
    """The softmax of logits (B, K), kept within [1e-4, 1 - 1e-4]."""
    return logits.softmax(dim=1).clamp(1e-4, 1 - 1e-4)


def moved_targets(targets: Tensor, probability: Tensor, beta: float) -> Tensor:
    """Targets (B, K) moved towards what the network says now, probability (B, K), which is scaled to sum to 1."""
    said = probability.detach()
    return beta * targets + (1 - beta) * said / said.sum(dim=1, keepdim=True)


def early_learning_regularisation(probability: Tensor, targets: Tensor) -> Tensor:
    """The mean of log(1 - <t, p>) over a batch; clamped probability (B, K), targets (B, K). It is negative."""
    return (1 - (targets * probability).sum(dim=1)).log().mean()


def mass_elsewhere(targets: Tensor, labels: Tensor) -> Tensor:
    """The part of the targets (N, K) that lies off the labels (N,), as a sum, which does not round to 0; (N,)."""
    return targets.scatter(1, labels[:, None], 0).sum(dim=1)


class ELR(Classifier):
    """Early-learning regularisation: agreement with a running average of earlier predictions."""

    name = "elr"
    paper = Paper(
        title="Early-Learning Regularization Prevents Memorization of Noisy Labels",
        authors="Liu, Niles-Weed, Razavian and Fernandez-Granda",
        venue="NeurIPS 2020",
        url="https://arxiv.org/abs/2007.00151",
        code="https://github.com/shengliu66/ELR at 934af53",
    )
    Config = ELRConfig
    own_recipe = {
        "epochs": 150,
        "batch_size": 128,
        "lr": 0.02,
        "weight_decay": 1e-3,
        "schedule": "cosine",
        "cycles": 15,  # of 10 epochs each
        "floor": 0.001 / 0.02,
        "shift": 4 / 32,
    }
    targets: Tensor

    def __init__(self, task: Task, config: ELRConfig):
        super().__init__(task, config)
        self.register_buffer("targets", torch.zeros(task.num_samples, task.num_classes))

    def training_step(self, batch: Batch) -> Tensor:
        logits = self(batch.images)
        probability = clamped_probability(logits)
        targets = moved_targets(self.targets[batch.index], probability, self.config.beta)
        self.targets[batch.index] = targets
        regularisation = early_learning_regularisation(probability, targets)
        self.log("regularisation", regularisation)
        return F.cross_entropy(logits, batch.labels) + float(self.config.weight) * regularisation

    def noise_score(self, prediction: Prediction, training_set: TrainingSet) -> Tensor:
        targets = moved_targets(self.targets, prediction.logits.softmax(dim=1), self.config.beta)
        return mass_elsewhere(targets, training_set.labels)
