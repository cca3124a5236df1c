"""What a method is checked on: tiny stripes, and the trainings that several checks look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from ..contract.method import Method
from ..noise.laws import RATED, Known
from ..spec import recipe
from ..streams import numpy_stream
from ..train.model import Predicted
from ..train.trainer import Trainer
from ..train.training_set import Augmentation, DeviceSet
from .witness import Witness

CLASSES = ("across", "down", "slanted")
EPOCHS, BATCH = 8, 16


def stripes(count: int, seed: int, shape: tuple[int, int, int] = (16, 16, 1)) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """uint8 images (N, H, W, C) of three kinds of stripes that a small network tells apart at once, and their labels (N,)."""
    rng = np.random.default_rng(seed)
    H, W, C = shape
    labels = np.arange(count) % len(CLASSES)
    y, x = np.mgrid[:H, :W]
    waves = np.stack([y, x, x + y])[labels] + rng.integers(0, 4, (count, 1, 1))
    images = (128 + 90 * np.sin(waves * 1.5) + rng.normal(0, 12, (count, H, W))).clip(0, 255).astype(np.uint8)
    return np.repeat(images[..., None], C, axis=3), labels


@dataclass
class Case:
    """One method with the trainings that several checks look at."""

    method: type[Method]
    witness: Witness = field(default_factory=Witness)

    def trainer(
        self,
        *,
        seed: int = 0,
        epochs: int = EPOCHS,
        batch_size: int = BATCH,
        precision: str = "fp32",
        rate: float = 0.0,
        count: int = 96,
        shape: tuple[int, int, int] = (16, 16, 1),
        num_classes: int = len(CLASSES),
    ) -> Trainer:
        """A trainer of the method on `count` images of stripes, of whose labels the share `rate` is wrong."""
        images, labels = stripes(count, 0, shape)
        given = RATED["symmetric"](Known(labels, len(CLASSES)), rate, numpy_stream(0, "conformance"))
        return Trainer(
            self.method,
            self.method.Config(),
            striped_set(images, given),
            None,
            num_classes=num_classes,
            recipe=recipe("common", epochs, batch_size),
            backbone="small",
            precision=precision,
            seed=seed,
            privileged={
                "votes": F.one_hot(torch.from_numpy(labels), num_classes) * 10,
                "noise_rate": float(np.mean(labels != given)),
                "transition": torch.eye(num_classes) * (1 - rate) + rate / num_classes,
            },
        )

    @cached_property
    def straight(self) -> Trainer:
        """A whole training with right labels, which the witness has watched."""
        trainer = self.trainer()
        with self.witness.watching(trainer):
            return trained(trainer, self.witness.look)

    @cached_property
    def noisy(self) -> Trainer:
        """A whole training with a fifth of the labels wrong."""
        return trained(self.trainer(rate=0.2))

    @cached_property
    def test(self) -> DeviceSet:
        """Images that were not trained on."""
        return striped_set(stripes(96, 1)[0], np.zeros(96, np.int64))

    def predicted(self, trainer: Trainer) -> Predicted:
        """The predictions for `test`."""
        return trainer.predict(self.test, "test")


def striped_set(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> DeviceSet:
    """The images (N, H, W, C) with given labels (N,), as a method meets them."""
    C = images.shape[-1]
    half = np.full(C, 0.5, np.float32)
    augmentation = Augmentation(flip=0.0, shift=1)  # mirrored, slanted stripes are another class
    return DeviceSet(images, labels, None, mean=half, std=half, device=torch.device("cpu"), augmentation=augmentation)


def trained(trainer: Trainer, each: Callable[[Trainer], None] = lambda _: None) -> Trainer:
    """The trainer after its last epoch; `each` is called after every one."""
    while trainer.finished < trainer.epochs:
        trainer.train_epoch()
        each(trainer)
    return trainer
