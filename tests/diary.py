"""A setting that takes no time, and a method that writes down what is asked of it."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmark.bench import measure, peak, run
from benchmark.bench.setting import Setting
from benchmark.contract import Method, Paper, Prediction
from benchmark.train import training_set


class Diary(Method):
    """Three stages; learns from the first half of the images."""

    name = "diary"
    paper = Paper("", "", "", "")

    def __init__(self, task, config):
        super().__init__(task, config)
        self.layer = nn.Linear(task.image_shape[0], task.num_classes)
        self.register_buffer("begun", torch.zeros(3))
        self.seen = []

    def stages(self, epochs):
        return [2, 5, 5]

    def begin_stage(self, stage, training_set):
        self.begun[stage] += 1

    def begin_epoch(self, epoch, training_set):
        self.seen.append((self.stage, epoch, torch.are_deterministic_algorithms_enabled()))
        return torch.arange(len(training_set) // 2)

    def end_training(self, training_set, validation):
        raise AssertionError("the end of a training is no part of what is measured")

    def logits(self, images):
        return self.layer(images.mean(dim=(2, 3)))

    def training_step(self, batch):
        return F.cross_entropy(self.logits(batch.images), batch.labels)

    def predict(self, images):
        logits = self.logits(images)
        return Prediction(logits, -logits.amax(dim=1))


SETTING = Setting(Diary, "small", 16, 8, torch.device("cpu"), "fp32", 1)


def setting(method: type[Method] = Diary, **changes: object) -> Setting:
    return dataclasses.replace(SETTING, method=method, **changes)


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds and products that take no time: for what is asked and given, not for how fast it is."""
    monkeypatch.setattr(measure, "ROUNDS", 1)
    monkeypatch.setattr(measure, "BLOCK", 0.0)
    monkeypatch.setattr(training_set, "evaluation_batch", lambda *_: 8)
    monkeypatch.setattr(peak, "SIDES", (64,))
    monkeypatch.setattr(peak, "LONG_ENOUGH", 1e-4)
    monkeypatch.setattr(peak, "COPIED", 2**16)
    monkeypatch.setattr(run, "memory_of_its_own", lambda *_: 2**20)
