"""What co-teaching, co-teaching+ and JoCoR share: two networks, and the smallest losses of a batch, which alone count.

A share R(t) of the losses counts; it falls from 1 to 1 - tau, the share of right labels, with t the share of the schedule that
has passed since the warm-up:

    R(t) = 1 - tau * min(t / T_k, 1).

The papers are told tau and have no warm-up, like the variants `:oracle`. The others estimate it: in the warm-up both networks
learn from all labels by cross-entropy, and at its end tau is

    tau = (d - q) / (1 - q),

with d the share of the given labels that a network contradicts, q that of the training images on which the two contradict each
other. For a label is contradicted if it is wrong, or right and the network errs: d = tau + (1 - tau) * e. The share e of its
errors is not known, but two networks that were trained alike differ about as often as one of them errs (Jiang, Nagarajan, Baek
and Kolter, ICLR 2022). tau is held between 0 and `MOST_FORGOTTEN`. All this holds as long as few wrong labels are memorised:
one that both networks know by heart is not counted, so tau comes out too small after a long warm-up. Half of the papers' 200
epochs would be one: with `--recipe paper` the warm-up is a tenth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.contract import Batch, Fraction, Method, Positive, Prediction, Task, TrainingSet

from ._classifier import Classifier

MOST_FORGOTTEN = 0.5  # most labels are taken to be right

OWN_RECIPE: Mapping[str, Any] = MappingProxyType(
    {
        "epochs": 200,
        "batch_size": 128,
        "optimizer": "adam",
        "lr": 0.001,
        "weight_decay": 0.0,
        # The rate falls linearly to 0 from epoch 80 on: halved here where that line has the mean of two of these steps.
        "schedule": "step",
        "decay": 0.5,
        "milestones": (0.55, 0.775, 0.8875, 0.94375, 0.971875),
        "flip": 0.0,
        "shift": 0.0,
    }
)
"""The three papers' training on CIFAR-10, save that Adam's first beta stays 0.9; in theirs it is 0.1 from epoch 80 on."""


@dataclass(frozen=True)
class SmallLossConfig:
    """Options of learning from the smallest losses; defaults from the released code unless stated."""

    gradual: Positive = 10 / 200  # share of the schedule in which R falls to its value; the papers' T_k
    warm_up: Fraction = 0.5  # share of the schedule before losses are forgotten; ours: earlier, tau comes out too large


def remembered_share(tau: Tensor, passed: float, config: SmallLossConfig) -> Tensor:
    """R, a scalar, once the share `passed` of the schedule has gone by since the warm-up."""
    return 1 - tau * min(max(passed, 0.0) / config.gradual, 1.0)


def estimated_rate(first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
    """tau, a scalar, of the classes that the two networks predict and the given labels, each (N,)."""
    contradicted = ((first != labels).float().mean() + (second != labels).float().mean()) / 2
    differ = (first != second).float().mean()
    return ((contradicted - differ) / (1 - differ).clamp(min=1e-6)).clamp(0, MOST_FORGOTTEN)


def smallest(losses: Tensor, share: Tensor, among: Tensor | None = None) -> Tensor:
    """Which of the losses (B,) are the floor(share * n) smallest, (B,) bool, at least one; `among` (B,): the n that may be."""
    if among is None:
        among = torch.ones_like(losses, dtype=torch.bool)
    rank = losses.detach().masked_fill(~among, torch.inf).argsort().argsort()
    count = (share * among.sum() + 1e-4).floor().clamp(min=1)  # in float32, 0.7 times 10 may be less than 7
    return among & (rank < count)


def mean_where(losses: Tensor, chosen: Tensor) -> Tensor:
    """The mean of the losses (B,) that are chosen (B,), a scalar; 0 where none is."""
    return torch.where(chosen, losses, 0).sum() / chosen.sum().clamp(min=1)


class SmallLossPair(Method):
    """Two classifiers that learn from the smallest losses; a method writes `pair_loss`. The first one alone predicts."""

    Config: ClassVar[type] = SmallLossConfig
    own_recipe = OWN_RECIPE
    own_options: ClassVar[Mapping[str, Any]] = {"warm_up": 0.1}  # of the variants that estimate tau
    tau: Tensor

    def __init__(self, task: Task, config: Any):
        super().__init__(task, config)
        self.first, self.second = Classifier(task, config), Classifier(task, config)
        self.register_buffer("tau", torch.tensor(task.noise_rate or 0.0))
        self.first_chosen: int = math.ceil(config.warm_up * task.epochs)  # the epoch after the warm-up

    @property
    def passed(self) -> float:
        """The share of the schedule that has gone by since the warm-up, negative within it."""
        return self.progress - self.first_chosen / self.task.epochs

    def begin_epoch(self, epoch: int, training_set: TrainingSet) -> None:
        if self.task.noise_rate is None and epoch == self.first_chosen:
            networks = (self.first, self.second)
            said = [torch.stack([network(b.images).argmax(dim=1) for network in networks]) for b in training_set.batches()]
            first, second = torch.cat(said, dim=1)
            self.tau.copy_(estimated_rate(first, second, training_set.labels))
        self.log("tau", self.tau)

    def pair_loss(self, first: Tensor, second: Tensor, labels: Tensor, share: Tensor) -> Tensor:
        """The scalar loss of both networks' logits (B, K) with given labels (B,), of which `share` is to count."""
        raise NotImplementedError

    def training_step(self, batch: Batch) -> Tensor:
        first, second = self.first(batch.images), self.second(batch.images)
        if self.epoch < self.first_chosen:
            return F.cross_entropy(first, batch.labels) + F.cross_entropy(second, batch.labels)
        share = remembered_share(self.tau, self.passed, self.config)
        self.log("remembered", share)
        return self.pair_loss(first, second, batch.labels, share)

    def predict(self, images: Tensor) -> Prediction:
        return self.first.predict(images)

    def features(self, images: Tensor) -> Tensor:
        return self.first.features(images)
