"""Label smoothing, positive and negative: how much of each label is given to all the other classes, or taken from them.

The label y is replaced by (1 - r) y + r / K for all K classes,

    L = (1 - r) * -log p_y  +  r * mean over k of -log p_k.

With r > 0 no label is quite certain: `ls`, r = rate from the first step on. With r < 0 the other classes have less than nothing
of a label: `negative-ls`, r = 0 for the share `warm_up` of the schedule, then r = -rate. That undoes symmetric noise: where a
share e of the labels is wrong, r = -c / (1 - c) with c = e K / (K - 1) makes the expected loss that of the right labels. It
makes a network surer of what it predicts, so the warm-up comes first.
Uncertainty: one minus the largest probability. Noise score: one minus the probability of the given label.

Deviations (GLS is the code of the paper of `negative-ls`; its positive rates are `ls`):
- The paper of `negative-ls` tries fourteen rates, 0.8 to -8, and shows the best for each noise level. Here one rate serves all
  levels, -0.2, the mildest of them; it undoes symmetric noise of 14 % (7 classes) to 17 % (many). Against less than a rate
  undoes, the expected loss has no lower bound, and the logits may run away (issue 3 of the code: r = -1 at 20 %); against more,
  some noise is left. So one rate for all levels has to be a small one.
- GLS trains 120 epochs of cross-entropy, takes the epoch that was best on the *test* images, and goes on from there for 100
  at a constant learning rate of 1e-6. Here both parts are shares of one schedule, the second begins where the first ends, and
  the learning rate is the recipe's: GLS's own with `--recipe paper`; a short run's few steps at 1e-6 would change nothing.
- GLS has momentum, Nesterov's, and weight decay in the second part alone; its warm-up is plain SGD. With
  `--recipe paper` both parts have momentum, not Nesterov's, and weight decay, for a recipe has one of each.
- Its mixture of cross-entropy with smoothing (wa, wb) is left out; wa = 0, wb = 1 are its defaults.
- Label smoothing's own paper trains Inception on ImageNet by RMSProp, which the suite lacks. `--recipe paper` of `ls` is
  that of GLS for training without a warm-up, but for Nesterov's momentum.
- The label smoothing in the code of symmetric cross-entropy, another paper's, has targets that do not sum to one. Not followed.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from benchmark.contract import Fraction, NonNegative, Paper

from ._classifier import Classifier


@dataclass(frozen=True)
class LabelSmoothingConfig:
    """Options of label smoothing."""

    rate: Fraction = 0.1  # r, the share of a label that goes to all classes alike; the paper's


@dataclass(frozen=True)
class NegativeConfig:
    """Options of negative label smoothing."""

    rate: NonNegative = 0.2  # -r: what is taken from a label's other classes, and given to it
    warm_up: Fraction = 120 / 220  # share of the schedule that is cross-entropy; the code's 120 epochs before its 100


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, rate: float) -> Tensor:
    """(1 - rate) * -log p_y + rate * mean over k of -log p_k, a scalar; logits (B, K), labels (B,), a rate of any sign."""
    log_p = logits.log_softmax(dim=1)
    return -(1 - rate) * log_p.gather(1, labels[:, None]).mean() - rate * log_p.mean()


class LabelSmoothing(Classifier):
    """Label smoothing: a tenth of each label goes to all classes alike."""

    name = "ls"
    paper = Paper(
        title="Rethinking the Inception Architecture for Computer Vision",
        authors="Szegedy, Vanhoucke, Ioffe, Shlens and Wojna",
        venue="CVPR 2016",
        url="https://arxiv.org/abs/1512.00567",
    )
    mean_over_samples = True
    Config = LabelSmoothingConfig
    own_recipe = {
        "epochs": 200,
        "batch_size": 128,
        "weight_decay": 1e-4,
        "schedule": "step",
        "milestones": (0.5, 0.75),
        "decay": 0.1,
        "shift": 1 / 8,
    }

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return smoothed_cross_entropy(logits, labels, self.config.rate)


class NegativeLabelSmoothing(Classifier):
    """Negative label smoothing: after a warm-up, the other classes are pushed beyond zero, against symmetric noise."""

    name = "negative-ls"
    paper = Paper(
        title="To Smooth or Not? When Label Smoothing Meets Noisy Labels",
        authors="Wei, Liu, Liu, Niu, Sugiyama and Liu",
        venue="ICML 2022",
        url="https://arxiv.org/abs/2106.04149",
        code="https://github.com/UCSC-REAL/negative-label-smoothing at 05078f6",
    )
    mean_over_samples = True
    Config = NegativeConfig
    own_recipe = {
        "epochs": 220,
        "batch_size": 128,
        "weight_decay": 1e-4,
        "schedule": "step",
        "milestones": (40 / 220, 80 / 220, 120 / 220, 120 / 220, 120 / 220),  # 0.1, 0.01, 0.001, then 1e-6
        "decay": 0.1,
        "shift": 1 / 8,
    }

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.progress < self.config.warm_up:
            return F.cross_entropy(logits, labels)
        return smoothed_cross_entropy(logits, labels, -self.config.rate)
