"""What classes are mistaken for: the maps of asymmetric noise, and those that all sets of expressions share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MEASURED = {
    "neutral": {"happiness": 318, "surprise": 165, "sadness": 2102, "anger": 998, "disgust": 24, "fear": 1088},
    "happiness": {"neutral": 306, "surprise": 203, "sadness": 42, "anger": 87, "disgust": 10, "fear": 86},
    "surprise": {"neutral": 19, "happiness": 116, "sadness": 30, "anger": 97, "disgust": 2, "fear": 503},
    "sadness": {"neutral": 164, "happiness": 7, "surprise": 19, "anger": 231, "disgust": 63, "fear": 710},
    "anger": {"neutral": 11, "happiness": 16, "surprise": 21, "sadness": 72, "disgust": 53, "fear": 288},
    "disgust": {"surprise": 1, "sadness": 1, "anger": 18, "fear": 4},
    "fear": {"happiness": 3, "surprise": 59, "sadness": 10, "anger": 23, "disgust": 2},
}
"""Training images of FER+ (the majority's seven expressions) that FER2013 labels otherwise: counted from both files."""

LA_NET = {
    "anger": {"disgust": 1},
    "disgust": {"anger": 1},
    "fear": {"surprise": 1},
    "happiness": {"neutral": 1},
    "sadness": {"neutral": 1},
    "surprise": {"anger": 1},
    "neutral": {"sadness": 1},
}
"""The map in the released code of LA-Net (Wu and Cui, ICCV 2023)."""


def expression_mistakes(classes: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """(K, K) by noise kind, for classes with the names above in any order; a class of another name is never mistaken."""
    return {"asymmetric": mistake_matrix(classes, MEASURED), "asymmetric-la-net": mistake_matrix(classes, LA_NET)}


def mistake_matrix(classes: Sequence[str], counts: dict[str, dict[str, int]]) -> NDArray[np.float64]:
    """Counts by names as a matrix (K, K) whose rows are distributions, or zeros for a class that is not mistaken."""
    matrix = np.array([[counts.get(name, {}).get(other, 0) for other in classes] for name in classes], np.float64)
    total = matrix.sum(axis=1, keepdims=True)
    np.divide(matrix, total, out=matrix, where=total > 0)
    return matrix
