"""Co-teaching+: only where the networks disagree is there anything to learn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from stubs import batch, fill, task, wave
from torch import Tensor

from benchmark.methods.co_teaching import exchanged_loss
from benchmark.methods.co_teaching_plus import CoTeachingPlus, CoTeachingPlusOracle, disagreement

LABELS = torch.tensor([0, 3, 6, 1, 2, 5, 4, 0, 1, 2])

# Of loss_coteaching_plus in loss.py of xingruiyu/coteaching_plus at a68ed61, on CPU (`.cuda()` as the identity), with the
# logits and labels below, forget_rate 0.3, ind = 1 … 10 (no image 0, which the code would lose), step 10^6: losses, and
# gradients by both logits, times num_remember = 4, by which the code divides once more. It takes probabilities for logits.
GOLDEN = {
    "losses": (1.915568280385, 1.885480124574),
    "norms": (0.089715803472, 0.099217018298),
    "first": [-0.014515591693, 0.010951537028, 0.007154932834],
    "second": [0.0, 0.023734591845, 0.0],
}


def close(found: Tensor, wanted: float | list[float]) -> None:
    torch.testing.assert_close(found.detach(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=1e-11)


def both_logits() -> tuple[Tensor, Tensor]:
    """Of ten images, on three of which (1, 4 and 6) the networks agree."""
    first, second = wave(10, 7, f=0.37, a=2.0), wave(10, 7, f=0.61, a=2.0)
    second[[1, 4, 6]] = first[[1, 4, 6]] / 2
    return first.requires_grad_(), second.requires_grad_()


def test_it_equals_the_released_code_on_what_that_takes_for_logits():
    first, second = both_logits()
    differ = disagreement(first, second)
    assert (~differ).nonzero()[:, 0].tolist() == [1, 4, 6]
    loss = exchanged_loss(first.softmax(dim=1), second.softmax(dim=1), LABELS, torch.tensor(0.7), differ)
    close(loss, sum(GOLDEN["losses"]))
    loss.backward()
    close(first.grad.norm(), GOLDEN["norms"][0])
    close(second.grad.norm(), GOLDEN["norms"][1])
    close(first.grad[[0, 3, 9], [0, 2, 6]], GOLDEN["first"])
    close(second.grad[[0, 3, 9], [0, 2, 6]], GOLDEN["second"])


def oracle() -> CoTeachingPlusOracle:
    method = CoTeachingPlusOracle(replace(task((10, 1, 1), 10), noise_rate=0.3), CoTeachingPlusOracle.Config()).double().train()
    fill(method.first.classifier, 0.9, 1.5)
    fill(method.second.classifier, 1.3, 1.5)
    return method


@pytest.mark.parametrize(("progress", "restricted"), [(0.0, False), (0.099, False), (0.1, True), (0.99, True)])
def test_disagreement_counts_from_a_tenth_of_the_schedule_on(progress, restricted):
    method = oracle()
    step = batch(wave(10, 10, f=0.41)[:, :, None, None], LABELS)
    method.progress = progress
    first, second = method.first(step.images), method.second(step.images)
    differ = disagreement(first, second)
    assert 0 < differ.sum() < 10
    share = torch.tensor(1 - 0.3 * min(progress / 0.05, 1))
    wanted = exchanged_loss(first, second, LABELS, share, differ if restricted else None)
    torch.testing.assert_close(method.training_step(step), wanted)
    torch.testing.assert_close(method.logged["disagreement"][0], differ.float().mean())


def test_that_tenth_is_counted_from_the_end_of_the_warm_up():
    """Networks that agree on everything learn nothing where only disagreement counts."""
    method = CoTeachingPlus(task((8, 1, 1), 4, epochs=100), CoTeachingPlus.Config())
    method.second.load_state_dict(method.first.state_dict())
    step = batch(torch.randn(4, 8, 1, 1), LABELS[:4])
    losses = []
    for epoch in (0, 49, 50, 59, 60, 99):
        method.epoch, method.progress = epoch, (epoch + 0.5) / 100
        losses.append(bool(method.training_step(step) > 0))
    assert losses == [True, True, True, True, False, False]


def test_networks_that_agree_on_everything_learn_nothing():
    method = oracle()
    method.second.load_state_dict(method.first.state_dict())
    method.progress = 0.5
    loss = method.training_step(batch(wave(10, 10, f=0.41)[:, :, None, None], LABELS))
    loss.backward()
    assert loss == 0
    assert method.first.classifier.weight.grad.abs().sum() == 0


def test_the_defaults_are_the_released_codes():
    assert CoTeachingPlus.Config() == CoTeachingPlus.Config(gradual=10 / 200, warm_up=0.5, disagree_from=20 / 200)
    assert CoTeachingPlusOracle.Config().warm_up == 0
    assert (CoTeachingPlus.privilege, CoTeachingPlusOracle.privilege) == ((), ("noise_rate",))
