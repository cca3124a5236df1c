"""Symmetric cross-entropy: the released loss with its constant, and what the reverse part is.

The golden numbers are of symmetric_cross_entropy in loss.py of YisenWang/symmetric_cross_entropy_for_noisy_labels at ec778df,
run as it is, in float64 on CPU, with a stand-in for tensorflow of the same functions in torch, on softmax(wave(6, 7, f=0.37,
a=3)) with LABELS. SCELoss of HanxunH/Active-Passive-Losses at 04bce53 gives the same to 2e-8: it takes the logarithm in
float32.
"""

from __future__ import annotations

import math

import pytest
import torch
from stubs import batch, task, wave
from torch import Tensor
from torch.nn import functional as F

from benchmark.methods.sce import SCE, reverse_cross_entropy, symmetric_cross_entropy

LABELS = torch.tensor([0, 3, 6, 1, 2, 5])
A = -math.log(1e-4)
GOLDEN = {
    (0.1, 1.0): (8.138437561940, 0.637490524851, [-0.071614768201, -0.334502348115, 0.002330633179]),
    (6.0, 0.1): (16.587000936365, 2.528827383022, [-0.967938379372, -0.731490160662, 0.021566173856]),
}


def logits() -> Tensor:
    return wave(6, 7, f=0.37, a=3.0).requires_grad_()


@pytest.mark.parametrize("weights", GOLDEN)
def test_the_loss_equals_the_released_code(weights: tuple[float, float]) -> None:
    z = logits()
    loss = symmetric_cross_entropy(z, LABELS, *weights, A)
    (gradient,) = torch.autograd.grad(loss, z)
    value, norm, entries = GOLDEN[weights]
    assert loss.item() == pytest.approx(value, rel=1e-10)
    assert gradient.norm().item() == pytest.approx(norm, rel=1e-10)
    assert gradient[[0, 3, 5], [0, 1, 6]].tolist() == pytest.approx(entries, rel=1e-9)


def test_without_its_reverse_it_is_cross_entropy():
    torch.testing.assert_close(symmetric_cross_entropy(logits(), LABELS, 1.0, 0.0, A), F.cross_entropy(logits(), LABELS))


def test_the_reverse_is_the_cross_entropy_with_label_and_prediction_exchanged():
    z = logits()
    clipped = F.one_hot(LABELS, 7).double().clamp(min=1e-4)
    torch.testing.assert_close(reverse_cross_entropy(z, LABELS, A), -(z.softmax(dim=1) * clipped.log()).sum(dim=1).mean())


def test_the_reverse_over_all_labels_is_the_same_for_every_prediction():
    """Which is why symmetric noise cannot mislead it: A (K - 1)."""
    for z in (wave(1, 7, f=0.3), wave(1, 7, f=0.9, a=5.0)):
        total = torch.stack([reverse_cross_entropy(z, torch.tensor([k]), A) for k in range(7)]).sum()
        assert total.item() == pytest.approx(6 * A)


def test_of_beta_and_the_constant_only_the_product_matters():
    papers, codes = (symmetric_cross_entropy(logits(), LABELS, 0.1, *pair) for pair in ((1.0, 4.0), (4 / A, A)))
    torch.testing.assert_close(papers, codes)


def test_the_defaults_are_the_codes_for_cifar10():
    method = SCE(task((8, 1, 1), 6), SCE.Config())
    step = batch(torch.randn(6, 8, 1, 1), LABELS)
    log_p = method(step.images).log_softmax(dim=1)[torch.arange(6), LABELS]
    torch.testing.assert_close(method.training_step(step), (-0.1 * log_p + 9.210340372 * (1 - log_p.exp())).mean())
