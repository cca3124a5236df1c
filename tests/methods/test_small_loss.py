"""What co-teaching, co-teaching+ and JoCoR share: who is remembered, how many, and how the share of wrong labels is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from stubs import Labels, task
from torch import Tensor
from torch.nn import functional as F

from benchmark.contract import Batch
from benchmark.methods._small_loss import (
    MOST_FORGOTTEN,
    OWN_RECIPE,
    SmallLossConfig,
    SmallLossPair,
    estimated_rate,
    mean_where,
    remembered_share,
    smallest,
)
from benchmark.spec import recipe
from benchmark.train.optimise import schedule_factor


class Images(Labels):
    """A training set whose plain images come in two batches."""

    def __init__(self, pixels: Tensor, labels: Tensor):
        super().__init__(labels)
        self.pixels = pixels

    def batches(self, index: Tensor | None = None, *, augmented: bool = False) -> Iterator[Batch]:
        assert index is None
        assert not augmented
        for part in torch.arange(len(self)).split(60):
            yield Batch(self.pixels[part], self.labels[part], part, self)


class Plain(SmallLossPair):
    """A method that notes which share it was given."""

    def pair_loss(self, first: Tensor, second: Tensor, labels: Tensor, share: Tensor) -> Tensor:
        self.share = share
        return first.sum() + second.sum()


def told(rate: float | None, epochs: int = 200, samples: int = 4, **options: float) -> Plain:
    return Plain(replace(task((8, 1, 1), samples, epochs=epochs), noise_rate=rate), SmallLossConfig(**options))


def test_the_share_falls_linearly_over_t_k_and_stays():
    config = SmallLossConfig(gradual=0.05)
    shares = [remembered_share(torch.tensor(0.4), t, config) for t in (-1.0, 0.0, 0.0125, 0.025, 0.05, 0.9)]
    torch.testing.assert_close(torch.stack(shares), torch.tensor([1.0, 1.0, 0.9, 0.8, 0.6, 0.6]))


def test_the_smallest_losses_are_those_of_a_sorted_list():
    losses = torch.tensor([0.5, 3.0, 0.1, 2.0, 1.0])
    assert smallest(losses, torch.tensor(0.6)).tolist() == [True, False, True, False, True]
    assert smallest(losses, torch.tensor(0.79)).sum() == 3
    assert smallest(losses, torch.tensor(1.0)).all()


def test_the_count_is_exact_in_float32():
    """As worked out in whole numbers: floor(7 * n / 10)."""
    share = remembered_share(torch.tensor(0.3), 1.0, SmallLossConfig())
    counts = [int(smallest(torch.rand(n), share).sum()) for n in range(1, 130)]
    assert counts == [max(1, 7 * n // 10) for n in range(1, 130)]


def test_one_loss_is_always_chosen_but_never_from_nobody():
    losses = torch.tensor([0.5, 0.2, 0.9])
    assert smallest(losses, torch.tensor(0.01)).tolist() == [False, True, False]
    assert not smallest(losses, torch.tensor(0.9), torch.zeros(3, dtype=torch.bool)).any()


def test_only_those_who_may_be_are_chosen_and_the_share_is_of_them():
    losses = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    among = torch.tensor([False, True, False, True, True, True])
    assert smallest(losses, torch.tensor(0.5), among).tolist() == [False, True, False, True, False, False]


def test_choosing_passes_no_gradient_and_waits_for_nothing():
    losses = torch.rand(6, requires_grad=True)
    chosen = smallest(losses, torch.tensor(0.5))
    assert not chosen.requires_grad
    mean_where(losses, chosen).backward()
    torch.testing.assert_close(losses.grad, chosen / 3)
    assert mean_where(losses, torch.zeros(6, dtype=torch.bool)) == 0


def test_who_is_told_the_rate_forgets_from_the_first_step_and_reads_no_images():
    pair = told(0.4, warm_up=0.0)
    pair.begin_epoch(0, Labels(torch.zeros(4, dtype=torch.long)))
    for progress, share in ((0.0, 1.0), (0.025, 0.8), (0.05, 0.6), (1.0, 0.6)):
        pair.progress = progress
        pair.training_step(Batch(torch.randn(4, 8, 1, 1), torch.zeros(4, dtype=torch.long), torch.arange(4), None))
        torch.testing.assert_close(pair.share, torch.tensor(share))


def test_a_known_rate_of_zero_is_not_an_unknown_rate():
    pair = told(0.0, warm_up=0.0)
    pair.begin_epoch(3, Labels(torch.zeros(4, dtype=torch.long)))  # an estimate would ask for images
    assert pair.tau == 0


def test_the_estimate_tells_the_networks_errors_from_wrong_labels():
    """Each network errs on half of the images, they differ on half, and 30 % of the labels are wrong."""
    k = torch.arange(400)
    truth, group = k % 7, k // 10 % 4  # in group 0 both err alike, in 1 the first, in 2 the second, in 3 none
    first, second = (torch.where((group == 0) | (group == own), (truth + 2) % 7, truth) for own in (1, 2))
    labels = torch.where(k % 10 < 3, (truth + 1) % 7, truth)
    assert (first != labels).float().mean() > 0.6
    torch.testing.assert_close(estimated_rate(first, second, labels), torch.tensor(0.3))


@pytest.mark.parametrize("wrong", [0, 7, 21, 42])
def test_networks_that_never_err_find_the_share_of_wrong_labels(wrong):
    truth = torch.arange(140) % 7
    labels = torch.where(torch.arange(140) < wrong, (truth + 1) % 7, truth)
    torch.testing.assert_close(estimated_rate(truth, truth, labels), torch.tensor(wrong / 140))


def test_the_estimate_is_between_nothing_and_half():
    truth = torch.arange(140) % 7
    assert estimated_rate(truth, truth, (truth + 1) % 7) == MOST_FORGOTTEN
    assert estimated_rate(truth, (truth + 1) % 7, truth) == 0  # they differ everywhere, so 1 - q is 0
    assert estimated_rate(truth, torch.where(truth < 3, truth + 1, truth), truth) == 0


def pair_that_knows(wrong: int, epochs: int) -> tuple[Plain, Images]:
    """140 images of which a pair knows the truth, and their labels, the first `wrong` of which are not it."""
    truth = torch.arange(140) % 7
    pair = Plain(task((7, 1, 1), 140, epochs=epochs), SmallLossConfig())
    for network in (pair.first, pair.second):
        network.classifier.weight.data = torch.eye(7)
        network.classifier.bias.data.zero_()
    pixels = F.one_hot(truth, 7).float()[:, :, None, None]
    return pair, Images(pixels, torch.where(torch.arange(140) < wrong, (truth + 1) % 7, truth))


@pytest.mark.parametrize(("epochs", "first"), [(200, 100), (12, 6), (5, 3), (1, 1)])
def test_who_is_not_told_learns_from_everything_for_half_of_the_schedule(epochs, first):
    pair, training_set = pair_that_knows(35, epochs)
    step = Batch(training_set.pixels[:4], training_set.labels[:4], torch.arange(4), training_set)
    for epoch in range(epochs):
        pair.epoch, pair.progress, pair.share = epoch, (epoch + 0.5) / epochs, None
        pair.begin_epoch(epoch, training_set)
        loss = pair.training_step(step)
        assert pair.tau == (0.25 if epoch >= first else 0), epoch
        assert (pair.share is None) == (epoch < first), epoch
        if epoch < first:
            torch.testing.assert_close(loss, 2 * F.cross_entropy(pair.first(step.images), step.labels))
        elif epochs == 200:  # ten epochs until as much is forgotten as tau says
            torch.testing.assert_close(pair.share, torch.tensor(1 - 0.25 * min((epoch + 0.5 - 100) / 10, 1)))


def test_the_estimate_stays_as_it_was_at_the_end_of_the_warm_up():
    """Networks that learn from each other's choices err alike, and no longer tell how often they err."""
    pair, training_set = pair_that_knows(35, 200)
    pair.begin_epoch(100, training_set)
    pair.begin_epoch(101, pair_that_knows(70, 200)[1])
    assert pair.tau == 0.25


