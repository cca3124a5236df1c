"""What a method is: how it turns a batch into a loss, and images into a prediction with an uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from .config import NoOptions


class Backbone(nn.Module):
    """Images to feature maps. The precision of the run is applied inside: what comes out is float32."""

    feature_shape: tuple[int, int, int]  #: (D, h, w) of the map that one image gives

    @property
    def stages(self) -> Sequence[nn.Module]:
        """The network's inner blocks, in order, where a method may hook in; of convolutional networks, each gives a map."""
        raise NotImplementedError

    @property
    def num_features(self) -> int:
        """D, the number of channels of the map."""
        return self.feature_shape[0]

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (B, C, H, W) to their float32 feature map (B, D, h, w)."""
        raise NotImplementedError

    def pooled(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to their features (B, D): the map averaged over its positions."""
        return self(images).mean(dim=(2, 3))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Task:
    """What a method is told before training begins. The last three are None for every method that does not declare them."""

    num_classes: int
    num_samples: int  #: training images; `Batch.index` runs over them
    image_shape: tuple[int, int, int]  #: (C, H, W)
    epochs: int
    batch_size: int
    make_backbone: Callable[[], Backbone]  #: a fresh network at each call; the k-th call has the k-th stream of weights
    votes: Tensor | None = None  #: (N, K) int64, how many humans chose each class
    noise_rate: float | None = None  #: the share of the given labels that are wrong
    transition: Tensor | None = None  #: (K, K) float32, row: reference label, column: share of its samples given this label


class TrainingSet(Protocol):
    """The training images and their given labels, on the device, so that random access is free; never the reference labels."""

    labels: Tensor  #: (N,) int64, the given labels; not to be written to

    def __len__(self) -> int: ...

    def images(self, index: Tensor, *, augmented: bool = False) -> Tensor:
        """Normalised images (B, C, H, W) at `index` (B,); `augmented` draws a new view at each call."""
        ...

    def batches(self, index: Tensor | None = None, *, augmented: bool = False) -> Iterator[Batch]:
        """The samples at `index` (all of them where it is None), in order, in large batches: for passes over the whole set."""
        ...


@dataclass(frozen=True)
class Batch:
    """One step's samples."""

    images: Tensor  #: (B, C, H, W) float32, normalised; in training, one augmented view of each
    labels: Tensor  #: (B,) int64, the given labels
    index: Tensor  #: (B,) int64, which training samples these are
    training_set: TrainingSet

    def another_view(self) -> Tensor:
        """The same images (B, C, H, W), augmented anew."""
        return self.training_set.images(self.index, augmented=True)


class Prediction(NamedTuple):
    """What a method says of a batch of images."""

    logits: Tensor  #: (B, K) float32; their softmax is the predictive distribution
    uncertainty: Tensor  #: (B,) float32; larger = less sure


@dataclass(frozen=True)
class Paper:
    """Where a method comes from; `list methods`, the README and the docs are made from it."""

    title: str
    authors: str
    venue: str  #: with the year
    url: str
    code: str | None = None  #: repository and commit that was followed, where any was released

    def __str__(self) -> str:
        return f"{self.authors}. {self.title}. {self.venue}."


HISTORY = ("epoch", "epochs", "stage", "loss", "samples", "seconds", "parts", "test_accuracy", "validation_accuracy")
"""The history's own columns; epochs are counted over all stages, and `epochs` says how many there will be."""


