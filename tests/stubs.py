"""Stand-ins: a backbone that hands its images on, a training set that is only labels, a spec."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmark.contract import Backbone, Batch, Task
from benchmark.spec import DatasetSpec, RunSpec, recipe
from benchmark.store import Inputs

SPEC = RunSpec(
    dataset=DatasetSpec("ferplus", 10_000, {"classes": 8}),
    noise_kind="symmetric",
    noise_rate=0.2,
    method="scn",
    options={"beta": 0.5},
    backbone="small",
    pretrained=None,
    recipe=recipe("common"),
    validation=0.0,
    precision="fp32",
    seed=3,
)

INPUTS = Inputs(code="c0de", noise_sha256="5ca1ab1e", weights_sha256=None, dataset_sha256="da7a", protocol=1, privilege=())


def wave(*shape: int, f: float = 1.0, a: float = 1.0) -> Tensor:
    """a * sin(f * (1, 2, 3, …)) in float64: fixed numbers that hang on no random generator."""
    count = torch.tensor(shape).prod().item()
    return (a * torch.sin(f * torch.arange(1, count + 1, dtype=torch.float64))).reshape(shape)


def fill(layer: nn.Linear, f: float, a: float) -> None:
    """Fixed weights for a linear layer."""
    layer.weight.data = wave(*layer.weight.shape, f=f, a=a).to(layer.weight.dtype)
    layer.bias.data = wave(*layer.bias.shape, f=f + 0.1, a=a).to(layer.bias.dtype)


class Identity(Backbone):
    """The image is the feature map."""

    def __init__(self, shape: tuple[int, int, int]):
        super().__init__()
        self.feature_shape = shape

    def forward(self, images: Tensor) -> Tensor:
        return images


class Labels:
    """As much of a training set as the core methods ask for."""

    def __init__(self, labels: Tensor):
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)


def task(shape: tuple[int, int, int], samples: int, classes: int = 7, epochs: int = 70) -> Task:
    """A task whose backbone is `Identity`."""
    make: Callable[[], Backbone] = lambda: Identity(shape)  # noqa: E731
    return Task(classes, samples, shape, epochs, 64, make)


def batch(images: Tensor, labels: Tensor) -> Batch:
    """All samples of a training set at once."""
    return Batch(images, labels, torch.arange(len(labels)), Labels(labels))
