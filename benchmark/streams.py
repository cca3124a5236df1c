"""Random streams: each is derived from (seed, purpose, counters), so none has to be saved and none disturbs another."""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, purpose: str, *counters: int) -> int:
    """A 63-bit seed for one purpose of one run: the same words always give the same number."""
    words = "/".join([str(seed), purpose, *map(str, counters)])
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big") >> 1


def numpy_stream(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """A numpy generator for one purpose of one run."""
    return np.random.Generator(np.random.PCG64(derive(seed, purpose, *counters)))
