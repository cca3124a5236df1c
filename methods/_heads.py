"""Heads that several methods share."""

from __future__ import annotations

from torch import Tensor, nn

from benchmark.contract import Backbone


def embedding_head(backbone: Backbone, dim: int, dropout: float) -> nn.Sequential:
    """The head of dul-pytorch and of RUL's two branches: a whole feature map (B, D, h, w) to an embedding (B, dim).

    BN2d (not affine) -> dropout -> flatten -> linear -> BN1d, both norms with eps 2e-5. The linear layer takes the map's own
    size, so the head fits any backbone and image size.
    """
    D, h, w = backbone.feature_shape
    return nn.Sequential(
        nn.BatchNorm2d(D, eps=2e-5, affine=False),
        nn.Dropout(dropout),
        nn.Flatten(),
        nn.Linear(D * h * w, dim),
        nn.BatchNorm1d(dim, eps=2e-5),
    )


def one_minus_largest(logits: Tensor) -> Tensor:
    """1 - max softmax, (B,), of logits (B, K): the uncertainty of methods that learn none of their own."""
    # As the sum over the other classes: written as 1 - p, confident images would all tie at float32's zero.
    return logits.softmax(dim=1).sort(dim=1).values[:, :-1].sum(dim=1)
