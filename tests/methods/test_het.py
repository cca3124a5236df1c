"""HET: the cloud of logits, the mean over its samples, and what it does to a loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stubs import batch, fill, task, wave

from benchmark.methods.ensemble import log_mean_softmax
from benchmark.methods.het import Het, sampled_logits

# MCSoftmaxDenseFA of edward2/jax/nn/heteroscedastic_lib.py at ee02560, run in float64 (jax 0.4.35, flax 0.10.0): 7 classes, 3
# factors, temperature 1.3, 5 samples; layers and features are the waves below, and jax.random.normal gave the waves of the
# test in its place. The loss is the cross-entropy of its logits. Its draws for d have one number for all classes of a sample:
# see the docstring.
GOLDEN = {
    "loss": 1.6030032205017974,
    "log_p": [
        -2.378774876565,
        -1.775369564365,
        -1.80695200861,
        -2.348313546564,
        -2.711709916917,
        -2.459671054974,
        -1.119799859833,
    ],
    "mu": 0.4195278469372224,
    "V": 0.4659584257766473,
    "d": 0.31352031057706725,
    "V_grad": [-0.017839579879326273, -0.013532446785956253, 0.030045741810505757],
    "features": 0.4866040156283013,
}
LABELS = torch.tensor([0, 3, 6, 1, 2, 5])


def het(**options) -> Het:
    return Het(task((8, 1, 1), 6), Het.Config(**options)).train()


def close(found, wanted) -> None:
    torch.testing.assert_close(found.detach(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=1e-11)


def test_the_loss_equals_the_released_code():
    method = Het(task((16, 1, 1), 6), Het.Config(factors=3)).double()
    fill(method.mu, 0.9, 0.5)
    fill(method.V, 0.7, 0.5)
    fill(method.d, 1.3, 0.5)
    features = wave(6, 16, f=0.37).requires_grad_()
    e = wave(6, 5, 3, f=0.61, a=1.5).transpose(0, 1)  # there the images come first
    own = wave(6, 5, 1, f=0.53, a=1.5).transpose(0, 1)
    log_p = log_mean_softmax(sampled_logits(*method.cloud(features), e, own) / method.config.tau)
    loss = torch.nn.functional.nll_loss(log_p, LABELS)
    loss.backward()
    close(loss, GOLDEN["loss"])
    close(log_p[1], GOLDEN["log_p"])
    for name in ("mu", "V", "d"):
        close(getattr(method, name).weight.grad.norm(), GOLDEN[name])
    close(method.V.weight.grad[[0, 5, 20], [0, 3, 15]], GOLDEN["V_grad"])
    close(features.grad.norm(), GOLDEN["features"])


def test_the_samples_have_the_covariance_of_the_paper():
    mu, V, d = torch.zeros(1, 4), wave(1, 4, 2, f=0.7).float(), torch.tensor([[0.1, 0.5, 1.0, 2.0]])
    u = sampled_logits(mu, V, d, torch.randn(200_000, 1, 2), torch.randn(200_000, 1, 4))[:, 0]
    wanted = V[0] @ V[0].T + torch.diag(d[0] ** 2)
    np.testing.assert_allclose(np.cov(u.T), wanted, atol=0.05)


@pytest.mark.parametrize(("classes", "factors"), [(7, 6), (10, 6), (3, 2), (2, 1)])
def test_there_are_no_more_factors_than_directions_that_a_softmax_sees(classes, factors):
    assert Het(task((8, 1, 1), 6, classes=classes), Het.Config()).factors == factors


def test_without_a_cloud_it_is_cross_entropy_at_the_temperature():
    method, images = het(), torch.randn(6, 8, 1, 1)
    for layer, bias in ((method.V, 0.0), (method.d, -1000.0)):  # V = 0; softplus(-1000) = 0, and 0.001 is left
        layer.weight.data.zero_()
        layer.bias.data.fill_(bias)
    assert (method.cloud(images[:, :, 0, 0])[2] == 0.001).all()
    wanted = torch.nn.functional.cross_entropy(method.mu(images[:, :, 0, 0]) / 1.3, LABELS)
    torch.testing.assert_close(method.training_step(batch(images, LABELS)), wanted, rtol=1e-3, atol=1e-3)


def test_a_wider_cloud_makes_a_wrong_label_cheaper_and_a_right_one_dearer():
    method, mu, V = het(samples=2000), torch.tensor([[4.0, 0, 0, 0, 0, 0, 0]]), torch.zeros(1, 7, 6)
    price = torch.stack([-method.log_probability(mu, V, torch.full((1, 7), d))[0, :2] for d in (0.01, 2.0, 8.0)])
    assert (price[:, 0].diff() > 0).all()
    assert (price[:, 1].diff() < 0).all()


def test_the_width_learns_and_each_step_draws_anew():
    method, step = het(), batch(torch.randn(6, 8, 1, 1), LABELS)
    first = method.training_step(step)
    first.backward()
    assert all(p.grad.norm() > 0 for p in method.parameters())
    assert not torch.equal(first, method.training_step(step))
    assert "spread" in method.logged


@pytest.mark.parametrize(("samples", "wanted", "rounds"), [(100, 1000, 10), (100, 950, 10), (300, 1000, 4), (50, 10, 1)])
def test_a_prediction_has_at_least_as_many_samples_as_it_should(samples, wanted, rounds, monkeypatch):
    method, calls = het(samples=samples, prediction_samples=wanted).eval(), []
    original = Het.log_probability
    monkeypatch.setattr(Het, "log_probability", lambda self, *cloud: (calls.append(1), original(self, *cloud))[1])
    method.predict(torch.randn(3, 8, 1, 1))
    assert len(calls) == rounds


def test_the_prediction_is_a_distribution_with_its_entropy_even_for_one_image():
    logits, uncertainty = het().eval().predict(torch.randn(1, 8, 1, 1))
    p = logits.exp()
    torch.testing.assert_close(p.sum(), torch.tensor(1.0))
    torch.testing.assert_close(uncertainty, -(p * p.log()).sum(dim=1))
    assert logits.dtype == uncertainty.dtype == torch.float32


def test_one_more_direction_for_all_classes_changes_nothing():
    """Why K - 1 factors are enough: what moves all logits together cannot be seen."""
    mu, e = torch.randn(2, 4), torch.randn(3, 2, 1)
    together = sampled_logits(mu, torch.ones(2, 4, 1), torch.zeros(2, 4), e, torch.zeros(3, 2, 4))
    torch.testing.assert_close(together.softmax(dim=2), mu.softmax(dim=1).expand(3, 2, 4))
