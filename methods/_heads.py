"""The head on a whole feature map that RUL and DUL share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.contract import Backbone


class Rows(nn.Module):
    """A map (B, D, h, w) as rows (B, h * w * D), in the order in which a channels-last map lies in memory.

    Of such a map nothing is copied, and its gradient comes back in its own layout; in another, the norm before it would take
    many times as long on a CPU.
    """

    def forward(self, maps: Tensor) -> Tensor:
        return maps.permute(0, 2, 3, 1).flatten(1)


class FastDropout(nn.Dropout):
    """`nn.Dropout` that makes four of its random numbers of one 64-bit draw on a CPU, which draws them one after the other.

    There the probability is the nearest of 65,536ths.
    """

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or values.device.type != "cpu" or self.p == 1:
            return super().forward(values)
        draws = torch.empty(-(-values.numel() // 4), dtype=torch.int64, device="cpu").random_(-(2**63), None)
        dropped = min(round(self.p * 2**16), 2**16 - 1)
        kept = draws.view(torch.int16)[: values.numel()].view(values.shape) >= dropped - 2**15
        return values * kept.to(values.dtype).mul_(2**16 / (2**16 - dropped))


def embedding_head(backbone: Backbone, dim: int, dropout: float) -> nn.Sequential:
    """The head of dul-pytorch and of RUL's two branches: a whole feature map (B, D, h, w) to an embedding (B, dim).

    BN2d (not affine) -> flatten -> dropout -> linear -> BN1d, both norms with eps 2e-5. The linear layer takes the map's own
    size, so the head fits any backbone and image size. The code drops cells before it flattens, which is the same, and
    flattens channel by channel, so that the linear layer's columns stand in another order there.
    """
    D, h, w = backbone.feature_shape
    return nn.Sequential(
        nn.BatchNorm2d(D, eps=2e-5, affine=False),
        Rows(),
        FastDropout(dropout),
        nn.Linear(D * h * w, dim),
        nn.BatchNorm1d(dim, eps=2e-5),
    )
