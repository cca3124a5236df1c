"""Manifold mixup: two images are blended somewhere inside the network, at a place that is drawn anew at each step.

The place is the input (k = 0), the first stage's output (k = 1) or the second's (k = 2), each as likely. With g_k the network
up to there, f_k the rest of it, one share lambda ~ Beta(alpha, alpha) a batch, and a partner j of each image i by a random
permutation,

    z = f_k(lambda * g_k(x_i) + (1 - lambda) * g_k(x_j)),        L = lambda * CE(z, y_i) + (1 - lambda) * CE(z, y_j).

Prediction uses plain images. Uncertainty: one minus the largest probability. Noise score: one minus the probability of the
given label.

Deviations:
- The paper's loss is a cross-entropy; the code takes, without giving a reason, the binary cross-entropy of every class's
  probability with its blended label, averaged over images and classes. `loss` chooses, default the paper's, whose scale is
  that of the other methods; with `--recipe paper` the code's, because the recipe's rate belongs to it.
- Stages are those of the backbone at hand that hold weight matrices: timm counts a ResNet's stem as the first and names its
  activation for it. Where there are fewer than two, the final feature map takes the place of a missing one (with none: the
  input or that map).
- The code steps with Nesterov's momentum, the harness with plain momentum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import Backbone, Batch, Paper, Positive

from ._classifier import Classifier
from .mixup import blend, blended_cross_entropy, draw_share


@dataclass(frozen=True)
class ManifoldMixupConfig:
    """Options of manifold mixup."""

    alpha: Positive = 2.0  # of Beta(alpha, alpha); the paper's and the code's for CIFAR and SVHN (0.2 for Tiny ImageNet)
    loss: Literal["cross-entropy", "binary"] = "cross-entropy"  # the paper's, or the code's; see the deviations


def inner_places(backbone: Backbone) -> list[nn.Module]:
    """The two modules within a network whose outputs may be blended: its first stages, then, for want of those, itself.

    A stage without a weight matrix, such as an activation or a norm, is the end of a stem, unless all stages are such.
    """
    blocks = [stage for stage in backbone.stages if any(p.ndim > 1 for p in stage.parameters())]
    return [*(blocks or backbone.stages), backbone][:2]


def pooled_and_blended(backbone: Backbone, images: Tensor, place: nn.Module, mix: Callable[[Tensor], Tensor]) -> Tensor:
    """Features (B, D) of images (B, C, H, W), where `mix` has replaced the output (B, ...) of the module `place`."""
    met: list[nn.Module] = []

    def replace(module: nn.Module, inputs: Any, output: Any) -> Tensor | None:
        # Once, however often the module runs; and only what has one entry for each image.
        if met or not isinstance(output, Tensor) or len(output) != len(images):
            return None
        met.append(module)
        return mix(output)

    hook = place.register_forward_hook(replace)
    try:
        features = backbone.pooled(images)
    finally:
        hook.remove()
    return features if met else mix(features)  # the labels are blended whatever happens, so something has to be


def blended_binary_cross_entropy(logits: Tensor, labels: Tensor, partner: Tensor, share: Tensor) -> Tensor:
    """Binary cross-entropy of softmax and blended one-hot labels, over images and classes; logits (B, K), labels (B,)."""
    wanted = blend(F.one_hot(labels, logits.shape[1]).to(logits.dtype), partner, share)
    return F.binary_cross_entropy(logits.softmax(dim=1), wanted)


class ManifoldMixup(Classifier):
    """Manifold mixup: blends of two images at a random place in the network."""

    name = "manifold-mixup"
    paper = Paper(
        title="Manifold Mixup: Better Representations by Interpolating Hidden States",
        authors="Verma, Lamb, Beckham, Najafi, Mitliagkas, Lopez-Paz and Bengio",
        venue="ICML 2019",
        url="https://arxiv.org/abs/1806.05236",
        code="https://github.com/vikasverma1077/manifold_mixup at 870ef77",
    )
    Config = ManifoldMixupConfig
    own_recipe = {
        "epochs": 2000,
        "batch_size": 100,
        "weight_decay": 1e-4,
        "schedule": "step",
        "decay": 0.1,
        "milestones": (500 / 2000, 1000 / 2000, 1500 / 2000),
        "shift": 2 / 32,
    }
    own_options = {"loss": "binary"}

    def training_step(self, batch: Batch) -> Tensor:
        share = draw_share(self.config.alpha, batch.images.device)
        partner = torch.randperm(len(batch.labels), device=batch.labels.device)
        # Drawn on the CPU, which has to know which module it is: nothing waits for the device.
        k = int(torch.randint(3, ()))
        if k == 0:
            features = self.backbone.pooled(blend(batch.images, partner, share))
        else:
            places = inner_places(self.backbone)
            place = places[min(k, len(places)) - 1]
            features = pooled_and_blended(self.backbone, batch.images, place, lambda maps: blend(maps, partner, share))
        loss = blended_cross_entropy if self.config.loss == "cross-entropy" else blended_binary_cross_entropy
        return loss(self.classifier(features), batch.labels, partner, share)
