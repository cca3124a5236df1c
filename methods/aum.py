"""Area under the margin: a label that the other images of its class do not speak for is learned late, and its margin shows it.

An image's AUM is the mean, over T epochs of training at a high rate, of its label's logit minus the largest other:

    AUM = 1/T * sum_t (z_y - max_{k != y} z_k).

How low a wrong label's is, is learned from threshold samples: random images of an extra class.

1. Two networks are trained, with disjoint sets of threshold samples. Each flags the images whose AUM lies below that of more
   than 1 % of its threshold samples, that is below their 99th percentile.
2. Images that every network flags for which they were no threshold samples are removed.
3. A fresh network, without the extra class, is trained on the rest, and predicts.

Uncertainty: 1 - max p. Noise score: minus the AUM, averaged over the networks in which the image was no threshold sample, as
the code ranks images; what the last network remembers of the labels that passed stays out of it.

Deviations (the released code is followed where it and the paper differ):
- The code sets N / K threshold samples aside, rounded down; the paper N / (K + 1).
- The code leaves the first epoch out of the AUM, as here, where there is another, and rounds logits to 16 bits.
- The measuring networks train at the peak rate throughout, as in the code. There they have half of the last one's epochs, in
  batches of 64 to its 256, and so twice its steps; here batches are of one size, and `measure_share` is 1.
- The code leaves removed images in the batches of the last network, where they count in the batch norms, with weight 0 in the
  loss; here batches are made of the others, and an epoch has fewer. Its momentum is Nesterov's.
- A class of which nothing would be left keeps its image with the highest AUM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import Batch, Paper, Part, Prediction, Task, TrainingSet

from ._classifier import Classifier

NETWORKS = 2  # that measure: any image is a threshold sample of one at most


@dataclass(frozen=True)
class AUMConfig:
    """Options of AUM; defaults from the released code."""

    measure_share: Part = 1.0  # of the schedule for each measuring network; between the code's 0.5 of epochs and 2 of steps
    percentile: Part = 0.99  # of the threshold samples' AUMs: below it, an image is flagged


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """The label's logit minus the largest other, (B,), of logits (B, K) and labels (B,)."""
    own = logits.gather(1, labels[:, None])[:, 0]
    return own - logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1)


def draw_threshold_samples(labels: Tensor, num_classes: int) -> Tensor:
    """For each of the labels (N,) the network (N,) whose threshold sample it is, -1 for none; N // K of them for each."""
    order = torch.randperm(len(labels), device=labels.device)
    network = torch.full_like(order, -1)
    for k, part in enumerate(torch.split(order, max(1, len(labels) // num_classes))[:NETWORKS]):
        network[part] = k
    return network


def flagged(aum: Tensor, threshold_aum: Tensor, percentile: float) -> Tensor:
    """Which of the AUMs (N,) are lower than more than the share 1 - percentile of the threshold samples' (M,)."""
    higher = len(threshold_aum) - torch.searchsorted(threshold_aum.sort().values, aum.contiguous(), right=True)
    return higher > (1 - percentile) * len(threshold_aum)


class AUM(Classifier):
    """Area under the margin: images whose label keeps losing to other classes are removed, and a fresh network is trained."""

    name = "aum"
    paper = Paper(
        title="Identifying Mislabeled Data using the Area Under the Margin Ranking",
        authors="Pleiss, Zhang, Elenberg and Weinberger",
        venue="NeurIPS 2020",
        url="https://arxiv.org/abs/2001.10528",
        code="https://github.com/asappresearch/aum at 892e76e",
    )
    Config = AUMConfig
    own_recipe = {
        "epochs": 300,
        "batch_size": 256,
        "weight_decay": 1e-4,
        "schedule": "step",
        "milestones": (0.5, 0.75),
        "decay": 0.1,
        "shift": 1 / 8,
    }

    threshold_of: Tensor
    aum: Tensor
    kept: Tensor

    def __init__(self, task: Task, config: AUMConfig):
        super().__init__(task, config)
        N, K = task.num_samples, task.num_classes
        self.classifier = nn.Linear(self.backbone.num_features, K + 1)  # the last output is the threshold samples' class
        self.register_buffer("threshold_of", torch.full((N,), -1))
        self.register_buffer("aum", torch.zeros(NETWORKS, N))
        self.register_buffer("kept", torch.ones(N, dtype=torch.bool))
        self.measuring = self.stages(task.epochs)[0]  # epochs of each network that measures

    def stages(self, epochs: int) -> list[int]:
        return [max(1, round(self.config.measure_share * epochs))] * NETWORKS + [epochs]

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))[:, : self.task.num_classes]  # type: ignore[no-any-return]

    def begin_stage(self, stage: int, training_set: TrainingSet) -> None:
        if stage == 0:
            self.threshold_of.copy_(draw_threshold_samples(training_set.labels, self.task.num_classes))
            return
        # One network for all stages: of one that has measured, nothing more is needed.
        self.backbone.load_state_dict(self.task.make_backbone().state_dict())
        self.classifier.reset_parameters()
        if stage == NETWORKS:
            self.kept.copy_(self.passed(training_set.labels))

    def passed(self, labels: Tensor) -> Tensor:
        """Which samples (N,) are not flagged by every network that measured them, and at least one of each class."""
        own = torch.stack([self.threshold_of == k for k in range(NETWORKS)])
        bad = torch.stack([flagged(a, a[o], self.config.percentile) for a, o in zip(self.aum, own, strict=True)])
        kept, mean = ~(bad | own).all(dim=0), self.mean_aum()
        for members in ((labels == k).nonzero()[:, 0] for k in labels.bincount().nonzero()):
            if not kept[members].any():
                kept[members[mean[members].argmax()]] = True
        return kept

    def mean_aum(self) -> Tensor:
        """The AUM (N,) over the networks in which a sample was no threshold sample."""
        counts = torch.stack([self.threshold_of != k for k in range(NETWORKS)])
        return (self.aum * counts).sum(dim=0) / counts.sum(dim=0)

    def begin_epoch(self, epoch: int, training_set: TrainingSet) -> Tensor:
        self.log("kept", self.kept)  # all, until the last stage
        return self.kept.nonzero()[:, 0]

    def training_step(self, batch: Batch) -> Tensor:
        if self.stage == NETWORKS:
            return F.cross_entropy(self(batch.images), batch.labels)
        logits = self.classifier(self.features(batch.images))
        labels = torch.where(self.threshold_of[batch.index] == self.stage, self.task.num_classes, batch.labels)
        left_out = min(1, self.measuring - 1)
        if self.epoch - self.stage * self.measuring >= left_out:
            self.aum[self.stage, batch.index] += margins(logits.detach(), labels) / (self.measuring - left_out)
        return F.cross_entropy(logits, labels)

    def noise_score(self, prediction: Prediction, training_set: TrainingSet) -> Tensor:
        return -self.mean_aum()

    def param_groups(self, lr: float) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), **({"schedule": "constant"} if self.stage < NETWORKS else {})}]