def test_the_estimate_hears_both_networks():
    pair, training_set = pair_that_knows(35, 200)
    pair.second.classifier.weight.data = torch.eye(7).roll(1, dims=0)  # which now says one class too high
    pair.begin_epoch(100, training_set)
    assert pair.tau == 0


def test_what_was_found_outlives_a_checkpoint():
    (pair, training_set), (resumed, _) = pair_that_knows(35, 200), pair_that_knows(35, 200)
    pair.begin_epoch(100, training_set)
    resumed.load_state_dict(pair.state_dict())
    assert resumed.tau == 0.25


def test_the_first_network_alone_predicts():
    pair = told(None).eval()
    images = torch.randn(1, 8, 1, 1)
    logits, uncertainty = pair.predict(images)
    torch.testing.assert_close(logits, pair.first(images))
    torch.testing.assert_close(uncertainty, 1 - logits.softmax(dim=1).amax(dim=1))
    assert not torch.equal(pair.first.classifier.weight, pair.second.classifier.weight)


def test_the_papers_rate_falls_nearly_linearly_from_two_fifths_of_the_schedule_on():
    """Co-teaching, main.py: constant up to epoch 80 of 200, then (200 - epoch) / 120."""
    own = recipe("paper", own=OWN_RECIPE)
    for epoch in range(200):
        line = min(1.0, (200 - epoch) / 120)
        assert line / 1.5 <= schedule_factor(own, epoch / 200, 200) <= line * 1.5 + 1 / 24
