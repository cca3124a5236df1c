"""Focal loss: images that the network is already sure of count less, and so it never becomes too sure of any.

    L = -(1 - p_y)^gamma log p_y

It is at least the Kullback-Leibler divergence from the labels minus gamma times the entropy of p (Mukhoti et al., NeurIPS
2020), so it holds predictions back from certainty. That is why it stands here: for its uncertainty and calibration. It was
not made against label noise: images that contradict the network, wrong labels among them, count more. Prediction uses p.
Uncertainty: one minus the largest probability. Noise score: one minus the probability of the given label.

Deviations:
- The paper detects objects by sigmoids, one for each class, with a weight for the foreground. This is its form for softmax,
  without class weights, as in the released code of Mukhoti et al., which is followed.
- That code adds up the losses of a batch, and clips gradients at a norm of 2. Here they are averaged, and not clipped.
- Some other code, that of active and passive losses among it, lets no gradient run through (1 - p_y)^gamma. Here it runs.
- Mukhoti et al. also let gamma depend on p_y (FLSD-53), or fall over the schedule. Here it is one number.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from benchmark.contract import NonNegative, Paper

from ._classifier import Classifier


@dataclass(frozen=True)
class FocalConfig:
    """Options of focal loss."""

    gamma: NonNegative = 2.0  # 0: cross-entropy; the paper's, of 0 to 5 tried


def focal_loss(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    """The mean over the batch of -(1 - p_y)^gamma log p_y, a scalar; logits (B, K), labels (B,)."""
    log_p = logits.log_softmax(dim=1)
    # As the sum over the other classes, and kept from zero, where a power below 1 has no gradient.
    others = log_p.exp().scatter(1, labels[:, None], 0).sum(dim=1).clamp(min=1e-12)
    return -(others**gamma * log_p.gather(1, labels[:, None])[:, 0]).mean()


class Focal(Classifier):
    """Focal loss: sure images count less, which keeps the network from being too sure."""

    name = "focal"
    paper = Paper(
        title="Focal Loss for Dense Object Detection",
        authors="Lin, Goyal, Girshick, He and Dollár",
        venue="ICCV 2017",
        url="https://arxiv.org/abs/1708.02002",
        code="https://github.com/torrvision/focal_calibration at 475422a",
    )
    mean_over_samples = True
    Config = FocalConfig
    own_recipe = {
        "epochs": 350,
        "batch_size": 128,
        "schedule": "step",
        "milestones": (150 / 350, 250 / 350),
        "decay": 0.1,
        "shift": 1 / 8,
    }

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return focal_loss(logits, labels, self.config.gamma)
