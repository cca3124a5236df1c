"""Co-teaching+: co-teaching on the images over which the two networks disagree, so that they stay different.

At first this is co-teaching. From a set share of the schedule on, an image of a batch may be picked only where the two networks
predict different classes; with D these images, network k takes the share R(t) of D on which its cross-entropy is smallest, and
its peer learns from them:

    L = mean over those of D that 2 picked of CE(z_1, y) + mean over those of D that 1 picked of CE(z_2, y),
    R(t) = 1 - tau * min(t / gradual, 1),

with t the share of the schedule that has passed since the warm-up; D is the whole batch while t < disagree_from. R falls from 1
to 1 - tau, the share of right labels.

`co-teaching-plus:oracle` is told tau and needs no warm-up. `co-teaching-plus` lets both networks learn from all labels for the
share `warm_up` of the schedule, L = CE(z_1, y) + CE(z_2, y), and then estimates

    tau = (d - q) / (1 - q),        cut to [0, 0.5],

with d the share of the training set's labels that a network contradicts, the mean of both, and q that of its images on which
the two contradict each other, about as many as either gets wrong. A label that both know by heart is not counted, so tau comes
out too small after a long warm-up.

Prediction uses the first network alone, as the paper evaluates single ones. Uncertainty: one minus the largest probability.
Noise score: one minus the probability of the given label, by which that network picks.

Deviations:
- The paper is told the share tau of wrong labels: `co-teaching-plus:oracle`. `co-teaching-plus` estimates it, after a warm-up.
- In the code the rate falls linearly to 0 from epoch 80 of 200 on, and Adam's first beta is 0.1 from then on; `--recipe paper`
  halves the rate in steps instead, and leaves that beta at 0.9.
- The code hands probabilities, not logits, to a cross-entropy that applies a softmax; here as in the paper, of logits.
- The code leaves the training set's image 0 out of D's count and so drops D's last image; here it is an image like any other.
- The code divides the mean of the losses by their number once more, which Adam hides and SGD would not; here it is a mean.
- Where the networks agree on a whole batch, nothing is learned from it. So the code, save in some early steps of an epoch
  (epoch times step below 5000), in which it takes the whole batch.
- Of fewer than 1 / R disagreements the code takes all; here one. R moves from step to step, not from epoch to epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from benchmark.contract import Fraction, Paper, Share

from ._small_loss import SmallLossConfig, SmallLossPair
from .co_teaching import exchanged_loss


@dataclass(frozen=True)
class CoTeachingPlusConfig(SmallLossConfig):
    """Options of co-teaching+; defaults from main.py of the released code."""

    disagree_from: Share = 20 / 200  # share of the schedule, after the warm-up, before disagreement counts; CIFAR-10's


@dataclass(frozen=True)
class OracleConfig(CoTeachingPlusConfig):
    """Options of co-teaching+ that is told the noise rate; defaults from main.py of the released code."""

    warm_up: Fraction = 0.0  # share of the schedule before losses are forgotten; the paper's


def disagreement(first: Tensor, second: Tensor) -> Tensor:
    """Where the two networks' logits (B, K) predict different classes, (B,) bool."""
    return first.argmax(dim=1) != second.argmax(dim=1)


class CoTeachingPlus(SmallLossPair):
    """Co-teaching+: co-teaching on the images over which the two networks disagree."""

    name = "co-teaching-plus"
    paper = Paper(
        title="How does Disagreement Help Generalization against Label Corruption?",
        authors="Yu, Han, Yao, Niu, Tsang and Sugiyama",
        venue="ICML 2019",
        url="https://arxiv.org/abs/1901.04215",
        code="https://github.com/xingruiyu/coteaching_plus at a68ed61",
    )
    Config: ClassVar[type] = CoTeachingPlusConfig

    def pair_loss(self, first: Tensor, second: Tensor, labels: Tensor, share: Tensor) -> Tensor:
        differ = disagreement(first, second)
        self.log("disagreement", differ)
        return exchanged_loss(first, second, labels, share, differ if self.passed >= self.config.disagree_from else None)


class CoTeachingPlusOracle(CoTeachingPlus):
    """Co-teaching+ that is told the share of wrong labels, as in its paper.

    It differs from `co-teaching-plus` in tau alone, and in what goes with it: tau is no estimate but the share of the training
    set's given labels that are wrong, as counted, and without a warm-up R(t) = 1 - tau * min(t / gradual, 1) holds from the
    first step on.
    """

    name = "co-teaching-plus:oracle"
    Config: ClassVar[type] = OracleConfig
    privilege = ("noise_rate",)
    own_options = {}
