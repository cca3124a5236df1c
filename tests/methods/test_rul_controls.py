"""RUL's controls: the same network and weights, no mixture in one, shares that are drawn or equal in the others."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import kstest
from stubs import batch, fill, task, wave
from torch import Tensor
from torch.nn import functional as F

from benchmark.methods import rul_controls
from benchmark.methods.rul import RUL
from benchmark.methods.rul_controls import CrossEntropyTwoHead, OneHead, RULRandomShare, random_uncertainty
from benchmark.methods.rul_equal_share import RULEqualShare

MAP = (6, 2, 2)
LABELS = torch.tensor([0, 3, 6, 1, 2, 5])
PARTNER = torch.tensor([2, 0, 1, 5, 4, 3])
CONTROLS = [CrossEntropyTwoHead, RULRandomShare, RULEqualShare]


def filled(kind: type[RUL]) -> RUL:
    method = kind(task(MAP, 6), kind.Config(dropout=0.0, dim=4)).double().train()
    fill(method.mu[3], 0.7, 0.1)
    fill(method.classifier, 0.9, 0.3)
    return method


def step_and_gradients(method: RUL, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    loss = method.training_step(batch(images, LABELS))
    parts = [*method.mu.parameters(), *method.classifier.parameters()]
    return loss, list(torch.autograd.grad(loss, parts))


def test_ce_two_head_is_rul_in_which_every_image_meets_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """RUL's step is held to the released code in test_golden.py."""
    images = wave(6, *MAP, f=0.37)
    monkeypatch.setattr(torch, "randperm", lambda n, **_: torch.arange(n))
    wanted, wanted_gradients = step_and_gradients(filled(RUL), images)
    loss, gradients = step_and_gradients(filled(CrossEntropyTwoHead), images)
    torch.testing.assert_close(loss, wanted)
    torch.testing.assert_close(gradients, wanted_gradients)


def test_ce_two_head_is_cross_entropy_of_the_embedding() -> None:
    method, images = filled(CrossEntropyTwoHead), wave(6, *MAP, f=0.37)
    flat = images.sub(images.mean((0, 2, 3), keepdim=True)) / (images.var((0, 2, 3), correction=0, keepdim=True) + 2e-5).sqrt()
    z = flat.permute(0, 2, 3, 1).flatten(1) @ method.mu[3].weight.T + method.mu[3].bias
    z = (z - z.mean(0)) / (z.var(0, correction=0) + 2e-5).sqrt()
    wanted = F.cross_entropy(z @ method.classifier.weight.T + method.classifier.bias, LABELS)
    torch.testing.assert_close(method.training_step(batch(images, LABELS)), wanted)


def rul_with(s: Tensor, images: Tensor, monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, list[Tensor]]:
    """A step of RUL whose images have these uncertainties."""
    with monkeypatch.context() as patch:
        patch.setattr(RUL, "read", lambda self, images: (self.mu(self.backbone(images)), s))
        return step_and_gradients(filled(RUL), images)


def test_rul_random_share_is_rul_but_for_where_s_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    images = wave(6, *MAP, f=0.37)
    monkeypatch.setattr(torch, "randperm", lambda n, **_: PARTNER)
    s = filled(RUL).read(images)[1].detach()
    wanted, wanted_gradients = rul_with(s, images, monkeypatch)
    monkeypatch.setattr(rul_controls, "random_uncertainty", lambda _: s)
    loss, gradients = step_and_gradients(filled(RULRandomShare), images)
    torch.testing.assert_close(loss, wanted)
    torch.testing.assert_close(gradients, wanted_gradients)


def test_rul_equal_share_is_rul_that_is_as_unsure_of_every_image(monkeypatch: pytest.MonkeyPatch) -> None:
    images = wave(6, *MAP, f=0.37)
    monkeypatch.setattr(torch, "randperm", lambda n, **_: PARTNER)
    wanted, wanted_gradients = rul_with(torch.full((6, 1), 0.3, dtype=torch.float64), images, monkeypatch)
    loss, gradients = step_and_gradients(filled(RULEqualShare), images)
    torch.testing.assert_close(loss, wanted)
    torch.testing.assert_close(gradients, wanted_gradients)


def test_shares_are_uniform_and_a_pairs_two_add_up_to_one() -> None:
    torch.manual_seed(0)
    s = random_uncertainty(torch.zeros(4000, 3))
    other = random_uncertainty(torch.zeros(4000, 3))
    assert s.shape == (4000, 1)
    assert (s > 0).all()
    assert kstest((s / (s + other))[:, 0].numpy(), "uniform").pvalue > 0.01
    assert (s / (s + s) == 0.5).all()


def test_shares_are_drawn_anew_at_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    method, images = filled(RULRandomShare), wave(6, *MAP, f=0.37)
    monkeypatch.setattr(torch, "randperm", lambda n, **_: PARTNER)
    losses = {method.training_step(batch(images, LABELS)).item() for _ in range(3)}
    assert len(losses) == 3


@pytest.mark.parametrize("kind", CONTROLS)
def test_a_control_starts_from_the_weights_that_rul_has(kind: type[OneHead]) -> None:
    states = []
    for each in (RUL, kind):
        torch.manual_seed(3)
        states.append(each(task(MAP, 6), each.Config()).state_dict())
    assert states[0].keys() - states[1].keys() == {name for name in states[0] if name.startswith("logvar.")}
    assert all(torch.equal(states[0][name], value) for name, value in states[1].items())


@pytest.mark.parametrize("kind", CONTROLS)
def test_every_part_is_trained_and_the_classifiers_rate_is_ruls(kind: type[OneHead]) -> None:
    method = kind(task(MAP, 6), kind.Config(dropout=0.0, classifier_lr=10.0)).train()
    method.training_step(batch(torch.randn(6, *MAP), LABELS)).backward()
    groups = method.param_groups(0.1)
    assert sum(len(group["params"]) for group in groups) == len(list(method.parameters()))
    assert all(p.grad is not None for group in groups for p in group["params"])
    assert groups[1]["lr"] == pytest.approx(1.0)


@pytest.mark.parametrize("kind", CONTROLS)
def test_uncertainty_is_one_minus_the_largest_probability_even_of_one_image(kind: type[OneHead]) -> None:
    method = kind(task(MAP, 6), kind.Config()).eval()
    logits, uncertainty = method.predict(torch.randn(1, *MAP))
    torch.testing.assert_close(uncertainty, 1 - logits.softmax(dim=1).amax(dim=1))
    assert method.features(torch.randn(1, *MAP)).shape == (1, 64)
