"""Runs that tests need whole: planned as a user would, and done in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tomli_w
import torch

from benchmark.data import load
from benchmark.store import RunFolder, Store
from benchmark.sweep.execute import execute
from benchmark.sweep.run import Settings, plan_sweep
from benchmark.sweep.sweep import checked_sweep


@dataclass
class Trained:
    """Finished runs by method, and the test images (N, H, W, C) that they predicted."""

    runs: dict[str, RunFolder]
    test: np.ndarray

    def __getitem__(self, method: str) -> Path:
        return self.runs[method].path

    def stored(self, method: str) -> dict[str, np.ndarray]:
        """predictions.npz."""
        with np.load(self[method] / "predictions.npz") as content:
            return {name: content[name] for name in content.files}


def trained(out: Path, *plugins: Path, methods: Sequence[str], **changes: object) -> Trained:
    """Runs of an epoch on `tiny`, of whose labels a fifth are wrong, unless other settings of a sweep are given.

    The folder is what `run` leaves, but for the tables.
    """
    given = {"dataset": "tiny", "noise": (20,), "epochs": 1, "threads": 1, "precision": "fp32", "methods": tuple(methods)}
    sweep = checked_sweep({**given, **changes, "plugins": tuple(map(str, plugins))})
    planned, _ = plan_sweep(sweep, out, Settings(jobs=1, quiet=True, device="cpu"))
    store, runs, threads = Store(out), {}, torch.get_num_threads()
    for sha256, noise in planned.noises.items():
        store.save_noise(sha256, noise.to_bytes())
    store.save_plan(planned.jobs)
    store.save_sweep(tomli_w.dumps({"sweep": [planned.sweep.model_dump(exclude_none=True)]}))
    try:
        for job in planned.jobs:
            run = runs[job.spec.method] = store.run(job.key)
            assert execute(job, out) == "finished", run.failure()
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)
    return Trained(runs, np.asarray(load(job.cache, job.spec.dataset).data.test.images))
