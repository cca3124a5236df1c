"""The images on the device: one uint8 tensor from which any sample is read, shifted, mirrored and normalised."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..contract.method import Batch


@dataclass(frozen=True)
class Augmentation:
    """What changes from view to view; parameters are drawn per image."""

    flip: float = 0.0  #: probability of a mirrored image
    shift: int = 0  #: largest shift in pixels, each way; the border is repeated
    erase: float = 0.0  #: probability of an erased rectangle
    erase_area: tuple[float, float] = (0.02, 0.25)  #: of the image, uniform; sides' ratio log-uniform in 0.3 to 3.3


def evaluation_batch(image_shape: tuple[int, int, int], side: int | None, device: torch.device) -> int:
    """Images (C, H, W) in a batch without gradients: a quarter of a million pixels on a CPU, a million on what is faster.

    They fill its units; on a CPU they then want no more memory than a step with gradients does.
    """
    _, H, W = image_shape
    pixels = 2**18 if device.type == "cpu" else 2**20
    return max(16, min(1024, pixels // ((side or H) * (side or W))))


class DeviceSet:
    """Images with their given labels, on one device. Implements the contract's `TrainingSet`."""

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64] | None,
        rows: NDArray[np.int64] | None,
        *,
        mean: NDArray[np.float32],
        std: NDArray[np.float32],
        device: torch.device,
        augmentation: Augmentation = Augmentation(),
        side: int | None = None,
    ):
        """Images (N, H, W, C), contiguous; labels (N,), or None where nothing may be known; `rows` (M,): which of them to take.

        `side`: what the network brings them to, by which the size of an evaluation's batches is chosen.

        On the CPU the pixels stay where they are, in the memory-mapped cache that all processes share.
        """
        self._pixels = torch.from_numpy(images).to(device)
        self._rows = torch.arange(len(images)) if rows is None else torch.from_numpy(rows)
        self._rows = self._rows.to(device)
        given = np.zeros(len(images), np.int64) if labels is None else labels
        self.labels = torch.from_numpy(given).to(device)[self._rows]
        self.device, self.augmentation, self.side, self.mean, self.std = device, augmentation, side, mean, std
        _, _, W, C = self._pixels.shape
        # for a line of pixels (W · C): a CPU has operations for many numbers in a row, and not for three
        self._scale = torch.from_numpy(1 / (255 * std)).to(device).expand(C).repeat(W)
        self._offset = torch.from_numpy(-mean / std).to(device).expand(C).repeat(W)
        self._generator = torch.Generator(device)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        _, H, W, C = self._pixels.shape
        return C, H, W

    @property
    def evaluation_batch(self) -> int:
        """Images in a batch without gradients."""
        return evaluation_batch(self.image_shape, self.side, self.device)

    def seed_augmentation(self, seed: int) -> None:
        """Starts the stream of augmentation anew; the harness does so before each epoch."""
        self._generator.manual_seed(seed)

    def images(self, index: Tensor, *, augmented: bool = False) -> Tensor:
        """Normalised float32 images (B, C, H, W), channels last in memory, at `index` (B,)."""
        rows, (C, H, W) = self._rows[index], self.image_shape
        pixels = self._augmented(rows) if augmented else self._pixels.index_select(0, rows)
        values = pixels.view(-1, H, W * C).float()
        return torch.addcmul(self._offset, values, self._scale, out=values).view(-1, H, W, C).permute(0, 3, 1, 2)

    def batches(self, index: Tensor | None = None, *, augmented: bool = False) -> Iterator[Batch]:
        """The samples at `index`, or all, in order, in large batches."""
        index = torch.arange(len(self), device=self.device) if index is None else index
        for part in torch.split(index, self.evaluation_batch):
            yield Batch(self.images(part, augmented=augmented), self.labels[part], part, self)

    def _augmented(self, rows: Tensor) -> Tensor:
        """uint8 (B, H, W, C): each image's lines are read from where the shift puts them, and the columns of each line."""
        C, H, W = self.image_shape
        B, a = len(rows), self.augmentation
        draw = torch.rand(3, B, 1, generator=self._generator, device=self.device)
        dy, dx = ((draw[:2] * (2 * a.shift + 1)).long() - a.shift).unbind()
        y = (torch.arange(H, device=self.device) + dy).clamp_(0, H - 1)
        x = (torch.arange(W, device=self.device) + dx).clamp_(0, W - 1)
        x = torch.where(draw[2] < a.flip, W - 1 - x, x)
        lines = self._pixels.view(-1, W * C).index_select(0, (rows[:, None] * H + y).flatten()).view(B, H, W * C)
        columns = (x[:, :, None] * C + torch.arange(C, device=self.device)).view(B, 1, W * C)
        pixels = lines.gather(2, columns.expand(B, H, W * C))
        return (self._erased(pixels) if a.erase else pixels).view(B, H, W, C)

    def _erased(self, pixels: Tensor) -> Tensor:
        """One rectangle of some images (B, H, W · C) replaced by the mean colour (random erasing, Zhong et al. 2020)."""
        C, H, W = self.image_shape
        draw = torch.rand(5, len(pixels), 1, generator=self._generator, device=self.device)
        low, high = self.augmentation.erase_area
        area = (low + (high - low) * draw[0]) * H * W
        ratio = (math.log(0.3) + (math.log(3.3) - math.log(0.3)) * draw[1]).exp()
        h, w = (area * ratio).sqrt().clamp(max=H - 1), (area / ratio).sqrt().clamp(max=W - 1)
        top, left = draw[2] * (H - h), draw[3] * (W - w)
        y, x = torch.arange(H, device=self.device), torch.arange(W, device=self.device).repeat_interleave(C)
        tall = (y >= top) & (y < top + h) & (draw[4] < self.augmentation.erase)
        wide = (x >= left) & (x < left + w)
        mask = (tall.to(torch.uint8) * 255)[:, :, None] & (wide.to(torch.uint8) * 255)[:, None, :]
        mean = (-self._offset / self._scale).round().to(torch.uint8)
        return (pixels ^ mean).bitwise_and_(mask).bitwise_xor_(pixels)  # `where`, in operations that a CPU has for many bytes
