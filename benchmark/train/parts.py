"""A batch in parts, one after the other, with the gradients added up: for steps that do not fit into memory at once.

That is done only where it is the same computation: where the loss is a mean over samples that know nothing of each other. The
parts' gradients then add up to the batch's, to rounding. Augmented views are drawn for the whole batch before; what a method
draws itself (dropout) it draws part by part, which is the same in law, and other bits.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..contract.method import Batch, Method


def gradients(method: Method, batch: Batch, parts: int) -> Tensor:
    """Adds the gradients of a batch's loss to those of the method's parameters; gives the loss, a scalar without history.

    In parts, one of n of the batch's N samples counts n / N. Raises ValueError where a method changes its state meanwhile,
    for that would happen once a part.
    """
    if parts == 1:
        loss = method.training_step(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()
    total = torch.zeros((), device=batch.images.device)
    for part in divided(batch, parts):
        before = _versions(method)
        loss = method.training_step(part) * (len(part.index) / len(batch.index))
        if changed := sorted(name for name, version in _versions(method).items() if before.get(name) != version):
            raise ValueError(f"training_step changes the state '{changed[0]}'; `mean_over_samples` says that it changes none")
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    return total


def divided(batch: Batch, parts: int) -> Iterator[Batch]:
    """The batch's samples in so many parts, in order; their sizes differ by one at most, and none is empty."""
    count = min(parts, len(batch.index))
    tensors = (torch.tensor_split(tensor, count) for tensor in (batch.images, batch.labels, batch.index))
    for images, labels, index in zip(*tensors, strict=True):
        yield Batch(images, labels, index, batch.training_set)


def why_whole(method: Method) -> str | None:
    """Why a method's batches must be done as a whole, on the backbone that it has and in the mode that it is in; or None."""
    if not method.mean_over_samples:
        return "the method does not declare its loss to be a mean over samples"
    mixing = next((name for name, module in method.named_modules() if _mixes_samples(module)), None)
    return None if mixing is None else f"'{mixing}' normalises over the batch"


def _mixes_samples(module: nn.Module) -> bool:
    """Whether it is a norm over the batch, or keeps statistics of batches; one that only applies those that it has does not."""
    if isinstance(module, _BatchNorm):
        return module.training or module.running_mean is None
    return module.training and any(name.startswith("running_") for name, _ in module.named_buffers(recurse=False))


def _versions(method: Method) -> dict[str, tuple[int, int]]:
    """What changes with every write to a tensor of the method's state, or in place of it: nothing waits for the device."""
    return {
        name: (id(tensor), tensor._version)
        for tensors in (method.named_parameters(), method.named_buffers())
        for name, tensor in tensors
    }
