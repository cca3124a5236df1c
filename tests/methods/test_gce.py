"""Generalised cross-entropy: the released loss, its two limits, and how little it learns from labels that it does not believe.

The golden numbers are of TruncatedLoss in TruncatedLoss.py of AlanChou/Truncated-Loss at fef5908 with all weights 1, to which
the constant (1 - 0.5^0.7) / 0.7 that it takes off was added again; run as it is, in float64 on CPU, on wave(6, 7, f=0.37,
a=3) with LABELS. GeneralizedCrossEntropy of HanxunH/Active-Passive-Losses at 04bce53 gives the same.
"""

from __future__ import annotations

import pytest
import torch
from stubs import batch, task, wave
from torch import Tensor
from torch.nn import functional as F

from benchmark.methods.gce import GCE, generalised_cross_entropy

LABELS = torch.tensor([0, 3, 6, 1, 2, 5])


def logits() -> Tensor:
    return wave(6, 7, f=0.37, a=3.0).requires_grad_()


def gradient(loss: Tensor, z: Tensor) -> Tensor:
    return torch.autograd.grad(loss, z)[0]


def test_the_loss_equals_the_released_code():
    z = logits()
    loss = generalised_cross_entropy(z, LABELS, 0.7)
    found = gradient(loss, z)
    assert loss.item() == pytest.approx(1.103971186721, rel=1e-10)
    assert found.norm().item() == pytest.approx(0.095347556588, rel=1e-10)
    assert found[[0, 3, 5], [0, 1, 6]].tolist() == pytest.approx([-0.016142910890, -0.050262327950, 0.000498096333], rel=1e-8)


def test_it_lies_between_cross_entropy_and_absolute_error():
    z = logits()
    p = z.softmax(dim=1)[torch.arange(6), LABELS]
    torch.testing.assert_close(generalised_cross_entropy(z, LABELS, 1.0), (1 - p).mean())
    torch.testing.assert_close(generalised_cross_entropy(z, LABELS, 1e-9), F.cross_entropy(z, LABELS))
    losses = torch.stack([generalised_cross_entropy(z, LABELS, q) for q in (0.1, 0.4, 0.7, 1.0)])
    assert (losses.diff() < 0).all()


def test_it_learns_from_a_label_by_the_qth_power_of_its_probability():
    z = logits()
    p = z.softmax(dim=1)[torch.arange(6), LABELS]
    wanted = p[:, None] ** 0.7 * gradient(F.cross_entropy(z, LABELS), z)
    torch.testing.assert_close(gradient(generalised_cross_entropy(z, LABELS, 0.7), z), wanted)


def test_no_label_costs_more_than_one_over_q_and_none_has_an_infinite_gradient():
    z = torch.tensor([[0.0, 500.0], [0.0, 50.0], [0.0, 0.0], [500.0, 0.0]], requires_grad=True)
    each = torch.stack([generalised_cross_entropy(z[k : k + 1], torch.tensor([0]), 0.7) for k in range(4)])
    assert (each.diff() <= 0).all()
    assert each[0].item() == pytest.approx(1 / 0.7)
    assert each[3] == 0
    assert gradient(each.sum(), z).isfinite().all()


def test_the_default_is_the_papers_q():
    method = GCE(task((8, 1, 1), 6), GCE.Config())
    step = batch(torch.randn(6, 8, 1, 1), LABELS)
    torch.testing.assert_close(method.training_step(step), generalised_cross_entropy(method(step.images), LABELS, 0.7))
