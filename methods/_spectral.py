"""The bound on spectral norms of SNGP: one power iteration a step, as SpectralNormalization of edward2 makes it."""

from __future__ import annotations

import torch
from torch import Tensor


def unit(vectors: list[Tensor]) -> list[Tensor]:
    """Vectors scaled to length 1 in place."""
    lengths = torch._foreach_norm(vectors)
    torch._foreach_clamp_min_(lengths, 1e-12)
    torch._foreach_div_(vectors, lengths)
    return vectors


def bound_norms(weights: list[Tensor], left: list[Tensor], bound: float) -> Tensor:
    """Scales weights down, in place, to spectral norms of at most `bound`; gives the norms that they had, (n,).

    A weight is seen as a matrix, its first dimension by all others; `left` are the estimates of the left singular vectors.
    """
    matrices = [weight.flatten(1) for weight in weights]
    right = unit([matrix.mT @ u for matrix, u in zip(matrices, left, strict=True)])
    forward = [matrix @ v for matrix, v in zip(matrices, right, strict=True)]
    norms = torch.stack(torch._foreach_norm(forward))
    torch._foreach_add_(forward, left, alpha=1e-12)  # so that the estimate for a weight of zeros stays
    torch._foreach_copy_(left, unit(forward))
    torch._foreach_mul_(weights, list((bound / norms).clamp(max=1)))
    return norms
