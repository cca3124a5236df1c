"""What a trained model's weights do not say: all that is needed to build it again, and what it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from .spec import LARGEST_SIDE, RunSpec

FORMAT: Literal[1] = 1
"""Of model.json; raised when what stands in it changes its meaning."""
HEADLINE = ("acc_last", "macro_acc", "nll", "ece", "error_auroc")
"""What a model says of its test: of all metrics, those that the choice of a model needs first."""
MOST_SAMPLES = 100_000_000
"""Training images; some methods keep numbers of each."""


@dataclass(frozen=True)
class TrainedOn:
    """The dataset behind a model, as its card tells it."""

    summary: str
    citation: str
    source: str
    licence: str
    sha256: str  #: of the prepared dataset

    def __str__(self) -> str:
        return f"{self.summary} (licence: {self.licence})"


@dataclass(frozen=True)
class ModelRecord:
    """model.json, which stands beside model.safetensors. Raises ValueError where its parts contradict each other."""

    format: Literal[1]
    key: str  #: of the run
    code: str  #: fingerprint of the method's
    protocol: int
    weights_sha256: str  #: of model.safetensors
    spec: RunSpec
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]  #: (C, H, W), as the dataset has them
    side: int | None  #: pixels to which the backbone brings them
    mean: tuple[float, ...]  #: (C,) in units of the full range
    std: tuple[float, ...]  #: (C,)
    num_samples: int  #: images that were trained on
    noise_realised: float  #: the share of their given labels that were wrong
    transition: tuple[tuple[float, ...], ...] | None  #: (K, K), of a method that was told it
    data: TrainedOn
    metrics: Mapping[str, float | None]  #: `HEADLINE`
    environment: Mapping[str, Any]

    def __post_init__(self) -> None:
        C, H, W = self.image_shape
        K = len(self.classes)
        whole = len(self.mean) == len(self.std) == C
        whole = whole and all(0 <= mean <= 1 for mean in self.mean) and all(1e-5 <= std <= 2 for std in self.std)
        if not (C in (1, 3) and min(H, W) >= 1 and max(H, W, self.side or 1) <= LARGEST_SIDE and whole):
            raise ValueError(f"images {self.image_shape} with mean {self.mean} and deviation {self.std}")
        if K < 2 or not 1 <= self.num_samples <= MOST_SAMPLES:
            raise ValueError(f"{K} classes and {self.num_samples} training images")
        if self.transition is not None and [len(row) for row in self.transition] != [K] * K:
            raise ValueError(f"a transition matrix that is not {K} x {K}")

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)
