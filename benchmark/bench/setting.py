"""What is measured: a method on a backbone, with made-up images of one size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..contract.method import Method
from ..spec import Recipe, recipe
from ..streams import numpy_stream
from ..train.backbones import own_input
from ..train.trainer import Trainer
from ..train.training_set import Augmentation, DeviceSet

CLASSES, CHANNELS = 7, 3
"""As many classes as expressions, and images in colour."""
NOISE_RATE = 0.2
"""What methods that are told it are told: the speed does not depend on it."""


@dataclass(frozen=True)
class Setting:
    """A method in the setting in which it is measured."""

    method: type[Method]
    backbone: str
    image_size: int  #: pixels of a side
    batch_size: int
    device: torch.device
    precision: str  #: `fp32` or `bf16`
    threads: int
    recipe_name: str = "common"

    @property
    def recipe(self) -> Recipe:
        """The named one, with this batch size."""
        return recipe(self.recipe_name, batch_size=self.batch_size)

    @property
    def side(self) -> int | None:
        """Pixels to which the network brings the images, as it does in a run; None: it takes them as they are."""
        return own_input(self.backbone).side

    def images(self, count: int) -> DeviceSet:
        """Noise with random labels, augmented as the recipe says."""
        rng = numpy_stream(0, "bench")
        pixels = rng.integers(0, 256, (count, self.image_size, self.image_size, CHANNELS), dtype=np.uint8)
        half = np.full(CHANNELS, 0.5, np.float32)
        how = self.recipe
        augmentation = Augmentation(how.flip, round(how.shift * self.image_size), how.erase)
        labels = rng.integers(0, CLASSES, count)
        return DeviceSet(
            pixels, labels, None, mean=half, std=half, device=self.device, augmentation=augmentation, side=self.side
        )

    def trainer(self, images: DeviceSet, precision: str | None = None) -> Trainer:
        """A training of the method on these images, which has not begun; methods that are told more hear made-up facts."""
        votes = torch.nn.functional.one_hot(images.labels, CLASSES) * 10
        transition = torch.full((CLASSES, CLASSES), NOISE_RATE / (CLASSES - 1)).fill_diagonal_(1 - NOISE_RATE)
        return Trainer(
            self.method,
            self.method.Config(),
            images,
            None,
            num_classes=CLASSES,
            recipe=self.recipe,
            backbone=self.backbone,
            precision=precision or self.precision,
            seed=0,
            side=self.side,
            privileged={"votes": votes, "noise_rate": NOISE_RATE, "transition": transition.to(self.device)},
        )
