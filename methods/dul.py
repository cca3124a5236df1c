"""Data uncertainty learning, classification form: an image's feature is a Gaussian, and the classifier sees a draw from it.

Two heads read the feature map: a mean mu and a log-variance, both (B, D). With eps ~ N(0, I) drawn anew at each step,

    z = mu + exp(logvar / 2) * eps,        L = CE(W z, y) + lambda * KL(N(mu, sigma^2) || N(0, I)),
    KL = -1/2 * sum_d (1 + logvar - mu^2 - exp(logvar)).

The draws force noise on images whose variance is large, the KL term keeps the variance from vanishing. Prediction uses mu.
Uncertainty: the harmonic mean of sigma^2 over the D dimensions, as the paper measures it. Noise score: 1 - p_y.

Deviations:
- No official code was released; the unofficial dul-pytorch is followed for the heads and for the KL term (summed over
  dimensions, averaged over the batch). It ships lambda = 0 with the comment that 0.01 is the default: 0.01 is used. Another
  unofficial code (MouxiaoHuang/DUL) takes the mean over dimensions instead, as `kl_weight=0.00015625` would here.
- The paper's classifier is a margin softmax over face identities; here, a linear layer over the classes.
- `--recipe paper` is that of dul-pytorch's train_cls_config.py, but for Nesterov's momentum.
- The embedding has 64 dimensions, as RUL's copy of these heads, not the 512 of face recognition.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import Batch, Count, Fraction, Method, NonNegative, Paper, Prediction, Task

from ._heads import embedding_head


@dataclass(frozen=True)
class DULConfig:
    """Options of DUL."""

    kl_weight: NonNegative = 0.01  # lambda, the paper's
    dim: Count = 64  # D of the embedding, as RUL's heads
    dropout: Fraction = 0.4  # in both heads; dul-pytorch's


def kl_to_standard_normal(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, I)) in nats, of (B, D) summed over D and averaged over B."""
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum(dim=1).mean()


class DUL(Method):
    """Data uncertainty learning (classification form): features are Gaussians, sampled in training."""

    name = "dul"
    paper = Paper(
        title="Data Uncertainty Learning in Face Recognition",
        authors="Chang, Lan, Cheng and Wei",
        venue="CVPR 2020",
        url="https://arxiv.org/abs/2003.11339",
        code="https://github.com/Ontheway361/dul-pytorch at 2277b30 (unofficial)",
    )
    Config = DULConfig
    own_recipe = {
        "epochs": 50,
        "batch_size": 512,
        "schedule": "step",
        "decay": 0.3,
        "milestones": (12 / 50, 20 / 50, 30 / 50, 42 / 50),
        "shift": 0.0,
    }

    def __init__(self, task: Task, config: DULConfig):
        super().__init__(task, config)
        self.backbone = task.make_backbone()
        self.mu = embedding_head(self.backbone, config.dim, config.dropout)
        self.logvar = embedding_head(self.backbone, config.dim, config.dropout)
        self.classifier = nn.Linear(config.dim, task.num_classes)

    def training_step(self, batch: Batch) -> Tensor:
        maps = self.backbone(batch.images)
        mu, logvar = self.mu(maps), self.logvar(maps)
        z = mu + (logvar / 2).exp() * torch.randn_like(mu)
        self.log("variance", logvar.exp())
        kl = kl_to_standard_normal(mu, logvar)
        return F.cross_entropy(self.classifier(z), batch.labels) + float(self.config.kl_weight) * kl

    def predict(self, images: Tensor) -> Prediction:
        maps = self.backbone(images)
        precision: Tensor = (-self.logvar(maps)).exp()
        return Prediction(self.classifier(self.mu(maps)), 1 / precision.mean(dim=1))

    def features(self, images: Tensor) -> Tensor:
        return self.mu(self.backbone(images))  # type: ignore[no-any-return]
