"""Watches a training from outside: which parameters receive gradients, and who seeds."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from ..train.trainer import Trainer

SEEDERS = ((torch, "manual_seed"), (torch, "seed"), (np.random, "seed"), (random, "seed"))
ALLOWED = ("benchmark.train", "torch.random", "joblib", "sklearn")
"""Who may call them: the harness, and libraries that put the state back."""


class Witness:
    """What was seen of a training."""

    def __init__(self) -> None:
        self.broken: list[str] = []  #: parameters whose gradient was not finite
        self.seeders: list[str] = []  #: functions that seed, which the method called
        self._names: dict[nn.Parameter, str] = {}
        self._reached: set[nn.Parameter] = set()
        self._wanted: set[nn.Parameter] = set()

    def silent(self) -> list[str]:
        """The trainable parameters that never received a gradient, of those that were there from the beginning."""
        return sorted(self._names[p] for p in self._wanted & self._names.keys() - self._reached)

    @contextmanager
    def watching(self, trainer: Trainer) -> Iterator[None]:
        """The time in which the trainer's method is watched."""
        self._names = {p: name for name, p in trainer.method.named_parameters()}
        handles = [
            p.register_post_accumulate_grad_hook(self._hear)  # type: ignore[no-untyped-call]
            for p in self._names
            if p.requires_grad
        ]
        originals = [getattr(module, name) for module, name in SEEDERS]
        for (module, name), original in zip(SEEDERS, originals, strict=True):
            setattr(module, name, self._overhearing(module, name, original))
        try:
            yield
        finally:
            for (module, name), original in zip(SEEDERS, originals, strict=True):
                setattr(module, name, original)
            for handle in handles:
                handle.remove()

    def look(self, trainer: Trainer) -> None:
        """Takes note of what the present stage trains."""
        assert trainer.optimiser is not None
        groups = [group for part in trainer.optimiser.parts for group in part.param_groups]
        self._wanted.update(p for group in groups for p in group["params"] if p.requires_grad)

    def _hear(self, parameter: nn.Parameter) -> None:
        self._reached.add(parameter)
        if parameter.grad is not None and not parameter.grad.isfinite().all():
            self.broken.append(self._names[parameter])

    def _overhearing(self, module: Any, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if not sys._getframe(1).f_globals.get("__name__", "").startswith(ALLOWED):
                self.seeders.append(f"{module.__name__}.{name}")
            return original(*args, **kwargs)

        return call
