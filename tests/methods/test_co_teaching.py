"""Co-teaching: who learns from whose choice."""

from __future__ import annotations

from dataclasses import replace

import torch
from stubs import batch, task, wave
from torch.nn import functional as F

from benchmark.methods.co_teaching import CoTeaching, CoTeachingOracle, exchanged_loss

LABELS = torch.tensor([0, 3, 6, 1, 2, 5, 4, 0, 1, 2])

# Of loss_coteaching in loss.py of bhanML/Co-teaching at 7c7fbe2, on CPU (`.cuda()` as the identity), with the logits and labels
# below, forget_rate 0.3: losses, and gradients by both logits, times num_remember = 7, by which the code divides once more.
GOLDEN = {
    "losses": (2.429376989381, 2.193604303975),
    "norms": (0.376546978471, 0.369658296502),
    "first": [-0.134158497943, 0.023487503305, 0.068810360566],
    "second": [-0.122408730098, 0.03898255289, 0.0],
}


def close(found: torch.Tensor, wanted: float | list[float]) -> None:
    torch.testing.assert_close(found.detach(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=1e-11)


def test_it_equals_the_released_code():
    first, second = (wave(10, 7, f=f, a=2.0).requires_grad_() for f in (0.37, 0.61))
    loss = exchanged_loss(first, second, LABELS, torch.tensor(0.7))
    close(loss, sum(GOLDEN["losses"]))
    loss.backward()
    close(first.grad.norm(), GOLDEN["norms"][0])
    close(second.grad.norm(), GOLDEN["norms"][1])
    close(first.grad[[0, 3, 9], [0, 2, 6]], GOLDEN["first"])
    close(second.grad[[0, 3, 9], [0, 2, 6]], GOLDEN["second"])


def test_each_network_learns_from_what_the_other_finds_easy():
    """The first finds images 0 and 1 easy, the second 2 and 3."""
    labels = torch.zeros(4, dtype=torch.long)
    easy, hard = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 3.0])
    first = torch.stack([easy, easy, hard, hard]).requires_grad_()
    second = torch.stack([hard, hard, easy, easy]).requires_grad_()
    exchanged_loss(first, second, labels, torch.tensor(0.5)).backward()
    assert (first.grad.abs().sum(dim=1) > 0).tolist() == [False, False, True, True]
    assert (second.grad.abs().sum(dim=1) > 0).tolist() == [True, True, False, False]


def test_where_everything_is_remembered_it_is_two_cross_entropies():
    first, second = wave(10, 7, f=0.37), wave(10, 7, f=0.61)
    alone = F.cross_entropy(first, LABELS) + F.cross_entropy(second, LABELS)
    torch.testing.assert_close(exchanged_loss(first, second, LABELS, torch.tensor(1.0)), alone)


def test_a_step_forgets_the_share_that_the_oracle_was_told():
    oracle = CoTeachingOracle(replace(task((8, 1, 1), 10), noise_rate=0.3), CoTeachingOracle.Config()).train()
    step = batch(torch.randn(10, 8, 1, 1), LABELS)
    logits = oracle.first(step.images), oracle.second(step.images)
    for progress, share in ((0.0, 1.0), (0.025, 0.85), (0.5, 0.7)):
        oracle.progress = progress
        wanted = exchanged_loss(*logits, LABELS, torch.tensor(share))
        torch.testing.assert_close(oracle.training_step(step), wanted)


def test_only_the_oracle_declares_that_it_is_told_and_only_it_begins_at_once():
    assert CoTeaching.privilege == ()
    assert CoTeachingOracle.privilege == ("noise_rate",)
    assert (CoTeaching.Config().warm_up, CoTeachingOracle.Config().warm_up) == (0.5, 0.0)
    assert CoTeaching.Config() == CoTeaching.Config(gradual=10 / 200, warm_up=0.5)


def test_a_batch_of_two_and_a_prediction_for_one():
    method = CoTeachingOracle(replace(task((8, 1, 1), 2), noise_rate=0.9), CoTeachingOracle.Config())
    method.progress = 1.0
    assert torch.isfinite(method.training_step(batch(torch.randn(2, 8, 1, 1), LABELS[:2])))
    assert method.eval().predict(torch.randn(1, 8, 1, 1)).logits.shape == (1, 7)
