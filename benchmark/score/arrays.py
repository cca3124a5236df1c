"""What every score needs first: arrays that are what they claim to be, and probabilities in double precision.

A score of a broken input would be a number like any other, so each check raises `ValueError` instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]


def check_logits(logits: Floats) -> Doubles:
    """Finite logits (N, K) in double precision; a float32 keeps its value."""
    array = np.asarray(logits, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"logits must have the shape (samples, classes), not {array.shape}")
    _refuse_non_finite(array, "logits")
    return array


def check_values(values: Floats, what: str, length: int | None = None) -> Doubles:
    """Finite numbers (N,) in double precision; `length` is the N that they must have."""
    array = np.asarray(values, dtype=np.float64)
    _check_shape(array, what, length)
    _refuse_non_finite(array, what)
    return array


def check_labels(
    labels: Ints, what: str, length: int | None = None, classes: int | None = None, lowest: int = 0
) -> NDArray[np.int64]:
    """Class numbers (N,) in [0, K); `classes` is K, where it is known; `lowest` is -1 where an image may show no class."""
    array = np.asarray(labels)
    _check_shape(array, what, length)
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"{what} must be integers, not {array.dtype}")
    if array.size and (array.min() < lowest or (classes is not None and array.max() >= classes)):
        upper = "" if classes is None else f" and below {classes}"
        raise ValueError(f"{what} must be at least {lowest}{upper}; they reach from {array.min()} to {array.max()}")
    return array.astype(np.int64)


def check_flags(flags: Bools, what: str, length: int | None = None) -> Bools:
    """Truth values (N,); zeros and ones will do."""
    array = np.asarray(flags)
    _check_shape(array, what, length)
    if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
        raise ValueError(f"{what} must be true or false (1 or 0) for each sample")
    return array.astype(np.bool_)


def check_votes(votes: Ints, length: int | None = None) -> Doubles:
    """Counts of votes (N, K), none of them negative."""
    array = np.asarray(votes, dtype=np.float64)
    if array.ndim != 2 or (length is not None and len(array) != length):
        raise ValueError(f"votes must have the shape ({'samples' if length is None else length}, classes), not {array.shape}")
    _refuse_non_finite(array, "votes")
    if (array < 0).any():
        raise ValueError(f"votes must be counts; the smallest is {array.min():g}")
    return array


def softmax(logits: Doubles) -> Doubles:
    """Probabilities (N, K) of logits (N, K)."""
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(share / share.sum(axis=1, keepdims=True))


def log_softmax(logits: Doubles) -> Doubles:
    """Logarithms (N, K) of the probabilities of logits (N, K), in nats."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _check_shape(array: NDArray[Any], what: str, length: int | None) -> None:
    if array.ndim != 1 or (length is not None and len(array) != length):
        raise ValueError(f"{what} must have the shape ({'samples' if length is None else length},), not {array.shape}")


def _refuse_non_finite(array: Doubles, what: str) -> None:
    broken = int(array.size - np.isfinite(array).sum())
    if broken:
        raise ValueError(f"{what} must be finite; {broken} of {array.size} values are NaN or infinite")
