"""The machine that a run is done on: what it is, and how much of its memory was taken."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

CPUINFO = Path("/proc/cpuinfo")


def environment(device: str, threads: int) -> dict[str, Any]:
    """What a result may depend on besides its spec: machine and versions; no names of hosts or users."""
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "processor": _processor(),
        "model": _model(),
        "instructions": torch.backends.cpu.get_cpu_capability(),  # the widest that torch computes with
        "cores": os.cpu_count(),
        "threads": threads,
        "platform": _platform(),
        "suite": _suite(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # a class of torch's own
        "timm": version("timm"),
        "numpy": np.__version__,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _platform() -> str:
    """System, kernel and C library with their versions; without what the kernel's builder has added, which may name a place."""
    numbers = re.match(r"\d+(\.\d+)*", platform.release())
    libc = "".join(platform.libc_ver())
    parts = (platform.system(), numbers and numbers[0], platform.machine(), libc and f"with-{libc}")
    return "-".join(part for part in parts if part)


def _suite() -> str | None:
    try:
        return version("noisy-label-benchmark")
    except PackageNotFoundError:  # a clone that was not installed
        return None


def hardware(machine: Mapping[str, Any]) -> str:
    """What computes, by the `environment` of a run: the GPU, or the processor with its model, as its name alone says little."""
    if machine["device"] not in ("cpu", "mps"):
        return str(machine["device"])
    return " ".join(filter(None, (machine["processor"], machine.get("model"))))


def _processor() -> str:
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def _model() -> str | None:
    """As in `family 26 model 2`; several generations of a processor may bear one name."""
    info = _cpuinfo()
    return f"family {info['cpu family']} model {info['model']}" if {"cpu family", "model"} <= info.keys() else None


def _cpuinfo() -> dict[str, str]:
    """What Linux says of the first core."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def reset_peak_memory(device: torch.device) -> None:
    """`peak_memory` counts from here, where the system lets it (CUDA, Linux); elsewhere from the process's start."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):  # not Linux, or not allowed
            Path("/proc/self/clear_refs").write_text("5")  # proc(5): 5 resets the peak resident set size


def peak_memory(device: torch.device) -> int:
    """Bytes: on CUDA those that tensors took at most; elsewhere the worker process's largest resident size."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):  # not Linux
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def usable_cores() -> int:
    """That this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
