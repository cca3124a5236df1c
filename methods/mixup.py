"""Mixup: the network is trained on blends of two images, and is asked for both labels in the shares of the blend.

A batch has one share lambda ~ Beta(alpha, alpha), and each of its images i meets a partner j by a random permutation:

    x = lambda * x_i + (1 - lambda) * x_j,        L = lambda * CE(z, y_i) + (1 - lambda) * CE(z, y_j),

with z the logits of the blend x. A wrong label is then seldom asked for alone, which makes it harder to memorise. Prediction
uses plain images. Uncertainty: one minus the largest probability. Noise score: one minus the probability of the given label.

Deviations (the released code is followed: partners from the same batch, and an image may meet itself):
- lambda is drawn on the device, not by numpy, so that no step waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.contract import Batch, Paper, Positive

from ._classifier import Classifier


@dataclass(frozen=True)
class MixupConfig:
    """Options of mixup."""

    alpha: Positive = 1.0  # of Beta(alpha, alpha); the code's default for CIFAR, a uniform lambda; more blends more evenly


def draw_share(alpha: float, device: torch.device) -> Tensor:
    """One lambda ~ Beta(alpha, alpha), a scalar on the device."""
    both = torch.full((), alpha, device=device)
    # Checking the arguments would read them back from the device, and wait for it.
    return torch.distributions.Beta(both, both, validate_args=False).sample()


def blend(values: Tensor, partner: Tensor, share: Tensor) -> Tensor:
    """share * values + (1 - share) * those of their partners; values (B, ...), partner (B,) int64, share a scalar."""
    return share * values + (1 - share) * values[partner]


def blended_cross_entropy(logits: Tensor, labels: Tensor, partner: Tensor, share: Tensor) -> Tensor:
    """`share` of the cross-entropy with each image's own label, the rest with its partner's; logits (B, K), labels (B,)."""
    own, other = F.cross_entropy(logits, labels), F.cross_entropy(logits, labels[partner])
    return share * own + (1 - share) * other


class Mixup(Classifier):
    """Mixup: blends of two images, with both labels in the shares of the blend."""

    name = "mixup"
    paper = Paper(
        title="mixup: Beyond Empirical Risk Minimization",
        authors="Zhang, Cisse, Dauphin and Lopez-Paz",
        venue="ICLR 2018",
        url="https://arxiv.org/abs/1710.09412",
        code="https://github.com/facebookresearch/mixup-cifar10 at eaff31a",
    )
    Config = MixupConfig
    own_recipe = {
        "epochs": 200,
        "batch_size": 128,
        "weight_decay": 1e-4,
        "schedule": "step",
        "decay": 0.1,
        "milestones": (100 / 200, 150 / 200),
        "shift": 4 / 32,
    }

    def training_step(self, batch: Batch) -> Tensor:
        share = draw_share(self.config.alpha, batch.images.device)
        partner = torch.randperm(len(batch.labels), device=batch.labels.device)
        logits = self(blend(batch.images, partner, share))
        return blended_cross_entropy(logits, batch.labels, partner, share)
