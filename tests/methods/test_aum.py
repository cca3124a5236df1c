"""AUM: margins and flags of the released code, threshold samples, and the three trainings."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from stubs import Identity, Labels, batch, task, wave
from torch import Tensor, nn

from benchmark.contract import Task
from benchmark.contract.method import Batch
from benchmark.methods.aum import AUM, draw_threshold_samples, flagged, margins

# AUMCalculator of the aum package at 892e76e after an update with each of wave(6, 5, f=0.37 + 0.21 * e, a=3.0), e = 0, 1, 2.
GOLDEN_AUM = [-1.361565028697, -1.788946606776, -1.497503291786, -1.694143714199, -1.89387454634, -4.042813862577]
# Its runner's generate_aum_details on each of the two rows of `measured`, and the weights that its train_epoch makes of both:
# how many each flags (threshold samples with the rest); how many are removed, the sums of their indices and of the indices'
# squares, and the first of them.
GOLDEN_FLAGGED = [352, 361]
GOLDEN_REMOVED = (142, 54450, 28205726, [11, 12, 18, 26, 27, 33, 47, 48, 54, 61, 62, 63])
GOLDEN_THRESHOLD_SAMPLES = [120, 120]  # sizes of its runner's two sets, of 840 samples with 7 classes


def measured() -> tuple[Tensor, Tensor]:
    """AUMs (2, 840) that are low for 120 threshold samples each, and which network (840,) these are of."""
    aum = torch.stack([wave(840, f=0.37, a=2.0), wave(840, f=0.87, a=2.0)]).float()
    network = torch.full((840,), -1)
    for k in range(2):
        own = (torch.arange(120) * 3 + 400 * k) % 840
        network[own] = k
        aum[k, own] -= 3
    return aum, network


def learner(samples: int = 840, classes: int = 7, epochs: int = 12, **options: object) -> AUM:
    return AUM(task((8, 1, 1), samples, classes=classes, epochs=epochs), AUM.Config(**options))


def at(method: AUM, stage: int, within: int = 0) -> AUM:
    method.stage, method.epoch = stage, sum(method.stages(method.task.epochs)[:stage]) + within
    return method


def test_the_mean_margin_is_that_of_the_released_code() -> None:
    labels = torch.tensor([0, 3, 4, 1, 2, 3])
    found = torch.stack([margins(wave(6, 5, f=0.37 + 0.21 * e, a=3.0), labels) for e in range(3)]).mean(dim=0)
    torch.testing.assert_close(found, torch.tensor(GOLDEN_AUM, dtype=torch.float64), rtol=1e-10, atol=0)


def test_what_is_flagged_and_removed_is_what_the_released_code_flags_and_removes() -> None:
    aum, network = measured()
    assert [flagged(aum[k], aum[k, network == k], 0.99).sum().item() for k in range(2)] == GOLDEN_FLAGGED
    method = learner()
    method.aum.copy_(aum)
    method.threshold_of.copy_(network)
    removed = (~method.passed(torch.arange(840) % 7)).nonzero()[:, 0]
    found = len(removed), removed.sum().item(), removed.square().sum().item(), removed[:12].tolist()
    assert found == GOLDEN_REMOVED


def test_training_measures_the_margins_of_the_step_with_the_threshold_samples_in_the_extra_class() -> None:
    """The golden margins again, through the whole step: the images are the logits, and a third epoch is the last measured."""
    eye = nn.Parameter(torch.eye(5, dtype=torch.float64))
    method = AUM(task((5, 1, 1), 6, classes=4, epochs=4), AUM.Config()).double().train()
    method.classifier.weight, method.classifier.bias = eye, nn.Parameter(torch.zeros(5, dtype=torch.float64))
    labels = torch.tensor([0, 3, 2, 1, 2, 3])
    method.threshold_of[2] = 0  # its label counts as the fifth class
    assert method.stages(4) == [4, 4, 4]
    for within, waves in enumerate([None, 0, 1, 2]):
        images = torch.randn(6, 5).double() if waves is None else wave(6, 5, f=0.37 + 0.21 * waves, a=3.0)
        at(method, 0, within).training_step(batch(images[:, :, None, None], labels))
    torch.testing.assert_close(method.aum[0], torch.tensor(GOLDEN_AUM, dtype=torch.float64), rtol=1e-10, atol=0)
    assert (method.aum[1] == 0).all()


def test_threshold_samples_are_as_many_as_in_the_released_code_random_and_disjoint() -> None:
    first, second = (draw_threshold_samples(torch.zeros(840), 7) for _ in range(2))
    for network in (first, second):
        assert [(network == k).sum().item() for k in range(2)] == GOLDEN_THRESHOLD_SAMPLES
        assert (network == -1).sum() == 840 - 240
    assert not torch.equal(first, second)
    assert (draw_threshold_samples(torch.zeros(9), 2) >= 0).sum() == 8


def test_a_sample_is_flagged_below_more_than_one_percent_of_the_threshold_samples() -> None:
    threshold = torch.arange(200.0)
    aum = torch.tensor([196.9, 197.0, 197.5, 198.0, 300.0, -1.0])
    assert flagged(aum, threshold, 0.99).tolist() == [True, False, False, False, False, True]
    assert flagged(aum, threshold, 0.5).tolist() == [False, False, False, False, False, True]
    assert not flagged(aum, threshold[:0], 0.99).any()


def test_a_sample_goes_only_if_every_network_that_measured_it_flags_it() -> None:
    method = learner(samples=8, classes=2)
    method.threshold_of.copy_(torch.tensor([0, 1, -1, -1, -1, -1, -1, -1]))
    method.aum.copy_(torch.tensor([[0.0, -1, -1, 1, -1, 1, 1, 1], [-1.0, 0, -1, -1, 1, 1, 1, 1]]))
    # 0 and 1 are threshold samples once and bad in the other network; 2 is bad in both, 3 and 4 in one.
    assert method.passed(torch.arange(8) % 2).tolist() == [False, False, False, True, True, True, True, True]


def test_a_class_keeps_its_best_image_where_all_would_go() -> None:
    method = learner(samples=8, classes=3)
    method.threshold_of.copy_(torch.tensor([0, 1, -1, -1, -1, -1, -1, -1]))
    method.aum.copy_(torch.tensor([[0.0, 5, -1, -2, -3, 1, 1, 1], [5.0, 0, -3, -1, -3, 1, 1, 1]]))
    labels = torch.tensor([0, 0, 1, 1, 1, 0, 0, 0])  # and nobody is labelled 2
    assert method.passed(labels).tolist() == [True, True, False, True, False, True, True, True]


def test_two_networks_measure_for_their_share_of_the_schedule_and_the_last_has_all_of_it() -> None:
    assert learner(epochs=12).stages(12) == [12, 12, 12]
    assert learner(epochs=12, measure_share=0.5).stages(12) == [6, 6, 12]
    assert learner(epochs=1, measure_share=0.5).stages(1) == [1, 1, 1]


def test_the_rate_is_constant_while_margins_are_measured() -> None:
    method = learner()
    for stage, wanted in enumerate(["constant", "constant", None]):
        (group,) = at(method, stage).param_groups(0.1)
        assert group.get("schedule") == wanted
        assert len(group["params"]) == len(list(method.parameters()))


def counting(samples: int, epochs: int) -> tuple[AUM, Callable[[int, int], None]]:
    """An AUM whose every margin is 2, and its step."""
    method = learner(samples, classes=2, epochs=epochs, measure_share=0.5)
    method.classifier.weight.data.zero_()
    method.classifier.bias.data = torch.tensor([3.0, 1.0, -9.0])
    step = batch(torch.zeros(samples, 8, 1, 1), torch.zeros(samples, dtype=torch.long))
    return method, lambda stage, within: at(method, stage, within).training_step(step)


@pytest.mark.parametrize("epochs", [12, 4, 1])
def test_the_first_epoch_is_not_measured_unless_there_is_but_one(epochs: int) -> None:
    method, step = counting(4, epochs)
    length = method.stages(epochs)[0]
    for stage in range(2):
        for within in range(length):
            step(stage, within)
            measured = (within + 1) if length == 1 else within
            share = measured / max(1, length - 1)
            torch.testing.assert_close(method.aum[stage], torch.full((4,), 2.0 * share))
    before = method.aum.clone()
    for within in range(epochs):
        step(2, within)
    assert torch.equal(method.aum, before)


def test_margins_find_a_batchs_samples_in_the_whole_set() -> None:
    method, _ = counting(6, 4)  # stages of 2, 2 and 4 epochs
    index = torch.tensor([4, 1])
    labels = torch.zeros(6, dtype=torch.long)
    at(method, 1, 1).training_step(Batch(torch.zeros(2, 8, 1, 1), labels[index], index, Labels(labels)))
    assert method.aum.tolist() == [[0] * 6, [0, 2, 0, 0, 2, 0]]


def test_threshold_samples_learn_the_extra_class_in_their_network_alone() -> None:
    method = learner(samples=4, classes=3, epochs=4)
    method.threshold_of.copy_(torch.tensor([0, 1, -1, -1]))
    labels = torch.tensor([0, 1, 2, 0])
    images = torch.randn(4, 8, 1, 1)
    logits = method.classifier(images[:, :, 0, 0])
    for stage, taught in ((0, [3, 1, 2, 0]), (1, [0, 3, 2, 0])):
        loss = at(method, stage).training_step(batch(images, labels))
        torch.testing.assert_close(loss, nn.functional.cross_entropy(logits, torch.tensor(taught)))
    loss = at(method, 2).training_step(batch(images, labels))
    torch.testing.assert_close(loss, nn.functional.cross_entropy(logits[:, :3], labels))
    assert labels.tolist() == [0, 1, 2, 0]
    assert method.eval().predict(images[:1]).logits.shape == (1, 3)


def test_the_noise_score_averages_over_the_networks_in_which_it_was_no_threshold_sample() -> None:
    method = learner(samples=3, classes=2)
    method.threshold_of.copy_(torch.tensor([0, 1, -1]))
    method.aum.copy_(torch.tensor([[10.0, 1.0, 2.0], [3.0, 10.0, 4.0]]))
    step = batch(torch.zeros(3, 8, 1, 1), torch.zeros(3, dtype=torch.long))
    assert method.noise_score(method.eval().predict(step.images), step.training_set).tolist() == [-3, -1, -3]


class Fresh(Identity):
    """A backbone with a weight that tells which it is."""

    made = 0

    def __init__(self) -> None:
        super().__init__((8, 1, 1))
        self.number = nn.Parameter(torch.tensor(float(Fresh.made)))
        Fresh.made += 1


@torch.no_grad()
def test_each_stage_has_a_fresh_network_and_the_last_trains_on_what_passed() -> None:
    Fresh.made = 0
    method = AUM(Task(7, 840, (8, 1, 1), 12, 64, Fresh), AUM.Config())
    images = Labels(torch.arange(840) % 7)
    weights = []
    for stage in range(3):
        at(method, stage).begin_stage(stage, images)
        if stage < 2:
            assert method.begin_epoch(method.epoch, images).tolist() == list(range(840))
        assert method.backbone.number == stage
        weights.append(method.classifier.weight.clone())
        if stage == 1:
            aum, network = measured()
            method.aum.copy_(aum)
            method.threshold_of.copy_(network)
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
    chosen = method.begin_epoch(24, images)
    assert len(chosen) == 840 - GOLDEN_REMOVED[0]
    assert not set(chosen.tolist()) & set(GOLDEN_REMOVED[3])
    resumed = AUM(Task(7, 840, (8, 1, 1), 12, 64, Fresh), AUM.Config())
    resumed.load_state_dict(method.state_dict())
    assert torch.equal(at(resumed, 2).begin_epoch(25, images), chosen)
