"""A sound method, and one for each way of not being sound."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from benchmark.contract import Paper, Prediction
from benchmark.methods.ce import CrossEntropy


class Sound(CrossEntropy):
    """A sound method."""

    name = "sound"
    mean_over_samples = True


class Nameless(Sound):
    """No authors."""

    paper = Paper("A title", "", "A place", "https://example.org")


class Baker(Sound):
    """Knows other recipes."""

    own_recipe = {"learning_rate": 0.1}  # noqa: RUF012


class Idle(Sound):
    """Has a layer that nothing uses."""

    def __init__(self, task, config):
        super().__init__(task, config)
        self.unused = torch.nn.Linear(3, 3)


class Exploding(Sound):
    """Its gradients are infinite, its loss is not."""

    def training_step(self, batch):
        weight = self.classifier.weight
        return super().training_step(batch) + (weight - weight.detach()).abs().sqrt().sum()


class Reversed(Sound):
    """Climbs the loss."""

    def training_step(self, batch):
        return -super().training_step(batch).clamp(max=3)


class Moody(Sound):
    """Draws from a stream of its own."""

    generator = torch.Generator()

    def training_step(self, batch):
        return super().training_step(batch) * (1 + torch.rand((), generator=self.generator))


class Deaf(Sound):
    """Is the same whatever the seed."""

    def predict(self, images):
        return Prediction(images.mean(dim=(1, 2, 3))[:, None] * torch.ones(3), images.std(dim=(1, 2, 3)))


class Forgetful(Sound):
    """Remembers outside of its state."""

    def __init__(self, task, config):
        super().__init__(task, config)
        self.steps = 0

    def training_step(self, batch):
        self.steps += 1
        return super().training_step(batch) * (1 + self.steps / 10)


class Squeezed(Sound):
    """Drops the dimension of a batch of one."""

    def predict(self, images):
        return Prediction(*(t.squeeze(0) for t in super().predict(images)))


class Doubled(Sound):
    """Predicts in double precision."""

    def predict(self, images):
        return Prediction(*(t.double() for t in super().predict(images)))


class Indifferent(Sound):
    """Is as sure of every image."""

    def predict(self, images):
        return Prediction(super().predict(images).logits, torch.zeros(len(images)))


class Unsuspicious(Sound):
    """Suspects no label."""

    def noise_score(self, prediction, training_set):
        return torch.zeros(len(training_set))


class Halved(Sound):
    """Overflows where the backbone's precision is bf16."""

    def predict(self, images):
        found = super().predict(images)
        return Prediction(found.logits * (1.0 if self.backbone.precision == "fp32" else float("inf")), found.uncertainty)


class Sized(Sound):
    """Counts on whole batches."""

    def training_step(self, batch):
        return super().training_step(batch) + 0 * batch.labels.reshape(self.task.batch_size, 1).sum()


class Meddling(Sound):
    """Corrects the given labels themselves."""

    def begin_epoch(self, epoch, training_set):
        training_set.labels[0] = 2


class Seeding(Sound):
    """Seeds the global stream."""

    def begin_epoch(self, epoch, training_set):
        np.random.seed(0)


class Summed(Sound):
    """Declares a mean, and gives a sum."""

    mean_over_samples = True

    def loss(self, logits, labels):
        return F.cross_entropy(logits, labels, reduction="sum")


class Weighed(Sound):
    """Divides by the weights of the batch's labels, once it knows them."""

    mean_over_samples = True

    def loss(self, logits, labels):
        return F.cross_entropy(logits, labels, weight=torch.tensor([1.0, 1.0, 3.0 if self.epoch > 4 else 1.0]))


class Counting(Sound):
    """Counts its steps, where they can be seen."""

    mean_over_samples = True

    def __init__(self, task, config):
        super().__init__(task, config)
        self.register_buffer("steps", torch.zeros(()))

    def training_step(self, batch):
        self.steps += 1
        return super().training_step(batch)


class Sociable(Sound):
    """Drops features, and blends each image with another one."""

    mean_over_samples = True

    def loss(self, logits, labels):
        partner = torch.randperm(len(labels))
        return F.cross_entropy(F.dropout(logits, 0.1) + logits[partner] / 10, labels)


class SummedAtRandom(Sound):
    """Drops features, and gives a sum."""

    mean_over_samples = True

    def loss(self, logits, labels):
        return F.cross_entropy(F.dropout(logits, 0.1), labels, reduction="sum") / 16


class Dropping(Sound):
    """Drops features, and is sound all the same."""

    mean_over_samples = True

    def loss(self, logits, labels):
        return F.cross_entropy(F.dropout(logits, 0.1), labels)
