"""What was predicted for each test image, read from the store when a test wants it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..contract.errors import BadInput
from ..score.arrays import Bools, Ints
from ..store import Store
from .results import Result


class Evidence(Protocol):
    """Where tests have their predictions from."""

    def right(self, runs: Sequence[Result]) -> Bools:
        """Whether each of R runs on one test set is right about each of its images, (R, N)."""
        ...

    def labels(self, run: Result) -> Ints:
        """The reference labels (N,) of the test set of a run."""
        ...


class StoredEvidence:
    """The predictions of finished runs on disk. Raises BadInput where they are missing or damaged."""

    def __init__(self, store: Store):
        self._store = store

    def right(self, runs: Sequence[Result]) -> Bools:
        """See `Evidence`."""
        found = [self._store.run(run.key).test_right() for run in runs]
        for run, right in zip(runs, found, strict=True):
            if len(right) != len(found[0]):
                raise BadInput(
                    f"{self._store.run(run.key).path} holds predictions of {len(right)} test images, "
                    f"and {runs[0].key} beside it of {len(found[0])}"
                )
        return np.stack(found)

    def labels(self, run: Result) -> Ints:
        """See `Evidence`."""
        return self._store.run(run.key).test_reference()