class Method(nn.Module):
    """Base of all methods. A plugin sets `name` and `paper` and writes `training_step` and `predict`; all else is optional.

    The harness sees to device, precision, optimiser, schedule, order, augmentation, evaluation and checkpoints. It seeds
    torch's global stream (and numpy's) before it calls a method, so a method may draw from it and must not seed it. All that
    training changes must be in `state_dict()` (use buffers for per-sample state). Stretches of a schedule are given as
    fractions of `task.epochs`, so that a short run is still the same method.
    """

    name: ClassVar[str]
    paper: ClassVar[Paper]
    Config: ClassVar[type] = NoOptions  #: a frozen dataclass of options, set with `--set NAME.OPTION=VALUE`
    own_recipe: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """How its paper trains, for `--recipe paper`: the fields of `spec.Recipe` that differ from `spec.SGD_RECIPE`."""
    own_options: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Options that belong to that recipe, where they are not the defaults."""
    privilege: ClassVar[tuple[str, ...]] = ()  #: of `PRIVILEGES`; such a variant is named like `co-teaching:oracle`
    mean_over_samples: ClassVar[bool] = False
    """Whether a step can be done in parts where it does not fit into memory; a subclass has to say it anew.

    It can where `training_step` gives a mean over the samples of its batch, to which each adds what depends on itself alone
    (its image, label and index, and what is drawn for it), and changes no state. So not where it mixes or compares samples,
    selects among them, divides by a sum of weights, draws something for the whole batch, or writes to a buffer. The harness
    sees by itself whether the network has batch norms. `after_step` is called once a step as ever; `log` takes each part.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """A step that is written anew is another one than was declared, so that nothing declared is inherited."""
        super().__init_subclass__(**kwargs)
        cls.mean_over_samples = vars(cls).get("mean_over_samples", False)

    def __init__(self, task: Task, config: Any):
        """`config` is an instance of this class's `Config`."""
        super().__init__()
        self.task, self.config = task, config
        self.stage = 0  # set by the harness, with `epoch`, before anything of a stage or an epoch is called, resumed or not
        self.epoch = 0  # counted over all stages
        self.progress = 0.0  # the share of the stage that is done: in a step, in the middle of it
        self.logged: dict[str, list[Tensor]] = {}

    def training_step(self, batch: Batch) -> Tensor:
        """The scalar loss of one step; its gradient is followed by the optimiser."""
        raise NotImplementedError

    def predict(self, images: Tensor) -> Prediction:
        """Called in eval mode without gradients."""
        raise NotImplementedError

    # Only where the idea needs it. All of these are called in eval mode and without gradients:

    def stages(self, epochs: int) -> list[int]:
        """The epochs (at least 1) of each stage (K folds, then a retraining); optimiser and schedule start anew at each."""
        return [epochs]

    def begin_stage(self, stage: int, training_set: TrainingSet) -> None:
        """Called before each stage, and before its optimiser is built; not again when a run is resumed within the stage.

        What it decides must be in buffers. A part is frozen by leaving it out of `param_groups`.
        """

    def begin_epoch(self, epoch: int, training_set: TrainingSet) -> Tensor | None:
        """Called before each epoch (counted over all stages); may return the indices to train on (repeats allowed)."""

    def after_step(self) -> None:
        """Called after each optimiser step."""

    def end_epoch(self, epoch: int, training_set: TrainingSet) -> None:
        """Called after the last step of an epoch."""

    def end_training(self, training_set: TrainingSet, validation: TrainingSet | None) -> None:
        """Called once after the last epoch, with gradients; `validation` has the held-out images with their given labels."""

    def noise_score(self, prediction: Prediction, training_set: TrainingSet) -> Tensor:
        """(N,), larger = the given label is more likely wrong; `prediction` is that of the plain training images, in order.

        The default is one minus the probability of the given label.
        """
        # As the sum over the other classes: written as 1 - p, confident images would all tie at float32's zero.
        return prediction.logits.softmax(dim=1).scatter(1, training_set.labels[:, None], 0).sum(dim=1)

    def features(self, images: Tensor) -> Tensor | None:
        """(B, D) features for plots, or None where there is nothing to show."""
        return None

    def param_groups(self, lr: float) -> list[dict[str, Any]]:
        """The optimiser's groups at base rate `lr`.

        Besides `params`, `lr`, `weight_decay`, `momentum` and `betas`, a group may name its `optimizer` ("sgd" or "adam") and
        `schedule` ("constant" keeps its rate). A parameter stands in one group, or in none to be frozen.
        """
        return [{"params": list(self.parameters())}]

    def log(self, name: str, value: Tensor) -> None:
        """Keeps the mean of `value` over the epoch for the history, without waiting for the device."""
        if name in HISTORY:
            raise ValueError(f"the history has a column '{name}' of its own; log under another name")
        value = value.detach().float().mean()
        total = self.logged.get(name)
        self.logged[name] = [value, torch.ones_like(value)] if total is None else [total[0] + value, total[1] + 1]

    @classmethod
    def summary(cls) -> str:
        """The method in one line: the first of its docstring, or of its module's."""
        import sys

        text = cls.__doc__ or sys.modules[cls.__module__].__doc__ or ""
        return text.strip().splitlines()[0] if text.strip() else ""
