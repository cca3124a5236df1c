"""SNGP: a Gaussian process in place of the last layer knows how far an image is from all that was trained on.

A bound c on spectral norms keeps distances between features in proportion to those between images: after each step, one power
iteration brings forward the estimate of the norm n of each convolution's and linear layer's weight in the backbone, and W
becomes W * min(1, c / n). The head is a Gaussian process with a radial kernel, by M random Fourier features whose frequencies
and phases are fixed,

    phi(x) = cos(Omega layernorm(f(x)) + b),     m = beta phi,     v = s phi^T (s I + sum_i phi_i phi_i^T)^-1 phi,

beta trained by cross-entropy on m. Prediction: the mean-field mean over the posterior, z = m / sqrt(1 + lambda v).
Uncertainty: the entropy of softmax(z), which v raises. v alone would tell what is far from the training images; a test image
is mostly wrong because it is ambiguous. Noise score: one minus the probability of the given label.

Deviations:
- The sum is made in one pass over the plain training images after the last epoch, and v = 0 until then, which changes no
  class. The code sums over the last epoch's steps: augmented images, by weights on the move. The paper weighs each class's own
  sum by p (1 - p); the code, which is followed, has one for all without weights.
- As in the code, phi is not scaled by the paper's sqrt(2 / M), so |phi|^2 is M / 2: on faces thirty times what a linear layer
  gets, and too much for the common recipe (36 % right). So beta has a rate of its own, `head_lr`.
- The norm is that of the weight as a matrix, the code's that of the convolution, up to k times as large for k x k. On faces
  these are at most 2.5 and 4.4: either way c = 6 never acts. The paper scales the weight itself, the code a copy at each use.
- lambda is pi / 8, of the derivation. Uncertainty Baselines tuned 25 on CIFAR-10; v falls with the number of images, and for
  the 2,400 of faces that makes all predictions flat. It also projects to 128 features, and draws frequencies orthogonally.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import Batch, Count, Method, NonNegative, Paper, Positive, Prediction, Task, TrainingSet

from .ensemble import UNCERTAINTY_BASELINES, entropy


@dataclass(frozen=True)
class SNGPConfig:
    """Options of SNGP; defaults from Uncertainty Baselines' CIFAR-10 run unless stated."""

    bound: Positive = 6.0  # c, of the spectral norms
    hidden: Count = 1024  # M, random features
    length_scale: Positive = 1.77  # of the kernel, over the length of layernorm(f): its 20 over that of its 128 features
    ridge: Positive = 1.0  # s, the prior's precision
    mean_field: NonNegative = math.pi / 8  # lambda; the paper's derivation
    head_lr: Positive = 0.1  # the head's rate over the base rate; ours, see the deviations


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


def fourier_features(features: Tensor, frequencies: Tensor, phases: Tensor) -> Tensor:
    """phi (B, M) of features (B, D), by frequencies (M, D) and phases (M,)."""
    return F.linear(F.layer_norm(features, features.shape[1:], eps=1e-6), frequencies, phases).cos()


def posterior_root(gram: Tensor, ridge: float) -> Tensor:
    """R (M, M) with v = |R phi|^2, of gram (M, M), the sum of phi phi^T."""
    precision = gram + ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    root: Tensor = math.sqrt(ridge) * torch.linalg.inv(torch.linalg.cholesky(precision))
    return root


class SNGP(Method):
    """SNGP: bounded spectral norms and a Gaussian process as head, which knows its distance from the training images."""

    name = "sngp"
    paper = Paper(
        title="Simple and Principled Uncertainty Estimation with Deterministic Deep Learning via Distance Awareness",
        authors="Liu, Lin, Padhy, Tran, Bedrax-Weiss and Lakshminarayanan",
        venue="NeurIPS 2020",
        url="https://arxiv.org/abs/2006.10108",
        code="https://github.com/google/edward2 at ee02560",
    )
    Config = SNGPConfig
    own_recipe = {**UNCERTAINTY_BASELINES, "epochs": 250, "lr": 0.05, "weight_decay": 6e-4}
    frequencies: Tensor
    phases: Tensor
    left: Tensor
    root: Tensor

    def __init__(self, task: Task, config: SNGPConfig):
        super().__init__(task, config)
        self.backbone = task.make_backbone()
        D, M = self.backbone.num_features, config.hidden
        self.beta = nn.Linear(M, task.num_classes, bias=False)
        self.register_buffer("frequencies", torch.randn(M, D) / (config.length_scale * math.sqrt(D)))  # |layernorm(f)|^2 is D
        self.register_buffer("phases", 2 * math.pi * torch.rand(M))
        self.register_buffer("left", torch.randn(sum(len(weight) for weight in self.bounded())))
        self.register_buffer("root", torch.zeros(M, M))

    def bounded(self) -> list[Tensor]:
        """The weights whose spectral norms are bounded."""
        return [layer.weight for layer in self.backbone.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]

    def param_groups(self, lr: float) -> list[dict[str, Any]]:
        return [{"params": [*self.backbone.parameters()]}, {"params": [self.beta.weight], "lr": lr * self.config.head_lr}]

    def phi(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to random Fourier features (B, M)."""
        return fourier_features(self.features(images), self.frequencies, self.phases)

    def training_step(self, batch: Batch) -> Tensor:
        return F.cross_entropy(self.beta(self.phi(batch.images)), batch.labels)

    def after_step(self) -> None:
        if weights := self.bounded():
            left = list(torch.split(self.left, [len(weight) for weight in weights]))
            self.log("largest_norm", bound_norms(weights, left, self.config.bound).amax())

    @torch.no_grad()
    def end_training(self, training_set: TrainingSet, validation: TrainingSet | None) -> None:
        gram = torch.zeros(self.root.shape, dtype=torch.float64)
        for batch in training_set.batches():
            phi = self.phi(batch.images)
            gram += (phi.mT @ phi).cpu()  # in float64, because rounding of the sum must stay far below the ridge
        self.root.copy_(posterior_root(gram, self.config.ridge))

    def predict(self, images: Tensor) -> Prediction:
        phi = self.phi(images)
        v = (phi @ self.root.mT).square().sum(dim=1, keepdim=True)
        logits = self.beta(phi) / (1 + self.config.mean_field * v).sqrt()
        return Prediction(logits, entropy(logits.log_softmax(dim=1)))

    def features(self, images: Tensor) -> Tensor:
        return self.backbone.pooled(images)
