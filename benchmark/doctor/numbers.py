"""The figures of a finished run worked out again from what it stored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..score import accuracy, accuracy_of, macro_accuracy, macro_accuracy_of, nll, select, wrong_label_fit

CLOSE = 1e-6
"""Of a figure's size: what other versions of the libraries may round otherwise."""
ARRAYS = ("test_logits", "test_reference", "train_index", "train_given", "train_predicted", "train_reference")
"""What is read of predictions.npz."""

Metrics = Mapping[str, float | None]


def of_history(columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float | None]:
    """What the epochs of the last stage say, by the names of the metrics. Raises ValueError and KeyError."""
    judged = columns["stage"] == columns["stage"][-1]
    validation = columns["validation_accuracy"][judged].tolist() if "validation_accuracy" in columns else None
    return select(columns["test_accuracy"][judged].tolist(), validation)


def of_outcomes(right: NDArray[np.bool_], reference: NDArray[np.int64]) -> dict[str, float | None]:
    """What the outcomes say of N test images, both (N,)."""
    return {"acc_last": accuracy_of(right), "macro_acc": macro_accuracy_of(right, reference)}


def of_predictions(arrays: Mapping[str, NDArray[Any]]) -> dict[str, float | None]:
    """What the predictions say: enough to hang on each of them; every metric would take ten times as long.

    Raises whatever numpy does of arrays that are not those of `ARRAYS`.
    """
    logits, reference = arrays["test_logits"], arrays["test_reference"]
    with np.errstate(all="ignore"):
        return {
            "acc_last": accuracy(logits, reference),
            "macro_acc": macro_accuracy(logits, reference),
            "nll": nll(logits, reference),
            "wrong_label_fit": wrong_label_fit(arrays["train_predicted"], arrays["train_given"], arrays["train_reference"]),
        }


def at_odds(stored: Metrics, again: Metrics, names: Iterable[str] | None = None) -> list[str]:
    """Which of the metrics are not what they should be: `acc_last is 51.2, and 48.1 by the rest`."""
    pairs = ((name, stored.get(name), again.get(name)) for name in (again if names is None else names))
    return [f"{name} is {_short(a)}, and {_short(b)}" for name, a, b in pairs if not _alike(a, b)]


def _alike(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=CLOSE, abs_tol=1e-9)


def _short(value: float | None) -> str:
    return "not given" if value is None else f"{value:.6g}"
