"""Rates over a stage, and groups with a will of their own."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch

from benchmark.spec import SGD_RECIPE, recipe
from benchmark.train.optimise import Optimiser, schedule_factor

RECIPE = SGD_RECIPE


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing():
    factors = [schedule_factor(RECIPE, k / 100, 12) for k in range(101)]
    assert factors[0] == factors[100] == 0
    assert max(factors) == schedule_factor(RECIPE, RECIPE.warmup, 12) == 1
    assert factors.index(max(factors)) == 15


def test_exponential_decays_by_the_epoch():
    falling = dataclasses.replace(RECIPE, schedule="exponential", decay=0.9)
    assert [schedule_factor(falling, p, 10) for p in (0, 0.09, 0.1, 0.5)] == pytest.approx([1, 1, 0.9, 0.9**5])


def test_a_cosine_falls_to_its_floor_as_often_as_it_is_told():
    twice = dataclasses.replace(RECIPE, schedule="cosine", cycles=2, floor=0.1)
    assert [schedule_factor(twice, p, 10) for p in (0, 0.25, 0.4999999, 0.5, 0.75)] == pytest.approx([1, 0.55, 0.1, 1, 0.55])


def test_steps_are_taken_at_the_milestones():
    stepped = dataclasses.replace(RECIPE, schedule="step", milestones=(0.5, 0.75), decay=0.1)
    assert [schedule_factor(stepped, p, 4) for p in (0, 0.49, 0.5, 0.8)] == pytest.approx([1, 1, 0.1, 0.01])
    assert schedule_factor(dataclasses.replace(RECIPE, schedule="constant"), 0.9, 4) == 1


def test_a_milestone_that_is_named_twice_counts_twice():
    stepped = dataclasses.replace(RECIPE, schedule="step", milestones=(0.5, 0.75, 0.75), decay=0.1)
    assert [schedule_factor(stepped, p, 4) for p in (0.5, 0.74, 0.75)] == pytest.approx([0.1, 0.1, 0.001])


def groups():
    a, b, c = (torch.nn.Parameter(torch.ones(1)) for _ in range(3))
    return [
        {"params": [a]},
        {"params": [b], "lr": 5.0, "weight_decay": 0.0, "schedule": "constant"},
        {"params": [c], "optimizer": "adam", "lr": 0.5},
    ], (a, b, c)


def test_a_group_may_have_its_own_rate_schedule_and_optimiser():
    given, (a, b, c) = groups()
    optimiser = Optimiser(given, RECIPE, torch.device("cpu"))
    optimiser.set_progress(0.0, 12)
    rates = [group["lr"] for part in optimiser.parts for group in part.param_groups]
    assert rates == [0.0, 5.0, 0.0]
    assert [type(part).__name__ for part in optimiser.parts] == ["SGD", "Adam"]
    (a + b + c).sum().backward()
    optimiser.step()
    assert (a.item(), b.item(), c.item()) == (1.0, -4.0, 1.0)


def test_its_state_survives_a_checkpoint():
    def stepped(optimiser, parameters, count):
        for k in range(count):
            optimiser.set_progress(0.1 * (k + 1), 12)
            sum((p**2).sum() for p in parameters).backward()
            optimiser.step()
            for p in parameters:
                p.grad = None

    given, parameters = groups()
    straight = Optimiser(given, RECIPE, torch.device("cpu"))
    stepped(straight, parameters, 2)
    other_given, other = groups()
    for mine, theirs in zip(other, parameters, strict=True):
        mine.data.copy_(theirs.data)
    resumed = Optimiser(other_given, RECIPE, torch.device("cpu"))
    resumed.load_state_dict(copy.deepcopy(straight.state_dict()))
    stepped(straight, parameters, 2)
    stepped(resumed, other, 2)
    assert [p.item() for p in parameters] == [p.item() for p in other]


@pytest.mark.parametrize(
    ("group", "wanted"),
    [
        ({"optimizer": "lion"}, "there are sgd and adam"),
        ({"schedule": "const"}, "there is constant"),
        ({"weightdecay": 0.0}, "the key 'weightdecay'"),
    ],
)
def test_a_group_that_is_misspelt_is_an_error(group, wanted):
    with pytest.raises(ValueError, match=wanted):
        Optimiser([{"params": [torch.nn.Parameter(torch.ones(1))], **group}], RECIPE, torch.device("cpu"))


def test_a_parameter_in_two_groups_is_an_error():
    shared = torch.nn.Parameter(torch.ones(1))
    with pytest.raises(ValueError, match="two groups"):
        Optimiser([{"params": [shared]}, {"params": [shared], "optimizer": "adam"}], RECIPE, torch.device("cpu"))


def test_a_run_of_one_step_learns():
    import numpy as np

    from benchmark.contract import NoOptions
    from benchmark.methods.ce import CrossEntropy
    from benchmark.train.trainer import Trainer
    from benchmark.train.training_set import DeviceSet

    images = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 1), dtype=np.uint8)
    half = np.full(1, 0.5, np.float32)
    few = DeviceSet(images, np.arange(16) % 3, None, mean=half, std=half, device=torch.device("cpu"))
    one_step = recipe("common", epochs=1, batch_size=16)
    trainer = Trainer(
        CrossEntropy, NoOptions(), few, None, num_classes=3, recipe=one_step, backbone="small", precision="fp32", seed=0
    )
    before = {name: p.clone() for name, p in trainer.method.named_parameters()}
    trainer.train_epoch()
    assert any(not torch.equal(before[name], p) for name, p in trainer.method.named_parameters())
