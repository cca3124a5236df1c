"""What the store tells beyond metrics: what became of each test image, when a test wants it, and what runs were trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..contract.errors import BadInput
from ..score.arrays import Bools, Ints
from ..store import RunFolder, Store
from .results import Result


class Evidence(Protocol):
    """Where tests know it from."""

    def right(self, runs: Sequence[Result]) -> Mapping[str, Bools]:
        """By key, whether each of the runs on one test set is right about each of its images, (N,); of those that tell."""
        ...

    def labels(self, run: Result) -> Ints:
        """The reference labels (N,) of the test set of a run."""
        ...


UNKNOWN = "what is not recorded"


def machines_of(folder: RunFolder) -> list[str]:
    """All that a run was trained on: it may have been interrupted, and gone on with elsewhere. Raises BadInput."""
    last = folder.environment()
    earlier = last.get("earlier")
    return [_machine(told) for told in (*(earlier if isinstance(earlier, list) else ()), last)]


def _machine(told: Any) -> str:
    if not isinstance(told, dict) or not isinstance(told.get("device"), str):
        return UNKNOWN
    processor = " ".join(str(told[name]) for name in ("processor", "model") if told.get(name)) or told["device"]
    return f"{processor} ({told['device']}, threads: {told.get('threads')})"


class StoredEvidence:
    """The outcomes of finished runs on disk. A run whose outcomes cannot be used is left out, and `damaged` says why."""

    def __init__(self, store: Store):
        self._store = store
        self.damaged: dict[str, str] = {}  #: by key

    def right(self, runs: Sequence[Result]) -> dict[str, Bools]:
        """See `Evidence`."""
        found: dict[str, Bools] = {}
        for run in runs:
            try:
                found[run.key], _ = self._store.run(run.key).outcomes()
            except BadInput as error:
                self.damaged[run.key] = str(error)
        (usual, _), *_ = Counter(map(len, found.values())).most_common(1) or [(0, 0)]
        for key in [key for key, right in found.items() if len(right) != usual]:
            count = len(found.pop(key))
            self.damaged[key] = f"{self._store.run(key).path} has outcomes of {count} test images, and others of {usual}"
        return found

    def labels(self, run: Result) -> Ints:
        """See `Evidence`."""
        return self._store.run(run.key).outcomes()[1]
