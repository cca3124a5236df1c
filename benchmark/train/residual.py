"""Residual networks for images of 32 to 64 pixels, whose first layer keeps what is there: the default one, and the papers'."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

ImageShape = tuple[int, int, int]  # (C, H, W)


def _conv3(width_in: int, width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(width_in, width, 3, stride, 1, bias=False)


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al. 2016, Deep Residual Learning); the first may halve the map."""

    def __init__(self, width_in: int, width: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = _conv3(width_in, width, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv3(width, width), nn.BatchNorm2d(width)
        same = stride == 1 and width_in == width
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x), inplace=True)


class PreActBlock(nn.Module):
    """The same with norms and activations before the convolutions (He et al. 2016, Identity Mappings)."""

    def __init__(self, width_in: int, width: int, stride: int, *, shortcut_of_activated: bool = False):
        """`shortcut_of_activated`: also where no convolution stands in the shortcut it starts after the first activation."""
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(width_in), _conv3(width_in, width, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(width), _conv3(width, width)
        same = stride == 1 and width_in == width
        kept = nn.Identity() if shortcut_of_activated else None
        self.shortcut = kept if same else nn.Conv2d(width_in, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(x), inplace=True)
        kept = x if self.shortcut is None else self.shortcut(y)
        return self.conv2(F.relu(self.bn2(self.conv1(y)), inplace=True)) + kept  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """A 3x3 stem and `stages` of blocks; every stage but the first halves the map."""

    def __init__(
        self,
        image_shape: ImageShape,
        block: Callable[[int, int, int], nn.Module],
        stem: int,
        widths: tuple[int, ...],
        blocks: tuple[int, ...],
        *,
        stem_stride: int = 1,
        stem_norm: bool = True,
        last_norm: bool = False,
    ):
        """`stem`: its filters; `widths` and numbers of `blocks` of each stage; `*_norm`: a norm and an activation after it."""
        super().__init__()
        after = [nn.BatchNorm2d(stem), nn.ReLU(inplace=True)] if stem_norm else []
        self.stem = nn.Sequential(_conv3(image_shape[0], stem, stem_stride), *after)
        self.stages = nn.Sequential()
        for k, ((width_in, width), count) in enumerate(zip(pairwise((stem, *widths)), blocks, strict=True)):
            stage = [block(width_in, width, 1 if k == 0 else 2), *[block(width, width, 1) for _ in range(count - 1)]]
            self.stages.append(stage[0] if count == 1 else nn.Sequential(*stage))
        self.last = nn.Sequential(nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True)) if last_norm else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.stages(self.stem(images)))  # type: ignore[no-any-return]


def small(image_shape: ImageShape, widths: tuple[int, ...] = (24, 48, 96, 192)) -> ResNet:
    """The default backbone: four blocks, after a stem that halves images over 32 px."""
    net = ResNet(image_shape, Block, widths[0], widths, (1, 1, 1, 1), stem_stride=2 if max(image_shape[1:]) > 32 else 1)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net


class Residual(nn.Module):
    """What layers make of a map, added to it."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)  # type: ignore[no-any-return]


class ResNet9(nn.Module):
    """Eight convolutions, each with a norm and an activation, poolings and two shortcuts: to be trained in few epochs.

    Its map has one pixel, the largest values over eight, so that a linear classifier's outputs begin small.
    """

    def __init__(self, image_shape: ImageShape):
        super().__init__()

        def layer(width_in: int, width: int) -> nn.Sequential:
            return nn.Sequential(_conv3(width_in, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True))

        def halved(width_in: int, width: int) -> nn.Sequential:
            return nn.Sequential(*layer(width_in, width), nn.MaxPool2d(2))

        self.stem = layer(image_shape[0], 64)
        self.stages = nn.Sequential(
            nn.Sequential(halved(64, 128), Residual(layer(128, 128), layer(128, 128))),
            halved(128, 256),
            nn.Sequential(halved(256, 512), Residual(layer(512, 512), layer(512, 512))),
        )

    def forward(self, images: Tensor) -> Tensor:
        maps = self.stages(self.stem(images))
        return F.max_pool2d(maps, maps.shape[2:]) / 8


_IMAGENET = (64, 128, 256, 512)

FOR_32_PX: Mapping[str, Callable[[ImageShape], ResNet | ResNet9]] = {
    "cifar-resnet9": ResNet9,
    "cifar-resnet18": partial(ResNet, block=Block, stem=64, widths=_IMAGENET, blocks=(2, 2, 2, 2)),
    "cifar-resnet34": partial(ResNet, block=Block, stem=64, widths=_IMAGENET, blocks=(3, 4, 6, 3)),
    "preact-resnet18": partial(
        ResNet, block=partial(PreActBlock, shortcut_of_activated=True), stem=64, widths=_IMAGENET, blocks=(2, 2, 2, 2)
    ),
    "wrn-28-10": partial(
        ResNet, block=PreActBlock, stem=16, widths=(160, 320, 640), blocks=(4, 4, 4), stem_norm=False, last_norm=True
    ),
}
"""The papers' networks on CIFAR, by the names of `--backbone`; convolutions begin as torch begins them.

ResNet-9 is David Page's (How to Train Your ResNet, 2018), who divides the classifier's outputs by eight, not what goes into it;
his classifier has no bias.
ResNet-18 and -34 are as in ELR's code (github.com/shengliu66/ELR). PreAct ResNet-18 is as in DivideMix's
(github.com/LiJunnan1992/DivideMix), which differs from He et al.: a norm after the stem and none at the end, and every
shortcut starts after an activation. The wide one is as in Zagoruyko and Komodakis 2016, without dropout.
"""
