"""The contract between the suite and its plugins; it imports nothing else of the project."""

from .dataset import Card, Data, Dataset, Split
from .errors import BadInput
from .method import Backbone, Batch, Method, NoOptions, Paper, Prediction, Task, TrainingSet

__all__ = [
    "Backbone",
    "BadInput",
    "Batch",
    "Card",
    "Data",
    "Dataset",
    "Method",
    "NoOptions",
    "Paper",
    "Prediction",
    "Split",
    "Task",
    "TrainingSet",
]
