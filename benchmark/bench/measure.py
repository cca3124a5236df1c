"""Measures a method: all loops in turn, round after round, so that what slows the machine down slows all of them."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from ..sweep.machine import peak_memory, reset_peak_memory
from .loops import Bare, Harness
from .peak import Peak, step_flop
from .released import Released
from .setting import Setting

ROUNDS = 5
"""At least, however long they take."""
BLOCK = 0.3
"""Seconds that a loop runs for at a time, about: an epoch is as many steps as fit."""
FEWEST, MOST = 2, 128
"""Steps of an epoch."""

Figures = dict[str, float]


class Bench:
    """A setting with its loops, ready to be measured."""

    def __init__(self, setting: Setting):
        self.harness, self.peak_memory = _fitted(setting)
        self.bare = Bare(self.harness)
        self.flop = step_flop(self.bare)

    def blocks(self, peak: Peak, first: Bench | None, released: bool) -> dict[str, Callable[[], float]]:
        """What a round is made of; all are seconds, but for the peak, which is a speed."""
        harness, bare = self.harness, self.bare
        # Beside `step`, and never after `released`, which leaves memory in another state.
        found: dict[str, Callable[[], float]] = {} if first is None else {"first": first.harness.step}
        found |= {
            "step": harness.step,
            "bare": bare.step,
            "evaluation": harness.evaluation,
            "bare_evaluation": harness.bare_evaluation,
            "augmented": lambda: harness.reading(augmented=True),
            "plain": lambda: harness.reading(augmented=False),
            "peak": peak.gflops,
        }
        if released:
            found["released"] = Released(harness).step
        return found


def _fitted(setting: Setting) -> tuple[Harness, int]:
    """A harness that has begun, whose epoch lasts about a block, and the bytes that it took."""
    harness, taken = _begun(setting, FEWEST)
    steps = max(FEWEST, min(MOST, round(BLOCK / harness.step())))
    if steps > FEWEST:
        del harness
        gc.collect()  # a training and its method hold each other; it would count as memory of the next
        harness, taken = _begun(setting, steps)
    return harness, taken


def _begun(setting: Setting, steps: int) -> tuple[Harness, int]:
    device = setting.device
    held = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
    reset_peak_memory(device)
    harness = Harness(setting, steps)
    harness.begin()
    return harness, peak_memory(device) - held


def in_rounds(blocks: Mapping[str, Callable[[], float]], seconds: float) -> dict[str, list[float]]:
    """What each block gives in each round; there are as many rounds as begin within `seconds`, and `ROUNDS` at least.

    Every other round goes backwards, so that no block always comes after the same one.
    """
    found: dict[str, list[float]] = {name: [] for name in blocks}
    started, order = time.perf_counter(), list(blocks)
    while len(found[order[0]]) < ROUNDS or time.perf_counter() - started < seconds:
        for name in order:
            found[name].append(blocks[name]())
        order.reverse()
    return found


def figures(found: Mapping[str, Sequence[float]], batch_size: int, flop: int) -> Figures:
    """What the rounds tell; ratios are medians over rounds of what was measured in the same round.

    `step` and `bare` are one pair a round, under the same load. With r the median of their ratios and m that of their
    geometric means, step = m * sqrt(r) and bare = m / sqrt(r): both times of the median round, whose ratio is r.
    """
    of = {name: np.asarray(values) for name, values in found.items()}
    ratios = of["step"] / of["bare"]
    overhead, pace = float(np.median(ratios)), float(np.median(np.sqrt(of["step"] * of["bare"])))
    step, bare = pace * math.sqrt(overhead), pace / math.sqrt(overhead)
    achieved, peak = 1e-9 * flop / step, float(np.median(of["peak"]))
    low, high = np.percentile(ratios, [10, 90])
    beside = of["step"] / of.get("first", of["step"])
    beside_low, beside_high = np.percentile(beside, [10, 90])
    made: Figures = {
        "images_per_second": batch_size / step,
        "step_ms": 1000 * step,
        "bare_step_ms": 1000 * bare,
        "overhead": overhead,
        "overhead_low": float(low),
        "overhead_high": float(high),
        "rounds": len(ratios),
        "relative_step": float(np.median(beside)),
        "relative_step_low": float(beside_low),
        "relative_step_high": float(beside_high),
        "evaluation_overhead": float(np.median(of["evaluation"] / of["bare_evaluation"])),
        "input_share": float(np.median(of["augmented"] / of["step"])),
        "augmentation_share": float(np.median((of["augmented"] - of["plain"]) / of["step"])),
        "step_gflop": 1e-9 * flop,
        "achieved_gflops": achieved,
        "peak_gflops": peak,
        "peak_share": achieved / peak,
    }
    if "released" in of:
        speedup = of["released"] / of["step"]
        low, high = np.percentile(speedup, [10, 90])
        made |= {
            "released_images_per_second": batch_size / float(np.median(of["released"])),
            "speedup": float(np.median(speedup)),
            "speedup_low": float(low),
            "speedup_high": float(high),
        }
    return made
