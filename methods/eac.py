"""Erasing attention consistency: where a network looks for a class must not change when an image is mirrored and erased.

With the feature map F (B, D, h, w) and the linear classifier W on its mean, each class k has an attention map

    M_k(x) = sum_d W_kd F_d(x),        (B, K, h, w),

whose mean over the positions is the class's logit but for the bias. An image x and its mirrored copy x' are randomly erased and
both are read; only x is given its label ("imbalanced"):

    L = CE(W mean F(x) + b, y) + lambda * mean over batch, classes and positions of (M(x) - mirror M(x'))^2.

W counts as constant in M. A wrong label has to be remembered by some part of the face, and such a part may be erased in one of
the views; what both views show is what the maps may rest on. Prediction uses the plain image.
Uncertainty: 1 - max p. Noise score: 1 - p_y.

Deviations (the released code is followed where it and the paper differ):
- In the code the two views are erased each on its own with a list of noisy labels, and alike, as one image and its mirrored
  copy, with the clean list. `erasing` chooses; default the former, under which its results with noisy labels came about.
- The code adds Gaussian noise to half of the images: to x alone with noisy lists, to both views with the clean one. Here both
  come from the recipe's one augmented image, without noise.
- The code resamples the mirrored map bilinearly at the mirrored positions, and divides by zero where a map has one column;
  reversing the columns is the same, and fits any map. With a map of one position, it is the logits that must agree.
- x' is also made for data in which a mirrored image may change its class: nothing here knows; its label is used nowhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.contract import Batch, Fraction, NonNegative, Paper, Share

from ._classifier import Classifier

RATIO = (0.3, 3.3)  # of a rectangle's height to its width; torchvision's
ATTEMPTS = 10  # at a rectangle that fits into the image; torchvision's


@dataclass(frozen=True)
class EACConfig:
    """Options of EAC; defaults from the released code."""

    consistency: NonNegative = 5.0  # lambda
    erase_probability: Share = 0.5  # of an erased rectangle in a view; torchvision's default, which the code keeps
    erase_from: Fraction = 0.02  # the smallest rectangle's area over the image's
    erase_to: Share = 0.25  # the largest's
    erasing: Literal["each", "shared"] = "each"  # both views on their own, or the second as the first's mirror image

    def __post_init__(self) -> None:
        """Refuses areas of which there are none."""
        if self.erase_from > self.erase_to:
            raise ValueError("erase_from is above erase_to")


def erase(images: Tensor, probability: float, smallest: float, largest: float) -> Tensor:
    """Images (B, C, H, W), each with the given probability with a rectangle of zeros; normalised, zero is the mean colour.

    torchvision's RandomErasing for a whole batch: area uniform between the shares `smallest` and `largest`, side ratio
    log-uniform in `RATIO`, place uniform; the first of `ATTEMPTS` rectangles that is smaller than the image, or none.
    """
    B, _, H, W = images.shape
    area, ratio = torch.rand(2, ATTEMPTS, B, device=images.device)
    area = (smallest + (largest - smallest) * area) * (H * W)
    ratio = (math.log(RATIO[0]) + (math.log(RATIO[1]) - math.log(RATIO[0])) * ratio).exp()
    sides = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()]).round()  # (2, ATTEMPTS, B)
    fits = (sides[0] < H) & (sides[1] < W)
    first = fits.long().argmax(dim=0).expand(2, 1, B)
    h, w = sides.gather(1, first)[:, 0, :, None]  # (B, 1) each
    chance, down, across = torch.rand(3, B, 1, device=images.device)
    top, left = (down * (H - h + 1)).floor(), (across * (W - w + 1)).floor()
    y, x = torch.arange(H, device=images.device), torch.arange(W, device=images.device)
    rows, columns = (y >= top) & (y < top + h), (x >= left) & (x < left + w)
    rows = rows & (chance < probability) & fits.any(dim=0)[:, None]
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def attention(maps: Tensor, weight: Tensor) -> Tensor:
    """Attention maps (B, K, h, w) of feature maps (B, D, h, w); the classifier's weight (K, D) gets no gradient from them."""
    return torch.einsum("bdhw,kd->bkhw", maps, weight.detach())


def inconsistency(view: Tensor, mirrored: Tensor) -> Tensor:
    """The mean square difference of attention maps (B, K, h, w) and those of the mirrored images, mirrored back."""
    return F.mse_loss(view, mirrored.flip(3))


class EAC(Classifier):
    """Erasing attention consistency: class attention maps of an erased image and of its mirrored copy must agree."""

    name = "eac"
    paper = Paper(
        title="Learn From All: Erasing Attention Consistency for Noisy Label Facial Expression Recognition",
        authors="Zhang, Wang, Ling and Deng",
        venue="ECCV 2022",
        url="https://arxiv.org/abs/2207.10299",
        code="https://github.com/zyh-uaiaaaa/Erasing-Attention-Consistency at 61efdfd",
    )
    mean_over_samples = True
    Config = EACConfig
    own_recipe = {
        "epochs": 60,
        "batch_size": 32,
        "optimizer": "adam",
        "lr": 2e-4,  # its README's for ResNet-18; main.py's 1e-4 is for ResNet-50
        "weight_decay": 1e-4,
        "schedule": "exponential",
        "decay": 0.9,
        "flip": 0.0,  # the mirrored image is the second view
        "shift": 0.0,
    }

    def views(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W), erased, and their mirrored copies, erased."""
        c = self.config
        settings = c.erase_probability, c.erase_from, c.erase_to
        first = erase(images, *settings)
        return first, first.flip(3) if c.erasing == "shared" else erase(images.flip(3), *settings)

    def training_step(self, batch: Batch) -> Tensor:
        # One after the other, as in the code: together, the batch norms would average over both views.
        maps, mirrored = (self.backbone(view) for view in self.views(batch.images))
        weight = self.classifier.weight
        difference = inconsistency(attention(maps, weight), attention(mirrored, weight))
        self.log("inconsistency", difference)
        logits = self.classifier(maps.mean(dim=(2, 3)))
        return F.cross_entropy(logits, batch.labels) + float(self.config.consistency) * difference
