"""Relative uncertainty learning: how unsure a model should be of a face is learned from how much that face counts in a mixture.

Two heads read one feature map: what it shows, mu (B, D), and how uncertain it is, s (B, 1) > 0, the mean over D of exp of
the second head's output. Each image i meets a partner j, by a random permutation of its batch, and the less certain of the two
gets the larger share of the mixed feature:

    m = s_i / (s_i + s_j) * mu_i + s_j / (s_i + s_j) * mu_j,        L = CE(W m, y_i) / 2 + CE(W m, y_j) / 2.

Both labels can be read from m only where the harder image is heard, and that teaches s. Prediction uses W mu.

`rul-relabel` adds this: from the share `relabel_from` of the schedule on, with p = softmax(W mu) of a batch's unmixed images,

    y <- argmax_k p_k    for good, where    max_k p_k - p_y > margin.

Uncertainty: s. Noise score: one minus the probability of the given label; for rul-relabel, by how much p contradicts it.

Deviations (the released code is followed where it and the paper differ):
- "Add-up loss" is a sum in the paper's words; the code halves it: the same direction, half the scale against weight decay.
- An image may meet itself (shares of one half), as in the code.
- The paper trains for 70 epochs, the code for 60.
- The code mirrors an image with probability 0.25, with the same probability adds normal noise of variance 30 (in grey levels)
  instead, and never shifts it. `--recipe paper` has no noise.
- The code trains W at ten times the base rate; `classifier_lr` is that factor: 10 with `--recipe paper`, else 1.
- Under label noise the author adds SCN's relabelling, which was never released (issue 4 of the repository: "vital"). It is
  the separate method rul-relabel: SCN's rule and margin, on the unmixed prediction W mu of the training step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import Batch, Count, Fraction, Method, Paper, Positive, Prediction, Share, Task, TrainingSet

from ._heads import embedding_head
from ._relabel import Relabelling, relabel_margin


@dataclass(frozen=True)
class RULConfig:
    """Options of RUL; defaults from the released code unless stated."""

    dim: Count = 64  # D of mu and of the uncertainty head
    dropout: Fraction = 0.4  # in both heads
    classifier_lr: Positive = 1.0  # the classifier's rate over the base rate; the code's 10 belongs to Adam at 2e-4


@dataclass(frozen=True)
class RULRelabelConfig(RULConfig):
    """Options of RUL with relabelling; defaults from the released code unless stated."""

    margin: Fraction = 0.2  # how clearly a label must be contradicted, in probability; SCN's margin_2
    relabel_from: Share = 9 / 70  # share of the schedule before the first relabelling, 1 for none; SCN's


def mix_by_uncertainty(mu: Tensor, s: Tensor, partner: Tensor) -> Tensor:
    """Features (B, D) mixed with those of their partners (B,), each by its share of the pair's uncertainty s (B, 1)."""
    share = s / (s + s[partner])
    return share * mu + (1 - share) * mu[partner]


def add_up_loss(logits: Tensor, labels: Tensor, partner: Tensor) -> Tensor:
    """Half the cross-entropy with each image's own label, half that with its partner's; logits (B, K), labels (B,)."""
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits, labels[partner])) / 2


class RUL(Method):
    """Relative uncertainty learning: shares of a mixed feature teach how uncertain each image is."""

    name = "rul"
    paper = Paper(
        title="Relative Uncertainty Learning for Facial Expression Recognition",
        authors="Zhang, Wang and Deng",
        venue="NeurIPS 2021",
        url="https://proceedings.neurips.cc/paper/2021/hash/9332c513ef44b682e9347822c2e457ac-Abstract.html",
        code="https://github.com/zyh-uaiaaaa/Relative-Uncertainty-Learning at 63b73f2",
    )
    Config: ClassVar[type] = RULConfig
    own_recipe = {
        "epochs": 60,
        "optimizer": "adam",
        "lr": 2e-4,
        "weight_decay": 1e-4,
        "schedule": "exponential",
        "decay": 0.9,
        "flip": 0.25,
        "shift": 0.0,
        "erase": 0.5,
    }
    own_options = {"classifier_lr": 10.0}

    def __init__(self, task: Task, config: RULConfig):
        super().__init__(task, config)
        self.backbone = task.make_backbone()
        self.mu = embedding_head(self.backbone, config.dim, config.dropout)
        self.logvar = embedding_head(self.backbone, config.dim, config.dropout)
        self.classifier = nn.Linear(config.dim, task.num_classes)

    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) to features mu (B, D) and uncertainties s (B, 1)."""
        maps = self.backbone(images)
        return self.mu(maps), self.logvar(maps).exp().mean(dim=1, keepdim=True)

    def loss(self, mu: Tensor, s: Tensor, labels: Tensor) -> Tensor:
        """The add-up loss of a batch that meets itself in a random order."""
        partner = torch.randperm(len(s), device=s.device)
        self.log("uncertainty", s)
        return add_up_loss(self.classifier(mix_by_uncertainty(mu, s, partner)), labels, partner)

    def training_step(self, batch: Batch) -> Tensor:
        return self.loss(*self.read(batch.images), batch.labels)

    def predict(self, images: Tensor) -> Prediction:
        mu, s = self.read(images)
        return Prediction(self.classifier(mu), s[:, 0])

    def features(self, images: Tensor) -> Tensor:
        return self.mu(self.backbone(images))  # type: ignore[no-any-return]

    def param_groups(self, lr: float) -> list[dict[str, Any]]:
        classifier = list(self.classifier.parameters())
        own = {id(p) for p in classifier}
        rest = [p for p in self.parameters() if id(p) not in own]
        return [{"params": rest}, {"params": classifier, "lr": lr * self.config.classifier_lr}]


class RULRelabel(RUL):
    """RUL with SCN's relabelling, the step that its author calls vital under label noise."""

    name = "rul-relabel"
    Config = RULRelabelConfig

    def __init__(self, task: Task, config: RULRelabelConfig):
        super().__init__(task, config)
        self.relabelling = Relabelling(task.num_samples, config.margin)

    def begin_stage(self, stage: int, training_set: TrainingSet) -> None:
        self.relabelling.start(training_set)

    def training_step(self, batch: Batch) -> Tensor:
        mu, s = self.read(batch.images)
        loss = self.loss(mu, s, self.relabelling.labels[batch.index])
        if self.epoch >= self.config.relabel_from * self.task.epochs:
            self.log("relabelled", self.relabelling.update(batch.index, self.classifier(mu.detach())))
        return loss

    def noise_score(self, prediction: Prediction, training_set: TrainingSet) -> Tensor:
        return relabel_margin(prediction.logits, training_set.labels)
