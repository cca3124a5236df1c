"""Confident learning: labels are judged by networks that never saw them, and what they contradict is pruned.

1. The training set is split into folds, stratified by label; for each, a network is trained on the other folds and gives the
   fold's images their probabilities p.
2. With t_k the mean p_k of the N_k samples labelled k, C_kj of these count for class j: p_j reaches t_j, and where several
   classes do, j is the most probable of all. Scaled to the given labels, they are the joint distribution of given and true,

    Q_kj = N_k / N * C_kj / sum_i C_ki.

3. Prune by noise rate: of the samples labelled k, for each j other than k, those with the largest p_j - p_k, in number

    n_kj = N * Q_kj,

   unless the label is the most probable class.
4. A fresh network is trained on what is left; class k weighs 1 / P(label k | truth k) = sum_i Q_ik / Q_kk in its loss.

Prediction uses the last network. Uncertainty: 1 - max p.
Noise score: 1 - p_y out of the fold, cleanlab's own measure of a label's quality: the last network was trained on most of the
labels, and what it remembers would speak for them; the networks of the folds can remember none that they judge.

Deviations (cleanlab, by which the authors replace their first code, is followed where it and the paper differ):
- The paper trains the folds' networks for the whole schedule; here for the share `fold_share`, or it would cost four times as
  much as any other method; with `--recipe paper`, for all of it. The authors' script takes each one's best epoch by test
  accuracy; here, the last.
- Where several classes reach their thresholds the paper counts the most probable of them, cleanlab the most probable of all.
- cleanlab never empties a class; the paper says nothing of it.
- The authors' script weights class k by its number of labels over that of the labels kept; the paper and cleanlab as above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from benchmark.contract import Paper, Part, Prediction, Task, TrainingSet

from ._classifier import Classifier
from ._confident import class_weights, joint_counts, label_issues


@dataclass(frozen=True)
class ConfidentLearningConfig:
    """Options of confident learning."""

    # A single fold leaves nothing to train on; of many, each costs a network and holds next to nothing.
    folds: Annotated[int, Field(ge=2, le=20)] = 4  # as in the paper's CIFAR-10 experiments
    fold_share: Part = 0.5  # of the schedule for each fold's network; ours, for the cost


def stratified_folds(labels: Tensor, folds: int) -> Tensor:
    """A fold (N,) for each of the labels (N,), at random; folds, and each class's parts of them, differ by one at most."""
    shuffled = torch.randperm(len(labels), device=labels.device)
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    fold = torch.empty_like(labels)
    fold[by_class] = torch.arange(len(labels), device=labels.device) % folds
    return fold


class ConfidentLearning(Classifier):
    """Confident learning: cross-validated networks judge the labels, a fresh one learns from those that stand."""

    name = "confident-learning"
    paper = Paper(
        title="Confident Learning: Estimating Uncertainty in Dataset Labels",
        authors="Northcutt, Jiang and Chuang",
        venue="JAIR 2021",
        url="https://arxiv.org/abs/1911.00068",
        code="https://github.com/cleanlab/cleanlab at 2.9.0",
    )
    Config = ConfidentLearningConfig
    own_recipe = {
        "epochs": 350,
        "weight_decay": 1e-4,
        "schedule": "step",
        "milestones": (150 / 350, 250 / 350),
        "decay": 0.1,
        "shift": 1 / 8,
    }
    own_options = {"fold_share": 1.0}

    fold: Tensor
    probability: Tensor
    kept: Tensor
    class_weight: Tensor

    def __init__(self, task: Task, config: ConfidentLearningConfig):
        super().__init__(task, config)
        N, K = task.num_samples, task.num_classes
        self.register_buffer("fold", torch.zeros(N, dtype=torch.long))
        self.register_buffer("probability", torch.full((N, K), 1 / K))  # out of the fold
        self.register_buffer("kept", torch.ones(N, dtype=torch.bool))
        self.register_buffer("class_weight", torch.ones(K))  # as they are until the last stage

    def stages(self, epochs: int) -> list[int]:
        return [max(1, round(self.config.fold_share * epochs))] * self.config.folds + [epochs]

    def begin_stage(self, stage: int, training_set: TrainingSet) -> None:
        if stage == 0:
            self.fold.copy_(stratified_folds(training_set.labels, self.config.folds))
            return
        for batch in training_set.batches((self.fold == stage - 1).nonzero()[:, 0]):
            self.probability[batch.index] = self(batch.images).softmax(dim=1)
        # One network for all stages: of one that has judged its fold, nothing is needed any more.
        self.backbone.load_state_dict(self.task.make_backbone().state_dict())
        self.classifier.reset_parameters()
        if stage == self.config.folds:
            counts = joint_counts(self.probability, training_set.labels)
            self.kept.copy_(~label_issues(self.probability, training_set.labels, counts))
            self.class_weight.copy_(class_weights(counts))

    def begin_epoch(self, epoch: int, training_set: TrainingSet) -> Tensor:
        chosen = self.kept if self.stage == self.config.folds else self.fold != self.stage
        self.log("kept", chosen)
        return chosen.nonzero()[:, 0]

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, weight=self.class_weight)

    def noise_score(self, prediction: Prediction, training_set: TrainingSet) -> Tensor:
        return self.probability.scatter(1, training_set.labels[:, None], 0).sum(dim=1)
