"""Bootstrapping: the target of each image is its label mixed with what the network itself believes.

    soft:  L = -sum_k (beta y_k + (1 - beta) p_k) log p_k
    hard:  L = -sum_k (beta y_k + (1 - beta) z_k) log p_k,        z = one-hot of argmax p

A network that contradicts a label is thus held to it less. Prediction uses p.
Uncertainty: one minus the largest probability. Noise score: one minus the probability of the given label.

Deviations:
- The paper has no released code. The code of it in two later papers (forward correction, symmetric cross-entropy) agrees with
  this but for a clip of p at 1e-7, left out here.
- The gradient of the soft form also runs through the p_k of its target, as in that code: the paper calls this form a
  regularisation by minimum entropy, which it is only so. Through z none runs.
- The third form of the paper, with a layer that learns the noise and reconstructs the image, is left out.
- The soft form is cross-entropy (times 0.95) plus 0.05 times the entropy, which changes little. Where both were compared (Ma
  et al., ICML 2018, CIFAR-100 at 0 to 60 % noise) the hard form is ahead at every level, so it is the default.
- The paper gives no full account of its training, so `--recipe paper` is the recipe `common`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from benchmark.contract import Paper, Part

from ._classifier import Classifier


@dataclass(frozen=True)
class BootstrapConfig:
    """Options of bootstrapping; both betas are the paper's."""

    kind: Literal["soft", "hard"] = "hard"  # what the network believes: its distribution, or its argmax
    soft_beta: Part = 0.95  # beta, the label's share of the target, in the soft form
    hard_beta: Part = 0.8  # beta in the hard form


def soft_bootstrap(logits: Tensor, labels: Tensor, beta: float) -> Tensor:
    """beta * cross-entropy + (1 - beta) * the prediction's entropy, a scalar; logits (B, K), labels (B,)."""
    log_p = logits.log_softmax(dim=1)
    entropy = -(log_p.exp() * log_p).sum(dim=1).mean()
    return beta * F.nll_loss(log_p, labels) + (1 - beta) * entropy


def hard_bootstrap(logits: Tensor, labels: Tensor, beta: float) -> Tensor:
    """beta * cross-entropy with the labels (B,) + (1 - beta) * that with the logits' (B, K) own argmax, a scalar."""
    return beta * F.cross_entropy(logits, labels) + (1 - beta) * F.cross_entropy(logits, logits.argmax(dim=1))


class Bootstrap(Classifier):
    """Bootstrapping: targets that mix the label with the network's own prediction."""

    name = "bootstrap"
    paper = Paper(
        title="Training Deep Neural Networks on Noisy Labels with Bootstrapping",
        authors="Reed, Lee, Anguelov, Szegedy, Erhan and Rabinovich",
        venue="ICLR workshop 2015",
        url="https://arxiv.org/abs/1412.6596",
    )
    mean_over_samples = True
    Config = BootstrapConfig

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.config.kind == "soft":
            return soft_bootstrap(logits, labels, self.config.soft_beta)
        return hard_bootstrap(logits, labels, self.config.hard_beta)
