"""Co-teaching: two networks, each of which picks the images that the other one learns from, by the smallest losses.

Of each batch, network k takes the share R(t) of images on which its own cross-entropy is smallest, and hands them to its peer:

    L = mean over those that 2 picked of CE(z_1, y) + mean over those that 1 picked of CE(z_2, y),
    R(t) = 1 - tau * min(t / gradual, 1),

with t the share of the schedule that has passed since the warm-up: R falls from 1 to 1 - tau, the share of right labels. Wrong
labels are learned late, so their losses are large as long as they are not learned; and an error of one network does not pick
its own food.

`co-teaching:oracle` is told tau and needs no warm-up. `co-teaching` lets both networks learn from all labels for the share
`warm_up` of the schedule, L = CE(z_1, y) + CE(z_2, y), and then estimates

    tau = (d - q) / (1 - q),        cut to [0, 0.5],

with d the share of the training set's labels that a network contradicts, the mean of both, and q that of its images on which
the two contradict each other, about as many as either gets wrong. A label that both know by heart is not counted, so tau comes
out too small after a long warm-up.

Prediction uses the first network alone, as the paper evaluates single ones. Uncertainty: one minus the largest probability.
Noise score: one minus the probability of the given label, by which that network picks.

Deviations:
- The paper is told the share tau of wrong labels: `co-teaching:oracle`. `co-teaching` estimates it, after a warm-up.
- In the code the rate falls linearly to 0 from epoch 80 of 200 on, and Adam's first beta is 0.1 from then on; `--recipe paper`
  halves the rate in steps instead, and leaves that beta at 0.9.
- The code divides the mean of the losses by their number once more, which Adam hides and SGD would not; here it is a mean.
- The paper raises the epochs in R to a power c, the code raises tau; here c is fixed at 1, the default of all three codes.
- The code moves R from epoch to epoch, here it moves from step to step; at least one image of a batch is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from benchmark.contract import Fraction, Paper

from ._small_loss import SmallLossConfig, SmallLossPair, mean_where, smallest


@dataclass(frozen=True)
class OracleConfig(SmallLossConfig):
    """Options of co-teaching that is told the noise rate; defaults from the released code unless stated."""

    warm_up: Fraction = 0.0  # share of the schedule before losses are forgotten; the paper's


def exchanged_loss(first: Tensor, second: Tensor, labels: Tensor, share: Tensor, among: Tensor | None = None) -> Tensor:
    """The sum of both networks' losses, each of the images whose loss was among the smallest for the OTHER.

    Logits (B, K) of both, labels (B,), the share that counts, and who may be chosen, `among` (B,) bool, all where it is None.
    """
    one, two = (F.cross_entropy(logits, labels, reduction="none") for logits in (first, second))
    return mean_where(one, smallest(two, share, among)) + mean_where(two, smallest(one, share, among))


class CoTeaching(SmallLossPair):
    """Co-teaching: each of two networks picks the small-loss images that the other learns from."""

    name = "co-teaching"
    paper = Paper(
        title="Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels",
        authors="Han, Yao, Yu, Niu, Xu, Hu, Tsang and Sugiyama",
        venue="NeurIPS 2018",
        url="https://arxiv.org/abs/1804.06872",
        code="https://github.com/bhanML/Co-teaching at 7c7fbe2",
    )

    def pair_loss(self, first: Tensor, second: Tensor, labels: Tensor, share: Tensor) -> Tensor:
        return exchanged_loss(first, second, labels, share)


class CoTeachingOracle(CoTeaching):
    """Co-teaching that is told the share of wrong labels, as in its paper.

    It differs from `co-teaching` in tau alone, and in what goes with it: tau is no estimate but the share of the training set's
    given labels that are wrong, as counted, and without a warm-up R(t) = 1 - tau * min(t / gradual, 1) holds from the first
    step on.
    """

    name = "co-teaching:oracle"
    Config: ClassVar[type] = OracleConfig
    privilege = ("noise_rate",)
    own_options = {}
