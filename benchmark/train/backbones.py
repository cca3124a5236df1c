"""Backbones: a small residual network for 32 to 64 px images, and every timm model by name, as feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..contract.errors import BadInput, unknown
from ..contract.method import Backbone
from ..spec import backbone_parts
from .dlib import MEAN as DLIB_MEAN
from .dlib import SIDE as DLIB_SIDE
from .dlib import STD as DLIB_STD
from .dlib import DlibResNet
from .residual import FOR_32_PX, ResNet, ResNet9, small

SMALL, DLIB, TORCHVISION = "small", "dlib-resnet29", "torchvision/"
SHOWN = {
    SMALL: "residual network for 32 to 64 px images, 1.2 M parameters: the default",
    "resnet18": "ResNet-18 as in the RUL and SCN code (timm)",
    "cifar-resnet9": "ResNet-9 for 32 px images, which learns in few epochs (Page 2018), 6.6 M parameters",
    "cifar-resnet18": "ResNet-18 for 32 px images: a 3x3 stem and no max-pooling",
    "cifar-resnet34": "ResNet-34 likewise, as in ELR's code",
    "preact-resnet18": "PreAct ResNet-18 for 32 px images, as in DivideMix's code",
    "wrn-28-10": "Wide ResNet-28-10 for 32 px images, as in Uncertainty Baselines",
    DLIB: "dlib's face network of 29 convolutions, 5.6 M parameters, for which --pretrained dlib-face has weights",
}


@dataclass(frozen=True)
class Input:
    """What a network wants images to be brought to; where nothing is said, they stay as the dataset has them."""

    mean: tuple[float, ...] | None = None  #: of each colour, in units of the full range
    std: tuple[float, ...] | None = None
    side: int | None = None  #: pixels


AS_IT_IS = Input()


def known_backbones() -> list[str]:
    """Every name that `--backbone` takes."""
    import timm

    return [SMALL, DLIB, *FOR_32_PX, *timm.list_models(), *torchvision_backbones()]


def torchvision_backbones() -> list[str]:
    """torchvision's classifiers that are a stack of feature maps."""
    from torchvision import models

    stacks = ("alexnet", "efficientnet", "mobilenet", "resn", "squeezenet", "vgg", "wide_resnet")
    return [TORCHVISION + name for name in models.list_models(models) if name.startswith(stacks)]


def own_input(name: str) -> Input:
    """What a backbone wants whatever its weights are."""
    name, side = backbone_parts(name)
    return Input(DLIB_MEAN, DLIB_STD, side or DLIB_SIDE) if name == DLIB else Input(side=side)


def check_backbone(name: str) -> None:
    """Raises BadInput, with the nearest name, for a backbone that does not exist, and for a side that is none."""
    name, _ = backbone_parts(name)
    if name not in SHOWN and name not in (names := known_backbones()):
        raise unknown("backbone", name, names)


def build_backbone(name: str, image_shape: tuple[int, int, int], precision: str, side: int | None = None) -> PrecisionBackbone:
    """A freshly initialised backbone for images (C, H, W), which it brings to `side` where that is given.

    Weights come from torch's global stream. Raises BadInput.
    """
    C, H, W = image_shape
    inner, (name, _) = (C, side or H, side or W), backbone_parts(name)
    try:
        return PrecisionBackbone(_network(name, inner), image_shape, precision, side)
    except Exception as error:  # timm has a thousand models, and each says in its own way that a size does not fit
        _, H, W = inner
        reason = str(error).strip().partition("\n")[0]
        raise BadInput(f"backbone '{name}' cannot be built for {H}x{W} images: {reason}") from None


def _network(name: str, image_shape: tuple[int, int, int]) -> Network:
    if name == SMALL:
        return small(image_shape)
    if name in FOR_32_PX:
        return FOR_32_PX[name](image_shape)
    if name == DLIB:
        return DlibResNet()
    if name.startswith(TORCHVISION):
        return TorchvisionMap(name.removeprefix(TORCHVISION))
    return TimmMap(name, image_shape)


