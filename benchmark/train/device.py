"""Where a run happens, and in which precision."""

from __future__ import annotations

import ctypes

import torch

from ..contract.errors import BadInput, unknown

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16")


def resolve_device(name: str, *, here: bool = True) -> torch.device:
    """The device to run on; `auto` prefers CUDA, then MPS. Raises BadInput.

    Where runs are not done `here`, one that is named need not be here.
    """
    if name not in DEVICES:
        raise unknown("device", name, DEVICES)
    if not here and name != "auto":
        return torch.device(name)
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(n for n in ("cuda", "mps", "cpu") if available[n])
    if not available[name]:
        raise BadInput(
            f"--device {name}: this machine has none; there are: {', '.join(n for n, here in available.items() if here)}"
        )
    return torch.device(name)


def resolve_precision(name: str, device: torch.device) -> str:
    """`fp32` or `bf16`; `auto` takes bf16 where the device computes in it natively. Raises BadInput."""
    if name not in PRECISIONS:
        raise unknown("precision", name, PRECISIONS)
    if name != "auto":
        return name
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BadInput("--precision auto: this machine has no GPU to be asked whether it knows bf16; wanted fp32 or bf16")
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp32"
    return "bf16" if device.type == "cpu" and _cpu_has_bf16() else "fp32"


def settle(device: torch.device, threads: int) -> None:
    """What holds in a process that trains: so many threads, memory that is kept, and on the CPU the same bits each time."""
    torch.set_num_threads(threads)
    keep_memory()
    torch.use_deterministic_algorithms(device.type == "cpu")
    # It would also fill all new memory, for programs that read what they have not written: 3 to 4 % of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -2, -3, -4, -8  # mallopt(3)


def keep_memory(*, keep: bool = True) -> None:
    """Whether this process keeps the memory that tensors on the CPU have left, for the next ones (with glibc only).

    Unasked, glibc gives every large block back to the system, and the next step gets it anew, a page at a time and filled with
    zeros: a seventh of a step of ResNet-18 at 224 px. Without `keep` it is as it comes to be by itself in a loop of such steps.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another system, or another library
        return
    kept = {_MMAP_MAX: 0, _TRIM_THRESHOLD: -1, _TOP_PAD: 64 << 20, _ARENA_MAX: 1}
    usual = {_MMAP_MAX: 65536, _TRIM_THRESHOLD: 64 << 20, _TOP_PAD: 128 << 10, _MMAP_THRESHOLD: 32 << 20}
    for parameter, value in (kept if keep else usual).items():
        mallopt(parameter, value)


def _cpu_has_bf16() -> bool:
    try:
        flags = torch.cpu.get_capabilities()
        return bool(flags.get("avx512_bf16") or flags.get("amx_bf16"))
    except AttributeError:  # torch before 2.9 tells less
        known = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return bool(known and known())
