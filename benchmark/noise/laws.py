"""The laws of label noise: from what is known of the images to the labels that they are given. Pure functions of their streams.

Most kinds are a pair: who gets another label (a coin for each image, or an exact count), and which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
Stream = np.random.Generator


@dataclass(frozen=True)
class Known:
    """What a law may look at."""

    labels: Labels  #: (N,), the reference labels
    num_classes: int
    images: NDArray[np.uint8] | None = None  #: (N, H, W, C)
    votes: NDArray[np.int64] | None = None  #: (N, K)
    matrix: NDArray[np.float64] | None = None
    """(K, K): for `asymmetric` kinds, what a class is mistaken for, each row a distribution or all zeros for a class that is
    not mistaken; for `confusion`, the transition matrix."""


def others(known: Known, stream: Stream) -> Labels:
    """Uniform over the other K - 1 classes."""
    shift = stream.integers(1, known.num_classes, len(known.labels))
    return (known.labels + shift) % known.num_classes


def all_classes(known: Known, stream: Stream) -> Labels:
    """Uniform over all K classes, the own one among them."""
    return stream.integers(0, known.num_classes, len(known.labels))


def next_class(known: Known, stream: Stream) -> Labels:
    """The class that follows, after the last one the first."""
    return (known.labels + 1) % known.num_classes


def mistaken(known: Known, stream: Stream) -> Labels:
    """Drawn from what a class is mistaken for; its own where it is not mistaken."""
    assert known.matrix is not None
    matrix = known.matrix + np.diag(known.matrix.sum(axis=1) == 0)
    return drawn(matrix[known.labels], stream)


def drawn(shares: NDArray[np.float64], stream: Stream) -> Labels:
    """A class (N,) for each row of shares (N, K), drawn by them."""
    edges = shares.cumsum(axis=1)
    edges /= edges[:, -1:]
    chosen: Labels = (stream.random(len(shares))[:, None] >= edges).sum(axis=1)
    return chosen


Wrong = Callable[[Known, Stream], Labels]
Law = Callable[[Known, float, Stream], Labels]
RatelessLaw = Callable[[Known, Stream], Labels]


def by_coin(wrong: Wrong) -> Law:
    """One coin a sample; heads (probability: the rate) gives it another label."""

    def law(known: Known, rate: float, stream: Stream) -> Labels:
        flip = stream.random(len(known.labels)) < rate
        return np.where(flip, wrong(known, stream), known.labels)

    return law


def by_count(wrong: Wrong) -> Law:
    """Exactly the rate's share of all samples that can be given another label, rounded, get one."""

    def law(known: Known, rate: float, stream: Stream) -> Labels:
        can = np.ones(len(known.labels), bool)
        if wrong is mistaken:
            assert known.matrix is not None
            can = (known.matrix.sum(axis=1) > 0)[known.labels]
        chosen = stream.permutation(np.flatnonzero(can))[: round(rate * can.sum())]
        given = known.labels.copy()
        given[chosen] = wrong(known, stream)[chosen]
        return given

    return law


def instance(known: Known, rate: float, stream: Stream) -> Labels:
    """Part-dependent noise (Xia et al., NeurIPS 2020, algorithm 2; code: xiaoboxia/Part-dependent-label-noise, tools.py).

    Each image has a rate of its own, from a normal distribution around `rate` with deviation 0.1 that is cut to [0, 1]. Which
    other class it may get is softmax(x W_y) without y, of its pixels x in [0, 255] and a random matrix W_y a class. With values
    of that size the softmax is all but one class, as in the code.
    """
    from scipy.stats import truncnorm

    assert known.images is not None
    N, K, spread = len(known.labels), known.num_classes, 0.1
    rates = truncnorm.rvs(-rate / spread, (1 - rate) / spread, loc=rate, scale=spread, size=N, random_state=stream)
    pixels = int(np.prod(known.images.shape[1:]))
    shares = np.zeros((N, K))
    for c in range(K):
        W = stream.standard_normal((pixels, K), dtype=np.float32)
        for part in np.array_split(np.flatnonzero(known.labels == c), max(1, N // (K * 1000))):
            scores = known.images[part].reshape(len(part), -1).astype(np.float32) @ W
            scores[:, c] = -np.inf
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            shares[part] = rates[part, None] * scores / scores.sum(axis=1, keepdims=True)
            shares[part, c] += 1 - rates[part]
    return drawn(shares, stream)


def votes(known: Known, stream: Stream) -> Labels:
    """One of its human votes for each image: ambiguous images are mislabelled most, and into what they look like."""
    assert known.votes is not None
    own = np.eye(known.num_classes)[known.labels]
    return drawn(np.where(known.votes.sum(axis=1, keepdims=True) > 0, known.votes, own), stream)


def confusion(known: Known, stream: Stream) -> Labels:
    """Drawn from the row of its class in a transition matrix that a file gives (row: reference label, column: given label)."""
    assert known.matrix is not None
    return drawn(known.matrix[known.labels], stream)


RATED: Mapping[str, Law] = {
    "symmetric": by_coin(others),
    "symmetric-exact": by_count(others),
    "symmetric-inclusive": by_coin(all_classes),
    "symmetric-inclusive-exact": by_count(all_classes),
    "pairflip": by_coin(next_class),
    "pairflip-exact": by_count(next_class),
    "instance": instance,
}
"""The laws that take a rate and fit every dataset."""

MISTAKES: Mapping[str, Law] = {"": by_coin(mistaken), "-exact": by_count(mistaken)}
"""The laws of a dataset's own maps of mistakes, by the end of a kind's name."""

RATELESS: Mapping[str, RatelessLaw] = {"votes": votes, "confusion": confusion}
"""The laws whose rate comes with what they look at."""

ABOUT: Mapping[str, str] = {
    "symmetric": "one coin a sample, then uniform over the other classes: the law of the FER papers and of Co-teaching",
    "symmetric-inclusive": "one coin a sample, then uniform over all classes, so that only rate * (1 - 1/K) change: the "
    "convention of DivideMix, ELR and SOP",
    "pairflip": "one coin a sample, then the next class (Co-teaching)",
    "asymmetric": "one coin a sample of the classes that are mistaken, then what they are mistaken for; a dataset's own "
    "maps, asymmetric or asymmetric-NAME, as its card says",
    "instance": "the image decides how likely its label is wrong, and which class it gets (Xia et al., NeurIPS 2020)",
    "votes": "one of each image's human votes, where a dataset has them; takes no rate",
    "confusion": "drawn from the transition matrix of a file (--noise-file M.csv); takes no rate",
}
"""One line each, for `list noises`; every kind with a coin also has a form `KIND-exact`, of an exact count."""
