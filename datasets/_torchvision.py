"""Distributions that torchvision may fetch: from the places it knows, and verified by the md5 that it knows."""

from __future__ import annotations

from pathlib import Path

from benchmark.contract import BadInput


def fetch(name: str, official: str, root: Path) -> None:
    """Has the class `official` of torchvision.datasets fetch what is not there whole into the data root. Raises BadInput."""
    from torchvision import datasets

    try:
        getattr(datasets, official)(root, download=True)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise BadInput(f"{name} could not be downloaded into {root}: {reason}") from None
