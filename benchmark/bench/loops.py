"""The loops that are compared: the harness's own, and the bare one that does nothing but step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from ..contract.method import Batch
from ..train.optimise import Optimiser
from ..train.training_set import DeviceSet
from .clock import as_in_a_run, seconds
from .setting import Setting

EVALUATION_BATCHES = 8
READINGS = 4
"""Batches that are read for one time of reading them."""


def stage_of_interest(stages: Sequence[int]) -> int:
    """The longest stage, and of equals the last: where a run spends its time."""
    return max(range(len(stages)), key=lambda k: (stages[k], k))


class Harness:
    """A training by `Trainer`, of which one epoch is done over and over: the last but one of its longest stage.

    By then everything that a method begins late (relabelling, a second network's choice) has begun, and what is done once at
    the end of a training is not part of it. The epochs that lead there are left out, but for the first of each stage; a stage
    of one epoch has no other to measure, and its beginning counts.
    """

    def __init__(self, setting: Setting, steps: int):
        """`steps`: of the epoch, where the method trains on all images once."""
        self.setting, self.steps = setting, steps
        self.images = setting.images(steps * setting.batch_size)
        self.trainer = setting.trainer(self.images)
        stages = self.trainer.stages
        self.stage = stage_of_interest(stages)
        self.first = [sum(stages[:k]) for k in range(self.stage + 1)]  # epoch of each stage that is begun
        self.epoch = self.first[-1] + max(0, stages[self.stage] - 2)
        self._index = torch.arange(setting.batch_size, device=setting.device)

    @cached_property
    def test(self) -> DeviceSet:
        """Images to be predicted; they are no part of a training's memory."""
        return self.setting.images(EVALUATION_BATCHES * self.images.evaluation_batch)

    @cached_property
    def _ready(self) -> list[Tensor]:
        return [batch.images for batch in self.test.batches()]

    def begin(self) -> None:
        """Trains the first epoch of each stage, and once the one that is measured."""
        with as_in_a_run(self.setting.device, self.setting.threads):
            for epoch in dict.fromkeys([*self.first, self.epoch]):
                self.trainer.finished = epoch
                self.trainer.train_epoch()

    def step(self) -> float:
        """Seconds of a step: of the epoch, with all that happens before and after its steps, as much as falls to a batch."""
        row: dict[str, float] = {}

        def epoch() -> None:
            self.trainer.finished = self.epoch
            row.update(self.trainer.train_epoch())

        with as_in_a_run(self.setting.device, self.setting.threads):
            spent = seconds(epoch, self.setting.device)
        return spent * self.setting.batch_size / row["samples"]

    def evaluation(self) -> float:
        """Seconds in which the harness predicts a set, from stored pixels to arrays."""
        test = self.test  # made before the clock starts
        with as_in_a_run(self.setting.device, self.setting.threads):
            return seconds(lambda: self.trainer.predict(test, "test"), self.setting.device)

    def bare_evaluation(self) -> float:
        """Seconds of the method's `predict` alone over the same images, in batches that are there already."""
        ready = self._ready  # likewise

        @torch.no_grad()
        def predict() -> None:
            for images in ready:
                self.trainer.method.predict(images)

        self.trainer.method.eval()
        return seconds(predict, self.setting.device)

    def reading(self, *, augmented: bool) -> float:
        """Seconds from stored pixels to a normalised batch, of a new view or as it is."""

        def read() -> None:
            for _ in range(READINGS):
                self.images.images(self._index, augmented=augmented)

        with as_in_a_run(self.setting.device, self.setting.threads):
            return seconds(read, self.setting.device) / READINGS


class Bare:
    """Steps of the same method from the same state, on one batch that is there already: loss, gradients, optimiser, no more."""

    def __init__(self, harness: Harness, *, compiled: bool = False):
        """`compiled`: the loss and its gradients by torch.compile, on CUDA as CUDA graphs."""
        setting = self.setting = harness.setting
        trainer = setting.trainer(harness.images)
        trainer.load(harness.trainer.method.state_dict(), harness.epoch + 1)
        self.method = trainer.method.train()
        optimiser = Optimiser(self.method.param_groups(setting.recipe.lr), setting.recipe, setting.device)
        optimiser.set_progress(self.method.progress, trainer.stages[harness.stage])
        index = torch.arange(setting.batch_size, device=setting.device)
        images = harness.images
        self.batch = Batch(images.images(index, augmented=True), images.labels[index], index, images)
        self._loss = self.method.training_step
        if compiled:
            torch.compiler.reset()  # of what other methods' steps have become, only so many are kept
            how = "reduce-overhead" if setting.device.type == "cuda" else "default"
            self._loss = torch.compile(self.method.training_step, mode=how)
        self.begun = seconds(self.gradients, setting.device)
        """Seconds that the first forward and backward took."""
        optimiser.step()  # the first one makes what the optimisers keep
        self.method.zero_grad(set_to_none=True)
        self._optimisers, self._steps = optimiser.parts, harness.steps
        if compiled:
            self.step()  # a CUDA graph is recorded after the first steps

    def gradients(self) -> None:
        """Forward and backward of one step."""
        self.method.logged = {}  # which would hold on to what a CUDA graph writes over
        self._loss(self.batch).backward()  # type: ignore[no-untyped-call]

    def step(self) -> float:
        """Seconds of a step."""

        def steps() -> None:
            for _ in range(self._steps):
                self.gradients()
                for optimiser in self._optimisers:
                    optimiser.step()
                self.method.zero_grad(set_to_none=True)

        return seconds(steps, self.setting.device) / self._steps
