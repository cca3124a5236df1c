"""An interrupted run whose checkpoint is damaged goes on or starts over, and ends with the bits of one that never stopped."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import Sandbox, cases, damaged, hold
from hypothesis import strategies as st

from benchmark.store import Store
from benchmark.sweep import execute
from benchmark.sweep.plan import Job
from benchmark.sweep.run import Settings, plan_sweep
from benchmark.sweep.sweep import checked_sweep

EPOCHS = 2


@pytest.fixture(scope="module", params=["ce", "scn"])
def interrupted(request: pytest.FixtureRequest, tiny_plugin: Path, tmp_path_factory: pytest.TempPathFactory):
    """A job, the arrays of its undisturbed run, and its folder as it was after the first epoch."""
    root = tmp_path_factory.mktemp("interrupted")
    given = {
        "dataset": "tiny",
        "methods": (request.param,),
        "noise": (20,),
        "epochs": EPOCHS,
        "threads": 1,
        "precision": "fp32",
    }
    options = {"tiny": {"train": 24, "test": 12}}
    sweep = checked_sweep({**given, "options": options, "plugins": (str(tiny_plugin),)})
    planned, _ = plan_sweep(sweep, root / "whole", Settings(jobs=1, quiet=True, device="cpu"))
    (job,) = planned.jobs
    threads = torch.get_num_threads()
    for name in ("whole", "half"):
        for sha256, noise in planned.noises.items():
            Store(root / name).save_noise(sha256, noise.to_bytes())
    assert execute.execute(job, root / "whole") == "finished"

    looks = iter([False, False, True])  # before it begins, before its first checkpoint, before its second

    def stopped() -> None:
        if next(looks):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute.execute(job, root / "half", stopped)
    yield job, arrays(root / "whole", job), root / "half"
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


def arrays(root: Path, job: Job) -> dict[str, bytes]:
    with np.load(root / "runs" / job.key / "predictions.npz") as stored:
        return {name: stored[name].tobytes() for name in stored}


@cases(4, 100)
def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path, interrupted, monkeypatch: pytest.MonkeyPatch, examples: int):
    job, wanted, half = interrupted
    whole = (half / "runs" / job.key / "checkpoint.pt").read_bytes()
    trained: list[int] = []
    real = execute.Trainer.train_epoch
    monkeypatch.setattr(execute.Trainer, "train_epoch", lambda self: trained.append(self.finished) or real(self))

    def case(content: bytes) -> str:
        content = content or whole
        with Sandbox.below(tmp_path) as sandbox:
            shutil.copytree(half, sandbox.out)
            (sandbox.out / "runs" / job.key / "checkpoint.pt").write_bytes(content)
            trained.clear()
            with sandbox.watched():
                status = execute.execute(job, sandbox.out)
            run = Store(sandbox.out).run(job.key)
            assert status == "finished", run.failure()
            assert arrays(sandbox.out, job) == wanted
            assert trained == ([1] if content == whole else [0, 1]), "what is whole is gone on from, and nothing else"
            assert len(run.history_rows()) == EPOCHS
            return "deep: went on" if content == whole else "deep: started over"

    hold(case, examples, deep=1.0, content=damaged(whole, head=600, tail=600) | st.just(b""))
