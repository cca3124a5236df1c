"""JoCoR: two networks are trained as one, to agree with the label and with each other, on the images where they do so best.

An image's joint loss asks both networks for its label, and for each other's distribution:

    l = (1 - lambda) * (CE(z_1, y) + CE(z_2, y)) + lambda * (KL(p_1 || p_2) + KL(p_2 || p_1)).

Of each batch, both learn from the share R(t) of images on which l is smallest, L is the mean of l over these, and

    R(t) = 1 - tau * min(t / gradual, 1),

with t the share of the schedule that has passed since the warm-up: R falls from 1 to 1 - tau, the share of right labels. Two
networks seldom agree on a wrong label.

`jocor:oracle` is told tau and needs no warm-up. `jocor` lets both networks learn from all labels for the share `warm_up` of the
schedule, L = CE(z_1, y) + CE(z_2, y), and then estimates

    tau = (d - q) / (1 - q),        cut to [0, 0.5],

with d the share of the training set's labels that a network contradicts, the mean of both, and q that of its images on which
the two contradict each other, about as many as either gets wrong. A label that both know by heart is not counted, so tau comes
out too small after a long warm-up.

Prediction uses the first network alone, as the paper evaluates single ones. Uncertainty: one minus the largest probability.
Noise score: one minus the probability of the given label.

Deviations:
- The paper is told the share tau of wrong labels: `jocor:oracle`. `jocor` estimates it, after a warm-up in which nothing asks
  the two to agree. (For noise that spares half of the classes the code halves the rate that it is given: that is then, as tau
  is here, the share of wrong labels.)
- lambda is set per dataset and noise rate; here one value serves for all, the option `agreement`.
- In the code the rate falls linearly to 0 from epoch 80 of 200 on, and Adam's first beta is 0.1 from then on; `--recipe paper`
  halves the rate in steps instead, and leaves that beta at 0.9.
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
class JoCoRConfig(SmallLossConfig):
    """Options of JoCoR; defaults from the released code unless stated."""

    agreement: Fraction = 0.9  # lambda; the README's for CIFAR-10 at 20, 50 and 40 % asymmetric (80 %: .65, CIFAR-100: .85)


@dataclass(frozen=True)
class OracleConfig(JoCoRConfig):
    """Options of JoCoR that is told the noise rate; defaults from the released code unless stated."""

    warm_up: Fraction = 0.0  # share of the schedule before losses are forgotten; the paper's


def joint_losses(first: Tensor, second: Tensor, labels: Tensor, agreement: float) -> Tensor:
    """l, (B,), of both networks' logits (B, K) and labels (B,)."""
    one, two = first.log_softmax(dim=1), second.log_softmax(dim=1)
    wrong = F.nll_loss(one, labels, reduction="none") + F.nll_loss(two, labels, reduction="none")
    # Both divergences at once: sum p_1 log(p_1 / p_2) + sum p_2 log(p_2 / p_1).
    apart = ((one.exp() - two.exp()) * (one - two)).sum(dim=1)
    return (1 - agreement) * wrong + agreement * apart


class JoCoR(SmallLossPair):
    """JoCoR: two networks that agree with each other learn from the images where they do so best."""

    name = "jocor"
    paper = Paper(
        title="Combating Noisy Labels by Agreement: A Joint Training Method with Co-Regularization",
        authors="Wei, Feng, Chen and An",
        venue="CVPR 2020",
        url="https://arxiv.org/abs/2003.02752",
        code="https://github.com/hongxin001/JoCoR at 86db359",
    )
    Config: ClassVar[type] = JoCoRConfig

    def pair_loss(self, first: Tensor, second: Tensor, labels: Tensor, share: Tensor) -> Tensor:
        losses = joint_losses(first, second, labels, self.config.agreement)
        return mean_where(losses, smallest(losses, share))


class JoCoROracle(JoCoR):
    """JoCoR that is told the share of wrong labels, as in its paper.

    It differs from `jocor` in tau alone, and in what goes with it: tau is no estimate but the share of the training set's given
    labels that are wrong, as counted, and without a warm-up R(t) = 1 - tau * min(t / gradual, 1) holds from the first step on.
    """

    name = "jocor:oracle"
    Config: ClassVar[type] = OracleConfig
    privilege = ("noise_rate",)
    own_options = {}
