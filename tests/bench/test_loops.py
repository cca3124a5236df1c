"""The harness is measured in an epoch in which all of a method is at work; the bare loop does the same steps and no more."""

from __future__ import annotations

import pytest
import torch
from diary import Diary, setting
from torch import nn

from benchmark.bench import loops
from benchmark.bench.loops import Bare, Harness, stage_of_interest
from benchmark.bench.run import Wanted, checked


@pytest.mark.parametrize(("stages", "which"), [([12], 0), ([4, 4, 12], 2), ([12, 12], 1), ([12, 3], 0), ([1], 0)])
def test_the_longest_stage_is_measured_and_of_equals_the_last(stages, which):
    assert stage_of_interest(stages) == which


def test_each_stage_is_begun_once_and_then_its_last_epoch_but_one_is_done_over_and_over():
    harness = Harness(setting(), steps=2)
    harness.begin()
    for _ in range(3):
        harness.step()
    epochs = [(stage, epoch) for stage, epoch, _ in harness.trainer.method.seen]
    assert epochs == [(0, 0), (1, 2), (2, 7), *[(2, 10)] * 4]
    assert harness.trainer.method.begun.tolist() == [1, 1, 1]


def test_a_step_is_an_epochs_time_as_much_as_falls_to_a_batch(monkeypatch):
    def clock(work, device):
        work()
        return 6.0

    harness = Harness(setting(), steps=4)
    harness.begin()
    monkeypatch.setattr(loops, "seconds", clock)
    assert harness.step() == 6.0 / 2  # 16 of 32 images are trained on: two batches of eight
    assert Bare(harness).step() == 6.0 / 4


def test_the_harness_trains_as_in_a_run_and_leaves_torch_as_it_was():
    assert not torch.are_deterministic_algorithms_enabled()
    harness = Harness(setting(), steps=2)
    harness.begin()
    harness.step(), harness.evaluation(), harness.reading(augmented=True)
    assert {deterministic for *_, deterministic in harness.trainer.method.seen} == {True}
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_bare_loop_starts_where_the_harness_is():
    harness = Harness(setting(), steps=2)
    harness.begin()
    bare = Bare(harness)
    mine, theirs = bare.method, harness.trainer.method
    assert mine is not theirs
    assert (mine.stage, mine.epoch, mine.training) == (2, 10, True)
    assert mine.begun.tolist() == [1, 1, 1]
    assert bare.batch.images.is_contiguous(memory_format=torch.channels_last)
    assert bare.batch.images.dtype == torch.float32


def test_the_bare_loop_takes_the_optimisers_steps():
    """As many as it says, on one batch, from the harness's weights."""
    harness = Harness(setting(), steps=3)
    harness.begin()
    bare = Bare(harness)
    by_hand = Diary(bare.method.task, None)
    by_hand.load_state_dict(harness.trainer.method.state_dict())
    lr = 2e-3 * (1 - 4 / 5) / (1 - 0.15)  # of the common recipe, after four of five epochs
    adam = torch.optim.Adam(by_hand.parameters(), lr=lr, weight_decay=1e-4)
    bare.step()
    for _ in range(1 + 3):  # the first when it is made
        by_hand.training_step(bare.batch).backward()
        adam.step()
        adam.zero_grad()
    torch.testing.assert_close(bare.method.layer.weight, by_hand.layer.weight, rtol=1e-4, atol=1e-5)
    assert all(p.grad is None for p in bare.method.parameters())


def test_a_compiled_loop_takes_the_same_steps_by_what_torch_has_compiled(monkeypatch):
    def compiled(function, mode):
        return lambda batch: modes.append(mode) or function(batch)

    modes: list[str] = []
    monkeypatch.setattr(torch, "compile", compiled)
    harness = Harness(setting(), steps=3)
    harness.begin()
    plain, loop = Bare(harness), Bare(harness, compiled=True)
    plain.step()
    torch.testing.assert_close(loop.method.layer.weight, plain.method.layer.weight, rtol=1e-6, atol=1e-7)
    assert modes == ["default"] * (1 + 3)  # all when it is made: what is timed is compiled by then


def test_a_bare_evaluation_predicts_the_same_images():
    harness = Harness(setting(), steps=2)
    harness.begin()
    seen = []
    method = harness.trainer.method
    nn.Module.register_forward_pre_hook(method.layer, lambda _, given: seen.append(given[0].sum()))
    harness.evaluation()
    harness.bare_evaluation()
    assert len(seen) == 2 * loops.EVALUATION_BATCHES
    assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]


def test_told_methods_hear_made_up_facts():
    class Told(Diary):
        privilege = ("votes", "noise_rate", "transition")

    task = Harness(setting(Told), steps=2).trainer.method.task
    assert task.votes.shape == (16, 7)
    assert task.noise_rate == 0.2
    torch.testing.assert_close(task.transition.sum(dim=1), torch.ones(7))


def test_images_are_brought_to_what_a_backbone_wants_as_in_a_run():
    wanted = Wanted(methods=["ce"], backbones=["dlib-resnet29"], batch_size=2, device="cpu", precision="fp32", threads=1)
    ((made,), _) = checked(wanted)
    assert (made.image_size, made.side) == (48, 150)
    seen = []
    images = made.images(2)
    method = made.trainer(images).method.eval()
    method.backbone.net.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    method.predict(images.images(torch.arange(2)))
    assert seen == [(2, 3, 150, 150)]
