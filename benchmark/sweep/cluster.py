"""Runs on a Dask cluster.

A worker does each run in a process of its slots, as a single machine does; if a worker dies, Dask gives its runs to others, and
they go on from their checkpoints. Where workers do not see the output folder, what a run has made is sent back and stored here.
"""

from __future__ import annotations

import logging
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from ..contract.errors import BadInput, told
from ..contract.registry import load_plugins
from ..fingerprint import code_fingerprint, suite_fingerprint
from ..store import NotStored, Store
from .inputs import Outer, data_root, prepared
from .plan import Job
from .work import Pool, Stopped, contained, folder_of
from .worker import HELD, Ended, Task

DEVICE = "device"
"""What a worker calls a device of its among its resources (`dask worker --resources device=1`), for --runs-per-device."""
ANSWER = 10
"""Seconds that a scheduler may take to answer."""
PATIENCE = 60
"""Seconds that a cluster's first worker is waited for."""
MUST_AGREE = ("torch", "torchvision", "timm", "numpy", "scikit-learn", "scipy")


@contextmanager
def cluster(address: str | None, workers: int, share: int | None, jobs: Sequence[Job]) -> Iterator[tuple[Pool, int]]:
    """The pool of a cluster, and how many runs it does at a time. Raises BadInput where its workers could not do these jobs.

    `address`: the scheduler's, None for a cluster of so many `workers` on this machine; `share`: runs on a worker's device.
    """
    with _client(address, workers) as client:
        what = jobs[0].plugins, tuple(dict.fromkeys(job.spec.method for job in jobs))
        wanted = described(*what)
        for worker, found in _asked(client, described, *what).items():
            if differs := difference(wanted, found):
                raise BadInput(f"worker {worker}: {differs}")
        how: dict[str, Any] = {} if share is None else {"resources": {DEVICE: 1 / share}}
        at_a_time = sum(client.ncores().values()) if share is None else share * _devices(client)
        yield _pool(client, how, at_a_time), at_a_time


@contextmanager
def _client(address: str | None, workers: int) -> Iterator[Any]:
    try:
        from distributed import Client, LocalCluster
        from distributed.comm import parse_address
        from distributed.comm.registry import get_backend
    except ImportError:
        raise BadInput("--backend dask: Dask is not installed; pip install 'noisy-label-benchmark[dask]'") from None
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # `_pool` says that a scheduler is lost, in one line
    if address is None:
        with (
            LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as local,
            Client(local, set_as_default=False) as client,
        ):
            yield client
        return
    try:
        get_backend(parse_address(address)[0])  # else half a client would be made, which waits for its end
        client = Client(address, timeout=ANSWER, set_as_default=False)
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise BadInput(f"--scheduler {address}: no worker has come within {PATIENCE} s") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"--scheduler {address}: there is no answer ({told(error)})") from None
    with client:
        yield client


def _asked(client: Any, function: Any, *arguments: Any) -> dict[str, Any]:
    """What each worker answers. Raises BadInput where one cannot."""
    answers: dict[str, Any] = client.run(function, *arguments, on_error="return")
    for worker, answer in answers.items():
        if isinstance(answer, BaseException):
            raise BadInput(f"worker {worker}: {told(answer)}")
    return answers


def _devices(client: Any) -> int:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    devices = sum(worker["resources"].get(DEVICE, 0) for worker in workers)
    if not devices:
        raise BadInput(f"--runs-per-device: no worker has a device; start them with `dask worker --resources {DEVICE}=1`")
    return int(devices)


def versions() -> dict[str, str]:
    """What every worker must have in common with whoever gives it work."""
    found = {"Python": platform.python_version(), **{name: version(name) for name in MUST_AGREE}}
    return found | {"the suite's code": suite_fingerprint()}


def described(plugins: tuple[str, ...], methods: Sequence[str]) -> dict[str, str]:
    """The same, and the code of methods."""
    known = load_plugins(plugins).methods
    return versions() | {f"the code of '{name}'": code_fingerprint(known[name].__module__) for name in methods}


def difference(wanted: Mapping[str, str], found: Mapping[str, str]) -> str:
    """In what a worker differs first; empty where it does not."""
    for name, here in wanted.items():
        if found.get(name) != here:
            return f"{name} is {found.get(name, 'missing')} there, and {here} here"
    return ""


@cache
def _versions_here() -> dict[str, str]:
    return versions()


