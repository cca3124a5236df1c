"""One output folder: its sweep, the plan of its runs, and what is made from those that are finished."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..contract.errors import BadInput
from ..paths import need_writable, remove_parts, write_whole
from ..spec import RunSpec
from .files import as_json, read_json, read_text
from .lock import Lock
from .manifest import Inputs
from .run import LOCK, RunFolder


@dataclass(frozen=True)
class PlannedRun:
    """A run of a grid, with what is known of it before it is done: a line of grid.json."""

    spec: RunSpec
    key: str
    noise_sha256: str
    weights_sha256: str | None
    dataset_sha256: str
    code: str  #: fingerprint of the method's
    protocol: int
    realised: float  #: the noise's realised rate, a fraction
    images_of: str  #: the dataset that first showed these images, mostly the run's own
    imbalance: float  #: images of the test set's most frequent class over those of its rarest
    privilege: tuple[str, ...]  #: what the method knows beyond the given labels
    weights_match: str | None  #: how much of the backbone the pretrained weights fill: `72 of 74 tensors`

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {f.name: getattr(self, f.name) for f in fields(PlannedRun)} | {"spec": self.spec.to_dict()}

    @property
    def inputs(self) -> Inputs:
        """What its key is made of besides the spec."""
        return Inputs(**{f.name: getattr(self, f.name) for f in fields(Inputs)})


RESULTS = ("results.csv", "table.md", "table.csv", "table.tex", "table.html")
"""What is made from the finished runs, again at each run."""
DRIVER = ".driver-"
"""How the names of the files begin by which a cluster's workers know the folder."""


class Store:
    """One output folder; what writes to it raises BadInput where that cannot be done."""

    def __init__(self, root: Path):
        self.root = root
        self._lock: Lock | None = None  #: while this process is alone

    def check_writable(self) -> None:
        """Raises BadInput where nothing can be written; leaves no trace."""
        need_writable("--out", self.root)
        try:
            for name, is_folder in (("noise", True), ("runs", True), ("sweep.toml", False), ("grid.json", False)):
                path = self.root / name
                if path.exists() and not (path.is_dir() if is_folder else path.is_file()):
                    raise BadInput(f"--out {self.root}: {path} is in the way")
            if not any((self.root / name).exists() for name in ("sweep.toml", "grid.json")):
                for path in (self.root / name for name in RESULTS):
                    if path.exists():
                        raise BadInput(
                            f"--out {self.root}: {path} would be overwritten, and is of no sweep (there is no sweep.toml)"
                        )
        except OSError as error:
            raise BadInput(f"--out {self.root}: it cannot be written ({error.strerror})") from None

    @property
    def is_here(self) -> bool:
        """Whether there is a sweep in it: somebody may have moved it away."""
        return (self.root / "grid.json").is_file()

    def need_sweep(self) -> None:
        """Raises BadInput where there is none."""
        if not self.is_here:
            raise BadInput(f"{self.root}: there is no sweep in it (no grid.json)")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Only one process at a time changes a folder's sweep, plan and tables; this one, when it can be. Raises BadInput.

        So does what writes there, where this process was stopped for so long that another has the folder by then.
        """
        lock = Lock(self.root / LOCK)
        with _told_in_a_line(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            lock.wait()
        try:
            with _told_in_a_line(self.root):
                for folder in (self.root.resolve(), self.root / "noise", self.root / "figures"):
                    remove_parts(folder)
            self._lock = lock
            yield
        finally:
            self._lock = None
            lock.release()

    @contextmanager
    def marker(self) -> Iterator[Path]:
        """A file by which a worker knows that it sees this folder, and not another one of its name."""
        with _told_in_a_line(self.root):
            for left in self.root.glob(f"{DRIVER}*"):  # by a process that was killed
                owner = Lock(left).owner()
                if owner and owner.is_dead():
                    left.unlink(missing_ok=True)
            lock = Lock(self.root / f"{DRIVER}{uuid.uuid4().hex}")
            lock.wait()
        try:
            yield lock.path
        finally:
            lock.release()

    def run(self, key: str) -> RunFolder:
        """The folder of one run."""
        return RunFolder(self.root / "runs" / key)

    def save_noise(self, sha256: str, content: bytes) -> None:
        """Keeps a noise artefact under its name; one that is there already, and whole, is not written again."""
        path = self.noise_path(sha256)
        with _told_in_a_line(path):
            is_there = path.is_file() and path.read_bytes() == content
        if not is_there:
            self._write(path, content)

    def noise_path(self, sha256: str) -> Path:
        """Where the artefact of that name lies."""
        return self.root / "noise" / f"{sha256}.npz"

    def sweep_text(self) -> str | None:
        """sweep.toml, where there is one."""
        path = self.root / "sweep.toml"
        return read_text(path) if path.is_file() else None

    def save_sweep(self, text: str) -> None:
        """Replaces sweep.toml."""
        self._write(self.root / "sweep.toml", text.encode())

    def save_plan(self, runs: Iterable[PlannedRun]) -> None:
        """Keeps the whole grid in order, so that tables can show what is missing."""
        with _told_in_a_line(self.root / "runs"):
            (self.root / "runs").mkdir(parents=True, exist_ok=True)
        self._write(self.root / "grid.json", as_json([run.to_dict() for run in runs]))

    def plan(self, *, needed: bool = True) -> list[PlannedRun]:
        """The whole grid in order. Raises BadInput where the folder holds no sweep, unless none is `needed`."""
        path = self.root / "grid.json"
        if not needed and not self.is_here:
            return []
        self.need_sweep()
        runs = read_json(path, list[PlannedRun])
        if needed and not runs:
            raise BadInput(f"{path} is damaged: it holds no runs")
        return runs

    def has_result(self, name: str) -> bool:
        """Whether there is a table of that name."""
        return (self.root / name).is_file()

    def save_result(self, name: str, content: str | bytes) -> None:
        """results.csv, a table, or a figure (`figures/NAME`)."""
        self._write(self.root / name, content.encode() if isinstance(content, str) else content)

    def _write(self, path: Path, content: bytes) -> None:
        if self._lock is not None and not self._lock.is_mine():
            raise BadInput(
                f"{self.root}: this process was held up, and does not hold the folder any more; give the command again"
            )
        with _told_in_a_line(path):
            write_whole(path, content)


@contextmanager
def _told_in_a_line(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror})") from None
