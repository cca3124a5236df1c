"""A run that does not fit into memory: it goes on in parts where that is the same computation, and else says what may help."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.report.write import write_tables
from benchmark.store import RunFolder, Store
from benchmark.sweep.execute import _checkpoint, execute, reason
from benchmark.sweep.plan import Job
from benchmark.sweep.run import Settings, _write_plan, plan_sweep
from benchmark.sweep.sweep import checked_sweep
from benchmark.train.trainer import Trainer

PLUGIN = '''
import torch
from dataclasses import dataclass
from benchmark.methods.ce import CrossEntropy
from benchmark.methods.mc_dropout import MCDropout

MOST = 5

def needs(batch, most):
    """As much memory as the images of a batch; there is enough for some."""
    if len(batch.index) > most:
        torch.empty(1 << 50, dtype=torch.uint8)

class Roomy(CrossEntropy):
    "Fits."
    name = "roomy"
    mean_over_samples = True

class Tight(CrossEntropy):
    "Fits in parts only."
    name = "tight"
    mean_over_samples = True
    def training_step(self, batch):
        needs(batch, MOST)
        return super().training_step(batch)

class Later(MCDropout):
    "Draws, and fits in parts only after a third of its training."
    name = "later"
    mean_over_samples = True
    def training_step(self, batch):
        if self.progress > 1 / 3:
            needs(batch, MOST)
        return super().training_step(batch)

class Undeclared(CrossEntropy):
    "Fits in parts only, and says nothing of them."
    name = "undeclared"
    def training_step(self, batch):
        needs(batch, MOST)
        return super().training_step(batch)

class Huge(CrossEntropy):
    "Does not fit at all."
    name = "huge"
    mean_over_samples = True
    def training_step(self, batch):
        needs(batch, 0)
        return super().training_step(batch)

class Judged(CrossEntropy):
    "Does not fit when it predicts."
    name = "judged"
    mean_over_samples = True
    def predict(self, images):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
'''


@pytest.fixture
def plugins(tiny_plugin: Path, tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "tight.py").write_text(PLUGIN)
    return str(tiny_plugin), str(tmp_path / "tight.py")


@pytest.fixture(autouse=True)
def _as_before():
    """A run settles the process that it is done in."""
    threads = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


def planned(plugins: tuple[str, str], out: Path, *methods: str, backbone: str = "test_vit", epochs: int = 3) -> list[Job]:
    """Jobs of some epochs of three batches on a network without batch norms."""
    given = {"dataset": "tiny@48", "noise": (20,), "epochs": epochs, "batch_size": 16, "threads": 1, "precision": "fp32"}
    sweep = checked_sweep({**given, "methods": methods, "plugins": plugins, "backbone": backbone})
    found, _ = plan_sweep(sweep, out, Settings(jobs=1, quiet=True, device="cpu"))
    _write_plan(Store(out), found)
    return found.jobs


def run_of(job: Job, out: Path) -> RunFolder:
    return Store(out).run(job.key)


def predictions(run: RunFolder) -> dict[str, np.ndarray]:
    with np.load(run.path / "predictions.npz") as content:
        return {name: content[name] for name in content.files}


def parts(run: RunFolder) -> list[str]:
    return [row["parts"] for row in csv.DictReader((run.path / "history.csv").open())]


def test_a_step_that_does_not_fit_is_done_in_parts_which_is_the_same_computation_and_told(plugins, tmp_path: Path) -> None:
    """Batches of 16 images, of which 5 fit: in 4 parts. Held to the run that had memory enough, to rounding."""
    tight, roomy = planned(plugins, tmp_path / "o", "tight", "roomy")
    assert [execute(job, tmp_path / "o") for job in (tight, roomy)] == ["finished", "finished"]
    runs = [run_of(job, tmp_path / "o") for job in (tight, roomy)]
    assert [parts(run) for run in runs] == [["4"] * 3, ["1"] * 3]
    found, wanted = map(predictions, runs)
    np.testing.assert_allclose(found["test_logits"], wanted["test_logits"], rtol=1e-3, atol=1e-4)
    assert not np.array_equal(found["test_logits"], wanted["test_logits"]), "it was not done in parts at all"
    assert not list(tmp_path.rglob("*.pt"))
    _, text = write_tables(Store(tmp_path / "o"), ("md",))
    (note,) = [line for line in text.splitlines() if line.startswith("For want of memory")]
    assert "tight, symmetric 20 % (realised" in note
    assert note.endswith(f"seed 0 (4 parts, runs/{tight.key}/history.csv)")
    assert "roomy" not in note


def test_memory_that_runs_out_later_leaves_the_epochs_before_as_they_were(plugins, tmp_path: Path) -> None:
    (job,) = planned(plugins, tmp_path / "o", "later")
    assert execute(job, tmp_path / "o") == "finished"
    assert parts(run_of(job, tmp_path / "o")) == ["1", "4", "4"]


@pytest.mark.parametrize(("method", "killed_after"), [("tight", 1), ("later", 1), ("later", 2)])
def test_a_killed_run_goes_on_in_as_many_parts_to_the_same_bits(
    plugins, tmp_path: Path, method: str, killed_after: int
) -> None:
    (job,) = planned(plugins, tmp_path / "straight", method)
    (again,) = planned(plugins, tmp_path / "killed", method)
    assert execute(job, tmp_path / "straight") == "finished"

    def kill() -> None:
        if len(run_of(again, tmp_path / "killed").history_rows()) == killed_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(again, tmp_path / "killed", still_mine=kill)
    assert execute(again, tmp_path / "killed") == "finished"
    straight, killed = run_of(job, tmp_path / "straight"), run_of(again, tmp_path / "killed")
    assert parts(straight) == parts(killed)
    for name, array in predictions(straight).items():
        assert array.tobytes() == predictions(killed)[name].tobytes(), name


@pytest.mark.parametrize(("seconds", "wanted"), [(0.01, [*range(1, 11)]), (0.099, [1, 2, 3, 5, 10]), (0.101, [1, 2, 3, 5])])
def test_checkpoints_take_a_fiftieth_of_the_time_at_most_and_a_run_goes_on_from_the_last_to_the_same_bits(
    plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, wanted: list[int]
) -> None:
    """By a clock on which an epoch takes a second. The first after every beginning is stored, as nobody knows what that takes.

    The fifth does not fit into memory, whole or in halves, so that 2 and 3 are the first of new beginnings. The epochs
    before it stay as they were, and in how many parts it fitted is stored at once. After eleven the run is killed.
    """
    (job,) = planned(plugins, tmp_path / "straight", "later", epochs=12)
    (again,) = planned(plugins, tmp_path / "killed", "later", epochs=12)
    assert execute(job, tmp_path / "straight") == "finished"
    clock, saved, begun = [0.0], [], []
    made, save, train = _checkpoint, RunFolder.save_checkpoint, Trainer.train_epoch

    def packed(*state: Any) -> bytes:
        clock[0] += seconds / 2
        return made(*state)

    def written(run: RunFolder, content: bytes) -> None:
        clock[0] += seconds / 2
        saved.append(len(run.history_rows()) + 1)
        save(run, content)

    def epoch(trainer: Trainer) -> dict[str, float]:
        begun.append(trainer.finished + 1)
        row = train(trainer)
        clock[0] += 1
        return row

    def kill() -> None:
        if begun and begun[-1] == 11:
            raise KeyboardInterrupt

    monkeypatch.setattr("benchmark.sweep.execute.time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr("benchmark.sweep.execute._checkpoint", packed)
    monkeypatch.setattr(RunFolder, "save_checkpoint", written)
    monkeypatch.setattr(Trainer, "train_epoch", epoch)
    with pytest.raises(KeyboardInterrupt):
        execute(again, tmp_path / "killed", still_mine=kill)
    assert saved == wanted
    begun.clear()
    assert execute(again, tmp_path / "killed") == "finished"
    assert begun[0] == wanted[-1] + 1
    straight, killed = run_of(job, tmp_path / "straight"), run_of(again, tmp_path / "killed")
    assert parts(straight) == parts(killed) == [*["1"] * 4, *["4"] * 8]
    for name, array in predictions(straight).items():
        assert array.tobytes() == predictions(killed)[name].tobytes(), name


@pytest.mark.parametrize("after", [1, 3])
def test_a_run_that_goes_on_on_another_machine_names_both_and_is_judged_on_one(
    plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Another machine's last bits may turn an image's class over after the last checkpoint, which was judged before."""
    monkeypatch.setattr("benchmark.sweep.execute.SPACING", 0)
    (job,) = planned(plugins, tmp_path / "o", "roomy")
    run = run_of(job, tmp_path / "o")

    def kill() -> None:
        if len(run.history_rows()) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(job, tmp_path / "o", still_mine=kill)
    first = run.environment()
    monkeypatch.setattr("benchmark.sweep.execute.environment", lambda *_: {**first, "processor": "another"})
    if after == 3:  # it is judged, and no more
        monkeypatch.setattr("benchmark.sweep.execute.accuracy", lambda *_: 12.5)
        monkeypatch.delattr(Trainer, "train_epoch")
    assert execute(job, tmp_path / "o") == "finished"
    assert run.environment()["processor"] == "another"
    assert [machine["processor"] for machine in run.environment()["earlier"]] == [first["processor"]]
    last = run.history()["test_accuracy"][-1]
    assert run.metrics()["acc_last"] == pytest.approx(last)
    assert bool(last == 12.5) is (after == 3)
    _, text = write_tables(Store(tmp_path / "o"), ("md",))
    (note,) = [line for line in text.splitlines() if line.startswith("Interrupted, and gone on with on another machine")]
    assert note.endswith(f"(runs/{job.key}/environment.json)")


