"""JoCoR: one loss for two networks, of the label and of each other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from stubs import batch, task, wave
from torch import Tensor
from torch.nn import functional as F

from benchmark.methods._small_loss import mean_where, smallest
from benchmark.methods.jocor import JoCoR, JoCoROracle, joint_losses

LABELS = torch.tensor([0, 3, 6, 1, 2, 5, 4, 0, 1, 2])

# Of loss_jocor in algorithm/loss.py of hongxin001/JoCoR at 86db359, on CPU, with the logits and labels below and forget_rate
# 0.3, by co_lambda: the loss, and the gradients by both logits.
GOLDEN = {
    0.9: {
        "loss": 1.391230427495,
        "norms": (0.24924675656, 0.283045439832),
        "first": [-0.035191536751, -0.024480547618, 0.0],
        "second": [0.006353827712, 0.032249106389, 0.0],
    },
    0.1: {
        "loss": 3.918629171815,
        "norms": (0.343709925325, 0.344517347728),
        "first": [-0.123162168921, 0.018157719869, 0.076360427125],
        "second": [-0.10810177923, 0.038234392168, -0.006471387775],
    },
}


def close(found: Tensor, wanted: float | list[float]) -> None:
    torch.testing.assert_close(found.detach(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=1e-11)


def both_logits() -> tuple[Tensor, Tensor]:
    return wave(10, 7, f=0.37, a=2.0).requires_grad_(), wave(10, 7, f=0.61, a=2.0).requires_grad_()


@pytest.mark.parametrize("agreement", [0.9, 0.1])
def test_it_equals_the_released_code(agreement):
    first, second = both_logits()
    wanted = GOLDEN[agreement]
    method = JoCoR(task((8, 1, 1), 10), JoCoR.Config(agreement=agreement))
    loss = method.pair_loss(first, second, LABELS, torch.tensor(0.7))
    close(loss, wanted["loss"])
    loss.backward()
    close(first.grad.norm(), wanted["norms"][0])
    close(second.grad.norm(), wanted["norms"][1])
    close(first.grad[[0, 3, 9], [0, 2, 6]], wanted["first"])
    close(second.grad[[0, 3, 9], [0, 2, 6]], wanted["second"])


def test_without_agreement_it_is_two_cross_entropies():
    first, second = both_logits()
    alone = F.cross_entropy(first, LABELS, reduction="none") + F.cross_entropy(second, LABELS, reduction="none")
    torch.testing.assert_close(joint_losses(first, second, LABELS, 0.0), alone)


def test_agreement_alone_is_a_symmetric_divergence_that_vanishes_for_equals():
    first, second = both_logits()
    apart = joint_losses(first, second, LABELS, 1.0)
    assert (apart > 0).all()
    torch.testing.assert_close(apart, joint_losses(second, first, LABELS, 1.0))
    torch.testing.assert_close(joint_losses(first, first + 3, LABELS, 1.0), torch.zeros(10).double())


def test_both_networks_learn_from_the_same_images():
    oracle = JoCoROracle(replace(task((8, 1, 1), 10), noise_rate=0.3), JoCoROracle.Config())
    oracle.progress = 0.5
    step = batch(torch.randn(10, 8, 1, 1, requires_grad=True), LABELS)
    losses = joint_losses(oracle.first(step.images), oracle.second(step.images), LABELS, 0.9)
    loss = oracle.training_step(step)
    torch.testing.assert_close(loss, losses.sort().values[:7].mean())
    loss.backward()
    learned = step.images.grad.abs().sum(dim=(1, 2, 3)) > 0
    assert torch.equal(learned, smallest(losses, torch.tensor(0.7)))
    torch.testing.assert_close(loss, mean_where(losses, learned))


def test_the_default_is_the_readmes_lambda_and_not_the_codes():
    assert JoCoR.Config() == JoCoR.Config(gradual=10 / 200, warm_up=0.5, agreement=0.9)
    assert JoCoROracle.Config().warm_up == 0
    assert (JoCoR.privilege, JoCoROracle.privilege) == ((), ("noise_rate",))
