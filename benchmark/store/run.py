"""One run on disk."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract.errors import BadInput, told
from ..npz import read_npz
from ..paths import PART, has_parts, remove_parts, write_whole
from ..record import ModelRecord
from ..spec import RunSpec
from .files import as_json, npz, read_json
from .lock import Lock
from .manifest import FORMAT, LARGE, MANIFEST, SMALL, Content, Inputs, Manifest

LOCK = "lock.json"
STACK = "stack"
"""What a run's process is at just before it is ended; a part, so that it goes with all that is left half done."""
ENDS = ("metrics.json", "failure.json")
"""By which a run has ended."""
MOST_BYTES = 2**31
"""Of a run's arrays in one file."""
MOST_CLASSES = 100_000
"""That are counted: a damaged label must not fill the memory."""


class NotStored(Exception):
    """A file of a run could not be written, for want of room or of the folder: the run is as it was, and can go on later."""


class RunFolder:
    """One run on disk; what writes to it raises NotStored where that cannot be done."""

    def __init__(self, path: Path):
        self.path = path
        self.lock = Lock(path / LOCK)  #: held by whoever works on the run

    @property
    def key(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def status(self) -> str:
        """`finished`, `failed`, `started` or `missing`."""
        for name, status in (("metrics.json", "finished"), ("failure.json", "failed"), ("spec.json", "started")):
            if (self.path / name).is_file():
                return status
        return "missing"

    def make(self) -> None:
        """Makes the folder; not the one that holds the sweep, which somebody may have moved away."""
        self.path.parent.mkdir(exist_ok=True)
        self.path.mkdir(exist_ok=True)

    def begin(self, spec: RunSpec, environment: Mapping[str, Any]) -> None:
        """What is to be run, and on what; a failure of an earlier try is forgotten."""
        self._write("spec.json", as_json(spec.to_dict()))
        self._write("environment.json", as_json(environment))
        (self.path / "failure.json").unlink(missing_ok=True)
        if self.checkpoint() is None:
            (self.path / "history.csv").unlink(missing_ok=True)

    def spec(self) -> RunSpec:
        """The run's spec as stored."""
        return read_json(self.path / "spec.json", RunSpec)

    def save_checkpoint(self, content: bytes) -> None:
        """Replaces the checkpoint."""
        self._write("checkpoint.pt", content)

    def checkpoint(self) -> bytes | None:
        """The last checkpoint, where there is one."""
        path = self.path / "checkpoint.pt"
        return path.read_bytes() if path.is_file() else None

    def save_history(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """All epochs so far, a row each; the columns are those of all rows."""
        import pandas as pd

        self._write("history.csv", pd.DataFrame(list(rows)).to_csv(index=False).encode())

    def save_arrays(self, name: str, arrays: Mapping[str, Any]) -> None:
        """predictions.npz, outcomes.npz or features.npz; arrays that are None are left out."""
        self._write(f"{name}.npz", npz(arrays))

    def has(self, name: str) -> bool:
        """Whether there is an array file of that name."""
        return (self.path / f"{name}.npz").is_file()

    def arrays(self, name: str, wanted: Iterable[str]) -> dict[str, NDArray[Any]]:
        """The wanted arrays that an array file holds. Raises BadInput where it is missing or damaged."""
        path = self.path / f"{name}.npz"
        if not path.is_file():
            raise BadInput(f"{path} is missing")
        try:
            return dict(read_npz(path, MOST_BYTES, frozenset(wanted)))
        except Exception:  # zip, zlib and numpy each raise types of their own
            raise BadInput(f"{path} is damaged") from None

    def save_model(self, weights: bytes, record: ModelRecord) -> None:
        """The trained model: its weights as safetensors, and what else it takes to build it."""
        self._write("model.safetensors", weights)
        self._write("model.json", as_json(record.to_dict()))

    def model(self) -> tuple[bytes, ModelRecord]:
        """The trained model as stored, also where it was exported to. Raises BadInput, which says what is lacking."""
        weights = self.path / "model.safetensors"
        if not (self.path / "model.json").is_file():
            raise BadInput(f"{self.path}: {self._without_model()}")
        found = self.record()
        try:
            content = weights.read_bytes()
        except OSError as error:
            raise BadInput(f"{weights} cannot be read ({error.strerror})") from None
        if hashlib.sha256(content).hexdigest() != found.weights_sha256:
            raise BadInput(f"{weights} is damaged, or of another model: its sha256 is not the one in model.json")
        return content, found

    def record(self) -> ModelRecord:
        """model.json, without the weights. Raises BadInput."""
        return read_json(self.path / "model.json", ModelRecord)

    def _without_model(self) -> str:
        if not self.path.is_dir():
            there = "it is a file" if self.path.exists() else "there is no such folder"
            return f"{there}; wanted the folder of a run (OUT/runs/KEY), or an exported one"
        if (self.path / "grid.json").is_file():
            return "it holds a sweep; wanted one of its runs, as in runs/KEY"
        if self.status == "finished":
            return (
                "it was finished before runs kept a model.json, and lacks classes, image shape and colour statistics; "
                "run it again with --force"
            )
        if self.status != "missing":
            return f"the run is not finished ({self.status})"
        return "there is no model in it (no model.json)"

    def finish(self, metrics: Mapping[str, Any], inputs: Inputs) -> None:
        """Vouches for the run's files, then declares it finished; the checkpoint has served."""
        content = as_json(metrics)
        files = {name: self._content(name) for name in (*SMALL, *LARGE) if (self.path / name).is_file()}
        manifest = Manifest(FORMAT, inputs, files | {"metrics.json": Content.of(content)})
        self._write(MANIFEST, as_json(manifest.to_dict()))
        self._write("metrics.json", content)
        (self.path / "checkpoint.pt").unlink(missing_ok=True)

    def fail(self, reason: str, details: str) -> None:
        """Records why the run failed; its checkpoint goes, because what led to the failure is in it."""
        self._write("failure.json", as_json({"error": reason, "details": details}))
        (self.path / "checkpoint.pt").unlink(missing_ok=True)

    def discard(self) -> None:
        """Removes the run, finished or not; first what makes it count as finished.

        Neither its lock nor its stack: whoever discards it is at work on it, and may be watched.
        """
        names = [*ENDS, *(p.name for p in self.path.glob("*") if p.is_file())]
        for name in dict.fromkeys(names):
            if name not in (LOCK, self.stack.name):
                (self.path / name).unlink(missing_ok=True)

    def files(self) -> dict[str, bytes]:
        """All that it holds, by name."""
        return {path.name: path.read_bytes() for path in self.path.glob("*") if path.is_file() and path.name != LOCK}

    def put(self, files: Mapping[str, bytes]) -> None:
        """Replaces all that is there by what `files` of another copy has given; what makes it count as ended comes last."""
        self.discard()
        self.stack.unlink(missing_ok=True)
        for name in sorted(files, key=lambda name: (name in ENDS, name)):
            self._write(Path(name).name, files[name])

    def tidy(self) -> None:
        """Removes what processes that were killed have left beside a run; only for whoever holds it."""
        remove_parts(self.path)
        if self.status in ("finished", "failed"):
            (self.path / "checkpoint.pt").unlink(missing_ok=True)

    def tidy_if_free(self) -> None:
        """The same, where there may be something to remove, a dead owner's lock too, and nobody is at work on the run."""
        with contextlib.suppress(OSError):  # a folder that may only be read
            left = has_parts(self.path) or any((self.path / name).is_file() for name in (LOCK, "checkpoint.pt"))
            if left and self.lock.claim():
                try:
                    self.tidy()
                finally:
                    self.lock.release()

    @property
    def stack(self) -> Path:
        """Where that is written."""
        return self.path / f".{STACK}{PART}"

    def _write(self, name: str, content: bytes) -> None:
        try:
            self.make()
            write_whole(self.path / name, content, anew=False)
        except OSError as error:
            raise NotStored(f"it could not be stored: {told(error)}") from error

    def _content(self, name: str) -> Content:
        with (self.path / name).open("rb") as file:
            return Content.read(file)

    def manifest(self) -> Manifest:
        """manifest.json of a finished run. Raises BadInput where it is missing or damaged."""
        return read_json(self.path / MANIFEST, Manifest)

    def metrics(self) -> dict[str, float | None]:
        """metrics.json of a finished run."""
        metrics = read_json(self.path / "metrics.json", dict[str, float | None])
        for name in ("acc_last", "train_seconds"):
            if metrics.get(name) is None:
                raise BadInput(f"{self.path / 'metrics.json'} is damaged: there is no {name} in it")
        for name, value in metrics.items():
            if value is not None and not math.isfinite(value):
                raise BadInput(f"{self.path / 'metrics.json'} is damaged: its {name} is {value}")
        return metrics

    def outcomes(self) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Of each test image whether the finished run is right about it, (N,), and its reference label, (N,).

        All that statistical tests want of the predictions, which are a hundred times as large. Raises BadInput.
        """
        if not self.has("outcomes"):
            raise BadInput(f"{self.path / 'outcomes.npz'} is missing; the run is made whole by running it again with --force")
        arrays = self.arrays("outcomes", ("right", "reference"))
        right, reference = (arrays.get(name, np.empty(0)) for name in ("right", "reference"))
        is_pair = right.shape == reference.shape and right.ndim == 1 and (right.dtype.kind, reference.dtype.kind) == ("b", "i")
        if not is_pair or (reference.size and not 0 <= reference.min() <= reference.max() < MOST_CLASSES):
            said = f"{right.dtype} {right.shape} and {reference.dtype} {reference.shape}"
            raise BadInput(f"{self.path / 'outcomes.npz'} is damaged: it holds {said}, which are no outcomes and labels")
        return right, reference.astype(np.int64)

    def failure(self) -> dict[str, str]:
        """failure.json of a failed run."""
        return read_json(self.path / "failure.json", dict[str, str])

    def environment(self) -> dict[str, Any]:
        """environment.json: the machine and versions that the run was made with."""
        return read_json(self.path / "environment.json", dict[str, Any])

    def history(self) -> dict[str, NDArray[np.float64]]:
        """The epochs so far (E,) by column, NaN where nothing stands. Raises BadInput where one is missing or damaged."""
        damaged = f"{self.path / 'history.csv'} is damaged:"
        try:
            rows = self.history_rows()
            columns = {name: np.array([float(row[name] or "nan") for row in rows]) for name in (rows[0] if rows else ())}
        except (TypeError, ValueError, csv.Error):
            raise BadInput(f"{damaged} one of its values is no number") from None
        finished = self.status == "finished"
        if not rows and not finished:
            return {}
        if not {"epoch", "epochs"} <= columns.keys():
            raise BadInput(f"{damaged} there are no epochs in it")
        expected = columns["epochs"][-1] if finished else len(rows)
        if len(rows) != expected or not np.array_equal(columns["epoch"], 1 + np.arange(len(rows))):
            raise BadInput(f"{damaged} it holds {len(rows)} epochs, and not each of {expected:g} once")
        return columns

    def history_rows(self) -> list[dict[str, str]]:
        """The epochs so far as text, for the progress display."""
        try:
            with (self.path / "history.csv").open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
        except FileNotFoundError:
            return []
