"""Label distribution learning: the network is taught how the people who saw an image were divided.

With v_ik people who chose class k of image i, q_ik = v_ik / sum_j v_ij, and p the softmax of a linear classifier,

    L = -mean_i sum_k q_ik log p_ik,

which is KL(q || p) plus the entropy of q, so that both have the same gradient. It is no competitor: it is told what people
thought, and sees a given label only of an image without any vote in the classes in use. So its table row says what there is to
be gained from perfect knowledge of the labels' doubts, and hardly depends on their noise.
Uncertainty: 1 - max p. Noise score: 1 - p_y: the network was never taught the given label, so its doubt of it is not hidden by
memory; to compare the label with the votes themselves would only hand on what was told.

Deviations:
- The released code first drops votes that stand alone and keeps at most the three classes that hold three quarters of the rest;
  here, every vote for a class in use counts, as the dataset gives them.
- The code also drops images on which people agreed too little; every method here trains on the same images.
- Its rate is halved after 20 of 100 epochs and a tenth of the first after 40; `--recipe paper` has the second step alone. It
  also scales, turns and skews its images, which no recipe does.
- CNTK's momentum is unit-gain, it weighs a new gradient by 1 - 0.9: the code's rate of 0.05 is 0.005 to torch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.contract import Batch, Paper, Task

from ._classifier import Classifier


def vote_distribution(votes: Tensor, labels: Tensor) -> Tensor:
    """The shares (B, K) of votes (B, K); of an image without votes, all on its label (B,)."""
    voted = votes.sum(dim=1, keepdim=True) > 0
    counts = torch.where(voted, votes, F.one_hot(labels, votes.shape[1])).float()
    return counts / counts.sum(dim=1, keepdim=True)


class LabelDistributionLearning(Classifier):
    """Cross-entropy with the distribution of the human votes: an upper bound, which needs no label."""

    name = "ldl"
    paper = Paper(
        title="Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution",
        authors="Barsoum, Zhang, Canton Ferrer and Zhang",
        venue="ICMI 2016",
        url="https://arxiv.org/abs/1608.01041",
        code="https://github.com/microsoft/FERPlus at ae2128a",
    )
    mean_over_samples = True
    own_recipe = {
        "epochs": 100,
        "batch_size": 32,
        "lr": 0.005,  # the code's 0.05 times 1 - momentum
        "weight_decay": 0.0,
        "schedule": "step",
        "milestones": (0.4,),
        "decay": 0.1,
        "shift": 0.08,
    }
    privilege = ("votes",)

    votes: Tensor

    def __init__(self, task: Task, config: Any):
        super().__init__(task, config)
        assert task.votes is not None  # the harness gives what is declared
        self.register_buffer("votes", task.votes.clone(), persistent=False)  # told anew when a run is resumed

    def training_step(self, batch: Batch) -> Tensor:
        return F.cross_entropy(self(batch.images), vote_distribution(self.votes[batch.index], batch.labels))
