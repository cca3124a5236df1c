"""A sweep on a Dask cluster, with workers and drivers that die, gives what it gives on one machine."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pandas as pd
import pytest
from outputs import arrays, assert_identical

from benchmark.contract import BadInput
from benchmark.store import Store
from benchmark.sweep import cluster
from benchmark.sweep.run import Settings, plan_sweep, run_sweep
from benchmark.sweep.sweep import checked_sweep
from benchmark.sweep.work import Stopped
from benchmark.sweep.worker import HELD, Ended, Task

pytest.importorskip("distributed", reason="Dask is not installed (the extra `dask`)")

ROOT = Path(__file__).parents[2]
COSTS = ["train_seconds", "images_per_second", "peak_memory_mb"]
DASK = Settings(jobs=2, backend="dask", quiet=True)


@contextmanager
def process(*words: object, wait_for: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the test."""
    running = subprocess.Popen([sys.executable, "-m", *map(str, words)], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        until(lambda: wait_for is None or wait_for.exists(), running)
        yield running
    finally:
        running.kill()
        running.wait()


def until(true, running: subprocess.Popen[bytes] | None = None, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert running is None or running.poll() is None, "it has ended"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def words(plugin: Path, out: Path, *more: object) -> list[object]:
    what = ["--dataset", "tiny", "--methods", "ce,scn,rul", "--noise", "0,30", "--seeds", 2, "--epochs", 6]
    return ["benchmark", "run", *what, "--threads", 1, "--quiet", "--plugin", plugin, "--out", out, *more]


def finished(out: Path) -> set[str]:
    return {path.parent.name for path in out.glob("runs/*/metrics.json")}


@pytest.mark.slow
def test_a_worker_is_killed_then_the_driver_and_the_sweep_ends_as_on_one_machine(tiny_plugin: Path, tmp_path: Path) -> None:
    """A scheduler and two workers, in processes of their own."""
    out, alone, file = tmp_path / "o", tmp_path / "alone", tmp_path / "scheduler.json"
    worker = ("distributed.cli.dask_worker", "--scheduler-file", file, "--nthreads", 1, "--no-dashboard")
    with ExitStack() as stack:
        scheduler = ("distributed.cli.dask_scheduler", "--scheduler-file", file, "--host", "127.0.0.1", "--port", 0)
        stack.enter_context(process(*scheduler, "--no-dashboard", wait_for=file))
        address = Path(file).read_text(encoding="utf-8").partition('"address": "')[2].partition('"')[0]
        workers = [stack.enter_context(process(*worker, "--no-nanny")) for _ in range(2)]
        on_it = words(tiny_plugin, out, "--backend", "dask", "--scheduler", address)

        with process(*on_it) as driver:
            until(lambda: len(finished(out)) >= 2 and list(out.glob("runs/*/lock.json")), driver)
            workers[0].kill()
            until(lambda: len(finished(out)) >= 5, driver)
        done = {key: (out / "runs" / key / "metrics.json").stat().st_mtime_ns for key in finished(out)}
        assert 5 <= len(done) < 12, "the driver was to be killed before the end"
        with process(*on_it) as driver:
            assert driver.wait(180) == 0
    assert {key: (out / "runs" / key / "metrics.json").stat().st_mtime_ns for key in done} == done, "done again"
    with process(*words(tiny_plugin, alone, "--jobs", 2)) as driver:
        assert driver.wait(180) == 0
    assert_identical(alone, out)
    assert len(arrays(out)) == 12
    here, there = (pd.read_csv(folder / "results.csv").drop(columns=COSTS) for folder in (alone, out))
    pd.testing.assert_frame_equal(here, there)
    names = {str(path.relative_to(out)) for path in out.rglob("*")}
    assert names == {str(path.relative_to(alone)) for path in alone.rglob("*")}


@pytest.mark.slow
def test_a_scheduler_that_dies_is_told_in_one_line_and_what_is_done_is_kept(tiny_plugin: Path, tmp_path: Path) -> None:
    out, file = tmp_path / "o", tmp_path / "scheduler.json"
    scheduler = ("distributed.cli.dask_scheduler", "--scheduler-file", file, "--host", "127.0.0.1", "--port", 0)
    worker = ("distributed.cli.dask_worker", "--scheduler-file", file, "--nthreads", 1, "--no-dashboard", "--no-nanny")
    with process(*scheduler, "--no-dashboard", wait_for=file) as head, process(*worker):
        address = Path(file).read_text(encoding="utf-8").partition('"address": "')[2].partition('"')[0]
        command = [sys.executable, "-m", *map(str, words(tiny_plugin, out, "--backend", "dask", "--scheduler", address))]
        driver = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        until(lambda: finished(out), driver)
        head.kill()
        told = driver.communicate(timeout=60)[1]
    assert driver.returncode == 1
    assert "Traceback" not in told, told
    what, command_that_goes_on = told.splitlines()[-2:]
    assert what.startswith("the cluster's scheduler is not there any more; ")
    assert command_that_goes_on.startswith("python -m benchmark run")
    assert 1 <= len(pd.read_csv(out / "results.csv")) <= len(finished(out)) < 12, "a worker ends the run that it is at"


def swept(plugin: Path, out: Path, settings: Settings = DASK, methods: tuple[str, ...] = ("ce", "scn")):
    given = {"dataset": "tiny", "methods": methods, "noise": (20,), "epochs": 2, "threads": 1, "plugins": (str(plugin),)}
    return run_sweep(checked_sweep(given), out, settings)


@pytest.mark.slow
def test_a_run_that_its_workers_do_not_survive_ends_the_sweep_in_one_line(
    tiny_plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask

    def takes_its_worker_along(task: Task, *_: object) -> Ended:
        import os

        return os._exit(1) if task.job.spec.method == "scn" else Ended(task.job.key, "failed", "not done here")

    monkeypatch.setattr(cluster, "elsewhere", takes_its_worker_along)
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}), pytest.raises(Stopped, match="again and again"):
        swept(tiny_plugin, tmp_path / "o")


@pytest.mark.slow
def test_what_workers_make_elsewhere_is_sent_back(tiny_plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster of this machine's that does not see the output folder."""

    @contextmanager
    def unseen(client, root):
        yield root / "nowhere" / "marker", False

    monkeypatch.setattr(cluster, "_shared", unseen)
    assert swept(tiny_plugin, tmp_path / "there").finished == 2
    assert swept(tiny_plugin, tmp_path / "here", Settings(jobs=2, quiet=True)).finished == 2
    assert_identical(tmp_path / "here", tmp_path / "there")
    names = [{str(path.relative_to(out)) for path in out.rglob("*")} for out in (tmp_path / "here", tmp_path / "there")]
    assert names[0] == names[1]


@pytest.fixture
def task(tiny_plugin: Path, tmp_path: Path) -> Task:
    sweep = checked_sweep({"dataset": "tiny", "methods": ("ce",), "noise": (20,), "epochs": 1, "plugins": (str(tiny_plugin),)})
    planned, _ = plan_sweep(sweep, tmp_path / "o", Settings())
    return Task(planned.jobs[0], tmp_path / "o", again=False, retry=False, code="")


METRICS = b'{"acc_last": 1.0, "train_seconds": 1.0}'


@pytest.mark.parametrize("sent", ["finished", "failed"])
def test_what_another_command_has_finished_meanwhile_is_kept_unless_it_is_to_be_done_again(task: Task, sent: str) -> None:
    run = Store(task.root).run(task.job.key)
    run.path.mkdir(parents=True)
    (run.path / "metrics.json").write_bytes(METRICS)
    ended = Ended(task.job.key, sent, files={"metrics.json" if sent == "finished" else "failure.json": b"{}"})
    assert cluster._received(ended, task) == Ended(task.job.key, "finished")
    assert run.files() == {"metrics.json": METRICS}
    assert cluster._received(ended, task._replace(again=True)).status == run.status == sent
    assert run.files() == ended.files
    assert run.lock.owner() is None


def test_what_another_command_has_finished_is_not_sent_to_the_cluster(task: Task) -> None:
    run = Store(task.root).run(task.job.key)
    run.path.mkdir(parents=True)
    (run.path / "metrics.json").write_bytes(METRICS)
    pool = cluster._pool(None, {}, 1)  # without a client, of which nothing is asked
    assert list(pool([task], 1, None)) == [Ended(task.job.key, "finished")]
    with pytest.raises(AttributeError):
        list(pool([task._replace(again=True)], 1, None))


def test_what_is_sent_is_stored_over_an_owner_that_was_watched_and_is_gone(task: Task) -> None:
    run, ended = Store(task.root).run(task.job.key), Ended(task.job.key, "finished", files={"metrics.json": METRICS})
    run.path.mkdir(parents=True)
    elsewhere = {"host": "another", "system": "another", "pid": 1, "born": "1", "token": "theirs"}
    run.lock.path.write_text(json.dumps(elsewhere))
    assert cluster._received(ended, task).status == HELD
    assert cluster._received(ended, task._replace(over="theirs")).status == run.status == "finished"


def test_a_worker_of_another_version_does_nothing_and_says_why(task: Task) -> None:
    wanted = cluster.versions() | {"torch": "1.0"}
    ended = cluster.elsewhere(task, None, wanted, "/nowhere")
    assert ended.status == "failed"
    assert ended.why.startswith("it was not begun: on its worker, torch is ")
    assert not task.root.exists()


def test_a_worker_that_cannot_send_back_what_others_need_not_says_so(task: Task) -> None:
    ended = cluster.elsewhere(task, None, cluster.versions(), "/nowhere")
    assert ended.why == f"it was not begun: its worker does not see {task.root}"


def test_images_that_are_not_on_a_worker_are_prepared_there_and_must_be_the_same(task: Task, tmp_path: Path) -> None:
    moved = dataclasses.replace(task.job, cache=tmp_path / "elsewhere")
    assert cluster._with_images(moved).cache == task.job.cache
    other = dataclasses.replace(moved, dataset_sha256="0" * 64)
    with pytest.raises(BadInput, match="the images of tiny are other ones"):
        cluster._with_images(other)


def test_a_run_whose_plugin_is_not_on_a_worker_is_not_begun(task: Task, tmp_path: Path) -> None:
    away = task._replace(job=dataclasses.replace(task.job, plugins=(str(tmp_path / "not-here.py"),)))
    ended = cluster.elsewhere(away, None, {}, str(tmp_path / "marker"))
    assert ended.status == "failed"
    assert ended.why.startswith("it was not begun: on its worker, ")
    assert not (task.root / "runs" / task.job.key / "failure.json").exists()


def test_versions_that_differ_are_named_with_both() -> None:
    assert cluster.difference({"torch": "2.5"}, {"torch": "2.5", "more": "1"}) == ""
    assert cluster.difference({"torch": "2.5"}, {"torch": "2.4"}) == "torch is 2.4 there, and 2.5 here"
    assert cluster.difference({"torch": "2.5"}, {}) == "torch is missing there, and 2.5 here"


def test_plugins_that_differ_are_refused_before_anything_is_written(
    tiny_plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = cluster.described
    monkeypatch.setattr(cluster, "described", lambda *what: here(*what) | {"the code of 'ce'": "another"})
    monkeypatch.setattr(cluster, "_asked", lambda client, function, *what: {"tcp://there": here(*what)})
    with pytest.raises(BadInput, match=r"worker tcp://there: the code of 'ce' is [0-9a-f]+ there, and another here"):
        swept(tiny_plugin, tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_a_cluster_without_devices_is_refused_where_devices_are_to_be_shared(tiny_plugin: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--runs-per-device: no worker has a device; start them with"):
        swept(tiny_plugin, tmp_path / "o", dataclasses.replace(DASK, jobs=None, runs_per_device=2))
    assert not Store(tmp_path / "o").is_here


def test_an_address_of_an_unknown_kind_is_bad_input_before_there_is_half_a_client(tiny_plugin: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"--scheduler nonsense://x: there is no answer \(ValueError: unknown address scheme"):
        swept(tiny_plugin, tmp_path / "o", dataclasses.replace(DASK, scheduler="nonsense://x"))


def test_a_scheduler_that_does_not_answer_is_bad_input(
    tiny_plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "ANSWER", 1)
    with pytest.raises(BadInput, match=r"--scheduler tcp://127\.0\.0\.1:9: there is no answer"):
        swept(tiny_plugin, tmp_path / "o", dataclasses.replace(DASK, scheduler="tcp://127.0.0.1:9"))


def test_a_cluster_that_does_one_run_at_a_time_does_it_itself(
    tiny_plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(*_: object) -> None:
        raise AssertionError("it was done by the command, which may have no GPU")

    monkeypatch.setattr(cluster, "contained", here)
    assert swept(tiny_plugin, tmp_path / "o", dataclasses.replace(DASK, jobs=1)).finished == 2
