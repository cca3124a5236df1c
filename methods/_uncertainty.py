"""How unsure a softmax is, for methods that learn no uncertainty of their own."""

from __future__ import annotations

from torch import Tensor


def one_minus_largest(logits: Tensor) -> Tensor:
    """1 - max softmax, (B,), of logits (B, K)."""
    # As the sum over the other classes: written as 1 - p, confident images would all tie at float32's zero.
    return logits.softmax(dim=1).sort(dim=1).values[:, :-1].sum(dim=1)
