"""DUL: the KL term, the draw, the harmonic mean."""

from __future__ import annotations

import torch
from stubs import batch, task
from torch.distributions import Normal, kl_divergence

from benchmark.methods.dul import DUL, kl_to_standard_normal


def test_the_kl_term_is_that_of_torchs_distributions():
    mu, logvar = torch.randn(5, 8), torch.randn(5, 8)
    wanted = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(dim=1).mean()
    torch.testing.assert_close(kl_to_standard_normal(mu, logvar), wanted)
    assert kl_to_standard_normal(torch.zeros(2, 3), torch.zeros(2, 3)) == 0


def test_training_draws_and_prediction_does_not():
    dul = DUL(task((8, 3, 3), 6), DUL.Config(dropout=0.0)).train()
    step = batch(torch.randn(6, 8, 3, 3), torch.arange(6))
    assert dul.training_step(step) != dul.training_step(step)
    dul.eval()
    assert torch.equal(dul.predict(step.images).logits, dul.predict(step.images).logits)


def test_uncertainty_is_the_harmonic_mean_of_the_variances():
    dul = DUL(task((8, 3, 3), 6), DUL.Config()).eval()
    images = torch.randn(4, 8, 3, 3)
    variance = dul.logvar(images).exp()
    torch.testing.assert_close(dul.predict(images).uncertainty, variance.shape[1] / (1 / variance).sum(dim=1))
