"""The file that --out names: refused before the work, written whole after it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..contract.errors import BadInput
from .arguments import path_of
from .terminal import tell


def file_for(out: str, ending: str) -> Path:
    """The file, which must end as its content does. Raises BadInput."""
    file = Path(path_of("--out", out))
    if file.suffix != ending:
        raise BadInput(f"--out {file}: wanted a name that ends in {ending}")
    if file.exists():
        raise BadInput(f"--out {file}: it is there already")
    return file


def write_out(file: Path, content: bytes, notes: Sequence[str] = ()) -> None:
    """Writes it, after what a user should be told. Raises BadInput."""
    from ..paths import write_whole

    for note in notes:
        tell(note)
    try:
        write_whole(file, content)
    except OSError as error:
        raise BadInput(f"--out {file}: it cannot be written ({error.strerror})") from None