def test_a_run_whose_epochs_are_all_of_one_machine_names_no_other(plugins, tmp_path: Path, monkeypatch) -> None:
    """It is killed, begun on another machine and killed there before an epoch is done, and goes on where it was."""
    (job,) = planned(plugins, tmp_path / "o", "roomy")
    run = run_of(job, tmp_path / "o")

    def kill() -> None:
        if len(run.history_rows()) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(job, tmp_path / "o", still_mine=kill)
    first = run.environment()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("benchmark.sweep.execute.environment", lambda *_: {**first, "processor": "another"})
        with pytest.raises(KeyboardInterrupt):
            execute(job, tmp_path / "o", still_mine=kill)
    assert execute(job, tmp_path / "o") == "finished"
    assert "earlier" not in run.environment()
    assert run.metrics()["machines"] == 1


@pytest.mark.parametrize(
    ("method", "backbone", "wanted"),
    [
        (
            "undeclared",
            "test_vit",
            "out of main memory in a training step of 16 images, which cannot be done in parts: the method does not declare "
            "its loss to be a mean over samples; a smaller --batch-size, a smaller --backbone, smaller images or fewer runs at "
            "a time (--jobs, --runs-per-device) may fit",
        ),
        (
            "tight",
            "small",
            "cannot be done in parts: 'backbone.net.stem.1' normalises over the batch; a smaller --batch-size, a",
        ),
        ("huge", "test_vit", "out of main memory in a training step of 16 images, even one at a time; a smaller --backbone, "),
        ("judged", "test_vit", "out of device memory outside of the training steps (moving the images, evaluation, the "),
    ],
)
def test_what_cannot_be_done_in_parts_has_failed_and_says_what_may_help(
    plugins, tmp_path: Path, method: str, backbone: str, wanted: str
) -> None:
    (job,) = planned(plugins, tmp_path / "o", method, backbone=backbone)
    assert execute(job, tmp_path / "o") == "failed"
    failure = run_of(job, tmp_path / "o").failure()
    assert wanted in failure["error"]
    assert "\n" not in failure["error"]
    assert "in needs" in failure["details"] or "in predict" in failure["details"], "the traceback says not where"


