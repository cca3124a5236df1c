"""Who may work on what, among processes and machines that share a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from benchmark.store import lock as module
from benchmark.store.lock import Lock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock.json"


def owned_by(path: Path, **changes: object) -> None:
    """Leaves a lock as another process would."""
    lock = Lock(path)
    assert lock.claim()
    owner = json.loads(path.read_text())
    lock.release()
    path.write_text(json.dumps({**owner, "token": "theirs", **changes}))


def test_one_at_a_time_holds_it_and_nothing_is_left_when_it_is_let_go(path: Path) -> None:
    first, second = Lock(path), Lock(path)
    assert first.claim()
    assert not second.claim()
    assert f"process {os.getpid()} on" in str(second.other())
    first.release()
    assert second.claim()
    second.release()
    assert list(path.parent.iterdir()) == []


def test_of_many_that_ask_at_once_one_gets_it(path: Path) -> None:
    locks, start = [Lock(path) for _ in range(16)], threading.Barrier(16)
    taken: list[bool] = []

    def ask(lock: Lock) -> None:
        start.wait()
        taken.append(lock.claim())

    threads = [threading.Thread(target=ask, args=(lock,)) for lock in locks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 1


def test_of_many_that_find_a_dead_owner_one_takes_over(path: Path) -> None:
    owned_by(path, pid=2**22 + 1, born="1")  # above the largest number that Linux gives
    locks, start = [Lock(path) for _ in range(16)], threading.Barrier(16)
    taken: list[bool] = []

    def ask(lock: Lock) -> None:
        start.wait()
        taken.append(lock.claim())

    threads = [threading.Thread(target=ask, args=(lock,)) for lock in locks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 1
    assert sum(lock.is_mine() for lock in locks) == 1


def test_what_a_killed_process_held_is_free_at_once(path: Path) -> None:
    code = "import sys, time; from pathlib import Path; from benchmark.store.lock import Lock; "
    code += "lock = Lock(Path(sys.argv[1])); print(lock.claim(), flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "True\n"
    assert not Lock(path).claim()
    holder.kill()
    holder.wait()
    assert Lock(path).other() is None
    assert Lock(path).claim()


def test_a_number_that_is_used_again_is_not_the_process_that_had_it(path: Path) -> None:
    owned_by(path, born="1")  # this process's own number, but another time of birth
    assert Lock(path).claim()


def test_another_machines_owner_is_believed_until_its_heart_has_stood_still(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned_by(path, host="elsewhere", system="another", pid=7)
    clock = iter([0.0, 0.0, 50.0, 50.0, 59.0, 100.0, 111.0, 111.0, 111.0, 111.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    watcher = Lock(path)
    assert str(watcher.other()) == "process 7 on elsewhere"  # at 0 s
    os.utime(path, ns=(1, 1))  # a heartbeat, whatever its clock says
    assert watcher.other() is not None  # at 50 s, counted from there anew
    assert watcher.other() is not None  # at 59 s
    assert watcher.other() is not None  # at 100 s
    assert watcher.other() is None  # at 111 s: 61 s without one
    assert not Lock(path).claim(), "who has not watched cannot know"
    assert Lock(path).claim(over="theirs")


def test_an_owner_that_was_stopped_for_long_learns_that_it_has_lost(path: Path) -> None:
    slept = Lock(path)
    assert slept.claim()
    token = slept.owner().token
    other = Lock(path)
    assert other.claim(over=token)
    assert not slept.is_mine()
    slept.release()
    assert other.is_mine(), "what another holds is not let go"


def test_one_failed_look_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT", 0.1)
    lock = Lock(path)
    assert lock.claim()
    owner, looks = lock.owner(), iter([module.UNKNOWN, module.UNKNOWN])
    monkeypatch.setattr(Lock, "owner", lambda self: next(looks, owner))
    assert lock.is_mine()
    monkeypatch.setattr(Lock, "owner", lambda self: module.UNKNOWN)
    assert not lock.is_mine(), "what cannot be read again and again may be anybody's"
    monkeypatch.undo()
    lock.release()


def test_who_judges_late_takes_nothing_from_who_took_over(path: Path) -> None:
    owned_by(path, system="another")
    faster, slower = Lock(path), Lock(path)
    stale = slower.owner()
    assert faster.claim(over=stale.token)
    assert not slower.claim(over=stale.token)
    assert not slower._take_over(stale, stale)
    assert faster.is_mine()


def test_a_heartbeat_tells_that_an_owner_lives(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT", 0.01)
    lock = Lock(path)
    assert lock.claim()
    os.utime(path, ns=(1, 1))
    for _ in range(500):
        if path.stat().st_mtime_ns > 1:
            break
        threading.Event().wait(0.01)
    assert path.stat().st_mtime_ns > 1
    lock.release()


@pytest.mark.parametrize("changes", [{"pid": 2**40}, {"pid": "1"}, {"token": "../../x"}, {"token": "x" * 300}, {"born": 1}])
def test_an_owner_that_this_suite_would_not_write_is_unreadable(path: Path, changes: dict[str, object]) -> None:
    owned_by(path, **changes)
    assert Lock(path).owner() == module.UNKNOWN
    assert not Lock(path).claim()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', "\x00\xff", "[" * 200_000, '{"a":' * 100_000])
def test_an_unreadable_lock_is_somebodys_until_it_has_been_watched(path: Path, content: str) -> None:
    path.write_text(content, encoding="latin-1")
    assert not Lock(path).claim()
    assert str(Lock(path).other()) == "a process unknown"
    assert Lock(path).claim(over="unknown")


def test_another_users_process_that_the_system_hides_is_not_taken_for_dead(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    owned_by(path, pid=holder.pid, born=module._born(holder.pid))
    read = Path.read_text

    def hidden(file: Path, **how: str) -> str:
        if str(file).startswith(f"/proc/{holder.pid}/"):
            raise FileNotFoundError(file)  # as with `hidepid`
        return read(file, **how)

    monkeypatch.setattr(Path, "read_text", hidden)
    assert Lock(path).other() is not None
    assert not Lock(path).claim()
    holder.kill()
    holder.wait()
    assert Lock(path).claim()


def test_one_failed_look_does_not_end_the_heartbeat(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT", 0.01)
    lock, failed = Lock(path), threading.Event()
    assert lock.claim()
    opened = Path.open

    def fails_once(file: Path, *how: str, **more: str) -> object:
        if file == path and not failed.is_set():
            failed.set()
            raise OSError("stale file handle")
        return opened(file, *how, **more)

    monkeypatch.setattr(Path, "open", fails_once)
    assert failed.wait(10)
    os.utime(path, ns=(1, 1))
    deadline = time.monotonic() + 10
    while path.stat().st_mtime_ns == 1:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    lock.release()


def test_a_lock_that_cannot_be_written_leaves_nothing(path: Path) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # files of no length only, as on a full disk
    try:
        with pytest.raises(OSError, match="too large"):
            Lock(path).claim()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(path.parent.iterdir()) == []
