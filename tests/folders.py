"""An output folder to be spoilt: by accident, and by somebody who makes the hashes fit."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmark.doctor import Examination, Finding, examine
from benchmark.store import RunFolder, Store
from benchmark.store.manifest import Content


class Folder:
    """Everything is named by its place below the root; `a`, `b` and `c` are the places of the first three runs of the grid."""

    def __init__(self, root: Path):
        self.root = root
        self.store = Store(root)
        self.keys = [run.key for run in self.store.plan()]
        self.a, self.b, self.c = (f"runs/{key}" for key in self.keys[:3])
        (self.noise,) = (f"noise/{path.name}" for path in (root / "noise").iterdir())

    def run(self, place: str) -> RunFolder:
        return RunFolder(self.root / place)

    def path(self, *place: str) -> Path:
        return self.root.joinpath(*place)

    def write(self, place: str, content: bytes | str, age: float = 0.0) -> None:
        """`age`: seconds since it was last touched."""
        path = self.path(place)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(path, (time.time() - age,) * 2)

    def flip(self, place: str, at: int | None = None) -> None:
        """One bit of a byte, in the middle if it is not said where."""
        content = bytearray(self.path(place).read_bytes())
        content[len(content) // 2 if at is None else at] ^= 1
        self.write(place, bytes(content))

    def cut(self, place: str) -> None:
        content = self.path(place).read_bytes()
        self.write(place, content[: len(content) // 2])

    def swap(self, one: str, other: str) -> None:
        aside = self.path("aside")
        self.path(one).rename(aside)
        self.path(other).rename(self.path(one))
        aside.rename(self.path(other))

    def edit(self, place: str, change: Callable[[Any], object]) -> None:
        """Changes a JSON file in place: `change` gets what is in it."""
        content = json.loads(self.path(place).read_text())
        change(content)
        self.write(place, json.dumps(content))

    def vouch(self, run: str) -> None:
        """Makes a run's manifest fit the files that are there, as whoever forges them would."""

        def fit(manifest: Any) -> None:
            for name in manifest["files"]:
                if self.path(run, name).is_file():
                    manifest["files"][name] = vars(Content.of(self.path(run, name).read_bytes()))

        self.edit(f"{run}/manifest.json", fit)

    def files(self) -> dict[str, bytes]:
        return {str(p.relative_to(self.root)): p.read_bytes() for p in sorted(self.root.rglob("*")) if p.is_file()}

    def examined(self) -> Examination:
        return examine(self.root)

    def findings(self) -> list[Finding]:
        return list(self.examined().findings)

    def found(self) -> list[tuple[str, str, str]]:
        """(kind, where, what) of each finding."""
        return [(finding.kind, finding.where, finding.what) for finding in self.findings()]
