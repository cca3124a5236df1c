"""Deep ensemble: several networks trained alike from different starts; where they disagree, none of them knows.

M plain classifiers are trained by cross-entropy, one after the other, each from its own weights and in its own order. The
prediction is the mean of their M distributions,

    p = 1/M sum_m softmax(z_m),

and the logits are log p. Until the last member is done, the mean is over those that have begun.
Uncertainty: the entropy of p, all that is uncertain. It is the sum of what every member is unsure of and of what they disagree
on, I = H(p) - 1/M sum_m H(p_m); I alone (`uncertainty`) is blind to images that are ambiguous to all of them, where a label is
as likely to be wrong. Noise score: one minus the probability of the given label.

Deviations:
- The paper adds adversarial examples to training; here, as in Uncertainty Baselines, no member sees any.
- Uncertainty Baselines trains the members as runs of their own; here each is a stage with a whole schedule of its own, so the
  training takes M times as long and the epochs count through.
- The paper's networks are trained by Adam; `--recipe paper` is that of Uncertainty Baselines' CIFAR ensemble, but for its
  Nesterov's momentum, its epoch of warm-up and its 512 images a batch, at four times the rate that is given here for 128.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import Batch, Method, Paper, Prediction, Task

from ._classifier import Classifier

UNCERTAINTY_BASELINES: Mapping[str, Any] = {
    "epochs": 200,
    "batch_size": 128,
    "weight_decay": 4e-4,  # Keras' l2 of 2e-4, whose gradient is twice the weight
    "schedule": "step",
    "decay": 0.2,
    "milestones": (0.3, 0.6, 0.8),
    "shift": 2 / 32,
}
"""How its CIFAR baselines are trained, but for Nesterov's momentum, their one epoch of warm-up and their batches.

On its eight cores these have 512 images and four times the rate, which is given for 128; SNGP's, since 9114a35c, 256 and twice.
"""


@dataclass(frozen=True)
class EnsembleConfig:
    """Options of the deep ensemble."""

    # One alone is `ce`; each has a whole training of its own.
    members: Annotated[int, Field(ge=2, le=100)] = 4  # M; Uncertainty Baselines' number, the paper has 5
    uncertainty: Literal["entropy", "mutual-information"] = "entropy"  # total, or what the members disagree on


def log_mean_softmax(logits: Tensor) -> Tensor:
    """The log of the mean distribution, (..., K), of logits (M, ..., K)."""
    return logits.log_softmax(dim=-1).logsumexp(dim=0) - math.log(len(logits))


def entropy(log_probability: Tensor) -> Tensor:
    """The entropies in nats, (...), of log probabilities (..., K)."""
    return -(log_probability.exp() * log_probability).sum(dim=-1)


def mutual_information(logits: Tensor) -> Tensor:
    """How much the members disagree, (...), of logits (M, ..., K): the entropy of the mean minus the mean of the entropies."""
    each, mean = logits.log_softmax(dim=-1), log_mean_softmax(logits)
    return (each.exp() * (each - mean)).sum(dim=-1).mean(dim=0)  # as a divergence, which rounding cannot tie at zero


def predict_mean(logits: Tensor, uncertainty: str) -> Prediction:
    """The mean distribution of logits (M, B, K), with its entropy or the members' disagreement."""
    mean = log_mean_softmax(logits)
    return Prediction(mean, entropy(mean) if uncertainty == "entropy" else mutual_information(logits))


class Ensemble(Method):
    """Deep ensemble: the mean of several classifiers that were trained alike from different starts."""

    name = "ensemble"
    paper = Paper(
        title="Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
        authors="Lakshminarayanan, Pritzel and Blundell",
        venue="NeurIPS 2017",
        url="https://arxiv.org/abs/1612.01474",
        code="https://github.com/google/uncertainty-baselines at 0b3a777",
    )
    mean_over_samples = True
    Config = EnsembleConfig
    own_recipe = UNCERTAINTY_BASELINES

    def __init__(self, task: Task, config: EnsembleConfig):
        super().__init__(task, config)
        self.members = nn.ModuleList([Classifier(task, config) for _ in range(config.members)])

    def begun(self) -> list[Classifier]:
        """The members whose training has begun."""
        return cast(list[Classifier], list(self.members))[: self.stage + 1]

    def stages(self, epochs: int) -> list[int]:
        return [epochs] * len(self.members)

    def param_groups(self, lr: float) -> list[dict[str, Any]]:
        return [{"params": list(self.members[self.stage].parameters())}]

    def training_step(self, batch: Batch) -> Tensor:
        return F.cross_entropy(self.members[self.stage](batch.images), batch.labels)

    def predict(self, images: Tensor) -> Prediction:
        return predict_mean(torch.stack([member(images) for member in self.begun()]), self.config.uncertainty)

    def features(self, images: Tensor) -> Tensor:
        return torch.cat([member.features(images) for member in self.begun()], dim=1)
