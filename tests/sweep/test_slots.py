"""Processes that do one thing at a time, and harm nothing but that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmark.store import lock
from benchmark.sweep import slots as module
from benchmark.sweep.slots import Died, Slot, Slots, TookTooLong, gpus

# What the processes are asked to do; they can import this from nowhere, so it is of the standard library.
NAME, EXIT, SLEEP, ENVIRONMENT = os.getpid, os._exit, time.sleep, os.getenv


@pytest.fixture(scope="module")
def slot():
    slot = Slot(1, None, "")
    yield slot
    slot.end()


def test_it_answers_from_another_process_and_keeps_it(slot: Slot) -> None:
    assert slot.do(NAME) == slot.do(NAME) != os.getpid()


def test_what_is_raised_there_is_raised_here(slot: Slot) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        slot.do(int, "x")
    assert slot.do(int, "3") == 3


@pytest.mark.parametrize("end", [(EXIT, 3), (signal.raise_signal, signal.SIGKILL)])
def test_a_process_that_dies_is_told_and_the_next_call_has_a_new_one(slot: Slot, end) -> None:
    before = slot.do(NAME)
    with pytest.raises(Died):
        slot.do(*end)
    assert slot.do(NAME) != before


def test_one_that_has_died_between_two_calls_costs_the_next_call_nothing(slot: Slot) -> None:
    before = slot.do(NAME)
    os.kill(before, signal.SIGKILL)
    assert slot._process is not None
    slot._process.wait()
    assert slot.do(NAME) not in (before, os.getpid())


def test_one_that_cannot_begin_is_told_and_the_next_call_has_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    slot = Slot(1, None, "")
    with monkeypatch.context() as patch:
        patch.setattr(module, "BEGIN", "raise SystemExit(1)")
        with pytest.raises(Died):
            slot.do(NAME)
    assert slot._process is None
    assert slot.do(NAME) != os.getpid()
    slot.end()


def test_one_that_takes_too_long_is_ended(slot: Slot) -> None:
    before = slot.do(NAME, timeout=60)
    with pytest.raises(TookTooLong):
        slot.do(SLEEP, 60, timeout=0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)


def test_time_that_is_up_in_the_moment_after_an_answer_ends_nothing_else(slot: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Slot._answer

    def slow(slot: Slot, process: subprocess.Popen[bytes]) -> object:
        heard = answer(slot, process)
        process.wait()  # until the time is up
        return heard

    before = slot.do(NAME)
    monkeypatch.setattr(Slot, "_answer", slow)
    assert slot.do(NAME, timeout=0.3) == before
    monkeypatch.undo()
    assert slot.do(NAME) != before


@pytest.mark.parametrize(("then", "timeout", "told"), [("os._exit(3)", None, Died), ("time.sleep(60)", 1, TookTooLong)])
def test_what_a_plugin_has_forked_does_not_keep_anybody_waiting(slot: Slot, then: str, timeout: int | None, told: type) -> None:
    assert slot.do(int, "3") == 3
    begun = time.monotonic()
    with pytest.raises(told):
        slot.do(exec, f"import os, time\nif os.fork() == 0:\n    time.sleep(20)\n    os._exit(0)\n{then}", timeout=timeout)
    assert time.monotonic() - begun < 15, "it waited for the child"
    assert slot.do(int, "3") == 3


def test_libraries_are_told_of_the_threads_and_the_gpu_before_they_are_loaded() -> None:
    slot = Slot(3, "7", "")
    assert (slot.do(ENVIRONMENT, "OMP_NUM_THREADS"), slot.do(ENVIRONMENT, "CUDA_VISIBLE_DEVICES")) == ("3", "7")
    slot.end()


def test_what_is_printed_there_does_not_come_between_the_answers(capfd: pytest.CaptureFixture[str]) -> None:
    slot = Slot(1, None, "")
    assert slot.do(print, "hello", timeout=60) is None
    slot.do(os.system, "echo from below")
    slot.end()
    out, err = capfd.readouterr()
    assert out == ""
    assert "from below" in err


def test_free_ones_are_used_again_unless_the_code_has_changed() -> None:
    slots = Slots()
    with slots.taken(1, "cpu", "old") as first, slots.taken(1, "cpu", "old") as second:
        assert first is not second
    with slots.taken(1, "cpu", "old") as again:
        assert again in (first, second)
    with slots.taken(1, "cpu", "new") as changed:
        assert changed not in (first, second)


def test_gpus_are_shared_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-b7")
    assert gpus() == ["2", "GPU-b7"]
    slots = Slots()
    with slots.taken(1, "cuda", "") as a, slots.taken(1, "cuda", "") as b, slots.taken(1, "cuda", "") as c:
        assert [slot.gpu for slot in (a, b, c)] == ["2", "GPU-b7", "2"]
    with slots.taken(1, "cuda", "") as a, slots.taken(1, "cuda", "") as b:
        assert {a.gpu, b.gpu} == {"2", "GPU-b7"}


def test_all_can_be_ended_whatever_they_are_at() -> None:
    slots, begun = Slots(), threading.Event()

    def sleep() -> str:
        with slots.taken(1, "cpu", "") as slot:
            slot.do(NAME)
            begun.set()
            try:
                slot.do(SLEEP, 60)
            except Died:
                return "ended"
        return "slept"

    with ThreadPoolExecutor(1) as pool:
        asleep = pool.submit(sleep)
        begun.wait()
        time.sleep(0.2)
        slots.end()
        assert asleep.result() == "ended"


MASTER = """
from pathlib import Path
from benchmark.sweep.slots import SLOTS
with SLOTS.taken(1, "cpu", "") as slot:
    import os
    Path({file!r}).write_text(str(slot.do(os.getpid)))
"""


def test_a_process_of_this_kind_ends_when_its_master_is_gone(tmp_path: Path) -> None:
    """The master is one of them itself."""
    slot, file = Slot(1, None, ""), tmp_path / "number"
    slot.do(exec, MASTER.format(file=str(file)))
    slot.end()
    deadline = time.monotonic() + 10
    while lock._born(int(file.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_it_cannot_import_is_an_error_and_no_death(slot: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    before, elsewhere = slot.do(NAME), ModuleType("of_this_process_only")
    exec("def greet(): ...", elsewhere.__dict__)
    monkeypatch.setitem(sys.modules, elsewhere.__name__, elsewhere)
    with pytest.raises(ModuleNotFoundError, match=elsewhere.__name__):
        slot.do(elsewhere.greet)
    assert slot.do(NAME) == before


def test_a_slot_that_was_closed_while_its_process_began_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a sweep is interrupted in the moment in which a run's process has died and another is begun."""
    slots, begun = Slots(), []
    popen = subprocess.Popen

    def closing(*words: Any, **how: Any) -> Any:
        slots.end()
        begun.append(popen(*words, **how))
        return begun[-1]

    monkeypatch.setattr(subprocess, "Popen", closing)
    with slots.taken(1, "cpu", "code") as slot, pytest.raises(Died):
        slot.do(os.getpid)
    assert begun[0].poll() is not None
    with pytest.raises(Died), slots.taken(1, "cpu", "code"):
        pass
    slots.begin()
    with slots.taken(1, "cpu", "code") as another:
        assert another is not slot
