"""Bootstrapping: the two forms as two later papers' released code has them, and where the gradient runs.

The golden numbers are of boot_soft and boot_hard in loss.py of YisenWang/symmetric_cross_entropy_for_noisy_labels at ec778df,
and of boot_soft in loss.py of giorgiop/loss-correction at 15a79de, which gives the same. Both files were run as they are, in
float64 on CPU, with a stand-in for keras.backend of the same functions in torch, on softmax(wave(6, 7, f=0.37, a=3)) with
LABELS.
"""

from __future__ import annotations

import pytest
import torch
from stubs import batch, task, wave
from torch import Tensor
from torch.nn import functional as F

from benchmark.methods.bootstrap import Bootstrap, hard_bootstrap, soft_bootstrap

LABELS = torch.tensor([0, 3, 6, 1, 2, 5])
GOLDEN = [
    (soft_bootstrap, 0.95, 2.571227845454, 0.392032243495, [-0.151910139088, -0.110777185541, 0.003754746346]),
    (hard_bootstrap, 0.8, 2.280152682001, 0.328198208238, [-0.127063478445, -0.083200877994, 0.003561454180]),
]


def logits() -> Tensor:
    return wave(6, 7, f=0.37, a=3.0).requires_grad_()


@pytest.mark.parametrize(("form", "beta", "value", "norm", "entries"), GOLDEN)
def test_the_loss_equals_released_code(form, beta, value, norm, entries) -> None:
    z = logits()
    loss = form(z, LABELS, beta)
    (gradient,) = torch.autograd.grad(loss, z)
    assert loss.item() == pytest.approx(value, rel=1e-10)
    assert gradient.norm().item() == pytest.approx(norm, rel=1e-10)
    assert gradient[[0, 3, 5], [0, 1, 6]].tolist() == pytest.approx(entries, rel=1e-9)


@pytest.mark.parametrize("form", [soft_bootstrap, hard_bootstrap])
def test_with_beta_one_it_is_cross_entropy(form) -> None:
    torch.testing.assert_close(form(logits(), LABELS, 1.0), F.cross_entropy(logits(), LABELS))


def test_a_label_that_the_network_agrees_with_is_learnt_as_by_cross_entropy():
    z = logits()
    agreed = z.argmax(dim=1)
    torch.testing.assert_close(hard_bootstrap(z, agreed, 0.8), F.cross_entropy(z, agreed))


def test_a_label_that_the_network_contradicts_pulls_less():
    z = torch.tensor([[6.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    wrong = torch.tensor([1])
    pulls = [torch.autograd.grad(loss, z)[0].norm() for loss in (F.cross_entropy(z, wrong), hard_bootstrap(z, wrong, 0.8))]
    assert pulls[1] == pytest.approx(0.8 * pulls[0].item(), rel=0.01)


def test_the_soft_forms_own_target_is_learnt_through_and_makes_predictions_surer():
    """With the target held fixed, its part would have no gradient at all: p is then as p wishes to be."""
    z = logits()
    (gradient,) = torch.autograd.grad(soft_bootstrap(z, LABELS, 0.0), z)
    assert gradient.norm() > 0.01
    p, nearer = (softmax.max(dim=1).values for softmax in (z.softmax(dim=1), (z - gradient).softmax(dim=1)))
    assert (nearer > p).all()


def test_extreme_logits_have_finite_losses_and_gradients():
    z = torch.tensor([[1e4, 0.0, -1e4], [0.0, 0.0, 0.0]], requires_grad=True)
    for form in (soft_bootstrap, hard_bootstrap):
        loss = form(z, torch.tensor([2, 0]), 0.9)
        assert loss.isfinite()
        assert torch.autograd.grad(loss, z)[0].isfinite().all()


def test_the_hard_form_is_the_default_and_each_has_its_own_beta():
    step = batch(torch.randn(6, 8, 1, 1), LABELS)
    for options, form, beta in (({}, hard_bootstrap, 0.8), ({"kind": "soft"}, soft_bootstrap, 0.95)):
        method = Bootstrap(task((8, 1, 1), 6), Bootstrap.Config(**options))
        torch.testing.assert_close(method.training_step(step), form(method(step.images), LABELS, beta))