def _pool(client: Any, how: Mapping[str, Any], at_a_time: int) -> Pool:
    def pool(given: Sequence[Task], workers: int, timeout: float | None) -> Iterator[Ended]:
        from distributed import KilledWorker, as_completed
        from distributed.client import FutureCancelledError
        from distributed.comm import CommClosedError

        # What another command has finished meanwhile: a worker that does not see the folder would do it once more.
        done = {task.job.key for task in given if not task.again and folder_of(task).status == "finished"}
        yield from (Ended(key, "finished") for key in done)
        tasks = [task for task in given if task.job.key not in done]
        if not tasks:
            return
        wanted = versions()
        with _shared(client, tasks[0].root) as (marker, everywhere):
            if not everywhere:
                tasks = [task._replace(noise=_noise(task)) for task in tasks]
            of_key = {task.job.key: task for task in tasks}
            given_out = (client.submit(elsewhere, task, timeout, wanted, str(marker), pure=False, **how) for task in tasks)
            ahead = len(tasks) if workers >= at_a_time else workers  # a cluster may grow
            running = as_completed(islice(given_out, ahead), loop=client.loop)
            try:
                for future in running:
                    ended = future.result()
                    running.update(islice(given_out, 1))
                    yield _received(ended, of_key[ended.key])
            except KilledWorker as error:
                raise Stopped(f"the cluster lost the workers of one run again and again ({told(error)})") from None
            except (FutureCancelledError, CommClosedError):
                raise Stopped("the cluster's scheduler is not there any more") from None

    return pool


@contextmanager
def _shared(client: Any, root: Path) -> Iterator[tuple[Path, bool]]:
    """By what a worker knows that it sees this folder; whether all of them do."""
    with Store(root).marker() as marker:
        yield marker, all(_asked(client, os.path.exists, str(marker)).values())


def _noise(task: Task) -> bytes:
    return Store(task.root).noise_path(task.job.noise_sha256).read_bytes()


def elsewhere(task: Task, timeout: float | None, wanted: Mapping[str, str], marker: str) -> Ended:
    """Does a run on a worker."""
    job = task.job
    if differs := difference(wanted, _versions_here()):
        return Ended(job.key, "failed", f"it was not begun: on its worker, {differs}")
    try:
        task = task._replace(job=_with_images(job))
    except BadInput as error:
        return Ended(job.key, "failed", f"it was not begun: on its worker, {error}")
    if Path(marker).exists():
        return contained(task, timeout)
    if task.noise is None:
        return Ended(job.key, "failed", f"it was not begun: its worker does not see {task.root}")
    with tempfile.TemporaryDirectory() as place:
        store = Store(Path(place))
        store.save_plan([job])
        store.save_noise(job.noise_sha256, task.noise)
        ended = contained(task._replace(root=store.root, noise=None), timeout)
        return ended._replace(files=store.run(job.key).files())


def _with_images(job: Job) -> Job:
    """The job with its images where they lie on this machine, prepared if they are not here yet. Raises BadInput.

    So does a plugin that is not here, before the run counts as begun.
    """
    if job.plugins:
        load_plugins(job.plugins)

    def cache(old: Path, spec: Any, sha256: str | None) -> Path:
        if old.is_dir():
            return old
        _, new, data = prepared(load_plugins(job.plugins), spec, data_root(job.data_root))
        if sha256 not in (None, data.sha256):
            raise BadInput(f"the images of {spec.label} are other ones")
        return new

    outer = job.outer and Outer(cache(job.outer.cache, job.outer.spec, None), job.outer.spec)
    return replace(job, cache=cache(job.cache, job.spec.dataset, job.dataset_sha256), outer=outer)


def _received(ended: Ended, task: Task) -> Ended:
    """Stores what a worker has sent, unless another command has finished the run meanwhile: nobody here held it.

    One that another command is at now is waited for, and then done once more: what was sent is lost.
    """
    if not ended.files:
        return ended
    folder = folder_of(task)
    try:
        folder.make()
        if not folder.lock.claim(task.over):
            return Ended(ended.key, HELD)
        try:
            if folder.status == "finished" and not task.again:
                return Ended(ended.key, "finished")
            folder.put(ended.files)
        finally:
            folder.lock.release()
    except NotStored as error:
        return Ended(ended.key, "failed", str(error))
    except OSError as error:
        return Ended(ended.key, "failed", f"it could not be stored: {told(error)}")
    return ended._replace(files={})
