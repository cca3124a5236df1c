"""ELR+: early-learning regularisation with two networks, each held to what the other one's running average says, and mixup.

Network k has weights w_k and an average of them over the steps, a_k <- alpha * a_k + (1 - alpha) * w_k. The target of an image
comes from the OTHER network's average, and both targets and labels are blended as the images are, in the larger share lambda:

    t <- beta * t + (1 - beta) * p(x; a_other),        q = lambda * t_i + (1 - lambda) * t_j,
    L = CE(z, lambda * y_i + (1 - lambda) * y_j) + weight * mean log(1 - <q, p>),

with z the logits of the blend lambda * x_i + (1 - lambda) * x_j, p their clamped softmax, and lambda the larger part of a draw
from Beta(1, 1). alpha rises as exp(-5 * (1 - progress / ramp)^2) to its value, until the share `ramp` of the schedule is done.
Prediction uses the mean of the two networks' logits, not their averages', as the released code on one device. Uncertainty: one
minus the largest probability. Noise score: the part of the two targets that lies off the given label.

Deviations (the released code is followed, with config_cifar10.json):
- The code trains the networks one after the other, an epoch each, and on batches of their own; here they share each batch
  and take a step together, and the second draws views, partners and a lambda of its own.
- Each average begins as a copy of its network, not as a third draw of weights; the first alpha is near 0, so that is soon lost.
- As in the code, only weights are averaged: the averages normalise by the statistics of the batch at hand, and their running
  statistics, which nothing reads, are their own.
- For 100 classes the code multiplies the labels by q, scales them to sum to 1, and lets `weight` rise over 40,000 steps. The
  latter is the option `weight_ramp`; the former, of which neither README speaks, is left out.
- The code counts in steps, 352 to an epoch of the 45,000 images that it trains on. Its ramps of 40,000 steps are given as a
  share of its 200 epochs; its alpha, ramp and all, is raised to the power of 352 over the steps of an epoch, so that an average
  looks back as many epochs as there. Else it would span 9 of the 12 epochs of 2,400 images, and say what was long outgrown.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import Batch, Fraction, Method, NonNegative, Paper, Positive, Prediction, Share, Task, TrainingSet

from ._uncertainty import one_minus_largest
from .elr import clamped_probability, early_learning_regularisation, mass_elsewhere, moved_targets
from .mixup import blend, draw_share

STEPS = 352  # of an epoch of the code's 45,000 images in batches of 128, which its settings are for


@dataclass(frozen=True)
class ELRPlusConfig:
    """Options of ELR+; defaults from config_cifar10.json of the released code."""

    beta: Fraction = 0.7  # how much of a target stays at each visit of its image, once an epoch
    weight: NonNegative = 3.0  # of the regularisation over the cross-entropy; the paper's lambda
    weight_ramp: Share = 0.0  # share of the schedule in which `weight` rises to its value; 40,000 steps for CIFAR-100 alone
    mixup_alpha: Positive = 1.0  # of Beta(alpha, alpha)
    average: Fraction = 0.997  # the largest alpha: how much of the averaged weights stays at a step, in epochs of 352 steps
    average_ramp: Share = 40_000 / (200 * STEPS)  # share of the schedule in which alpha rises to it


def sigmoid_ramp(progress: float, length: float) -> float:
    """exp(-5 * (1 - progress / length)^2), from 0.007 up to 1, which it stays at from `length` on."""
    return 1.0 if progress >= length else math.exp(-5 * (1 - progress / length) ** 2)


@torch.no_grad()
def average_weights(average: nn.Module, network: nn.Module, alpha: float) -> None:
    """Moves every parameter of `average` by 1 - alpha towards that of `network`; buffers stay."""
    for mean, weight in zip(average.parameters(), network.parameters(), strict=True):
        mean.mul_(alpha).add_(weight, alpha=1 - alpha)


class Network(nn.Module):
    """A backbone with a linear layer on its pooled features."""

    def __init__(self, task: Task):
        super().__init__()
        self.backbone = task.make_backbone()
        self.classifier = nn.Linear(self.backbone.num_features, task.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, K)."""
        return self.classifier(self.backbone.pooled(images))  # type: ignore[no-any-return]


class ELRPlus(Method):
    """ELR+: two networks, each held to what the other's running average said, with mixup."""

    name = "elr-plus"
    paper = Paper(
        title="Early-Learning Regularization Prevents Memorization of Noisy Labels",
        authors="Liu, Niles-Weed, Razavian and Fernandez-Granda",
        venue="NeurIPS 2020",
        url="https://arxiv.org/abs/2007.00151",
        code="https://github.com/shengliu66/ELR at 934af53",
    )
    Config = ELRPlusConfig
    own_recipe = {
        "epochs": 200,
        "batch_size": 128,
        "lr": 0.02,
        "schedule": "step",
        "decay": 0.1,
        "milestones": (150 / 200,),
        "shift": 4 / 32,
    }
    targets: Tensor

    def __init__(self, task: Task, config: ELRPlusConfig):
        super().__init__(task, config)
        self.networks = nn.ModuleList([Network(task) for _ in range(2)])
        self.averages = nn.ModuleList([copy.deepcopy(network).requires_grad_(False) for network in self.networks])
        self.register_buffer("targets", torch.zeros(2, task.num_samples, task.num_classes))

    def loss(self, k: int, images: Tensor, batch: Batch) -> Tensor:
        """Network k's loss, whose targets move first, by what the other network's average says of the plain views."""
        said = self.averages[1 - k](images).softmax(dim=1)
        targets = moved_targets(self.targets[k, batch.index], said, self.config.beta)
        self.targets[k, batch.index] = targets
        share = draw_share(self.config.mixup_alpha, images.device)
        share = torch.maximum(share, 1 - share)
        partner = torch.randperm(len(images), device=images.device)
        labels = F.one_hot(batch.labels, self.task.num_classes).to(images.dtype)
        logits = self.networks[k](blend(images, partner, share))
        regularisation = early_learning_regularisation(clamped_probability(logits), blend(targets, partner, share))
        self.log("regularisation", regularisation)
        weight: float = self.config.weight * sigmoid_ramp(self.progress, self.config.weight_ramp)
        return F.cross_entropy(logits, blend(labels, partner, share)) + weight * regularisation

    def training_step(self, batch: Batch) -> Tensor:
        # The two share no weight: their sum gives each its own gradient.
        return self.loss(0, batch.images, batch) + self.loss(1, batch.another_view(), batch)

    def after_step(self) -> None:
        steps = math.ceil(self.task.num_samples / self.task.batch_size)
        alpha = (self.config.average * sigmoid_ramp(self.progress, self.config.average_ramp)) ** (STEPS / steps)
        for average, network in zip(self.averages, self.networks, strict=True):
            average_weights(average, network, alpha)

    def predict(self, images: Tensor) -> Prediction:
        logits = (self.networks[0](images) + self.networks[1](images)) / 2
        return Prediction(logits, one_minus_largest(logits))

    def noise_score(self, prediction: Prediction, training_set: TrainingSet) -> Tensor:
        return mass_elsewhere(self.targets.mean(dim=0), training_set.labels)

    def features(self, images: Tensor) -> Tensor:
        return torch.cat([network.backbone.pooled(images) for network in self.networks], dim=1)  # type: ignore[union-attr, operator]

    def param_groups(self, lr: float) -> list[dict[str, Any]]:
        return [{"params": list(self.networks.parameters())}]