class PrecisionBackbone(Backbone):
    """A network of feature maps run in the precision of the run; what is built on top of it stays in float32."""

    net: Network

    def __init__(self, net: Network, image_shape: tuple[int, int, int], precision: str, side: int | None = None):
        super().__init__()
        self.net = net.to(memory_format=torch.channels_last)
        self.precision, self.side = precision, side
        self.feature_shape = self._shape(image_shape)

    @property
    def stages(self) -> Sequence[nn.Module]:
        """The network's own; a property, because a module that is assigned twice would be saved twice."""
        return list(self.net.stages)

    @property
    def named_as_published(self) -> nn.Module:
        """The network whose tensors bear the names that files of weights use."""
        return self.net.model if isinstance(self.net, TimmMap | TorchvisionMap) else self.net

    @torch.no_grad()
    def _shape(self, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        was_training = self.training
        shape = self.eval()(torch.zeros(2, *image_shape)).shape[1:]
        self.train(was_training)
        return tuple(shape)

    def forward(self, images: Tensor) -> Tensor:
        if self.side and images.shape[2:] != (self.side, self.side):
            images = F.interpolate(images, (self.side, self.side), mode="bilinear", align_corners=False)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            maps: Tensor = self.net(images)
        return maps.float()


class TorchvisionMap(nn.Module):
    """A torchvision classifier's last feature map; grey images are seen as if they were shown thrice."""

    model: nn.Module

    def __init__(self, name: str):
        super().__init__()
        from torchvision import models

        self.model = models.get_model(name, weights=None)
        for head in ("classifier", "fc", "avgpool"):
            if hasattr(self.model, head):
                delattr(self.model, head)

    @property
    def stages(self) -> Sequence[nn.Module]:
        """The model's blocks; a property, because modules that are assigned twice would be saved twice."""
        if hasattr(self.model, "features"):
            return list(cast("nn.Sequential", self.model.features))
        return [getattr(self.model, f"layer{k}") for k in (1, 2, 3, 4)]

    def forward(self, images: Tensor) -> Tensor:
        x, net = images.expand(-1, 3, -1, -1), cast("Any", self.model)
        if not hasattr(net, "features"):  # a ResNet
            x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        for stage in self.stages:
            x = stage(x)
        return x


class TimmMap(nn.Module):
    """A timm model's last feature map, (B, D, h, w), whatever the model's own layout is."""

    model: nn.Module

    def __init__(self, name: str, image_shape: tuple[int, int, int]):
        super().__init__()
        import timm

        C, H, W = image_shape
        settings: dict[str, Any] = {"in_chans": C, "num_classes": 0, "global_pool": ""}
        try:
            self.model = timm.create_model(name, **settings, img_size=(H, W))
        except TypeError:  # convolutional models take any size and know no such argument
            self.model = timm.create_model(name, **settings)
        info = getattr(self.model, "feature_info", None) or []
        modules = dict(self.model.named_modules())  # a few models name stages there that they do not have
        self.stages = [modules[stage["module"]] for stage in info if stage["module"] in modules]

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.model(images)
        if out.ndim == 3:  # (B, tokens, D): the class and register tokens come first
            tokens = out[:, getattr(self.model, "num_prefix_tokens", 0) :]
            side = round(tokens.shape[1] ** 0.5)
            grid = getattr(getattr(self.model, "patch_embed", None), "grid_size", (side, side))
            return tokens.transpose(1, 2).reshape(len(out), -1, *grid)
        D = self.model.num_features
        if out.ndim == 4 and out.shape[1] != D and (out.shape[3] == D or out.shape[1] == out.shape[2]):
            return out.permute(0, 3, 1, 2)  # channels came last
        return out if out.ndim == 4 else out[:, :, None, None]


Network = ResNet | ResNet9 | DlibResNet | TimmMap | TorchvisionMap
"""Images (B, C, H, W) to a map (B, D, h, w), with `stages`."""
