"""What a finished run vouches for: its files by size and sha256, and what its key is made of besides the spec."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import IO, Any, Literal

MANIFEST = "manifest.json"
FORMAT: Literal[2] = 2
"""Raised when other files make a run whole, or what stands in the manifest changes: no other version can judge by it then."""
SMALL = ("spec.json", "environment.json", "history.csv", "outcomes.npz", "model.json", "metrics.json")
"""Files that every finished run has."""
LARGE = ("predictions.npz", "features.npz", "model.safetensors")
"""Files that a copy which is handed on may leave out; the manifest keeps their sha256."""
OPTIONAL = ("features.npz",)
"""Of a method that shows no features there are none."""


@dataclass(frozen=True)
class Inputs:
    """What a result hangs on besides its spec; what is not in the key itself, code and noise stand for."""

    code: str  #: fingerprint of the method's
    noise_sha256: str
    weights_sha256: str | None  #: of the pretrained weights
    dataset_sha256: str
    protocol: int
    privilege: tuple[str, ...]  #: what the method knows beyond the given labels


@dataclass(frozen=True)
class Content:
    """What a file holds, by its size in bytes and its sha256."""

    size: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> Content:
        """Of bytes at hand."""
        return cls(len(content), hashlib.sha256(content).hexdigest())

    @classmethod
    def read(cls, file: IO[bytes]) -> Content:
        """Of what is left to be read of an open file."""
        start = file.tell()
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # wants more than it uses
        return cls(file.tell() - start, sha256)


@dataclass(frozen=True)
class Manifest:
    """manifest.json: written when everything else of a run is there, just before what declares it finished."""

    format: Literal[2]
    inputs: Inputs
    files: Mapping[str, Content]  #: by name

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)
