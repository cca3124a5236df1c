"""Is a method's loss the mean over samples that it declares? Looked at on its own network, with its batch norms at rest."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ..contract.method import Batch
from ..train.parts import divided, gradients
from ..train.trainer import Trainer

IMAGES, PARTS = 11, 2  # parts of 6 and 5
DRAWS = 12
ROUNDING = 1e-3  # of the whole; what is no mean over samples is off by far more


def no_mean(trainer: Trainer) -> str | None:
    """What is wrong with the declaration, as far as the training has come; None where it holds. The training can go on.

    The gradient of a batch has to be that of its parts. Where a method draws, the parts draw other numbers: then what a sample
    adds must be the same whoever is beside it, and the loss of the parts that of the batch on average.
    """
    trainer.method.train()
    for module in trainer.method.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
    batch = _samples(trainer, torch.arange(IMAGES))
    whole, again, parts = (_gradient(trainer, batch, *how) for how in ((1, 0), (1, 1), (PARTS, 0)))
    if torch.equal(whole, again):
        return None if _same(parts, whole) else f"the gradients of a batch's {PARTS} parts do not add up to the batch's"
    pulls = _pulls(trainer, batch)
    for k in range(0, IMAGES, 3):
        others = torch.arange(IMAGES) != k
        replaced = _samples(trainer, torch.where(others, batch.index, IMAGES + k))
        if not _same(_pulls(trainer, replaced)[others], pulls[others]):
            return "what a sample adds to the loss changes with the others of its batch"
    if trainer.finished < trainer.epochs:  # what follows takes a while, and once is enough for it
        return None
    losses = torch.tensor([[_loss(trainer, batch, parts, seed) for seed in range(DRAWS)] for parts in (1, PARTS)])
    of_whole, of_parts = losses.mean(dim=1)
    deviation = (losses.var(dim=1).sum() / DRAWS).sqrt()
    if (of_whole - of_parts).abs() > 6 * deviation + ROUNDING * of_whole.abs():
        return f"the loss is {of_whole:.4g} of a batch, and {of_parts:.4g} of its {PARTS} parts by their shares of the samples"
    return None


def _samples(trainer: Trainer, index: Tensor) -> Batch:
    images = trainer.training_set.images(index)
    return Batch(images, trainer.training_set.labels[index], index, trainer.training_set)


def _seed(trainer: Trainer, seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    trainer.training_set.seed_augmentation(seed)


def _gradient(trainer: Trainer, batch: Batch, parts: int, seed: int) -> Tensor:
    """Of all parameters, as one vector."""
    _seed(trainer, seed)
    trainer.method.zero_grad(set_to_none=True)
    gradients(trainer.method, batch, parts)
    found = [torch.zeros_like(p) if p.grad is None else p.grad for p in trainer.method.parameters()]
    trainer.method.zero_grad(set_to_none=True)
    return torch.cat([gradient.flatten() for gradient in found])


@torch.no_grad()
def _loss(trainer: Trainer, batch: Batch, parts: int, seed: int) -> float:
    _seed(trainer, seed)
    return sum(float(trainer.method.training_step(part)) * len(part.index) / IMAGES for part in divided(batch, parts))


def _pulls(trainer: Trainer, batch: Batch) -> Tensor:
    """The gradients of the loss by the images (B, C, H, W), of the same draws at each call."""
    _seed(trainer, 0)
    images = batch.images.clone().requires_grad_()
    loss = trainer.method.training_step(Batch(images, batch.labels, batch.index, batch.training_set))
    return torch.autograd.grad(loss, images)[0]


def _same(found: Tensor, wanted: Tensor) -> bool:
    return bool((found - wanted).norm() <= ROUNDING * wanted.norm() + 1e-6)
