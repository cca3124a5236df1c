"""What a run is, as data, and the key that names its result."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from pydantic import FiniteFloat

from .contract.errors import BadInput, unknown

PROTOCOL = 1
"""Raised whenever training or scoring change results; part of every key. A golden run in the tests guards it."""


NAMED_WEIGHTS = ("imagenet", "dlib-face")
"""Pretrained weights that have a name; all others are in files."""
LARGEST_SIDE = 4096
"""Pixels of an image that a backbone is given; it is tried on one when it is built."""
MOST_SEEDS = 10_000
"""Of a sweep."""


@dataclass(frozen=True)
class Recipe:
    """How every method of a table is trained; with the recipe `paper`, how one method is trained in its paper."""

    name: str  #: with what was changed in it, but for epochs, which have a column of their own: `common[batch_size=32]`
    epochs: int
    batch_size: int
    optimizer: Literal["sgd", "adam"]
    lr: FiniteFloat  #: the peak rate
    weight_decay: FiniteFloat
    momentum: FiniteFloat  #: of SGD
    schedule: Literal["one-cycle", "cosine", "exponential", "step", "constant"]
    warmup: FiniteFloat  #: one-cycle: the share of the steps in which the rate rises from 0 to its peak; it then falls to 0
    cycles: int  #: cosine: how often the rate starts anew at its peak and falls to `floor`
    floor: FiniteFloat  #: cosine: its lowest rate, as a share of the peak
    decay: FiniteFloat  #: exponential: the factor an epoch; step: the factor at each milestone
    milestones: tuple[FiniteFloat, ...]  #: step: shares of the schedule
    flip: FiniteFloat  #: probability of a mirrored image, for datasets whose classes survive it
    shift: FiniteFloat  #: largest shift in each direction, as a share of the image's side; the border is repeated
    erase: FiniteFloat  #: probability of one erased rectangle of 2 to 25 % of the area, filled with the mean colour
    balanced: bool  #: whether an epoch draws as many samples of each given label, with repeats, as AffectNet's papers do

    @property
    def is_own(self) -> bool:
        """Whether it is each method's own, so that even the epochs of a table may differ."""
        return self.name.partition("[")[0] == OWN


FINE_TUNE = "fine-tune"
"""The recipe of backbones that begin with pretrained weights, unless another is named: `common` at a rate that keeps them."""
OWN = "paper"
"""The recipe that every method brings itself: `SGD_RECIPE` with the method's `own_recipe`, or `common` where it has none."""


RECIPES: dict[str, Recipe] = {
    "common": Recipe(
        name="common",
        epochs=12,
        batch_size=64,
        optimizer="adam",
        lr=2e-3,
        weight_decay=1e-4,
        momentum=0.9,
        schedule="one-cycle",
        warmup=0.15,
        cycles=1,
        floor=0.0,
        decay=1.0,
        milestones=(),
        flip=0.5,
        shift=1 / 12,
        erase=0.0,
        balanced=False,
    ),
}
RECIPES[FINE_TUNE] = replace(RECIPES["common"], name=FINE_TUNE, lr=1e-4)
RECIPES["cifar"] = replace(
    RECIPES["common"],
    name="cifar",
    epochs=60,
    batch_size=128,
    optimizer="sgd",
    lr=0.1,
    weight_decay=5e-4,
    schedule="cosine",
    shift=1 / 8,
)
"""What papers on CIFAR have in common, for their networks (`cifar-resnet18`): four pixels of shift, SGD, half a cosine."""
RECIPES["fast-cifar"] = replace(
    RECIPES["cifar"], name="fast-cifar", epochs=20, batch_size=256, lr=0.2, schedule="one-cycle", warmup=0.25, erase=0.5
)
"""The same in a third of the epochs, with larger batches and erasing, for `cifar-resnet9` and `small`."""
RECIPES["expressions"] = replace(
    RECIPES["common"],
    name="expressions",
    epochs=60,
    lr=2e-4,
    schedule="exponential",
    decay=0.9,
    flip=0.25,
    shift=0.0,
    erase=0.5,
)
"""The training of RUL's released code, for every method, without its noise and its classifier's tenfold rate.

It is meant for networks that have seen many faces.
"""
RECIPES["fast-expressions"] = replace(RECIPES["expressions"], name="fast-expressions", epochs=6, decay=0.9**5)
"""A tenth of its epochs, after each of which the rate falls as after five: it ends at a fourteenth."""

SGD_RECIPE = replace(RECIPES["common"], name=OWN, optimizer="sgd", lr=0.1, weight_decay=5e-4)
"""What most papers' own recipes have in common, and so what each one's `own_recipe` starts from."""


