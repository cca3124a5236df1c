"""dlib's face-recognition network: a ResNet of 29 convolutions that knew three million faces (King, 2017; weights CC0).

In dlib, a convolution with stride 1 keeps the size of its map, and one with stride 2 pads nothing; where the two sides of a sum
differ in channels, height or width, the smaller is filled with zeros at its end. What were batch norms are fixed scales and
shifts, whose statistics were folded in when the weights were published; they train like any other parameter.

Source: dnn_face_recognition_ex.cpp of dlib, https://github.com/davisking/dlib.
"""

from __future__ import annotations

import math
import re

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 150
"""Pixels of the images that it was trained on."""
MEAN = (122.782 / 255, 117.001 / 255, 104.298 / 255)
STD = (256 / 255,) * 3
"""What it expects images to be brought to, in units of the full range."""
WIDTHS = (32, 32, 32, -64, 64, 64, 64, -128, 128, 128, -256, 256, 256, -256)
"""Channels of the blocks; those that halve the map are negative."""


class Affine(nn.Module):
    """A scale and a shift for each channel."""

    def __init__(self, width: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class DlibBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut, which a block that halves the map averages over 2x2."""

    def __init__(self, width_in: int, width: int, *, halves: bool):
        super().__init__()
        self.halves = halves
        self.conv1 = nn.Conv2d(width_in, width, 3, 2 if halves else 1, 0 if halves else 1)
        self.bn1 = Affine(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1)
        self.bn2 = Affine(width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(padded_sum(y, F.avg_pool2d(x, 2) if self.halves else x))


def padded_sum(a: Tensor, b: Tensor) -> Tensor:
    """The sum of two maps (B, C, H, W), each filled with zeros at the end of every dimension in which it is the smaller."""
    shape = [max(m, n) for m, n in zip(a.shape, b.shape, strict=True)]

    def filled(x: Tensor) -> Tensor:
        missing = [want - have for want, have in zip(shape, x.shape, strict=True)]
        return F.pad(x, (0, missing[3], 0, missing[2], 0, missing[1])) if any(missing) else x

    return filled(a) + filled(b)


class DlibResNet(nn.Module):
    """Images (B, 3, 150, 150) to the map (B, 256, 2, 2) whose mean is the network's feature; other sizes are possible."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 7, 2)
        self.bn1 = Affine(32)
        widths = [32, *map(abs, WIDTHS)]
        self.blocks = nn.Sequential(*[DlibBlock(a, abs(b), halves=b < 0) for a, b in zip(widths[:-1], WIDTHS, strict=True)])
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def stages(self) -> nn.Sequential:
        """The residual blocks."""
        return self.blocks

    def forward(self, images: Tensor) -> Tensor:
        x = self.conv1(images.expand(-1, 3, -1, -1))  # grey images as if they were shown thrice
        x = F.max_pool2d(F.relu(self.bn1(x)), 3, 2)
        return self.blocks(x)  # type: ignore[no-any-return]


def read_dat(content: bytes) -> dict[str, Tensor]:
    """The tensors of `dlib_face_recognition_resnet_model_v1.dat` by the names of `DlibResNet`. Raises ValueError.

    The file is dlib's own serialisation: layers from the input on, each by its name, a `con_4` and an `affine_` with one tensor
    of parameters that holds the weights and after them the biases.
    """
    layers = [
        _layer(content, found.end(), found[1].decode()) for found in re.finditer(rb"\x01[\x05\x07](con_4|affine_)", content)
    ]
    kinds = [kind for kind, _ in layers]
    count = 1 + 2 * len(WIDTHS)
    if kinds != ["con_4", "affine_"] * count:
        raise ValueError(f"it holds {len(layers)} layers in another order than dlib's face network of {2 * count}")
    names = ["", *(f"blocks.{k}." for k in range(len(WIDTHS)) for _ in range(2))]
    tensors: dict[str, Tensor] = {}
    own = DlibResNet().state_dict()
    for k, (_, values) in enumerate(layers):
        place, within = divmod(k, 2)
        number = 1 if place == 0 else (place - 1) % 2 + 1
        name = f"{names[place]}{('conv', 'bn')[within]}{number}"
        weight, bias = own[f"{name}.weight"], own[f"{name}.bias"]
        if len(values) != weight.numel() + bias.numel():
            raise ValueError(f"its layer {name} has {len(values)} values; wanted {weight.numel() + bias.numel()}")
        tensors[f"{name}.weight"] = values[: weight.numel()].reshape(weight.shape)
        tensors[f"{name}.bias"] = values[weight.numel() :]
    return tensors


def _layer(content: bytes, place: int, kind: str) -> tuple[str, Tensor]:
    """A layer's name and its parameters (M,), which begin at `place`: a version, four sizes, and the floats."""
    numbers = []
    for _ in range(5):
        number, place = _number(content, place)
        numbers.append(number)
    version, *sizes = numbers
    size = math.prod(sizes)
    if version != 2 or not 0 < size < 2**24 or place + 4 * size > len(content):
        raise ValueError(f"its layer {kind} at byte {place} is no tensor")
    return kind, torch.frombuffer(bytearray(content[place : place + 4 * size]), dtype=torch.float32)


def _number(content: bytes, place: int) -> tuple[int, int]:
    """One of dlib's whole numbers, and where it ends: a byte that says how many follow and the sign, then the lowest first."""
    length, sign = content[place] & 0x0F, -1 if content[place] & 0x80 else 1
    return sign * int.from_bytes(content[place + 1 : place + 1 + length], "little"), place + 1 + length
