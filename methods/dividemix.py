"""DivideMix: two networks, each of which tells the other which labels to believe; the rest is learned from without its labels.

After a warm-up by cross-entropy, each epoch begins with both networks' losses of all given labels, scaled to [0, 1]. To each
network's losses a mixture of two normal distributions is fitted, and w is a label's probability of belonging to the lower one.
Images with w > p_threshold, by the OTHER network, are labelled for a network, all else is unlabelled. Two views are taken of
each image. With p, p' the two networks' mean distributions over these views, the target is

    q = sharpen(w * y + (1 - w) * p) if labelled,  sharpen((p + p') / 2) if not,   sharpen(q)_k = q_k^(1/T) / sum_j q_j^(1/T),

and all views are blended as in mixup, l ~ Beta(4, 4), the larger of l and 1 - l going to the first. The loss of the blends is

    L = CE over the labelled + lambda_u(t) * mean (p - q)^2 over the unlabelled + KL(uniform || mean p),
    lambda_u(t) = unlabelled_weight * min(t / ramp, 1),

with t the share of the schedule that has passed since the warm-up. Prediction uses the mean of the two networks' logits, whose
argmax is that of the code's sum; the softmax of the sum itself would count one answer twice. Uncertainty: one minus the largest
probability. Noise score: 1 - w, the mean of both networks', from mixtures fitted when training has ended.

Deviations (the released code is followed):
- The code trains the networks one after the other, an epoch each, on batches of 64 labelled and 64 unlabelled images; an epoch
  sees each labelled image once. Here both take a step on each batch of all images, in which either group has its own share, so
  an epoch sees every image once. The two losses remain means over their groups. Both networks get the same two views.
- lambda_u is set for each dataset and noise rate in the paper (0 to 150). That table is the paper's alone: the code has the
  default 25 on both CIFARs, which serves for all here, and 0 elsewhere.
- lambda_u rises over 16 of 300 epochs in the code. It is that share of the schedule here, so in a short one it is full after a
  fraction of an epoch (of 12 epochs, after two thirds of one).
- At 90 % noise the code averages the losses over five epochs and takes a threshold of 0.6, and where noise is not symmetric it
  punishes confidence in the warm-up. A method that is not told the noise cannot know when; none of it is done.
- The code warms up for 10 of 300 epochs, and its networks have then taken 3,900 steps. That share of a short schedule ends
  before they know anything, and what they then tell each other is chance (faces, 12 epochs, 30 % noise: 15 % right, against
  73 % after a third). Default: a third; with `--recipe paper`, the code's. Batches are the recipe's throughout; the code's
  warm-up has 128 images in each.
- Where a mixture would leave no image labelled, all are, with w = 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.contract import Batch, Fraction, Method, NonNegative, Paper, Positive, Prediction, Task, TrainingSet

from ._classifier import Classifier
from ._dividemix import divergence_from_uniform, mean_distribution, noisy_log_odds, semi_supervised_losses, wanted
from ._uncertainty import one_minus_largest
from .mixup import blend, draw_share


@dataclass(frozen=True)
class DivideMixConfig:
    """Options of DivideMix; defaults from Train_cifar.py of the released code."""

    warm_up: Fraction = 1 / 3  # share of the schedule of cross-entropy on all labels; the code's is 10 / 300 on CIFAR-10
    p_threshold: Fraction = 0.5  # w above which a label is believed
    temperature: Positive = 0.5  # T; below 1 targets get sharper
    alpha: Positive = 4.0  # of Beta(alpha, alpha)
    unlabelled_weight: NonNegative = 25.0  # lambda_u; the code's default on both CIFARs
    ramp: Positive = 16 / 300  # share of the schedule, after the warm-up, in which lambda_u rises to its value


class DivideMix(Method):
    """DivideMix: two networks split the images for each other, and learn from those without labels as from guesses."""

    name = "dividemix"
    paper = Paper(
        title="DivideMix: Learning with Noisy Labels as Semi-supervised Learning",
        authors="Li, Socher and Hoi",
        venue="ICLR 2020",
        url="https://openreview.net/forum?id=HJgExaVtwr",
        code="https://github.com/LiJunnan1992/DivideMix at d9d3058",
    )
    Config = DivideMixConfig
    own_recipe = {
        "epochs": 300,
        "lr": 0.02,
        "schedule": "step",
        "decay": 0.1,
        "milestones": (150 / 300,),
        "shift": 4 / 32,
    }
    own_options = {"warm_up": 10 / 300}
    clean: Tensor

    def __init__(self, task: Task, config: DivideMixConfig):
        super().__init__(task, config)
        self.first, self.second = Classifier(task, config), Classifier(task, config)
        self.first_divided: int = math.ceil(config.warm_up * task.epochs)  # the epoch after the warm-up
        self.register_buffer("clean", torch.ones(2, task.num_samples))  # w, by the first and by the second network's mixture

    def log_odds(self, training_set: TrainingSet) -> Tensor:
        """The log odds (2, N) of each label being wrong, by each network's losses on the plain images."""
        found = []
        for network in (self.first, self.second):
            losses = [F.cross_entropy(network(b.images), b.labels, reduction="none") for b in training_set.batches()]
            found.append(noisy_log_odds(torch.cat(losses)))
        return torch.stack(found).to(self.clean)

    def begin_epoch(self, epoch: int, training_set: TrainingSet) -> None:
        if epoch >= self.first_divided:
            clean = (-self.log_odds(training_set)).sigmoid()
            nobody = (clean <= self.config.p_threshold).all(dim=1, keepdim=True)
            self.clean.copy_(clean.masked_fill(nobody, 1))

    def loss(
        self, network: Classifier, peer: Classifier, clean: Tensor, views: tuple[Tensor, Tensor], labels: Tensor
    ) -> Tensor:
        """The loss of one network on two views of images with labels (B,), whose w (B,) are its peer's."""
        labelled = clean > self.config.p_threshold
        self.log("labelled", labelled)
        with torch.no_grad():
            own = mean_distribution(network, views)
            was_training = peer.training
            peer.eval()  # the code's modes: a network normalises by the batch, its peer by the running statistics
            other = mean_distribution(peer, views)
            peer.train(was_training)
            targets = wanted(own, other, labels, clean, labelled, self.config.temperature).repeat(2, 1)
        share = draw_share(self.config.alpha, targets.device)
        share = torch.maximum(share, 1 - share)
        partner = torch.randperm(len(targets), device=targets.device)
        logits = network(blend(torch.cat(views), partner, share))
        entropy, error = semi_supervised_losses(logits, blend(targets, partner, share), labelled.repeat(2))
        passed = self.progress - self.first_divided / self.task.epochs
        weight: float = self.config.unlabelled_weight * min(max(passed, 0.0) / self.config.ramp, 1.0)
        return entropy + weight * error + divergence_from_uniform(logits)

    def training_step(self, batch: Batch) -> Tensor:
        # The two networks share no weight: the sum of their losses gives each its own gradient.
        if self.epoch < self.first_divided:
            logits = self.first(batch.images), self.second(batch.images)
            return F.cross_entropy(logits[0], batch.labels) + F.cross_entropy(logits[1], batch.labels)
        views = batch.images, batch.another_view()
        clean = self.clean[:, batch.index]
        return self.loss(self.first, self.second, clean[1], views, batch.labels) + self.loss(
            self.second, self.first, clean[0], views, batch.labels
        )

    def predict(self, images: Tensor) -> Prediction:
        logits = (self.first(images) + self.second(images)) / 2
        return Prediction(logits, one_minus_largest(logits))

    def noise_score(self, prediction: Prediction, training_set: TrainingSet) -> Tensor:
        odds = self.log_odds(training_set)
        # The log odds of the mean of both 1 - w: in the same order, and without ties.
        return F.logsigmoid(odds).logsumexp(dim=0) - F.logsigmoid(-odds).logsumexp(dim=0)

    def features(self, images: Tensor) -> Tensor:
        return torch.cat([self.first.features(images), self.second.features(images)], dim=1)
