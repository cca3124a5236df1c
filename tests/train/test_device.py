"""What holds in a process that trains."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from benchmark.train.device import settle

FAULTS = """
import ctypes, resource, torch
from benchmark.train.device import keep_memory
try:
    ctypes.CDLL(None).mallopt
except AttributeError:
    raise SystemExit("no glibc")
for keep in (False, True):
    keep_memory(keep=keep)
    for k in range(20):  # some until blocks of that size are there
        if k == 16:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(48 << 20, dtype=torch.uint8)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_memory_that_a_tensor_has_left_is_there_for_the_next():
    """Counted in pages that the system had to bring: of 48 MiB there are 12,288."""
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=False)
    if "no glibc" in done.stderr:
        pytest.skip("no glibc, whose ways these are")
    usual, kept = map(int, done.stdout.split())
    assert kept < usual / 10


def test_training_is_deterministic_on_the_cpu_and_fills_no_memory_in_vain():
    threads = torch.get_num_threads()
    try:
        settle(torch.device("cpu"), 1)
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
        settle(torch.device("meta"), 1)
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)
