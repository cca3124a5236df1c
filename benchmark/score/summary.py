"""The scores of one run, under the names of their columns in `results.csv`.

Rates, accuracies and `ece` are in percent, `nll` in nats, the others without unit; None where a score does not apply.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from .arrays import Floats, Ints, check_labels, check_values
from .metrics import (
    aurc,
    auroc,
    average_precision,
    brier,
    ece,
    error_auroc,
    macro_accuracy,
    mistakes,
    msp_uncertainty,
    nll,
    vote_spearman,
    wrong_label_fit,
)


def score_test(logits: Floats, uncertainty: Floats, labels: Ints, votes: Ints | None = None) -> dict[str, float | None]:
    """Scores of the predictions for the test images.

    Args:
        logits: (N, K), float32.
        uncertainty: (N,), the method's own, larger = less sure.
        labels: (N,), the reference labels, in [0, K).
        votes: (N, K), counts of human votes for the classes in use, where there are any.

    Returns: `macro_acc`, `nll`, `ece`, `brier`, `aurc`, `error_auroc`, `msp_auroc`, `vote_spearman`.
    """
    wrong = mistakes(logits, labels)
    u = check_values(uncertainty, "uncertainty", len(wrong))
    return {
        "macro_acc": macro_accuracy(logits, labels),
        "nll": nll(logits, labels),
        "ece": ece(logits, labels),
        "brier": brier(logits, labels),
        "aurc": aurc(u, wrong),
        "error_auroc": error_auroc(u, logits, labels),
        "msp_auroc": auroc(msp_uncertainty(logits), wrong),
        "vote_spearman": None if votes is None else vote_spearman(u, votes),
    }


def score_training(
    predicted: Ints, given: Ints, reference: Ints, noise_score: Floats, uncertainty: Floats
) -> dict[str, float | None]:
    """Scores of what a method made of the wrong labels among the training images.

    Args:
        predicted: (N,), predicted classes of the plain (not augmented) images.
        given: (N,), the *original* given labels, also where the method changed them.
        reference: (N,), the labels that judge; -1 where an image shows none of the classes.
        noise_score: (N,), larger = label more likely wrong.
        uncertainty: (N,), the method's own, larger = less sure; unlike the noise score it has not seen the label.

    Returns: `noise_auroc`, `noise_ap`, `noise_unc_auroc`, `wrong_label_fit`; all None where no given label is wrong.
    """
    told = check_labels(given, "given labels")
    wrong = told != check_labels(reference, "reference labels", len(told), lowest=-1)
    score = check_values(noise_score, "noise score", len(told))
    return {
        "noise_auroc": auroc(score, wrong),
        "noise_ap": average_precision(score, wrong),
        "noise_unc_auroc": auroc(check_values(uncertainty, "uncertainty", len(told)), wrong),
        "wrong_label_fit": wrong_label_fit(predicted, given, reference),
    }


def select(test_accuracy: Sequence[float], validation_accuracy: Sequence[float] | None = None) -> dict[str, float | None]:
    """The accuracy to report, by each way of choosing the epoch.

    Args:
        test_accuracy: percent, on the test images, one value an epoch.
        validation_accuracy: percent, on held-out training images with their *given* labels, one value an epoch.

    Returns: `acc_last`; `acc_last5`, the mean of the last five epochs, or of all if fewer; `acc_val`, the test accuracy at
    the epoch with the best validation accuracy, the first of several, None without validation; `acc_best`, the largest test
    accuracy: an oracle that peeks at the test set, never the headline. All None without epochs.

    Source: the naming of model selection as part of a result is that of Gulrajani & Lopez-Paz, In Search of Lost Domain
    Generalization, ICLR 2021.
    """
    test = check_values(np.asarray(test_accuracy, dtype=np.float64), "test accuracy").tolist()
    if not test:
        if validation_accuracy is not None and len(validation_accuracy):
            raise ValueError(f"there are {len(validation_accuracy)} validation accuracies but no test accuracy")
        return dict.fromkeys(("acc_last", "acc_last5", "acc_val", "acc_best"))
    chosen = None
    if validation_accuracy is not None:
        held_out = check_values(np.asarray(validation_accuracy, dtype=np.float64), "validation accuracy", len(test))
        chosen = test[int(held_out.argmax())]  # argmax gives the first
    return {"acc_last": test[-1], "acc_last5": fmean(test[-5:]), "acc_val": chosen, "acc_best": max(test)}
