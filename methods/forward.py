"""Forward correction: the network predicts the true class, and a matrix turns that into the label that would have been given.

T (K, K) says how often each true class (row) is given each label (column). The given label is predicted by T^T p,

    L = -log (T^T p)_y,

and the p that predicts noisy labels best is then that of the true classes. Prediction uses p, not T^T p.

`forward` estimates T from the given labels alone, in two stages: a first network is trained by cross-entropy, L = -log p_y, and
its prediction for the image x^k that is most surely of class k is row k of T,

    T_kj = p_j(x^k),        x^k = the image with the largest p_k, or the one at the 97th percentile of p_k (`anchor`).

A second network begins anew with T and the loss L above. `forward:oracle` is told T, the share of the training images of true
class k that are labelled j, and has the second stage alone.

Uncertainty: one minus the largest probability. Noise score: 1 - T_yy p_y / (T^T p)_y, the probability that the label is wrong
by Bayes' rule, where noise hangs on the class alone; 1 - p_y would leave out that a label, too, tells something of the class.

Deviations (what speaks of x^k or of two stages is of `forward` alone):
- Both stages are whole trainings in the paper. Here the first lasts a share of the schedule, `first_stage`, and the second all
  of it; with `--recipe paper`, both. In the code, too, T is of an earlier epoch, that of the least loss on held-out images.
- The code also reports the model of the least loss on held-out images, that of either stage; here it is the last epoch's.
- x^k has the largest p_k of all images for CIFAR-100, and the one at the 97th percentile for the other datasets, in paper and
  code. `anchor` chooses for all: with `--recipe paper`, CIFAR-10's, the percentile, else the largest. The percentile is of all
  images: for a class with under 3 % of them (disgust, fear and contempt in FERPlus) it finds an image of another class, and
  that row of T is all wrong. The largest p_k only makes T trust the labels somewhat too much.
- The code sets p_k above the percentile to zero in the very matrix that it then reads rows from, so that a row loses an entry
  where its image is among the surest of an earlier class. Here none is lost.
- The code clips p at 1e-7; here T is clipped, which keeps the loss finite as well.
- The code adds 1e-4 times the squares of the weights to the loss, which is a weight decay of 2e-4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.contract import Paper, Part, Prediction, Task, TrainingSet

from ._classifier import Classifier

PERCENTILE = 0.97  # of all images, not only those of the class; the code's
LEAST = 1e-7  # the least entry of T; the code's clip of p


@dataclass(frozen=True)
class ForwardConfig:
    """Options of forward correction."""

    first_stage: Part = 0.5  # length of the first stage, in schedules; the paper's is 1
    anchor: Literal["largest", "percentile"] = "largest"  # which image shows a class's row of T


def estimate_transition(probability: Tensor, anchor: str) -> Tensor:
    """T (K, K) of a network's predictions (N, K): row k is the prediction for the image that is surest of class k.

    For "percentile" that is the surest of those below the 97th percentile of p_k.
    """
    if anchor == "largest":
        return probability[probability.argmax(dim=0)]
    below = max(math.ceil(PERCENTILE * (len(probability) - 1)) - 1, 0)
    return probability[probability.argsort(dim=0)[below]]


def log_joint(logits: Tensor, labels: Tensor, transition: Tensor) -> Tensor:
    """log (T_ky p_k), (B, K): how probable it is that k is true and y given; logits (B, K), labels (B,), transition (K, K)."""
    return logits.log_softmax(dim=1) + transition.clamp(min=LEAST).log().T[labels]


def forward_loss(logits: Tensor, labels: Tensor, transition: Tensor) -> Tensor:
    """The mean over the batch of -log (T^T p)_y, a scalar; logits (B, K), labels (B,), transition (K, K)."""
    return -log_joint(logits, labels, transition).logsumexp(dim=1).mean()


def wrong_label_probability(logits: Tensor, labels: Tensor, transition: Tensor) -> Tensor:
    """1 - T_yy p_y / (T^T p)_y, (B,), of logits (B, K), labels (B,) and transition (K, K)."""
    # As the sum over the other classes: written as 1 - ..., confident images would all tie at float32's zero.
    return log_joint(logits, labels, transition).softmax(dim=1).scatter(1, labels[:, None], 0).sum(dim=1)


class ForwardOracle(Classifier):
    """Forward correction with the true transition matrix.

    It differs from `forward` in where T comes from: T_kj is counted, the share of the training images of true class k whose
    given label is j. So nothing is estimated, there is one stage, and L = -log (T^T p)_y holds from the first step on.
    """

    name = "forward:oracle"
    paper = Paper(
        title="Making Deep Neural Networks Robust to Label Noise: A Loss Correction Approach",
        authors="Patrini, Rozza, Menon, Nock and Qu",
        venue="CVPR 2017",
        url="https://arxiv.org/abs/1609.03683",
        code="https://github.com/giorgiop/loss-correction at 15a79de",
    )
    mean_over_samples = True
    privilege: ClassVar[tuple[str, ...]] = ("transition",)
    own_recipe = {
        "epochs": 120,
        "batch_size": 128,
        "weight_decay": 2e-4,
        "schedule": "step",
        "milestones": (41 / 120, 81 / 120),
        "decay": 0.1,
        "shift": 0.1,
    }
    transition: Tensor

    def __init__(self, task: Task, config: Any):
        super().__init__(task, config)
        known = torch.eye(task.num_classes) if task.transition is None else task.transition.clone()  # None: to be estimated
        self.register_buffer("transition", known)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return forward_loss(logits, labels, self.transition)

    def noise_score(self, prediction: Prediction, training_set: TrainingSet) -> Tensor:
        return wrong_label_probability(prediction.logits, training_set.labels, self.transition)


class Forward(ForwardOracle):
    """Forward correction with a transition matrix that is estimated from the given labels."""

    name = "forward"
    mean_over_samples = True
    Config = ForwardConfig
    privilege = ()
    own_options = {"first_stage": 1.0, "anchor": "percentile"}

    def stages(self, epochs: int) -> list[int]:
        return [max(1, round(self.config.first_stage * epochs)), epochs]

    def begin_stage(self, stage: int, training_set: TrainingSet) -> None:
        if stage == 1:
            probability = torch.cat([self(batch.images).softmax(dim=1) for batch in training_set.batches()])
            self.transition.copy_(estimate_transition(probability, self.config.anchor))
            self.backbone = self.task.make_backbone()
            self.classifier.reset_parameters()

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.stage == 0:
            return F.cross_entropy(logits, labels)
        self.log("transition_diagonal", self.transition.diagonal())
        return super().loss(logits, labels)
