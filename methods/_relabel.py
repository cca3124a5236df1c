"""SCN's relabelling: a label that the model clearly contradicts is replaced for good."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.contract import TrainingSet


class Relabelling(nn.Module):
    """The labels that a method believes in; they start as the given ones.

    A sample's label becomes the model's argmax where max p - p_label > margin (SCN, eq. 6; train.py, "Relabel samples").
    """

    labels: Tensor

    def __init__(self, num_samples: int, margin: float):
        super().__init__()
        self.margin = margin
        self.register_buffer("labels", torch.zeros(num_samples, dtype=torch.long))

    def start(self, training_set: TrainingSet) -> None:
        """Takes over the given labels, before the first epoch."""
        self.labels.copy_(training_set.labels)

    @torch.no_grad()
    def update(self, index: Tensor, logits: Tensor, candidates: Tensor | None = None) -> Tensor:
        """Relabels samples `index` (B,) by logits (B, K), only where `candidates` (B,) says so; gives what changed (B,)."""
        changed = relabel_margin(logits, self.labels[index]) > self.margin
        if candidates is not None:
            changed = changed & candidates
        self.labels[index] = torch.where(changed, logits.argmax(dim=1), self.labels[index])
        return changed


def relabel_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """max over k != label of p_k, minus p_label, (B,), of logits (B, K) and labels (B,): how far the model contradicts each.

    Where it is above 0 it is max p - p_label; below, that would be 0 for all alike, and this still tells them apart.
    """
    probability = logits.softmax(dim=1)
    own = probability.gather(1, labels[:, None])
    return (probability.scatter(1, labels[:, None], -1).amax(dim=1, keepdim=True) - own)[:, 0]
