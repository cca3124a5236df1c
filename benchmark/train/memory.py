"""Out of memory: how it is told from other errors, and what a user can do about it."""

from __future__ import annotations

import gc

import torch

DEVICE_SIGNS = ("CUDA error: out of memory", "MPS backend out of memory", "_STATUS_ALLOC_FAILED")
MAIN_SIGNS = ("DefaultCPUAllocator: ", "std::bad_alloc")
"""What torch says in a plain RuntimeError."""

ADVICE = "a smaller --backbone, smaller images or fewer runs at a time (--jobs, --runs-per-device) may fit"
"""What needs less memory, whatever it was that did not fit."""


class OutOfMemory(Exception):
    """A training step did not fit into memory; the message is one line, with what may help.

    `parts`: into how many each batch is to be divided for another try; 0 where that is no help, or another computation.
    """

    def __init__(self, message: str, parts: int = 0):
        super().__init__(message)
        self.parts = parts


def exhausted(error: BaseException) -> str | None:
    """Which memory there was too little of, by what an error says; None where it is of something else."""
    if isinstance(error, torch.OutOfMemoryError):
        return "device memory"
    if isinstance(error, MemoryError):
        return "main memory"
    if isinstance(error, RuntimeError):
        for memory, signs in (("device memory", DEVICE_SIGNS), ("main memory", MAIN_SIGNS)):
            if any(sign in str(error) for sign in signs):
                return memory
    return None


def release(device: torch.device) -> None:
    """Gives back the device memory that nothing uses any more, so that a smaller try finds it whole, and others find it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
