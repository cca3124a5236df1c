"""Heteroscedastic classifier: the logits of an image are a cloud, whose shape and size the image itself decides.

A label is the largest of K noisy scores u, of which some classes' go up and down together,

    u = mu(x) + V(x) e + d(x) * e',     e ~ N(0, I_R), e' ~ N(0, I_K),      p = mean over samples of softmax(u / tau),

with three linear layers on the pooled features: mu (K), V (K x R), d = softplus(.) + 0.001 (K). L = -log p_y. An image whose
label may be wrong need not pull mu towards it: it can have a wider cloud. The logits are log p.
Uncertainty: the entropy of p, to which the cloud and mu both contribute. Noise score: one minus the probability of the given
label.

Deviations:
- Samples: 1,000 in edward2, 10,000 in Uncertainty Baselines, in training and prediction; here 100 in training, where every
  step draws anew and the optimiser averages, and 1,000 in prediction, with `--recipe paper` too.
- `--recipe paper` is that of Uncertainty Baselines' heteroscedastic.py at 0dbf6f6, but for Nesterov's momentum and its epoch of
  warm-up. It has the layer with factors (MCSoftmaxDenseFA), draws once for all images of a batch, and gives results for
  CIFAR-100 alone.
- edward2's JAX layer multiplies d by one number a sample for all classes, which makes the last term d(x) * e'_1, of rank 1;
  its TensorFlow layer has one for each class, as the paper. We follow the paper.
- edward2 clips p at 1e-7, Uncertainty Baselines at 1e-5, where the gradient ends; here the logarithm is taken without leaving
  log space, and nothing clipped.
- tau is tuned for each dataset in the paper; Uncertainty Baselines' 1.3 for CIFAR is taken for all.
- No more factors than K - 1: a softmax does not see the direction in which all classes go up together, so that many already
  make every covariance that it can see.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import Batch, Count, Method, Paper, Positive, Prediction, Task

from .ensemble import UNCERTAINTY_BASELINES, entropy, log_mean_softmax

LEAST_SCALE = 1e-3  # of d, as in edward2


@dataclass(frozen=True)
class HetConfig:
    """Options of the heteroscedastic classifier."""

    factors: Count = 6  # R, but at most K - 1; Uncertainty Baselines' for CIFAR
    tau: Positive = 1.3  # temperature of the sampled softmax; Uncertainty Baselines' for CIFAR
    samples: Count = 100  # in training; edward2 has 1,000
    prediction_samples: Count = 1000  # rounded up to a multiple of `samples`, of which many are held at once


def sampled_logits(mu: Tensor, V: Tensor, d: Tensor, e: Tensor, own: Tensor) -> Tensor:  # noqa: N803
    """u, (S, B, K), of mu (B, K), V (B, K, R), d (B, K) and the normal draws e (S, B, R) and own (S, B, K)."""
    return mu + torch.einsum("bkr,sbr->sbk", V, e) + d * own


class Het(Method):
    """Heteroscedastic classifier: logits are drawn from a normal distribution that the image decides."""

    name = "het"
    paper = Paper(
        title="Correlated Input-Dependent Label Noise in Large-Scale Image Classification",
        authors="Collier, Mustafa, Kokiopoulou, Jenatton and Berent",
        venue="CVPR 2021",
        url="https://arxiv.org/abs/2105.10305",
        code="https://github.com/google/edward2 at ee02560",
    )
    mean_over_samples = True
    Config = HetConfig
    own_recipe = UNCERTAINTY_BASELINES

    def __init__(self, task: Task, config: HetConfig):
        super().__init__(task, config)
        self.backbone = task.make_backbone()
        D, K = self.backbone.num_features, task.num_classes
        self.factors = max(1, min(config.factors, K - 1))
        self.mu, self.V, self.d = nn.Linear(D, K), nn.Linear(D, K * self.factors), nn.Linear(D, K)

    def cloud(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features (B, D) to mu (B, K), V (B, K, R) and d (B, K)."""
        mu = self.mu(features)
        return mu, self.V(features).view(*mu.shape, self.factors), F.softplus(self.d(features)) + LEAST_SCALE

    def log_probability(self, mu: Tensor, V: Tensor, d: Tensor) -> Tensor:  # noqa: N803
        """log p, (B, K), over `samples` draws from the cloud."""
        S, (B, K) = self.config.samples, mu.shape
        u = sampled_logits(mu, V, d, mu.new_empty(S, B, self.factors).normal_(), mu.new_empty(S, B, K).normal_())
        return log_mean_softmax(u / self.config.tau)

    def training_step(self, batch: Batch) -> Tensor:
        mu, V, d = self.cloud(self.backbone.pooled(batch.images))
        self.log("spread", (V.square().sum(dim=2) + d.square()).mean(dim=1).sqrt())
        return F.nll_loss(self.log_probability(mu, V, d), batch.labels)

    def predict(self, images: Tensor) -> Prediction:
        cloud = self.cloud(self.backbone.pooled(images))
        rounds = math.ceil(self.config.prediction_samples / self.config.samples)
        logits = log_mean_softmax(torch.stack([self.log_probability(*cloud) for _ in range(rounds)]))
        return Prediction(logits, entropy(logits))

    def features(self, images: Tensor) -> Tensor:
        return self.backbone.pooled(images)