def recipe(
    name: str,
    epochs: int | None = None,
    batch_size: int | None = None,
    own: Mapping[str, Any] = MappingProxyType({}),
    *,
    balanced: bool | None = None,
) -> Recipe:
    """A named recipe with what is given replaced in it; `own` is a method's, for the recipe `paper`. Raises BadInput."""
    if name not in (*RECIPES, OWN):
        raise unknown("recipe", name, [*RECIPES, OWN])
    base = RECIPES["common" if name == OWN else name]
    if name == OWN and own:
        base = replace(SGD_RECIPE, **own)
    changes = {"epochs": epochs, "batch_size": batch_size, "balanced": balanced}
    given = {k: v for k, v in changes.items() if v is not None and v != getattr(base, k)}
    told = [k if v is True else f"{k}={v}" for k, v in given.items() if k != "epochs" or name == OWN]
    return replace(base, **given, name=name + (f"[{','.join(told)}]" if told else ""))  # type: ignore[arg-type]


@dataclass(frozen=True)
class DatasetSpec:
    """Which images: a dataset's, or a stratified subset of its training images, or a long tail of them."""

    name: str
    subset: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    imbalance: FiniteFloat | None = None  #: images of the training set's most frequent class over those of its rarest

    @classmethod
    def parse(cls, text: str, options: Mapping[str, Any], imbalance: float | None = None) -> DatasetSpec:
        """Reads `NAME` or `NAME@COUNT`, where COUNT is like 500 or 10k. Raises BadInput."""
        match = re.fullmatch(r"([^@]+)(?:@([0-9]{1,9})(k?))?", text)
        if match is None or (match[2] and int(match[2]) == 0):
            raise BadInput(f"dataset '{text}': wanted NAME or NAME@COUNT, as in cifar10 or cifar10@10k")
        count = int(match[2]) * (1000 if match[3] else 1) if match[2] else None
        return cls(match[1], count, dict(options), imbalance)

    @property
    def label(self) -> str:
        """As in tables: `ferplus[classes=8]@10k`; `@lt50` at its end says that the imbalance is 50."""
        options = f"[{','.join(f'{k}={v}' for k, v in self.options.items())}]" if self.options else ""
        tail = "" if self.imbalance is None else f"@lt{self.imbalance:g}"
        if self.subset is None:
            return self.name + options + tail
        count = f"{self.subset // 1000}k" if self.subset % 1000 == 0 else str(self.subset)
        return f"{self.name}{options}@{count}{tail}"


def backbone_parts(text: str) -> tuple[str, int | None]:
    """Reads `NAME` or `NAME@SIDE`: a backbone, and the pixels of a side to which it brings all images. Raises BadInput."""
    name, at, side = text.partition("@")
    if not at:
        return name, None
    if not re.fullmatch("[1-9][0-9]{0,4}", side) or int(side) > LARGEST_SIDE:
        raise BadInput(f"backbone '{text}': wanted NAME or NAME@SIDE, as in resnet18@224, of at most {LARGEST_SIDE} pixels")
    return name, int(side)


@dataclass(frozen=True)
class RunSpec:
    """One run: all that changes its result, but for the code and the contents of files (`key` adds those)."""

    dataset: DatasetSpec
    noise_kind: str  #: a file's is `file:<name>`
    noise_rate: FiniteFloat | None  #: a fraction
    method: str
    options: Mapping[str, Any]  #: the method's options that differ from its defaults
    backbone: str  #: as `backbone_parts` reads it
    pretrained: str | None
    recipe: Recipe
    validation: FiniteFloat  #: the fraction of the training set that is held out
    precision: str
    seed: int

    def __hash__(self) -> int:
        """Of what tells the runs of a grid apart: options, which are mappings, have no hash."""
        return hash((self.method, self.noise_kind, self.noise_rate, self.seed))

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for spec.json."""
        return {**vars(self), "dataset": dict(vars(self.dataset)), "recipe": dict(vars(self.recipe))}

    def key(self, *, code: str, noise: str, weights: str | None) -> str:
        """See `key_of`; under the protocol of today."""
        return key_of(self.to_dict(), code=code, noise=noise, weights=weights)

    @property
    def label(self) -> str:
        """What tells the run from others of its sweep: `rul, symmetric 20 %, seed 0`."""
        rate = "" if self.noise_rate is None else f" {self.noise_rate * 100:g} %"
        return f"{self.method_label}, {self.noise_kind}{rate}, seed {self.seed}"

    @property
    def method_label(self) -> str:
        """The method as in tables, with the options that were set: `scn[beta=0.5]`."""
        return self.method + (f"[{self.options_label}]" if self.options else "")

    @property
    def options_label(self) -> str:
        """`beta=0.5,margin=0.1`."""
        return ",".join(f"{k}={v}" for k, v in self.options.items())


def key_of(spec: Mapping[str, Any], *, code: str, noise: str, weights: str | None, protocol: int = PROTOCOL) -> str:
    """16 hex digits: of a spec as plain data, the method's code, the noise artefact, the pretrained weights, the protocol."""
    words = json.dumps([protocol, spec, code, noise, weights], sort_keys=True)
    return hashlib.sha256(words.encode()).hexdigest()[:16]
