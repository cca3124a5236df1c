"""What RUL's parts are worth: its head without its mixtures, and its mixtures without the shares that it learns.

ce-two-head. RUL's network and dropout with plain cross-entropy,

    L = CE(W mu, y).

What it and `ce` differ by is the embedding head; what it and `rul` differ by is the mixture. It is RUL in which each image
meets itself.

rul-random-share. RUL's mixture and loss with a share that is drawn, not learned: each image i meets a partner j by a random
permutation of its batch,

    m = s_i / (s_i + s_j) * mu_i + s_j / (s_i + s_j) * mu_j,        L = CE(W m, y_i) / 2 + CE(W m, y_j) / 2,

and each s is drawn anew at each step from the exponential distribution, where RUL reads it from the image. The share is then
uniform on (0, 1), a pair's two mixtures still have shares that add up to 1, and an image that meets itself has one half. What
is left out is that s belongs to the image; but shares that are learned may lie closer to one half, and so mix more evenly:
`rul-equal-share` is the control for that.

The second head is drawn with the others, so that all else starts from the weights that `rul` has with the same seed, and
dropped: nothing would train it.
Prediction uses W mu. Uncertainty: 1 - max p, of both, for there is no learned one: what the softmax of such a network knows by
itself, to which RUL's s has to be compared. Noise score: 1 - p_y, as RUL's.

Deviations: none from `rul` but for those named; neither is in the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.contract import Batch, Prediction, Task

from ._uncertainty import one_minus_largest
from .rul import RUL, RULConfig, add_up_loss, mix_by_uncertainty


class OneHead(RUL):
    """RUL's network with the head of features alone."""

    def __init__(self, task: Task, config: RULConfig):
        super().__init__(task, config)
        del self.logvar

    def predict(self, images: Tensor) -> Prediction:
        logits = self.classifier(self.features(images))
        return Prediction(logits, one_minus_largest(logits))


class CrossEntropyTwoHead(OneHead):
    """Control: RUL's embedding head and dropout, trained with plain cross-entropy."""

    name = "ce-two-head"

    def training_step(self, batch: Batch) -> Tensor:
        return F.cross_entropy(self.classifier(self.features(batch.images)), batch.labels)


def random_uncertainty(mu: Tensor) -> Tensor:
    """Positive numbers (B, 1) for features (B, D), whose shares s_i / (s_i + s_j) are uniform on (0, 1)."""
    return torch.empty_like(mu[:, :1]).exponential_()  # the ratio of one of two exponentials to their sum is uniform


class RULRandomShare(OneHead):
    """Control: RUL whose images mix in random shares, not in learned ones."""

    name = "rul-random-share"

    def training_step(self, batch: Batch) -> Tensor:
        mu = self.features(batch.images)
        partner = torch.randperm(len(mu), device=mu.device)
        mixed = mix_by_uncertainty(mu, random_uncertainty(mu.detach()), partner)
        return add_up_loss(self.classifier(mixed), batch.labels, partner)
