"""The columns of a run: the right score under the right name, and None where there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from benchmark.score import aurc, brier, ece, score_test, score_training, select

few = settings(max_examples=60, deadline=None, database=None)
TEST = ["macro_acc", "nll", "ece", "brier", "aurc", "error_auroc", "msp_auroc", "vote_spearman"]
TRAINING = ["noise_auroc", "noise_ap", "noise_unc_auroc", "wrong_label_fit"]


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 300)
    logits = (2 * rng.normal(size=(300, 5)) + 2 * np.eye(5)[labels]).astype(np.float32)
    uncertainty = (rng.normal(size=300) + (logits.argmax(1) != labels)).astype(np.float32)
    votes = rng.multinomial(10, [0.5, 0.2, 0.1, 0.1, 0.1], 300)
    return logits, uncertainty, labels, votes


def test_the_scores_of_a_test_set(predictions):
    logits, uncertainty, labels, votes = predictions
    scores = score_test(*predictions)
    wrong = logits.argmax(1) != labels
    p = torch.from_numpy(logits).double().softmax(1).numpy()
    share = votes / 10
    entropy = -np.where(share > 0, share * np.log(np.where(share > 0, share, 1)), 0).sum(1)
    ranks = pd.Series(uncertainty).corr(pd.Series(entropy.round(9)), method="spearman")
    assert list(scores) == TEST
    assert all(type(value) is float for value in scores.values())
    assert scores == pytest.approx(
        {
            "macro_acc": 100 * balanced_accuracy_score(labels, logits.argmax(1)),
            "nll": -np.log(p[np.arange(300), labels]).mean(),
            "ece": ece(logits, labels),
            "brier": brier(logits, labels),
            "aurc": aurc(uncertainty, wrong),
            "error_auroc": roc_auc_score(wrong, uncertainty),
            "msp_auroc": roc_auc_score(wrong, 1 - p.max(1)),
            "vote_spearman": ranks,
        }
    )
    assert len({round(value, 6) for value in scores.values()}) == len(TEST)  # so that a mix-up would show


def test_without_votes_only_their_score_is_missing(predictions):
    with_votes, without = score_test(*predictions), score_test(*predictions[:3], None)
    assert without == with_votes | {"vote_spearman": None}


def test_a_test_set_without_errors(predictions):
    logits, uncertainty, _, _ = predictions
    scores = score_test(logits, uncertainty, logits.argmax(1))
    assert scores["error_auroc"] is None
    assert scores["msp_auroc"] is None
    assert scores["aurc"] == 0
    assert scores["macro_acc"] == 100


def test_the_uncertainty_counts_by_its_order_only(predictions):
    logits, uncertainty, labels, votes = predictions
    assert score_test(logits, np.exp(uncertainty.astype(float)), labels, votes) == score_test(*predictions)


def test_an_empty_test_set():
    empty = np.zeros(0)
    scores = score_test(np.zeros((0, 3)), empty, empty.astype(int), np.zeros((0, 3), int))
    assert scores == dict.fromkeys(TEST)


def test_a_diverged_model_is_refused(predictions):
    logits, uncertainty, labels, votes = predictions
    with pytest.raises(ValueError, match="logits must be finite"):
        score_test(logits * np.nan, uncertainty, labels, votes)
    with pytest.raises(ValueError, match="uncertainty must be finite"):
        score_test(logits, uncertainty * np.inf, labels)
    with pytest.raises(ValueError, match=r"uncertainty must have the shape \(300,\)"):
        score_test(logits, uncertainty[:-1], labels)


def test_the_scores_of_a_training_set():
    rng = np.random.default_rng(1)
    reference = rng.integers(0, 4, 500)
    given_ = np.where(rng.random(500) < 0.3, rng.integers(0, 4, 500), reference)
    predicted = np.where(rng.random(500) < 0.4, given_, reference)
    wrong = given_ != reference
    noise_score = (rng.normal(size=500) + wrong).astype(np.float32)
    uncertainty = rng.normal(size=500) + 0.5 * wrong
    scores = score_training(predicted, given_, reference, noise_score, uncertainty)
    assert list(scores) == TRAINING
    assert all(type(value) is float for value in scores.values())
    assert scores == pytest.approx(
        {
            "noise_auroc": roc_auc_score(wrong, noise_score),
            "noise_ap": average_precision_score(wrong, noise_score),
            "noise_unc_auroc": roc_auc_score(wrong, uncertainty),
            "wrong_label_fit": 100 * np.mean([p == g for p, g, r in zip(predicted, given_, reference, strict=True) if g != r]),
        }
    )


def test_without_wrong_labels_nothing_of_the_training_set_applies():
    labels = np.array([0, 1, 2])
    assert score_training(np.array([1, 1, 1]), labels, labels, np.zeros(3), np.zeros(3)) == dict.fromkeys(TRAINING)
    with pytest.raises(ValueError, match="noise score must be finite"):
        score_training(labels, labels, labels, np.full(3, np.nan), np.zeros(3))
    with pytest.raises(ValueError, match="uncertainty must be finite"):
        score_training(labels, labels, labels, np.zeros(3), np.full(3, np.nan))


# ---------------------------------------------------------------- selection


def test_selection_by_hand():
    chosen = select([10, 90, 40, 50, 60, 70, 20.0], [5, 30, 80, 80, 20, 10, 0.0])
    assert chosen == {"acc_last": 20, "acc_last5": 48, "acc_val": 40, "acc_best": 90}


def test_fewer_than_five_epochs():
    assert select([10, 20.0]) == {"acc_last": 20, "acc_last5": 15, "acc_val": None, "acc_best": 20}
    assert select([30.0], [1.0]) == {"acc_last": 30, "acc_last5": 30, "acc_val": 30, "acc_best": 30}


def test_no_epoch():
    nothing = dict.fromkeys(["acc_last", "acc_last5", "acc_val", "acc_best"])
    assert select([]) == select([], []) == nothing


percents = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=12)


@few
@given(percents)
def test_no_selection_beats_the_oracle(pairs):
    test, validation = (list(column) for column in zip(*pairs, strict=True))
    chosen = select(test, validation)
    assert chosen["acc_last"] == test[-1]
    assert chosen["acc_val"] in test
    assert max(chosen.values()) <= chosen["acc_best"] + 1e-9
    assert chosen["acc_best"] in test
    assert select(test, test)["acc_val"] == chosen["acc_best"]


def test_lists_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"validation accuracy must have the shape \(2,\)"):
        select([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="no test accuracy"):
        select([], np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="test accuracy must be finite"):
        select([1.0, float("nan")])
    with pytest.raises(ValueError, match="validation accuracy must be finite"):
        select([1.0, 2.0], [float("nan"), 2.0])
