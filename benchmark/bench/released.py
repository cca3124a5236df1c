"""The loop in which expression methods are released, for comparison: images decoded anew for every step, in full precision.

It stands for https://github.com/zyh-uaiaaaa/Relative-Uncertainty-Learning at 277f800 on a machine of few cores: JPEG files of
aligned faces (100 x 100), brought to size by torchvision's transforms in workers of a DataLoader, float32, contiguous memory
that glibc deals out as it does unasked, and Adam as torch makes it unasked. The method's network and loss are ours in
both, heads made for channels-last memory too, which cost that loop a few thousandths of a step.

It has the code's four workers, or as many as there are cores. Deviations, all in favour of that loop: its files are in
memory; flips are torchvision's, and half of the images get one, where the code mirrors a quarter by OpenCV, adds noise to
another, and erases rectangles; hits are not counted.
"""

from __future__ import annotations

import io
import time
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..contract.method import Batch
from ..streams import numpy_stream
from ..sweep.machine import usable_cores
from ..train.device import keep_memory
from ..train.optimise import Optimiser
from .clock import wait_for
from .loops import Harness
from .setting import CHANNELS

SIDE = 100
"""Pixels of a stored face, as RAF-DB's aligned ones."""
FACES, WORKERS, AHEAD = 256, 4, 2
"""Files; workers, at most; batches that each works ahead, the DataLoader's default."""
SETTLE = 1
"""Steps before the clock starts, by when workers have filled their queue or have shown that they cannot."""


def jpeg(seed: int) -> bytes:
    """A picture as smooth as a face, which costs as much to decode."""
    coarse = numpy_stream(seed, "bench/jpeg").integers(0, 256, (12, 12, CHANNELS), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


class _Faces(Dataset[tuple[Tensor, int, int]]):
    def __init__(self, count: int, side: int, labels: list[int]):
        from torchvision import transforms

        self.count, self.labels = count, labels
        self.files = [jpeg(k) for k in range(FACES)]
        half = [0.5] * CHANNELS
        self.transform = transforms.Compose(
            [
                transforms.ToPILImage(),
                transforms.Resize((side, side)),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(half, half),
            ]
        )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, k: int) -> tuple[Tensor, int, int]:
        pixels = np.asarray(Image.open(io.BytesIO(self.files[k % FACES])).convert("RGB"))
        sample = k % len(self.labels)
        return self.transform(pixels), self.labels[sample], sample


class Released:
    """Steps of the method from the harness's state, as that code takes them."""

    def __init__(self, harness: Harness):
        setting = self.setting = harness.setting
        self.images = harness.images
        trainer = setting.trainer(harness.images, precision="fp32")
        trainer.load(harness.trainer.method.state_dict(), harness.epoch + 1)
        self.method = trainer.method.to(memory_format=torch.contiguous_format).train()
        optimiser = Optimiser(self.method.param_groups(setting.recipe.lr), setting.recipe, setting.device)
        optimiser.set_progress(self.method.progress, trainer.stages[harness.stage])
        self._optimisers = optimiser.parts
        for group in (group for part in self._optimisers for group in part.param_groups):
            group["fused"] = None
        workers = min(WORKERS, usable_cores())
        self._steps = workers * max(1, harness.steps // workers)  # their batches come together, one of each
        batches = SETTLE + self._steps + workers * AHEAD  # so that the workers are busy up to the last step
        faces = _Faces(batches * setting.batch_size, setting.image_size, self.images.labels.tolist())
        on_cuda = setting.device.type == "cuda"
        self._loader: DataLoader[Any] = DataLoader(
            faces, setting.batch_size, shuffle=True, num_workers=workers, prefetch_factor=AHEAD, pin_memory=on_cuda
        )

    def step(self) -> float:
        """Seconds of a step."""
        keep_memory(keep=False)
        try:
            return self._step()
        finally:
            keep_memory()

    def _step(self) -> float:
        device, started = self.setting.device, 0.0
        for k, (images, labels, index) in enumerate(self._loader):
            if k == SETTLE:
                wait_for(device)
                started = time.perf_counter()
            batch = Batch(images.to(device), labels.to(device), index.to(device), self.images)
            self.method.zero_grad()
            self.method.training_step(batch).backward()  # type: ignore[no-untyped-call]
            for optimiser in self._optimisers:
                optimiser.step()
            if k + 1 == SETTLE + self._steps:
                break
        wait_for(device)
        return (time.perf_counter() - started) / self._steps
