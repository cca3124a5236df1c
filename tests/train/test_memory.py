"""Out of memory is told from other errors, whoever says so."""

from __future__ import annotations

import pickle
import weakref

import numpy as np
import pytest
import torch

from benchmark.train.memory import OutOfMemory, exhausted, release


def raised(ask) -> BaseException:
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        ask()
    return caught.value


def test_what_torch_and_numpy_raise_where_the_system_gives_no_memory_is_recognised():
    """Both are really asked for a petabyte and more."""
    assert exhausted(raised(lambda: torch.empty(1 << 50, dtype=torch.uint8))) == "main memory"
    assert exhausted(raised(lambda: np.empty(1 << 60, dtype=np.uint8))) == "main memory"


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "device memory"),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"), "device memory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "device memory"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"), "device memory"),
        (RuntimeError("std::bad_alloc"), "main memory"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied (4x3 and 2x5)"), None),
        (ValueError("DefaultCPUAllocator: can't allocate memory"), None),
        (OSError(28, "No space left on device"), None),
    ],
)
def test_an_error_is_judged_by_its_type_and_by_what_it_says(error, memory):
    assert exhausted(error) == memory


def test_what_is_to_be_done_survives_the_way_from_one_process_to_another():
    again = pickle.loads(pickle.dumps(OutOfMemory("too much", parts=4)))
    assert (str(again), again.parts) == ("too much", 4)


class Circle:
    """What only the collector can free."""

    def __init__(self):
        self.itself = self


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_what_nothing_uses_is_freed_and_given_back_where_it_came_from(device: str, monkeypatch: pytest.MonkeyPatch):
    unused = weakref.ref(Circle())
    given: list[str] = []
    for name, module in (("cuda", torch.cuda), ("mps", torch.mps)):
        monkeypatch.setattr(module, "empty_cache", lambda name=name: given.append(name) if unused() is None else None)
    release(torch.device(device))
    assert unused() is None
    assert given == [name for name in ("cuda", "mps") if name == device]
