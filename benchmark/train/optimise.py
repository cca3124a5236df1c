"""A recipe's optimiser and schedule over the groups that a method asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from ..spec import Recipe


def schedule_factor(recipe: Recipe, progress: float, epochs: int) -> float:
    """The rate over its peak after the share `progress` in [0, 1] of a stage of `epochs` epochs."""
    match recipe.schedule:
        case "one-cycle":
            rising = progress < recipe.warmup
            return progress / recipe.warmup if rising else (1 - progress) / (1 - recipe.warmup)
        case "cosine":
            within = progress * recipe.cycles % 1.0
            return recipe.floor + (1 - recipe.floor) * (1 + math.cos(math.pi * within)) / 2
        case "exponential":
            return float(recipe.decay ** math.floor(progress * epochs + 1e-9))
        case "step":
            return float(recipe.decay ** sum(progress >= milestone for milestone in recipe.milestones))
        case "constant":
            return 1.0


KEYS = {"params", "lr", "weight_decay", "momentum", "betas", "optimizer", "schedule"}
"""What a group may say."""


def _begin_momentum(sgd: torch.optim.SGD) -> None:
    """Gives a parameter its momentum at its first gradient; torch's fused SGD wants it of all of a group, or of none."""
    for group in sgd.param_groups:
        for p in group["params"]:
            if group["momentum"] and p.grad is not None and "momentum_buffer" not in sgd.state[p]:
                sgd.state[p]["momentum_buffer"] = torch.zeros_like(p)


class Optimiser:
    """The optimisers of one stage: one for each kind that the method's groups name, stepped as one."""

    def __init__(self, groups: list[dict[str, Any]], recipe: Recipe, device: torch.device):
        self.recipe = recipe
        by_kind: dict[str, list[dict[str, Any]]] = {}
        for group in groups:
            if unknown := group.keys() - KEYS:
                raise ValueError(f"a parameter group has the key {sorted(unknown)[0]!r}; there are {', '.join(sorted(KEYS))}")
            group = {"lr": recipe.lr, "weight_decay": recipe.weight_decay, **group}
            kind = group.pop("optimizer", recipe.optimizer)
            schedule = group.pop("schedule", recipe.schedule)
            if schedule not in ("constant", recipe.schedule):
                raise ValueError(f"a parameter group wants the schedule '{schedule}'; there is constant, besides the recipe's")
            group["constant"] = schedule == "constant"
            group["peak"] = group["lr"]
            by_kind.setdefault(kind, []).append(group)
        held = [id(p) for members in by_kind.values() for group in members for p in group["params"]]
        if len(held) != len(set(held)):
            raise ValueError("a parameter stands in two groups")
        fused = device.type in ("cpu", "cuda")
        self.parts: list[torch.optim.Optimizer] = []
        for kind, members in by_kind.items():
            if kind == "sgd":
                self.parts.append(torch.optim.SGD(members, lr=recipe.lr, momentum=recipe.momentum, fused=fused))
            elif kind == "adam":
                self.parts.append(torch.optim.Adam(members, lr=recipe.lr, fused=fused))
            else:
                raise ValueError(f"a parameter group wants the optimizer '{kind}'; there are sgd and adam")

    def set_progress(self, progress: float, epochs: int) -> None:
        """Sets every group's rate for a step in whose middle the share `progress` of the stage is done."""
        factor = schedule_factor(self.recipe, progress, epochs)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = group["peak"] * (1.0 if group["constant"] else factor)

    def step(self) -> None:
        """One step on the gradients that are there."""
        for part in self.parts:
            if isinstance(part, torch.optim.SGD):
                _begin_momentum(part)
            part.step()

    def state_dict(self) -> list[dict[str, Any]]:
        """For the checkpoint."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[Mapping[str, Any]]) -> None:
        """The inverse of `state_dict`."""
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(dict(state))
