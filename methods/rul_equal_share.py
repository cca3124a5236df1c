"""RUL's mixture without its uncertainty: every image counts the same.

Each image i meets a partner j by a random permutation of its batch, as in RUL, and all shares are one half:

    m = mu_i / 2 + mu_j / 2,        L = CE(W m, y_i) / 2 + CE(W m, y_j) / 2.

It is RUL with s = 1 for every image, so what it and `rul` differ by is all that the uncertainty does to the training. The
shares of `rul-random-share` lie anywhere between none and all, those that RUL learns may lie near one half.

The second head is drawn with the others and dropped, as in the other controls. Prediction uses W mu. Uncertainty: 1 - max p.
Noise score: 1 - p_y, as RUL's.

Deviations: none from `rul` but for those named; it is not in the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.contract import Batch

from .rul import add_up_loss, mix_by_uncertainty
from .rul_controls import OneHead


class RULEqualShare(OneHead):
    """Control: RUL whose images mix half and half."""

    name = "rul-equal-share"

    def training_step(self, batch: Batch) -> Tensor:
        mu = self.features(batch.images)
        partner = torch.randperm(len(mu), device=mu.device)
        mixed = mix_by_uncertainty(mu, torch.ones_like(mu[:, :1]), partner)
        return add_up_loss(self.classifier(mixed), batch.labels, partner)
