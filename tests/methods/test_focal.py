"""Focal loss: the released loss, what counts less, and why predictions stay short of certainty.

The golden numbers are of FocalLoss with size_average in Losses/focal_loss.py of torrvision/focal_calibration at 475422a, run
as it is, in float64 on CPU, on wave(6, 7, f=0.37, a=3) with LABELS.
"""

from __future__ import annotations

import pytest
import torch
from stubs import batch, task, wave
from torch import Tensor
from torch.nn import functional as F

from benchmark.methods.focal import Focal, focal_loss

LABELS = torch.tensor([0, 3, 6, 1, 2, 5])
GOLDEN = {
    0.5: (2.526720031518, 0.431229912859, [-0.167438940373, -0.122623974357, 0.003763318899]),
    2.0: (2.283201849183, 0.459221997701, [-0.186652533206, -0.115859210204, 0.004277957920]),
    3.0: (2.162257436365, 0.472895094961, [-0.197962597412, -0.101596431580, 0.004552548334]),
}


def logits() -> Tensor:
    return wave(6, 7, f=0.37, a=3.0).requires_grad_()


@pytest.mark.parametrize("gamma", GOLDEN)
def test_the_loss_equals_the_released_code(gamma: float) -> None:
    z = logits()
    loss = focal_loss(z, LABELS, gamma)
    (gradient,) = torch.autograd.grad(loss, z)
    value, norm, entries = GOLDEN[gamma]
    assert loss.item() == pytest.approx(value, rel=1e-10)
    assert gradient.norm().item() == pytest.approx(norm, rel=1e-10)
    assert gradient[[0, 3, 5], [0, 1, 6]].tolist() == pytest.approx(entries, rel=1e-8)


def test_without_gamma_it_is_cross_entropy():
    torch.testing.assert_close(focal_loss(logits(), LABELS, 0.0), F.cross_entropy(logits(), LABELS))


def test_the_surer_an_image_the_smaller_its_part_of_cross_entropy():
    z = torch.tensor([[0.0, 3.0], [0.0, 0.0], [3.0, 0.0]], dtype=torch.float64)
    label = torch.tensor([0])
    parts = torch.stack([focal_loss(row[None], label, 2.0) / F.cross_entropy(row[None], label) for row in z])
    torch.testing.assert_close(parts, (1 - z.softmax(dim=1)[:, 0]) ** 2)
    assert (parts.diff() < 0).all()


@pytest.mark.parametrize("gamma", [1.0, 2.0, 3.0])
def test_it_bounds_cross_entropy_less_gamma_times_the_entropy(gamma: float) -> None:
    for f in (0.1, 0.4, 0.7):
        z = wave(50, 7, f=f, a=4.0)
        labels = torch.arange(50) % 7
        log_p = z.log_softmax(dim=1)
        entropy = -(log_p.exp() * log_p).sum(dim=1).mean()
        assert focal_loss(z, labels, gamma) >= F.cross_entropy(z, labels) - gamma * entropy


def test_labels_that_are_wrong_now_and_then_are_fitted_with_less_certainty_than_they_have():
    """At the probabilities of the labels cross-entropy is at its least; focal loss still falls towards the uniform."""
    share = torch.tensor([0.8, 0.1, 0.1], dtype=torch.float64)
    z = share.log().requires_grad_()
    expected = sum(share[k] * focal_loss(z[None], torch.tensor([k]), 2.0) for k in range(3))
    (gradient,) = torch.autograd.grad(expected, z)
    assert gradient[0] > 0.01
    assert (gradient[1:] < 0).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_certain_predictions_have_finite_gradients(gamma: float) -> None:
    z = torch.tensor([[500.0, 0.0], [0.0, 500.0], [20.0, 0.0]], requires_grad=True)
    loss = focal_loss(z, torch.tensor([0, 0, 0]), gamma)
    assert loss.isfinite()
    assert torch.autograd.grad(loss, z)[0].isfinite().all()


def test_the_default_is_the_papers_gamma():
    method = Focal(task((8, 1, 1), 6), Focal.Config())
    step = batch(torch.randn(6, 8, 1, 1), LABELS)
    torch.testing.assert_close(method.training_step(step), focal_loss(method(step.images), LABELS, 2.0))
