"""DivideMix's arithmetic: who is believed, what is asked of an image, and what a blend costs."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor
from torch.nn import functional as F

from ._classifier import Classifier


def noisy_log_odds(losses: Tensor) -> Tensor:
    """log((1 - w) / w), (N,) float64 on the CPU, of losses (N,): how much more likely each belongs to the mixture's upper half.

    As log odds, since 1 - w would tie at 1 for all large losses.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    values = losses.detach().cpu().double()
    scaled = ((values - values.min()) / (values.max() - values.min()).clamp(min=1e-12)).nan_to_num()[:, None].numpy()
    mixture = GaussianMixture(n_components=2, max_iter=10, tol=1e-2, reg_covar=5e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # ten iterations are meant to be enough
        mixture.fit(scaled)
    mean, variance = torch.from_numpy(mixture.means_[:, 0]), torch.from_numpy(mixture.covariances_[:, 0, 0])
    height = torch.from_numpy(mixture.weights_).log() - variance.log() / 2
    log_density = height - (torch.from_numpy(scaled) - mean) ** 2 / (2 * variance)  # (N, 2)
    low, high = (0, 1) if mean[0] <= mean[1] else (1, 0)
    return log_density[:, high] - log_density[:, low]


def mean_distribution(network: Classifier, views: tuple[Tensor, Tensor]) -> Tensor:
    """What a network says on average, (B, K), of two views (B, C, H, W) of each image."""
    return (network(views[0]).softmax(dim=1) + network(views[1]).softmax(dim=1)) / 2  # type: ignore[no-any-return]


def wanted(own: Tensor, other: Tensor, labels: Tensor, clean: Tensor, labelled: Tensor, temperature: float) -> Tensor:
    """The targets q (B, K): of two networks' distributions (B, K), labels (B,), w (B,) and who is labelled, (B,) bool."""
    weight = clean[:, None].to(own.dtype)
    refined = weight * F.one_hot(labels, own.shape[1]) + (1 - weight) * own
    powered = torch.where(labelled[:, None], refined, (own + other) / 2) ** (1 / temperature)
    return powered / powered.sum(dim=1, keepdim=True)


def semi_supervised_losses(logits: Tensor, targets: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy over the labelled, squared error over the rest: two scalars, 0 for a group without images.

    Logits and targets (B, K), labelled (B,) bool.
    """
    log_probability = logits.log_softmax(dim=1)
    mask = labelled.to(logits.dtype)
    entropy = -(targets * log_probability).sum(dim=1)
    error = ((log_probability.exp() - targets) ** 2).mean(dim=1)
    rest = 1 - mask
    return (entropy * mask).sum() / mask.sum().clamp(min=1), (error * rest).sum() / rest.sum().clamp(min=1)


def divergence_from_uniform(logits: Tensor) -> Tensor:
    """KL(uniform || mean softmax), a scalar, of logits (B, K): large where the network answers with few classes only."""
    B, K = logits.shape
    log_mean = logits.log_softmax(dim=1).logsumexp(dim=0) - math.log(B)
    return -(log_mean + math.log(K)).mean()
