"""Label smoothing, both signs: the released loss, what a negative rate undoes, and when it begins.

The golden numbers are of loss_gls in loss.py of UCSC-REAL/negative-label-smoothing at 05078f6, run as it is, in float64 on CPU,
on wave(6, 7, f=0.37, a=3) with LABELS.
"""

from __future__ import annotations

import pytest
import torch
from stubs import batch, task, wave
from torch import Tensor
from torch.nn import functional as F

from benchmark.methods.label_smoothing import LabelSmoothing, NegativeLabelSmoothing, smoothed_cross_entropy
from benchmark.spec import recipe
from benchmark.train.optimise import schedule_factor

LABELS = torch.tensor([0, 3, 6, 1, 2, 5])
GOLDEN = {
    0.1: (2.643385449050, 0.381290801800, [-0.146111097493, -0.102248497042, 0.001180501799]),
    0.0: (2.633248277157, 0.415277121308, [-0.160396811778, -0.116534211327, 0.003561454180]),
    -0.2: (2.612973933371, 0.484944677199, [-0.188968240350, -0.145105639899, 0.008323358942]),
    -0.4: (2.592699589585, 0.556161994237, [-0.217539668921, -0.173677068470, 0.013085263704]),
}


def logits() -> Tensor:
    return wave(6, 7, f=0.37, a=3.0).requires_grad_()


@pytest.mark.parametrize("rate", GOLDEN)
def test_the_loss_equals_the_released_code(rate: float) -> None:
    z = logits()
    loss = smoothed_cross_entropy(z, LABELS, rate)
    (gradient,) = torch.autograd.grad(loss, z)
    value, norm, entries = GOLDEN[rate]
    assert loss.item() == pytest.approx(value, rel=1e-10)
    assert gradient.norm().item() == pytest.approx(norm, rel=1e-10)
    assert gradient[[0, 3, 5], [0, 1, 6]].tolist() == pytest.approx(entries, rel=1e-9)


def test_without_a_rate_it_is_cross_entropy_and_with_one_it_is_torchs_label_smoothing():
    z = logits()
    torch.testing.assert_close(smoothed_cross_entropy(z, LABELS, 0.0), F.cross_entropy(z, LABELS))
    torch.testing.assert_close(smoothed_cross_entropy(z, LABELS, 0.3), F.cross_entropy(z, LABELS, label_smoothing=0.3))


@pytest.mark.parametrize(("noise", "classes"), [(0.1, 7), (0.3, 7), (0.4, 10)])
def test_the_rate_that_fits_the_noise_makes_the_expected_loss_that_of_the_right_labels(noise: float, classes: int) -> None:
    z, right = wave(1, classes, f=0.8, a=2.0), 3
    chance = torch.full((classes,), noise / (classes - 1), dtype=torch.float64)
    chance[right] = 1 - noise
    c = noise * classes / (classes - 1)
    losses = torch.stack([smoothed_cross_entropy(z, torch.tensor([k]), -c / (1 - c)) for k in range(classes)])
    torch.testing.assert_close((chance * losses).sum(), F.cross_entropy(z, torch.tensor([right])))


def test_the_default_rate_fits_noise_of_about_fifteen_percent():
    rate = NegativeLabelSmoothing.Config().rate
    c = rate / (1 + rate)
    assert [c * (K - 1) / K for K in (7, 10)] == pytest.approx([1 / 7, 0.15])


def test_against_right_labels_a_negative_rate_has_no_lower_bound():
    z = F.one_hot(LABELS, 7).double()
    losses = torch.stack([smoothed_cross_entropy(s * z, LABELS, -0.2) for s in (10, 100, 1000)])
    assert (losses.diff() < 0).all()
    assert losses[-1] < -100


def test_a_smoothed_label_is_fitted_best_short_of_certainty():
    z = F.one_hot(LABELS, 7).double()
    losses = torch.stack([smoothed_cross_entropy(s * z, LABELS, 0.1) for s in (1, 4, 16, 64)])
    assert losses.argmin() == 1


def test_smoothing_is_there_from_the_first_step():
    method = LabelSmoothing(task((8, 1, 1), 6), LabelSmoothing.Config())
    step = batch(torch.randn(6, 8, 1, 1), LABELS)
    wanted = F.cross_entropy(method(step.images), LABELS, label_smoothing=0.1)
    torch.testing.assert_close(method.training_step(step), wanted)


def test_with_its_papers_recipe_the_negative_part_is_the_one_at_the_least_rate() -> None:
    """main_warmup.py: 0.1, 0.01 and 0.001 for 40 epochs each, then main_GLS_load.py: 1e-6 for 100."""
    own = recipe("paper", own=NegativeLabelSmoothing.own_recipe)
    plan = [0.1] * 40 + [0.01] * 40 + [0.001] * 40 + [1e-6] * 100
    rates = [own.lr * schedule_factor(own, (epoch + within) / 220, 220) for epoch in range(220) for within in (0.001, 0.999)]
    assert rates == pytest.approx([rate for rate in plan for _ in range(2)])
    assert NegativeLabelSmoothing.Config().warm_up == 120 / 220


@pytest.mark.parametrize(("progress", "negative"), [(0.0, False), (0.54, False), (0.55, True), (0.99, True)])
def test_the_negative_rate_comes_after_twelve_twenty_seconds_of_the_schedule(progress: float, negative: bool) -> None:
    method = NegativeLabelSmoothing(task((8, 1, 1), 6), NegativeLabelSmoothing.Config(rate=0.4))
    step = batch(torch.randn(6, 8, 1, 1), LABELS)
    method.progress = progress
    log_p = method(step.images).log_softmax(dim=1)
    plain = -log_p[torch.arange(6), LABELS].mean()
    wanted = 1.4 * plain + 0.4 * log_p.mean() if negative else plain
    torch.testing.assert_close(method.training_step(step), wanted)
