"""Random streams: fixed for ever by their words, and each its own."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmark.streams import derive, numpy_stream


def test_streams_are_fixed_for_ever():
    """Old results can be repeated only while these numbers stay."""
    assert derive(0, "noise/symmetric") == 7829736061717554259
    assert derive(3, "epoch", 11) == 6647551643129210558
    assert numpy_stream(0, "subset").integers(0, 1000, 4).tolist() == [792, 668, 661, 256]


@given(st.integers(0, 2**40), st.text(max_size=20), st.lists(st.integers(0, 10**6), max_size=3))
def test_a_seed_fits_63_bits_as_torch_wants(seed, purpose, counters):
    assert 0 <= derive(seed, purpose, *counters) < 2**63
    assert derive(seed, purpose, *counters) == derive(seed, purpose, *counters)


def test_streams_of_other_seeds_purposes_and_epochs_differ():
    counters = ((), (0,), (1,), (0, 1), (1, 0), (10,))
    words = [(s, p, *c) for s in range(3) for p in ("epoch", "order", "weights") for c in counters]
    assert len({derive(*w) for w in words}) == len(words)


def test_neighbouring_streams_are_not_correlated():
    draws = [numpy_stream(0, "epoch", k).standard_normal(4000) for k in range(20)]
    for a, b in pairwise(draws):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.08
