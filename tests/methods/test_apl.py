"""Active and passive losses: the released NCE and RCE, and what makes both robust.

The golden numbers are of NormalizedCrossEntropy and NCEandRCE in loss.py of HanxunH/Active-Passive-Losses at 04bce53, run as
it is (but for mlconfig, whose registration was made to do nothing), on CPU, on wave(6, 7, f=0.37, a=3) in float64 with
LABELS. The code takes the logarithm of the clipped label in float32, so RCE is the same to 2e-8 only.
"""

from __future__ import annotations

import math

import pytest
import torch
from stubs import batch, task, wave
from torch import Tensor

from benchmark.contract import Prediction
from benchmark.methods.apl import APL, active_passive_loss, normalised_cross_entropy

LABELS = torch.tensor([0, 3, 6, 1, 2, 5])
A = -math.log(1e-4)
GOLDEN = {
    (1.0, 0.0): (0.144718194109, 0.019307061501, [-0.008937658997, -0.005664997401, 0.001909172300]),
    (1.0, 1.0): (8.019831037694, 0.623447825290, [-0.064512746792, -0.328513928867, 0.003883660089]),
    (10.0, 0.1): (2.234693225453, 0.234812317263, [-0.094934098750, -0.088934867152, 0.019289171781]),
}


def logits() -> Tensor:
    return wave(6, 7, f=0.37, a=3.0).requires_grad_()


@pytest.mark.parametrize("weights", GOLDEN)
def test_the_loss_equals_the_released_code(weights: tuple[float, float]) -> None:
    z = logits()
    loss = active_passive_loss(z, LABELS, *weights, A)
    (gradient,) = torch.autograd.grad(loss, z)
    value, norm, entries = GOLDEN[weights]
    assert loss.item() == pytest.approx(value, rel=5e-8)
    assert gradient.norm().item() == pytest.approx(norm, rel=5e-8)
    assert gradient[[0, 3, 5], [0, 1, 6]].tolist() == pytest.approx(entries, rel=5e-8)


def test_over_all_labels_the_active_part_sums_to_one_for_every_prediction():
    for z in (wave(1, 7, f=0.3), wave(1, 7, f=0.9, a=5.0)):
        each = torch.stack([normalised_cross_entropy(z, torch.tensor([k])) for k in range(7)])
        assert each.sum().item() == pytest.approx(1)
        assert (each > 0).all()


def test_extreme_logits_have_finite_losses_and_gradients():
    z = torch.tensor([[1e4, 0.0, -1e4], [0.0, 0.0, 0.0], [200.0, 0.0, 0.0]], requires_grad=True)
    loss = active_passive_loss(z, torch.tensor([2, 0, 0]), 1.0, 1.0, A)
    assert loss.isfinite()
    assert torch.autograd.grad(loss, z)[0].isfinite().all()


def test_the_noise_score_is_the_log_odds_against_the_label():
    method, step = APL(task((8, 1, 1), 6), APL.Config()), batch(torch.randn(6, 8, 1, 1), LABELS)
    prediction = Prediction(logits().detach(), torch.zeros(6))
    p = prediction.logits.softmax(dim=1)[torch.arange(6), LABELS]
    torch.testing.assert_close(method.noise_score(prediction, step.training_set), ((1 - p) / p).log())


def test_noise_scores_keep_their_order_where_probabilities_tie():
    """p_y is float32's 1 in the first two rows, and 0 in the last two."""
    z = torch.tensor([[60.0, 0, 0], [40.0, 0, 0], [2.0, 0, 0], [0, 2.0, 0], [0, 200.0, 0], [0, 300.0, 0]])
    p = z.softmax(dim=1)[:, 0]
    assert p[0] == p[1]
    assert p[4] == p[5]
    method, step = APL(task((8, 1, 1), 6, classes=3), APL.Config()), batch(torch.zeros(6, 8, 1, 1), torch.zeros(6).long())
    assert (method.noise_score(Prediction(z, torch.zeros(6)), step.training_set).diff() > 0).all()


def test_the_defaults_are_the_codes_for_cifar10():
    method = APL(task((8, 1, 1), 6), APL.Config())
    step = batch(torch.randn(6, 8, 1, 1), LABELS)
    log_p = method(step.images).log_softmax(dim=1)
    own = log_p[torch.arange(6), LABELS]
    torch.testing.assert_close(method.training_step(step), (own / log_p.sum(dim=1) + 9.210340372 * (1 - own.exp())).mean())
