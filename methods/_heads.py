"""The head on a whole feature map that RUL and DUL share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.contract import Backbone


class Rows(nn.Module):
    """A map (B, D, h, w) as rows (B, h * w * D), in the order in which a channels-last map lies in memory.

    So nothing is copied, and what comes back has the layout that the norm before it had been given: in another, a CPU takes ten
    times as long for the norm's gradients.
    """

    def forward(self, maps: Tensor) -> Tensor:
        return maps.permute(0, 2, 3, 1).flatten(1)


class Dropout(nn.Dropout):
    """`nn.Dropout` that takes four of its random numbers from one 64-bit draw on a CPU, where it would draw them one by one.

    There the probability is that of `p` in 65,536ths. Two heads on ResNet-18's map at 224 px were 5 % of RUL's step, and half
    of that the drawing.
    """

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or values.device.type != "cpu":
            return super().forward(values)
        draws = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        dropped = min(round(self.p * 2**16), 2**16 - 1)
        kept = draws.view(torch.int16)[: values.numel()].view(values.shape) >= dropped - 2**15
        return values * kept.to(values.dtype).mul_(2**16 / (2**16 - dropped))


def embedding_head(backbone: Backbone, dim: int, dropout: float) -> nn.Sequential:
    """The head of dul-pytorch and of RUL's two branches: a whole feature map (B, D, h, w) to an embedding (B, dim).

    BN2d (not affine) -> dropout -> flatten -> linear -> BN1d, both norms with eps 2e-5. The linear layer takes the map's own
    size, so the head fits any backbone and image size; its columns stand in the order of `Rows`, not of the code's flatten.
    """
    D, h, w = backbone.feature_shape
    return nn.Sequential(
        nn.BatchNorm2d(D, eps=2e-5, affine=False),
        Dropout(dropout),
        Rows(),
        nn.Linear(D * h * w, dim),
        nn.BatchNorm1d(dim, eps=2e-5),
    )
