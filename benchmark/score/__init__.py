"""Scores: pure functions over numpy arrays, from what a model predicted to the figures in `results.csv`."""

from .curves import Reliability, RiskCoverage, reliability, risk_coverage
from .metrics import (
    accuracy,
    accuracy_of,
    aurc,
    auroc,
    average_precision,
    brier,
    ece,
    error_auroc,
    macro_accuracy,
    macro_accuracy_of,
    mistakes,
    msp_uncertainty,
    nll,
    vote_spearman,
    wrong_label_fit,
)
from .summary import score_test, score_training, select

__all__ = [
    "Reliability",
    "RiskCoverage",
    "accuracy",
    "accuracy_of",
    "aurc",
    "auroc",
    "average_precision",
    "brier",
    "ece",
    "error_auroc",
    "macro_accuracy",
    "macro_accuracy_of",
    "mistakes",
    "msp_uncertainty",
    "nll",
    "reliability",
    "risk_coverage",
    "score_test",
    "score_training",
    "select",
    "vote_spearman",
    "wrong_label_fit",
]
