"""Measures a method: all loops in turn, round after round, so that what slows the machine down slows all of them."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from .loops import Bare, Harness
from .peak import Cost, Peak, step_cost
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
        self.harness = _fitted(setting)
        self.bare = Bare(self.harness)
        self.cost = step_cost(self.bare)
        self.compiled: Bare | None = None

    def blocks(
        self, peak: Peak, first: Bench | None, *, released: bool = False, compiled: bool = False
    ) -> dict[str, Callable[[], float]]:
        """What a round is made of; all are seconds, but for `peak` and `copy`, which are speeds."""
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
            "copy": peak.gigabytes,
        }
        if compiled:
            self.compiled = Bare(harness, compiled=True)
            found["compiled"] = self.compiled.step
        if released:
            found["released"] = Released(harness).step
        return found


def _fitted(setting: Setting) -> Harness:
    """A harness that has begun, whose epoch lasts about a block."""
    harness = begun(setting)
    steps = max(FEWEST, min(MOST, round(BLOCK / harness.step())))
    if steps == FEWEST:
        return harness
    del harness
    gc.collect()  # a training and its method hold each other, and would live on beside the next
    return begun(setting, steps)


def begun(setting: Setting, steps: int = FEWEST) -> Harness:
    """A harness that has trained its first epochs."""
    harness = Harness(setting, steps)
    harness.begin()
    return harness


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


def figures(found: Mapping[str, Sequence[float]], batch_size: int, cost: Cost) -> Figures:
    """What the rounds tell; ratios are medians over rounds of what was measured in the same round, with their spread.

    `step` and `bare` are one pair a round, under the same load. With r the median of their ratios and m that of their
    geometric means, step = m * sqrt(r) and bare = m / sqrt(r): both times of the median round, whose ratio is r.
    """
    of = {name: np.asarray(values) for name, values in found.items()}
    overhead, pace = np.median(of["step"] / of["bare"]), np.median(np.sqrt(of["step"] * of["bare"]))
    step, bare = pace * math.sqrt(overhead), pace / math.sqrt(overhead)
    least = [cost.seconds(*now) for now in zip(of["peak"], of["copy"], strict=True)]
    made: Figures = {
        "images_per_second": batch_size / step,
        "step_ms": 1000 * step,
        "bare_step_ms": 1000 * bare,
        "rounds": len(of["step"]),
        "step_gflop": 1e-9 * cost.flop,
        "step_gb": 1e-9 * cost.moved,
        "achieved_gflops": 1e-9 * cost.flop / step,
        "peak_gflops": np.median(of["peak"]),
        "copy_gbps": np.median(of["copy"]),
    }
    ratios = {
        "overhead": of["step"] / of["bare"],
        "relative_step": of["step"] / of.get("first", of["step"]),
        "evaluation_overhead": of["evaluation"] / of["bare_evaluation"],
        "input_share": of["augmented"] / of["step"],
        "augmentation_share": (of["augmented"] - of["plain"]) / of["step"],
        "peak_share": 1e-9 * cost.flop / of["step"] / of["peak"],
        "ceiling_share": np.asarray(least) / of["step"],
    }
    if "compiled" in of:
        ratios["compiled_speedup"] = of["bare"] / of["compiled"]
    if "released" in of:
        made["released_images_per_second"] = batch_size / np.median(of["released"])
        ratios["speedup"] = of["released"] / of["step"]
    for name, ratio in ratios.items():
        made[f"{name}_low"], made[name], made[f"{name}_high"] = np.percentile(ratio, [10, 50, 90])
    return {name: figure if isinstance(figure, int) else float(figure) for name, figure in made.items()}
