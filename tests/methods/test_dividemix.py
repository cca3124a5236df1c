"""DivideMix: who is believed, what is asked of the others, and how the blends of both are learned from."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from stubs import Labels, fill, task, wave
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import Backbone, Batch, Prediction, Task
from benchmark.methods import dividemix
from benchmark.methods._dividemix import divergence_from_uniform, noisy_log_odds, semi_supervised_losses, wanted
from benchmark.methods.dividemix import DivideMix

# Of Train_cifar.py of LiJunnan1992/DivideMix at d9d3058, whose functions and classes were run as they are, on CPU in float64
# (`.cuda()` as the identity, 50000 samples read as 40), with the inputs that the tests below show. SEMI: SemiLoss, with the
# gradient of Lx + Lu. STEP: one pass of train()'s loop at epoch 18 with warm_up 10, so that lambda_u is half of 25, beta drawn
# as 0.3 and the permutation as PARTNER: the loss, and the gradient by the network's layer. CLEAN: eval_train's probabilities.
SEMI = {
    "losses": (2.362285645661, 0.024041603085),
    "norms": (0.135872412049, 0.006531015616),
    "labelled": [-0.003998855818, -0.004800914723],
    "rest": [-0.000534134131, -0.000149277621],
}
STEP = {
    "loss": 2.269829436564,
    "norm": 0.422467625436,
    "weight": [0.036846947878, -0.060807964042, -0.035902140955],
    "bias": [
        0.044826811527,
        0.202131817758,
        0.059513061909,
        -0.235451823218,
        -0.03164148774,
        -0.022993035298,
        -0.016385344938,
    ],
}
PARTNER = torch.tensor([5, 0, 11, 3, 14, 8, 1, 15, 2, 9, 4, 13, 7, 10, 6, 12])
# fmt: off
CLEAN = [
    0.2743657547, 0.1920700361, 0.9978977003, 0.9520497738, 0.9880048060, 0.9833849941, 0.3934874874, 0.0002979730,
    0.1568175345, 0.9991725938, 0.9917865388, 0.9647130122, 0.3739348995, 0.0071907495, 0.0000109376, 0.8157997035,
    0.9990725024, 0.9844225753, 0.0484402054, 0.0013090621, 0.0130740777, 0.0029437540, 0.9883529790, 0.9628384505,
    0.5476908264, 0.0002186015, 0.0002444136, 0.6138561199, 0.9748904177, 0.9872322892, 0.0018031049, 0.0109360322,
    0.0017229597, 0.0721036784, 0.9861866606, 0.9991119960, 0.7835741348, 0.0000105278, 0.0083109804, 0.4517425488,
]
# fmt: on


def close(found: Tensor, wanted: float | list[float]) -> None:
    torch.testing.assert_close(found.detach(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=1e-11)


class Images(Labels):
    """A training set whose plain images come in two batches, and whose views are set."""

    def __init__(self, pixels: Tensor, labels: Tensor, view: Tensor | None = None):
        super().__init__(labels)
        self.pixels, self.view = pixels, pixels if view is None else view

    def images(self, index: Tensor, *, augmented: bool = False) -> Tensor:
        return (self.view if augmented else self.pixels)[index]

    def batches(self, index: Tensor | None = None, *, augmented: bool = False) -> Iterator[Batch]:
        for part in torch.arange(len(self)).split(30):
            yield self.batch(part)

    def batch(self, index: Tensor | None = None) -> Batch:
        index = torch.arange(len(self)) if index is None else index
        return Batch(self.pixels[index], self.labels[index], index, self)


def as_images(values: Tensor) -> Tensor:
    return values[:, :, None, None]


CODE = DivideMix.Config(**DivideMix.own_options)


def identity(classes: int, samples: int, epochs: int = 300, config: object = CODE) -> DivideMix:
    """Both networks say what the images hold, as logits."""
    method = DivideMix(task((classes, 1, 1), samples, classes=classes, epochs=epochs), config)
    for network in (method.first, method.second):
        network.classifier.weight.data = torch.eye(classes)
        network.classifier.bias.data.zero_()
    return method


def test_both_losses_equal_the_released_code():
    labelled, rest = wave(6, 7, f=0.37, a=2.0).requires_grad_(), wave(4, 7, f=0.61, a=2.0).requires_grad_()
    targets = torch.cat([wave(6, 7, f=0.23).softmax(dim=1), wave(4, 7, f=0.29).softmax(dim=1)])
    found = semi_supervised_losses(torch.cat([labelled, rest]), targets, torch.arange(10) < 6)
    close(torch.stack(found), list(SEMI["losses"]))
    sum(found).backward()
    close(labelled.grad.norm(), SEMI["norms"][0])
    close(rest.grad.norm(), SEMI["norms"][1])
    close(labelled.grad[[0, 5], [0, 6]], SEMI["labelled"])
    close(rest.grad[[0, 3], [0, 6]], SEMI["rest"])


def test_a_step_equals_the_released_code(monkeypatch: pytest.MonkeyPatch):
    """Four labelled images and four others; the code has its views in another order, and so its permutation."""
    method = DivideMix(task((5, 1, 1), 8, epochs=300), CODE).double().train()
    fill(method.first.classifier, 0.9, 0.8)
    fill(method.second.classifier, 1.3, 0.8)
    views = [torch.cat([wave(4, 5, f=f), wave(4, 5, f=g)]) for f, g in ((0.31, 0.53), (0.47, 0.71))]
    step = Images(as_images(views[0]), torch.tensor([0, 3, 6, 1, 5, 5, 5, 5]), as_images(views[1])).batch()
    method.clean[1] = torch.tensor([0.95, 0.6, 0.8, 0.55, 0.5, 0.4, 0.1, 0.0], dtype=torch.float64)
    # Theirs: both views of the labelled, both of the rest. Ours: the first view of all, the second of all.
    theirs = torch.tensor([0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15])
    monkeypatch.setattr(torch, "randperm", lambda n, **_: theirs.argsort()[PARTNER[theirs]])
    share = torch.tensor(0.3, dtype=torch.float64)
    monkeypatch.setattr(dividemix, "draw_share", lambda alpha, device: share if alpha == 4 else None)
    method.progress = 18 / 300
    loss = method.loss(method.first, method.second, method.clean[1], (step.images, step.another_view()), step.labels)
    close(loss, STEP["loss"])
    loss.backward()
    close(method.first.classifier.weight.grad.norm(), STEP["norm"])
    close(method.first.classifier.weight.grad[[0, 3, 6], [0, 2, 4]], STEP["weight"])
    close(method.first.classifier.bias.grad, STEP["bias"])
    assert method.second.classifier.weight.grad is None


def test_the_mixture_equals_the_released_code():
    np.random.seed(0)
    losses = F.cross_entropy(wave(40, 7, f=0.37, a=3.0), (torch.arange(40) * 3) % 7, reduction="none")
    torch.testing.assert_close((-noisy_log_odds(losses)).sigmoid(), torch.tensor(CLEAN).double(), rtol=1e-6, atol=1e-9)


def test_the_larger_losses_are_the_noisy_ones_and_scale_does_not_matter():
    losses = torch.cat([0.1 + 0.05 * torch.rand(80), 3 + 0.3 * torch.rand(40)])
    odds = noisy_log_odds(losses)
    assert (odds[:80] < 0).all()
    assert (odds[80:] > 0).all()
    torch.testing.assert_close(noisy_log_odds(7 * losses + 2), odds, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("losses", [torch.ones(30), torch.zeros(2), torch.tensor([0.0, 1.0]), torch.full((5,), math.nan)])
def test_a_mixture_of_nothing_to_tell_apart_is_still_one(losses):
    assert noisy_log_odds(losses).isfinite().all()


def test_a_labelled_image_is_refined_by_its_w_and_any_other_is_guessed_by_both():
    own, other = torch.tensor([[0.6, 0.4], [0.6, 0.4]]), torch.tensor([[0.0, 1.0], [0.2, 0.8]])
    found = wanted(own, other, torch.tensor([1, 1]), torch.tensor([0.75, 0.25]), torch.tensor([True, False]), 1.0)
    torch.testing.assert_close(found, torch.tensor([[0.15, 0.85], [0.4, 0.6]]))
    sharp = wanted(own, other, torch.tensor([1, 1]), torch.tensor([0.75, 0.25]), torch.tensor([True, False]), 0.5)
    torch.testing.assert_close(sharp, found**2 / (found**2).sum(dim=1, keepdim=True))


def test_a_group_without_images_costs_nothing():
    logits, targets = torch.randn(4, 3), torch.randn(4, 3).softmax(dim=1)
    every, nobody = torch.ones(4, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)
    assert semi_supervised_losses(logits, targets, every)[1] == 0
    assert semi_supervised_losses(logits, targets, nobody)[0] == 0
    torch.testing.assert_close(semi_supervised_losses(logits, targets, every)[0], F.cross_entropy(logits, targets))


def test_the_divergence_is_least_where_all_classes_are_named_alike_and_finite_where_one_is_never():
    assert divergence_from_uniform(9 * torch.eye(4)).abs() < 1e-6
    logits = torch.tensor([[0.0, 1.0, -2.0]])
    by_hand = F.kl_div(logits.log_softmax(dim=1)[0], torch.full((3,), 1 / 3), reduction="sum")
    torch.testing.assert_close(divergence_from_uniform(logits), by_hand)
    assert divergence_from_uniform(torch.tensor([[300.0, 0.0, 0.0]])).isfinite()


@pytest.mark.parametrize(
    ("config", "epochs", "first"),
    [(CODE, 300, 10), (CODE, 12, 1), (CODE, 1, 1), (DivideMix.Config(), 300, 100), (DivideMix.Config(), 12, 4)],
)
def test_the_images_are_divided_anew_at_each_epoch_after_the_warm_up(config, epochs, first):
    method = identity(3, 60, epochs, config).train()
    labels = torch.arange(60) % 3
    pixels = as_images(4 * F.one_hot(torch.where(torch.arange(60) < 20, (labels + 1) % 3, labels), 3).float())
    training_set = Images(pixels, labels)
    for epoch in range(min(epochs, first + 2)):
        method.epoch, method.progress, method.logged = epoch, (epoch + 0.5) / epochs, {}
        method.clean.fill_(1)
        method.begin_epoch(epoch, training_set)
        assert torch.isfinite(method.training_step(training_set.batch(torch.tensor([3, 40]))))
        assert ("labelled" in method.logged) == (epoch >= first)
        if epoch >= first:
            assert torch.equal(method.clean < 0.5, (torch.arange(60) < 20).expand(2, 60))


def test_the_warm_up_is_cross_entropy_for_both():
    method = identity(3, 4)
    step = Images(as_images(torch.randn(4, 3)), torch.tensor([0, 1, 2, 0])).batch()
    torch.testing.assert_close(method.training_step(step), 2 * F.cross_entropy(step.images[:, :, 0, 0], step.labels))


def test_each_network_is_divided_by_its_peer():
    method = identity(3, 4)
    method.clean.copy_(torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]]))
    training_set = Images(as_images(torch.randn(4, 3)), torch.tensor([0, 1, 2, 0]))
    method.epoch, method.progress = 20, 20 / 300
    heard = []
    method.loss = lambda network, peer, clean, views, labels: heard.append((network, peer, clean)) or torch.zeros(())
    method.training_step(training_set.batch(torch.tensor([2, 1])))
    assert [(a is method.first, b is method.first) for a, b, _ in heard] == [(True, False), (False, True)]
    assert [clean.tolist() for _, _, clean in heard] == [[1.0, 0.0], [1.0, 1.0]]


def test_a_mixture_that_believes_nobody_is_not_asked(monkeypatch: pytest.MonkeyPatch):
    method = identity(3, 6)
    odds = iter([torch.full((6,), 0.5), torch.tensor([0.5, 0.5, -2.0, 0.5, 0.5, 0.5])])
    monkeypatch.setattr(dividemix, "noisy_log_odds", lambda losses: next(odds))
    method.begin_epoch(50, Images(torch.zeros(6, 3, 1, 1), torch.arange(6) % 3))
    assert (method.clean[0] == 1).all()
    assert (method.clean[1] > 0.5).tolist() == [False, False, True, False, False, False]


@pytest.mark.parametrize(("epoch", "share"), [(10, 0.0), (18, 0.5), (26, 1.0), (300, 1.0)])
def test_the_rest_counts_more_and_more_until_sixteen_epochs_have_passed(epoch, share):
    """All images are unlabelled and both networks sure of class 0: what is left is the squared error and the divergence."""
    method = identity(3, 4)
    pixels = as_images(torch.tensor([[2.0, 0.0, 0.0]]).repeat(4, 1))
    step = Images(pixels, torch.ones(4, dtype=torch.long)).batch()
    method.progress = epoch / 300
    loss = method.loss(method.first, method.second, torch.zeros(4), (step.images, step.another_view()), step.labels)
    p = pixels[:1, :, 0, 0].softmax(dim=1)
    error = ((p - p**2 / (p**2).sum()) ** 2).mean()
    torch.testing.assert_close(loss, 25 * share * error + divergence_from_uniform(pixels[:, :, 0, 0]))


class Normed(Backbone):
    """A batch norm, which tells in which mode it was asked."""

    feature_shape = (3, 1, 1)

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.modes = nn.BatchNorm2d(3), []

    def forward(self, images: Tensor) -> Tensor:
        self.modes.append("train" if self.training else "eval")
        return self.norm(images)


def test_guesses_come_from_the_batchs_statistics_for_a_network_and_from_the_running_ones_for_its_peer():
    method = DivideMix(Task(3, 8, (3, 1, 1), 300, 8, Normed), DivideMix.Config()).train()
    step = Images(torch.randn(8, 3, 1, 1), torch.arange(8) % 3).batch()
    method.loss(method.first, method.second, torch.rand(8), (step.images, step.another_view()), step.labels).backward()
    assert method.first.backbone.modes == ["train", "train", "train"]
    assert method.second.backbone.modes == ["eval", "eval"]
    assert method.second.training
    assert method.second.backbone.norm.num_batches_tracked == 0
    assert method.second.classifier.weight.grad is None


def test_the_prediction_is_the_argmax_of_the_codes_sum_and_sure_but_once():
    method = identity(3, 4).eval()
    images = as_images(torch.tensor([[1.0, 0.0, 0.5]]))
    method.second.classifier.weight.data *= 3
    logits, uncertainty = method.predict(images)
    torch.testing.assert_close(2 * logits, method.first(images) + method.second(images))
    torch.testing.assert_close(uncertainty, 1 - logits.softmax(dim=1).amax(dim=1))
    assert method.features(images).shape == (1, 6)


def test_the_noise_score_orders_as_one_minus_w_does_and_is_not_tied():
    method = identity(3, 60).eval()
    labels = torch.arange(60) % 3
    truth = torch.where(torch.arange(60) < 20, (labels + 1) % 3, labels)
    training_set = Images(as_images(F.one_hot(truth, 3) * (3 + 2 * torch.rand(60, 1))), labels)
    score = method.noise_score(Prediction(torch.zeros(60, 3), torch.zeros(60)), training_set)
    assert score.shape == (60,)
    assert score[:20].min() > score[20:].max()
    assert len(score.unique()) > 50
    odds = method.log_odds(training_set)
    mean = odds.double().sigmoid().mean(dim=0)
    torch.testing.assert_close(score.double().sigmoid(), mean, rtol=1e-4, atol=1e-6)


def test_the_defaults_are_the_released_codes_but_for_the_warm_up():
    code = {"p_threshold": 0.5, "temperature": 0.5, "alpha": 4.0, "unlabelled_weight": 25.0, "ramp": 16 / 300}
    assert DivideMix.Config() == DivideMix.Config(warm_up=1 / 3, **code)
    assert DivideMix.Config(**DivideMix.own_options) == DivideMix.Config(warm_up=10 / 300, **code)


def test_the_division_outlives_a_checkpoint():
    method, resumed = identity(3, 4), identity(3, 4)
    method.clean[0, 2] = 0.25
    resumed.load_state_dict(method.state_dict())
    assert resumed.clean[0, 2] == 0.25
