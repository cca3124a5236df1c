"""EDL: evidence, the risk under a Dirichlet, and the rising price of misleading evidence."""

from __future__ import annotations

import pytest
import torch
from stubs import batch, task, wave

from benchmark.methods.edl import EDL, evidence, expected_risk, misleading_evidence

# losses.py of dougbrion/pytorch-classification-uncertainty at bed225b, in float64 on CPU: mse_loss, or edl_loss with
# torch.log or torch.digamma, of 1 + relu_evidence, exp_evidence or softplus_evidence of the wave below; epoch 5 of an
# annealing of 10, so that the price is a half. Of each (its lgamma(7) is rounded to float32): the mean loss, the norm of its
# gradient by the wave, and three entries of that.
GOLDEN = {
    ("relu", "squared"): (1.582339311144, 0.117926828689, [-0.014426674637, 0.000000000000, -0.014197809166]),
    ("relu", "log"): (2.590028208173, 0.175546621126, [-0.072576472281, 0.000000000000, -0.058122882412]),
    ("relu", "cross-entropy"): (2.867715119436, 0.194792903235, [-0.094525793839, 0.000000000000, -0.072546925671]),
    ("exp", "squared"): (3.148135081246, 0.498912926627, [-0.012529857474, -0.000305939652, -0.019340487216]),
    ("exp", "log"): (4.329645371863, 0.598626566374, [-0.118810863305, 0.002917355618, -0.127976365840]),
    ("exp", "cross-entropy"): (4.533242554897, 0.608856683060, [-0.135817901432, 0.003101978938, -0.140769471212]),
    ("softplus", "squared"): (1.610155417727, 0.085934531610, [-0.010178004504, 0.000734612276, -0.011033295828]),
    ("softplus", "log"): (2.650762618657, 0.133418833421, [-0.047124818003, 0.003486891109, -0.044266979008]),
    ("softplus", "cross-entropy"): (2.908838148035, 0.146954809973, [-0.059541889294, 0.003672095166, -0.054420022555]),
}
LABELS = torch.tensor([0, 3, 6, 1, 2, 5])


def edl(**options) -> EDL:
    return EDL(task((8, 1, 1), 6, classes=7), EDL.Config(**options)).train()


@pytest.mark.parametrize(("kind", "risk"), GOLDEN)
def test_the_loss_equals_the_released_code(kind, risk):
    logits = wave(6, 7, f=0.37, a=3.0).requires_grad_()
    alpha = evidence(logits, kind) + 1
    loss = (expected_risk(alpha, LABELS, risk) + 0.5 * misleading_evidence(alpha, LABELS)).mean()
    loss.backward()
    value, norm, entries = GOLDEN[kind, risk]
    for found, wanted in ((loss, value), (logits.grad.norm(), norm), (logits.grad[[0, 1, 5], [0, 2, 5]], entries)):
        torch.testing.assert_close(found.detach(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-7, atol=1e-11)


def test_the_defaults_are_the_notebooks_with_eq_4_but_for_the_annealing():
    assert EDL.Config() == EDL.Config(evidence="exp", risk="cross-entropy", annealing=1.0)
    assert EDL.Config(**EDL.own_options) == EDL.Config(evidence="exp", risk="cross-entropy", annealing=10 / 50)


def test_evidence_is_never_negative_and_exp_is_cut_off():
    logits = torch.tensor([[-1000.0, -1.0, 0.0, 1.0, 1000.0]])
    for kind in ("exp", "softplus", "relu"):
        assert (evidence(logits, kind) >= 0).all()
    torch.testing.assert_close(evidence(logits, "exp")[0, [0, 4]], torch.tensor([-10.0, 10.0]).exp())
    assert evidence(logits, "relu").tolist() == [[0, 0, 0, 1, 1000]]


def test_the_squared_risk_is_the_expected_squared_error():
    alpha = torch.tensor([[3.0, 1.0, 2.0]]).double()
    draws = torch.distributions.Dirichlet(alpha[0]).sample((200_000,))
    wanted = (torch.tensor([0.0, 1.0, 0.0]) - draws).square().sum(dim=1).mean()
    torch.testing.assert_close(expected_risk(alpha, torch.tensor([1]), "squared")[0], wanted, rtol=0, atol=5e-3)


def test_the_other_risks_are_the_expected_and_the_marginal_cross_entropy():
    alpha = torch.tensor([[3.0, 1.0, 2.0]]).double()
    draws = torch.distributions.Dirichlet(alpha[0]).sample((200_000,))[:, 0]
    label = torch.tensor([0])
    torch.testing.assert_close(expected_risk(alpha, label, "cross-entropy")[0], -draws.log().mean(), rtol=0, atol=1e-2)
    torch.testing.assert_close(expected_risk(alpha, label, "log")[0], -draws.mean().log(), rtol=0, atol=1e-2)


def test_misleading_evidence_is_the_divergence_from_the_flat_dirichlet():
    alpha = torch.tensor([[9.0, 1.5, 3.0]]).double()
    left, flat = torch.tensor([1.0, 1.5, 3.0]).double(), torch.ones(3).double()
    wanted = torch.distributions.kl_divergence(torch.distributions.Dirichlet(left), torch.distributions.Dirichlet(flat))
    torch.testing.assert_close(misleading_evidence(alpha, torch.tensor([0]))[0], wanted)


def test_evidence_for_the_label_costs_nothing_and_gets_no_gradient_from_the_price():
    alpha = torch.tensor([[5.0, 1.0, 1.0], [1.0, 2.0, 1.0]], requires_grad=True)
    price = misleading_evidence(alpha, torch.tensor([0, 0]))
    price.sum().backward()
    torch.testing.assert_close(price[0].detach(), torch.tensor(0.0), rtol=0, atol=1e-6)
    assert price[1] > 0.1
    assert alpha.grad[:, 0].tolist() == [0, 0]
    assert alpha.grad[1, 1] > 0


@pytest.mark.parametrize(("annealing", "progress", "price"), [(0.5, 0.0, 0), (0.5, 0.25, 0.5), (0.5, 0.75, 1), (0.0, 0.0, 1)])
def test_the_price_rises_over_a_share_of_the_schedule(annealing, progress, price):
    method, images = edl(annealing=annealing), torch.randn(6, 8, 1, 1)
    method.progress = progress
    alpha = method.alpha(images)
    wanted = expected_risk(alpha, LABELS, method.config.risk) + price * misleading_evidence(alpha, LABELS)
    torch.testing.assert_close(method.training_step(batch(images, LABELS)), wanted.mean())
    assert "evidence" in method.logged


def test_the_prediction_is_the_dirichlets_mean_and_the_uncertainty_its_vacuity():
    method, images = edl().eval(), torch.randn(6, 8, 1, 1)
    alpha = method.alpha(images)
    logits, uncertainty = method.predict(images)
    torch.testing.assert_close(logits.softmax(dim=1), alpha / alpha.sum(dim=1, keepdim=True))
    torch.testing.assert_close(uncertainty, 7 / alpha.sum(dim=1))
    method.classifier.weight.data.zero_()
    method.classifier.bias.data.fill_(-1000.0)
    torch.testing.assert_close(method.predict(images[:1]).uncertainty, torch.ones(1), rtol=0, atol=1e-4)
