"""Monte Carlo dropout: dropout stays on when the network predicts, and what changes from pass to pass is uncertain.

In training, whole filters of the maps between the backbone's stages, and single features before the classifier, are set to 0
with probability `rate` and the others scaled by 1 / (1 - rate). Prediction draws T such networks,

    p = 1/T sum_t softmax(z_t),

which approximates the mean over a posterior of the weights, and the logits are log p.
Uncertainty: the entropy of p, all that is uncertain. Its part that the passes disagree on, I = H(p) - 1/T sum_t H(p_t), can be
chosen with `uncertainty`; it is blind to images that are ambiguous whatever the weights, where errors and wrong labels are.
Noise score: one minus the probability of the given label.

Until the last five epochs one pass without dropout predicts, so that the curves cost no more than those of cross-entropy; the
history says how many passes each epoch's prediction has (`passes`). The run's final prediction has all of them.

Deviations:
- The paper drops single units after inner-product layers. Uncertainty Baselines finds whole filters and dropout at every layer
  much better, with a rate of 0.1 (its README, note 11; the paper's MNIST network has 0.5); its third finding, each training
  image several times in a batch, is left out because no other method gets it.
- Uncertainty Baselines drops around every convolution of its network. Any backbone is taken here, so it is between the stages
  that it names: the last stage's map is dropped once, as features before the classifier.
- 10 passes for its 30, at a third of the price, with `--recipe paper` too: the mean's error from sampling falls only by the
  factor 0.6 between the two.
- `--recipe paper` is that of its dropout.py, but for Nesterov's momentum and its epoch of warm-up. The method is the row
  "improved" of its results, --filterwise_dropout and --noresidual_dropout, but for the repeated images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import Count, Fraction, Paper, Prediction, Task, TrainingSet

from ._classifier import Classifier
from .ensemble import UNCERTAINTY_BASELINES, predict_mean

FULL_EPOCHS = 5  # as many as `acc_last5` looks at


@dataclass(frozen=True)
class MCDropoutConfig:
    """Options of MC dropout."""

    rate: Fraction = 0.1  # of filters and features dropped; Uncertainty Baselines'
    passes: Count = 10  # T; Uncertainty Baselines has 30
    uncertainty: Literal["entropy", "mutual-information"] = "entropy"  # total, or what the passes disagree on

    def __post_init__(self) -> None:
        """Refuses to measure by disagreement where there is none."""
        if self.uncertainty == "mutual-information" and (self.passes == 1 or self.rate == 0):
            raise ValueError("mutual-information needs several passes, and a rate above 0")


class FilterDropout(nn.Module):
    """Dropout of whole filters in training mode; maps are (B, C, h, w), tokens and features have their channels last."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, maps: Tensor) -> Tensor:
        channels = (maps.shape[1], 1, 1) if maps.ndim == 4 else (*[1] * (maps.ndim - 2), maps.shape[-1])
        return maps * F.dropout(maps.new_ones(len(maps), *channels), self.rate, self.training)

    def after(self, stage: nn.Module, inputs: object, output: object) -> object:
        """The hook behind a stage; a few of timm's models hand on several maps at once, which stay as they are."""
        return self(output) if isinstance(output, Tensor) else output


class MCDropout(Classifier):
    """Monte Carlo dropout: the mean over networks with random filters missing."""

    name = "mc-dropout"
    paper = Paper(
        title="Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep Learning",
        authors="Gal and Ghahramani",
        venue="ICML 2016",
        url="https://arxiv.org/abs/1506.02142",
        code="https://github.com/google/uncertainty-baselines at 0dbf6f6",
    )
    mean_over_samples = True
    Config = MCDropoutConfig
    own_recipe = {**UNCERTAINTY_BASELINES, "lr": 0.05, "weight_decay": 6e-4}

    def __init__(self, task: Task, config: MCDropoutConfig):
        super().__init__(task, config)
        self.dropout = FilterDropout(config.rate)
        for stage in self.backbone.stages[:-1]:
            stage.register_forward_hook(self.dropout.after)  # a bound method: a deep copy's hooks belong to the copy

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.features(images)))  # type: ignore[no-any-return]

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels)

    def passes(self) -> int:
        """Over how many passes the present epoch's prediction is the mean; one is without dropout."""
        return self.config.passes if self.epoch >= self.task.epochs - FULL_EPOCHS else 1

    def end_epoch(self, epoch: int, training_set: TrainingSet) -> None:
        self.log("passes", torch.tensor(self.passes()))

    def predict(self, images: Tensor) -> Prediction:
        passes = self.passes()
        self.dropout.train(passes > 1)  # it alone: the batch norms keep their running statistics
        logits = torch.stack([self(images) for _ in range(passes)])
        self.dropout.eval()
        return predict_mean(logits, self.config.uncertainty)
