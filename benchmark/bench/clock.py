"""Time on a device that may still be at work when a call returns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from ..train.device import settle


def wait_for(device: torch.device) -> None:
    """Returns when the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """How long a block of work takes; the device is waited for before it and at its end, and not in between."""
    wait_for(device)
    started = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - started


@contextmanager
def as_in_a_run(device: torch.device, threads: int) -> Iterator[None]:
    """What a worker process of a sweep sets holds within; after it, operations are as deterministic as they were before."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    settle(device, threads)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(deterministic)