def test_the_data_set_that_does_not_fit_is_no_matter_of_the_batch_size(plugins, tmp_path: Path, monkeypatch) -> None:
    def too_small(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    (job,) = planned(plugins, tmp_path / "o", "roomy")
    monkeypatch.setattr("benchmark.sweep.ready.DeviceSet", too_small)
    assert execute(job, tmp_path / "o") == "failed"
    told = run_of(job, tmp_path / "o").failure()["error"]
    assert "moving the images" in told
    assert "--dataset NAME@COUNT" in told
    assert "--batch-size" not in told


def test_reasons_are_one_line() -> None:
    assert reason(MemoryError()).startswith("out of main memory outside of the training steps")
    assert reason(RuntimeError("two\nlines")) == "RuntimeError: two lines"


def test_who_has_lost_a_run_writes_nothing_more(plugins, tmp_path: Path) -> None:
    """Asleep for so long that another has taken the run over, and has finished it by now."""
    (job,) = planned(plugins, tmp_path / "o", "roomy")
    folder, finished = run_of(job, tmp_path / "o"), {}
    moments = ["begun", "after an epoch", "after another", "after the last", "predicted", "judged"]

    def lost_at(moment: int) -> Callable[[], None]:
        calls = itertools.count()

        def still_mine() -> None:
            if next(calls) == moment:
                folder.put(finished)
                raise KeyboardInterrupt

        return still_mine

    assert execute(job, tmp_path / "o") == "finished"
    finished = folder.files()
    for moment, name in enumerate(moments):
        folder.discard()
        with pytest.raises(KeyboardInterrupt):
            execute(job, tmp_path / "o", still_mine=lost_at(moment))
        assert folder.files() == finished, name
