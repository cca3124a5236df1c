"""Mixup: blends, their loss, and the share by which they are made."""

from __future__ import annotations

import pytest
import torch
from stubs import batch, fill, task, wave
from torch.nn import functional as F

from benchmark.methods import mixup
from benchmark.methods.mixup import Mixup, blend, blended_cross_entropy, draw_share

GOLDEN = {
    "loss": 3.712832242921808,
    "blended": [0.3193086127129193, -0.6207646864961783, -0.4819521066399931],
    "weight_grad": [-0.20232917316211643, 0.10762213607621629, 0.06399888127988021],
    "weight_grad_norm": 0.6333146718251461,
    "input_grad": [-0.04621602510408619, 0.03988384642936876, -0.1034503851237313],
    "input_grad_norm": 0.773124221002889,
}
"""facebookresearch/mixup-cifar10 at eaff31a: `mixup_data` and `mixup_criterion` with CrossEntropyLoss, in float64 on the inputs
of the first test, with numpy's beta giving 0.3 and torch.randperm giving `PARTNER`."""

LABELS = torch.tensor([0, 3, 6, 1, 2, 5])
PARTNER = torch.tensor([2, 0, 1, 5, 4, 3])


def close(found: torch.Tensor, wanted: float | list[float]) -> None:
    torch.testing.assert_close(found.detach(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=1e-12)


def test_a_step_equals_the_released_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixup, "draw_share", lambda alpha, device: torch.tensor(0.3, dtype=torch.float64))
    monkeypatch.setattr(torch, "randperm", lambda n, **_: PARTNER)
    method = Mixup(task((5, 2, 2), 6), Mixup.Config()).double().train()
    fill(method.classifier, 0.9, 2.0)
    images = wave(6, 5, 2, 2, f=0.37).requires_grad_()
    loss = method.training_step(batch(images, LABELS))
    loss.backward()
    close(loss, GOLDEN["loss"])
    close(blend(images, PARTNER, torch.tensor(0.3, dtype=torch.float64))[[0, 1, 5], [0, 3, 4], 0, 1], GOLDEN["blended"])
    weight = method.classifier.weight.grad
    close(weight[[0, 3, 6], [0, 2, 4]], GOLDEN["weight_grad"])
    close(weight.norm(), GOLDEN["weight_grad_norm"])
    close(images.grad[[0, 1, 5], [0, 3, 4], 0, 0], GOLDEN["input_grad"])
    close(images.grad.norm(), GOLDEN["input_grad_norm"])


def test_a_share_of_one_is_cross_entropy_and_a_share_of_none_is_the_partners() -> None:
    logits = wave(6, 7, f=0.37, a=3)
    one = torch.tensor(1.0)
    torch.testing.assert_close(blended_cross_entropy(logits, LABELS, PARTNER, one), F.cross_entropy(logits, LABELS))
    torch.testing.assert_close(
        blended_cross_entropy(logits, LABELS, PARTNER, 1 - one), F.cross_entropy(logits, LABELS[PARTNER])
    )
    assert torch.equal(blend(logits, PARTNER, one), logits)
    assert torch.equal(blend(logits, PARTNER, 1 - one), logits[PARTNER])


def test_the_loss_is_the_cross_entropy_with_the_blended_labels() -> None:
    logits, share = wave(6, 7, f=0.37, a=3), torch.tensor(0.3).double()
    wanted = blend(F.one_hot(LABELS, 7).double(), PARTNER, share)
    torch.testing.assert_close(wanted.sum(dim=1), torch.ones(6).double())
    torch.testing.assert_close(blended_cross_entropy(logits, LABELS, PARTNER, share), F.cross_entropy(logits, wanted))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_shares_have_the_mean_and_the_spread_of_a_beta_distribution(alpha: float) -> None:
    shares = torch.stack([draw_share(alpha, torch.device("cpu")) for _ in range(4000)])
    assert shares.shape == (4000,)
    assert ((shares >= 0) & (shares <= 1)).all()
    assert abs(shares.mean() - 1 / 2) < 0.03
    assert abs(shares.var() - 1 / (4 * (2 * alpha + 1))) < 0.01


def test_each_batch_draws_one_share_and_an_order_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(mixup, "blended_cross_entropy", lambda logits, *rest: seen.append(rest) or logits.sum())
    method = Mixup(task((5, 2, 2), 6), Mixup.Config()).train()
    for _ in range(2):
        method.training_step(batch(torch.randn(6, 5, 2, 2), LABELS))
    (_, partner, share), (_, other_partner, other_share) = seen
    assert share.shape == ()
    assert share != other_share
    assert not torch.equal(partner, other_partner)
    assert sorted(partner.tolist()) == list(range(6))


def test_prediction_blends_nothing() -> None:
    method = Mixup(task((5, 2, 2), 6), Mixup.Config()).eval()
    images = torch.randn(6, 5, 2, 2)
    logits, uncertainty = method.predict(images)
    torch.testing.assert_close(method.predict(images[3:4]).logits, logits[3:4])
    torch.testing.assert_close(uncertainty, 1 - logits.softmax(dim=1).amax(dim=1))
