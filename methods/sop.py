"""Sparse over-parameterisation: every label may be explained away by noise of its own, which is learned along and stays sparse.

Training image i has a scalar u_i and a vector v_i (K,), both begun near 0. What they add to the label's class and take from the
others is its noise; with y the label as a one-hot vector, p the softmax of the logits, and h the argmax as a one-hot vector,

    U = u_i^2 * y,    V = v_i^2 * (1 - y)    (each cut to [0, 1]),        L = CE(norm(p + U - sg(V)), y) + |h + U - V - y|^2,

where sg stops the gradient and norm scales to sum to 1, with no entry below 1e-4. Squares begun near 0 grow by a factor at each
visit, fastest where network and label disagree for long: a wrong label is explained by U - V and need not be memorised.
Prediction uses p alone. Uncertainty: one minus the largest probability. Noise score: the size of the recovered noise,
the sum of |U - V| over the classes.

Deviations (the released code is followed):
- u and v grow by a factor of 1 + O(rate / batch size) at each of an image's visits, one an epoch. The code's rates are for 300
  epochs of batches of 128; in 12 epochs they would leave noise of 1e-11, and SOP would be cross-entropy. `lr_u` and `lr_v` are
  scaled by 300 / epochs * batch size / 128: as much growth in a schedule as there, and the code's rates in `own_recipe`.
- The rates are tuned by dataset and noise: those of the README for symmetric noise on CIFAR-100 are taken for all (for
  asymmetric noise 0.1 and 100; it says that the paper's u had 1 there, before the code was changed).
- SOP+, which adds consistency between two views, class balance and stronger augmentation (config_cifar100.json), is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import Batch, NonNegative, Paper, Positive, Prediction, Task, TrainingSet

from ._classifier import Classifier

EPOCHS, BATCH_SIZE = 300, 128  # what the code's rates are for
SMALLEST = 1e-4  # of a probability, in the code


@dataclass(frozen=True)
class SOPConfig:
    """Options of SOP; defaults from the README and config_cifar100.json of the released code."""

    lr_u: NonNegative = 1.0  # rate of u by plain SGD, constant; scaled, see the deviations
    lr_v: NonNegative = 10.0  # rate of v
    start: Positive = 1e-8  # standard deviation of u and v at the start


def noise_terms(u: Tensor, v: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """What noise adds to the labels' classes and what it takes from the others, U and V (B, K); u (B, 1), v (B, K)."""
    y = F.one_hot(labels, v.shape[1]).to(v.dtype)
    return (u.square() * y).clamp(0, 1), (v.square() * (1 - y)).clamp(0, 1)


def overparameterised_loss(logits: Tensor, labels: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Cross-entropy of the noisy prediction, and its squared distance from the label once made hard; logits (B, K)."""
    added, taken = noise_terms(u, v, labels)
    noisy = (logits.softmax(dim=1) + added - taken.detach()).clamp(min=SMALLEST)
    noisy = F.normalize(noisy, p=1, dim=1).clamp(SMALLEST, 1)
    hard, y = (F.one_hot(classes, logits.shape[1]).to(logits.dtype) for classes in (logits.argmax(dim=1), labels))
    squared = (hard + added - taken - y).square().sum(dim=1)
    return F.nll_loss(noisy.log(), labels) + squared.mean()


class SOP(Classifier):
    """Sparse over-parameterisation: noise of each label is learned along with the network."""

    name = "sop"
    paper = Paper(
        title="Robust Training under Label Noise by Over-parameterization",
        authors="Liu, Zhu, Qu and You",
        venue="ICML 2022",
        url="https://arxiv.org/abs/2202.14026",
        code="https://github.com/shengliu66/SOP at 4d991ce",
    )
    Config = SOPConfig
    own_recipe = {
        "epochs": EPOCHS,
        "batch_size": BATCH_SIZE,
        "lr": 0.02,
        "weight_decay": 1e-3,
        "schedule": "cosine",
        "floor": 0.0002 / 0.02,
        "shift": 4 / 32,
    }

    def __init__(self, task: Task, config: SOPConfig):
        super().__init__(task, config)
        self.u = nn.Parameter(config.start * torch.randn(task.num_samples, 1))
        self.v = nn.Parameter(config.start * torch.randn(task.num_samples, task.num_classes))

    def training_step(self, batch: Batch) -> Tensor:
        u, v = self.u[batch.index], self.v[batch.index]
        self.log("noise", torch.cat(noise_terms(u.detach(), v.detach(), batch.labels)).sum() / len(u))
        return overparameterised_loss(self(batch.images), batch.labels, u, v)

    def noise_score(self, prediction: Prediction, training_set: TrainingSet) -> Tensor:
        added, taken = noise_terms(self.u, self.v, training_set.labels)
        return (added + taken).sum(dim=1)  # their supports are disjoint

    def param_groups(self, lr: float) -> list[dict[str, Any]]:
        scale = EPOCHS / self.task.epochs * self.task.batch_size / BATCH_SIZE
        plain = {"optimizer": "sgd", "schedule": "constant", "momentum": 0.0, "weight_decay": 0.0}
        return [
            {"params": [*self.backbone.parameters(), *self.classifier.parameters()]},
            {"params": [self.u], "lr": scale * self.config.lr_u, **plain},
            {"params": [self.v], "lr": scale * self.config.lr_v, **plain},
        ]
