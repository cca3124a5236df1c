"""Temperature scaling: a network trained as usual, whose confidence is set right afterwards by one number.

Cross-entropy on the given labels; then, on images that were not trained on, the temperature that makes their labels likeliest,

    p = softmax(z / T),     T = argmin_T mean of -log p_y.

The order of the classes does not change, so neither does the accuracy. Until the last epoch is over, T = 1. The images are the
held-out ones of the run (`--validation`) and the share `held_out` of the training images, which the method keeps from its own
training: it has them wherever a run holds out none. Set `held_out` to 0 where a run does.
Uncertainty: one minus the largest probability. Noise score: one minus the probability of the given label.

Deviations:
- The held-out labels are given labels, hence noisy, and the paper's are right. T then makes the confidence match how often the
  network agrees with a *given* label: of a network that is right in a share a of the images, under a rate r of symmetric
  noise, a (1 - r) + (1 - a) r / (K - 1) instead of a. So T comes out larger than true labels would have it, and against those
  the probabilities are too cautious, by about the noise rate. With no way to tell which labels are wrong, that is what the
  method does under noise.
- The code's train.py takes a weight decay and never uses it, so `--recipe paper` has none. It has Nesterov's momentum, and
  keeps the epoch that is best on the held-out images; neither is done here.
- The code minimises over T by one call of LBFGS, from 1.5 at a rate of 0.01, and may stop far from the minimum (at 1.29
  instead of 0.37 in a case that we tried). Here it is over log T, from T = 1, with a line search. T stays within 0.1 and 10: to
  a few images that are all right, 0 would fit best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.contract import Fraction, Paper, Prediction, Task, TrainingSet

from ._classifier import Classifier
from ._uncertainty import one_minus_largest

LARGEST = 10.0  # T, and one over the least


@dataclass(frozen=True)
class TemperatureConfig:
    """Options of temperature scaling."""

    held_out: Fraction = 0.1  # share of the training images that is kept to fit T on; 5,000 of CIFAR's 50,000 in the code


def best_temperature(logits: Tensor, labels: Tensor) -> Tensor:
    """The T that minimises the mean cross-entropy of logits / T (N, K) with labels (N,), a scalar."""
    log_T = torch.zeros((), dtype=logits.dtype, device=logits.device, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [log_T], max_iter=200, tolerance_grad=1e-9, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        # Between the bounds the identity; beyond them flat, and the search stays there.
        value = F.cross_entropy(logits / log_T.clamp(-math.log(LARGEST), math.log(LARGEST)).exp(), labels)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return log_T.detach().exp().clamp(1 / LARGEST, LARGEST)


class Temperature(Classifier):
    """Temperature scaling: cross-entropy, then one temperature fitted on held-out images."""

    name = "temperature"
    paper = Paper(
        title="On Calibration of Modern Neural Networks",
        authors="Guo, Pleiss, Sun and Weinberger",
        venue="ICML 2017",
        url="https://arxiv.org/abs/1706.04599",
        code="https://github.com/gpleiss/temperature_scaling at ce1154e",
    )
    mean_over_samples = True
    Config = TemperatureConfig
    own_recipe = {
        "epochs": 300,
        "weight_decay": 0.0,
        "schedule": "step",
        "decay": 0.1,
        "milestones": (0.5, 0.75),
        "shift": 1 / 8,
    }
    T: Tensor
    held_out: Tensor

    def __init__(self, task: Task, config: TemperatureConfig):
        super().__init__(task, config)
        self.register_buffer("T", torch.ones(()))
        self.register_buffer("held_out", torch.zeros(task.num_samples, dtype=torch.bool))

    def begin_stage(self, stage: int, training_set: TrainingSet) -> None:
        count = min(round(self.config.held_out * len(training_set)), len(training_set) - 2)  # batch norms need two
        self.held_out[torch.randperm(len(training_set), device=self.held_out.device)[:count]] = True

    def begin_epoch(self, epoch: int, training_set: TrainingSet) -> Tensor:
        return (~self.held_out).nonzero()[:, 0]

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels)

    def predict(self, images: Tensor) -> Prediction:
        logits = self(images) / self.T
        return Prediction(logits, one_minus_largest(logits))

    def end_training(self, training_set: TrainingSet, validation: TrainingSet | None) -> None:
        batches = list(training_set.batches(self.held_out.nonzero()[:, 0])) if self.held_out.any() else []
        batches += list(validation.batches()) if validation is not None else []
        if not batches:
            raise ValueError("temperature.held_out leaves no image to fit a temperature on, and the run held out none")
        with torch.no_grad():
            logits = torch.cat([self(batch.images) for batch in batches])
        self.T.copy_(best_temperature(logits, torch.cat([batch.labels for batch in batches])))
        self.log("temperature", self.T)
