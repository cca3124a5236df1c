"""The contract between the suite and its plugins; it imports nothing else of the project."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import Count, Fraction, NonNegative, NoOptions, Part, Positive, Share
    from .dataset import Card, Data, Dataset, Finding, Seen, Split, duplicates
    from .errors import BadInput
    from .images import Box, decode_one
    from .method import Backbone, Batch, Method, Paper, Prediction, Task, TrainingSet

_HOME = {
    "config": ["Count", "Fraction", "NoOptions", "NonNegative", "Part", "Positive", "Share"],
    "dataset": ["Card", "Data", "Dataset", "Finding", "Seen", "Split", "duplicates"],
    "errors": ["BadInput"],
    "images": ["Box", "decode_one"],
    "method": ["Backbone", "Batch", "Method", "Paper", "Prediction", "Task", "TrainingSet"],
}

__all__ = [
    "Backbone",
    "BadInput",
    "Batch",
    "Box",
    "Card",
    "Count",
    "Data",
    "Dataset",
    "Finding",
    "Fraction",
    "Method",
    "NoOptions",
    "NonNegative",
    "Paper",
    "Part",
    "Positive",
    "Prediction",
    "Seen",
    "Share",
    "Split",
    "Task",
    "TrainingSet",
    "decode_one",
    "duplicates",
]


def __getattr__(name: str) -> Any:
    """Finds a name where it lives, when it is first wanted: methods need torch, which takes seconds to import."""
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
