"""A sweep as a user lives it: run, go on, extend, refuse, fail; on a dataset of 96 tiny images."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w
import torch
from outputs import arrays, assert_identical

from benchmark.contract import BadInput
from benchmark.report.results import read_results
from benchmark.report.write import write_tables
from benchmark.store import Store
from benchmark.sweep import execute, ready
from benchmark.sweep.progress import Progress
from benchmark.sweep.run import Outcome, Settings, earlier_sweeps, plan_sweep, run_sweep
from benchmark.sweep.sweep import checked_sweep

QUIET = Settings(jobs=1, quiet=True)


def swept(plugin: Path, out: Path, settings: Settings = QUIET, **changes: object) -> Outcome:
    given = {"dataset": "tiny", "methods": ("ce",), "noise": (20,), "epochs": 2, "threads": 1, "plugins": (str(plugin),)}
    return run_sweep(checked_sweep({**given, **changes}), out, settings)


@pytest.fixture
def failing_plugin(tmp_path: Path) -> Path:
    """A method that diverges, one that raises, and one whose process the system ends."""
    file = tmp_path / "failing.py"
    file.write_text(
        """
from benchmark.methods.ce import CrossEntropy
class Diverges(CrossEntropy):
    "Loses its mind."
    name = "diverges"
    def training_step(self, batch):
        return super().training_step(batch) * float("nan")
class Raises(CrossEntropy):
    "Raises."
    name = "raises"
    def training_step(self, batch):
        raise SystemExit("I will not")
class Dies(CrossEntropy):
    "Takes its whole process with it, as a want of memory does."
    name = "dies"
    def training_step(self, batch):
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    return file


def test_a_run_leaves_everything_that_the_design_names(tiny_plugin: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = swept(tiny_plugin, out)
    assert (outcome.finished, outcome.failed, outcome.skipped) == (1, 0, 0)
    folder = out / "runs" / outcome.jobs[0].key
    names = {p.name for p in folder.iterdir()}
    assert names == {
        "spec.json", "environment.json", "history.csv", "model.safetensors", "model.json", "predictions.npz", "features.npz",
        "manifest.json", "metrics.json", "outcomes.npz",
    }  # fmt: skip
    (content,) = arrays(out).values()
    assert content["test_logits"].shape == (48, 3)
    assert content["train_index"].tolist() == list(range(96))
    assert content["test_votes"].shape == (48, 3)


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(tiny_plugin: Path, tmp_path: Path) -> None:
    methods = ("ce", "scn", "dul", "rul", "rul-relabel")
    swept(tiny_plugin, tmp_path / "a", methods=methods)
    swept(tiny_plugin, tmp_path / "b", methods=methods)
    assert_identical(tmp_path / "a", tmp_path / "b")
    swept(tiny_plugin, tmp_path / "c", seeds=(1,))
    (other,) = arrays(tmp_path / "c").values()
    assert all(not np.array_equal(other["test_logits"], run["test_logits"]) for run in arrays(tmp_path / "a").values())


def test_every_method_sees_the_same_labels_within_a_seed(tiny_plugin: Path, tmp_path: Path) -> None:
    swept(tiny_plugin, tmp_path / "o", methods=("ce", "rul"), seeds=(0, 1))
    given = [run["train_given"].tobytes() for run in arrays(tmp_path / "o").values()]
    assert len(given) == 4
    assert len(set(given)) == 2


@pytest.mark.slow  # test_killed does it with other methods
@pytest.mark.parametrize("method", ["scn", "rul-relabel"])
def test_a_run_killed_in_the_middle_goes_on_to_the_same_bits(tiny_plugin: Path, tmp_path: Path, method: str) -> None:
    words = [
        "--dataset",
        "tiny",
        "--methods",
        method,
        "--noise",
        "20",
        "--epochs",
        "12",
        "--threads",
        "1",
        "--plugin",
        str(tiny_plugin),
    ]
    command = [sys.executable, "-m", "benchmark", "run", *words, "--jobs", "1", "--quiet", "--out"]
    root = Path(__file__).parents[2]
    killed = subprocess.Popen([*command, str(tmp_path / "killed")], cwd=root, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "killed").glob("runs/*/checkpoint.pt")):
        assert killed.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not list((tmp_path / "killed").glob("runs/*/metrics.json"))
    subprocess.run([*command, str(tmp_path / "killed")], cwd=root, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*command, str(tmp_path / "straight")], cwd=root, check=True, stdout=subprocess.DEVNULL)
    assert_identical(tmp_path / "killed", tmp_path / "straight")
    histories = [next((tmp_path / name).glob("runs/*/history.csv")).read_text() for name in ("killed", "straight")]
    assert len(histories[0].splitlines()) == len(histories[1].splitlines()) == 13
    assert not list((tmp_path / "killed").rglob("*.pt"))
    assert not list((tmp_path / "killed").rglob(".*"))


def test_no_weight_depends_on_the_reference_labels_of_the_training_set(
    tiny_plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are permuted after the noise was made: everything but the scores that judge by them stays as it was."""
    outcome = swept(tiny_plugin, tmp_path / "true", methods=("ce", "scn", "dul", "rul", "rul-relabel"))
    shutil.copytree(tmp_path / "true" / "noise", tmp_path / "permuted" / "noise")
    for job in outcome.jobs:
        (tmp_path / "permuted" / "runs" / job.key).mkdir(parents=True)
    load = ready.load

    def permuted(*given: object) -> object:
        prepared = load(*given)
        labels = np.random.default_rng(0).permutation(np.asarray(prepared.data.train.labels))
        train = dataclasses.replace(prepared.data.train, labels=labels)
        return dataclasses.replace(prepared, data=dataclasses.replace(prepared.data, train=train))

    monkeypatch.setattr(ready, "load", permuted)
    for job in outcome.jobs:
        assert execute.execute(job, tmp_path / "permuted") == "finished"
    assert_identical(tmp_path / "true", tmp_path / "permuted", but="train_reference")
    for run in (tmp_path / "true" / "runs").iterdir():
        twin = tmp_path / "permuted" / "runs" / run.name
        assert (run / "model.safetensors").read_bytes() == (twin / "model.safetensors").read_bytes()
        scores = [json.loads((p / "metrics.json").read_text())["wrong_label_fit"] for p in (run, twin)]
        assert scores[0] != scores[1], "the permutation had no effect at all: this test would prove nothing"


def test_a_finished_run_is_skipped_and_force_repeats_it(tiny_plugin: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    key = swept(tiny_plugin, out).jobs[0].key
    metrics = out / "runs" / key / "metrics.json"
    before = metrics.stat().st_mtime_ns
    assert swept(tiny_plugin, out).skipped == 1
    assert metrics.stat().st_mtime_ns == before
    again = swept(tiny_plugin, out, Settings(jobs=1, quiet=True, force=True))
    assert (again.finished, again.skipped) == (1, 0)
    assert metrics.stat().st_mtime_ns > before


def test_a_second_sweep_extends_the_folder_in_grid_order(tiny_plugin: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    swept(tiny_plugin, out)
    outcome = swept(tiny_plugin, out, methods=("ce", "dul"))
    assert (outcome.finished, outcome.skipped) == (1, 1)
    rows, _ = write_tables(Store(out), ("md",))
    assert [row["method"] for row in rows] == ["ce", "dul"]


def test_a_folder_may_hold_balanced_runs_beside_others_for_the_recipe_tells_them_apart(
    tiny_plugin: Path, tmp_path: Path
) -> None:
    swept(tiny_plugin, tmp_path)
    given = {"dataset": "tiny", "methods": ("ce",), "noise": (20,), "epochs": 2, "threads": 1, "plugins": (str(tiny_plugin),)}
    planned, _ = plan_sweep(checked_sweep({**given, "balanced": True}), tmp_path, QUIET)
    assert [job.spec.recipe.name for job in planned.jobs] == ["common[balanced]"]
    assert not {job.key for job in planned.jobs} & {run.key for run in Store(tmp_path).plan()}


def test_the_same_command_again_adds_no_sweep_and_its_rates_stand_in_the_folder(
    tiny_plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.sweep.run.work", lambda *_, **__: iter(()))
    file = tmp_path / "sweep.toml"
    for _ in range(2):
        swept(tiny_plugin, tmp_path, noise=())
        (kept,) = tomllib.loads(file.read_text())["sweep"]
        assert kept["noise"] == [10, 20, 30]
    file.write_text(tomli_w.dumps({"sweep": [{**kept, "noise": []}]}))  # as it was kept once
    swept(tiny_plugin, tmp_path, noise=())
    assert tomllib.loads(file.read_text())["sweep"] == [kept]


@pytest.mark.parametrize("text", ["a = " + "[" * 10_000, "a = " + "1" * 10_000, "[[sweep]]\nmethods = 3", "sweep = 3", ""])
def test_a_damaged_sweep_is_named(tmp_path: Path, text: str) -> None:
    Store(tmp_path).save_sweep(text)
    with pytest.raises(BadInput, match=r"sweep\.toml is damaged: "):
        earlier_sweeps(Store(tmp_path))


def test_who_is_slower_than_another_command_takes_its_threads_and_as_many_runs_as_fit_then(
    tiny_plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, slow = [], plan_sweep

    def raced(*given: object) -> object:
        planned = slow(*given)
        if not done:
            done.append("the other one's")
            swept(tiny_plugin, tmp_path, Settings(quiet=True, device="cpu"), threads=4)
        return planned

    monkeypatch.setattr("benchmark.sweep.run.usable_cores", lambda: 4)
    monkeypatch.setattr("benchmark.sweep.run.plan_sweep", raced)
    monkeypatch.setattr("benchmark.sweep.run.work", lambda tasks, workers, *_: done.append((tasks, workers)) or iter(()))
    swept(tiny_plugin, tmp_path, Settings(quiet=True, device="cpu"), threads=None, seeds=(0, 1, 2, 3))
    tasks, workers = done[-1]
    assert ({task.job.threads for task in tasks}, workers) == ({4}, 1)


def test_who_watches_is_told_which_runs_begin_anew(tiny_plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[set[str]] = []

    def progress(*given: Any) -> Progress:
        told.append(given[4])
        return Progress(*given)

    monkeypatch.setattr("benchmark.sweep.run.Progress", progress)
    monkeypatch.setattr("benchmark.sweep.run.work", lambda *_, **__: iter(()))
    begun, failed, finished = (job.key for job in swept(tiny_plugin, tmp_path, seeds=(0, 1, 2)).jobs)
    for key, name in ((begun, "spec.json"), (failed, "failure.json"), (finished, "metrics.json")):
        Store(tmp_path).run(key).make()
        (tmp_path / "runs" / key / name).write_text("{}")
    for how in ({}, {"retry_failed": True}, {"force": True}):
        swept(tiny_plugin, tmp_path, dataclasses.replace(QUIET, **how), seeds=(0, 1, 2))
    assert told == [set(), set(), {failed}, {begun, failed, finished}]


@pytest.mark.parametrize("change", [{"epochs": 3}, {"batch_size": 32}, {"validation": 25}, {"threads": 2}])
def test_a_sweep_with_another_recipe_is_refused_and_nothing_changes(tiny_plugin: Path, tmp_path: Path, change: dict) -> None:
    out = tmp_path / "o"
    swept(tiny_plugin, out)
    before = sorted((p, p.stat().st_mtime_ns) for p in out.rglob("*"))
    with pytest.raises(BadInput, match="another --out"):
        swept(tiny_plugin, out, **change)
    assert sorted((p, p.stat().st_mtime_ns) for p in out.rglob("*")) == before


def test_failed_runs_are_recorded_with_their_reason_and_harm_no_other(
    tiny_plugin: Path, failing_plugin: Path, tmp_path: Path
) -> None:
    out = tmp_path / "o"
    both = {"methods": ("diverges", "raises", "ce"), "plugins": (str(tiny_plugin), str(failing_plugin))}
    outcome = swept(tiny_plugin, out, **both)
    assert (outcome.finished, outcome.failed) == (1, 2)
    rows, text = write_tables(Store(out), ("md",))
    assert [(row["status"], row["error"]) for row in rows] == [
        ("failed", "the loss was nan in epoch 1 of 2"),
        ("failed", "SystemExit: I will not"),
        ("finished", None),
    ]
    assert text.count("Failed: ") == 2
    assert swept(tiny_plugin, out, **both).skipped == 3
    assert swept(tiny_plugin, out, Settings(jobs=1, quiet=True, retry_failed=True), **both).failed == 2


def test_what_is_left_as_it_is_is_told_by_what_became_of_it(
    tiny_plugin: Path, failing_plugin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = {"methods": ("raises", "ce"), "plugins": (str(tiny_plugin), str(failing_plugin))}
    swept(tiny_plugin, tmp_path / "o", **both)
    capsys.readouterr()
    swept(tiny_plugin, tmp_path / "o", Settings(jobs=1), **both)
    assert "0 runs to do, 1 finished before, 1 failed before (--retry-failed runs them again)" in capsys.readouterr().err


def test_all_says_which_methods_it_leaves_out_and_why(
    tiny_plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.metadata import EntryPoint

    broken = EntryPoint("theirs", "there.is.no.such.module", "benchmark.methods")
    monkeypatch.setattr("benchmark.contract.registry.entry_points", lambda group: [broken] if group.endswith("methods") else [])
    sweep = checked_sweep({"dataset": "tiny", "methods": ("all",), "noise": (20,), "plugins": (str(tiny_plugin),)})
    planned, _ = plan_sweep(sweep, tmp_path / "o", QUIET)
    assert "theirs" not in planned.sweep.methods
    assert any(note.startswith("left out: 'theirs' cannot be used: ModuleNotFoundError") for note in planned.notes)


def test_a_run_whose_process_the_system_ends_has_failed_and_the_others_finish(
    tiny_plugin: Path, failing_plugin: Path, tmp_path: Path
) -> None:
    both = {"methods": ("ce", "dies", "dul", "scn"), "plugins": (str(tiny_plugin), str(failing_plugin))}
    outcome = swept(tiny_plugin, tmp_path / "o", Settings(jobs=2, quiet=True), **both)
    assert (outcome.finished, outcome.failed) == (3, 1)
    rows, _ = write_tables(Store(tmp_path / "o"), ("md",))
    assert {row["method"]: row["error"] for row in rows if row["error"]} == {
        "dies": "the system ended its worker process, most likely for want of memory"
    }


def test_the_last_run_of_all_may_be_ended_by_the_system_too(tiny_plugin: Path, failing_plugin: Path, tmp_path: Path) -> None:
    both = {"methods": ("dies",), "plugins": (str(tiny_plugin), str(failing_plugin))}
    assert swept(tiny_plugin, tmp_path / "o", Settings(jobs=1, quiet=True), **both).failed == 1


CHANGING = """
from benchmark.methods.ce import CrossEntropy
class Changing(CrossEntropy):
    "Its code is changed while the sweep runs, by itself."
    name = "changing"
    def training_step(self, batch):
        if self.epoch == 0:
            from pathlib import Path
            Path(__file__).write_text(Path(__file__).read_text() + "SCALE = 2\\n")
        return super().training_step(batch)
"""


def test_code_that_changes_while_the_sweep_runs_is_not_stored_under_the_old_key(tiny_plugin: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "changing.py"
    plugin.write_text(CHANGING)
    how = {"methods": ("changing",), "plugins": (str(tiny_plugin), str(plugin)), "seeds": (0, 1), "epochs": 1}
    outcome = swept(tiny_plugin, tmp_path / "o", **how)
    assert (outcome.finished, outcome.failed) == (1, 1)
    rows, _ = write_tables(Store(tmp_path / "o"), ("md",))
    assert rows[1]["error"] == "the method's code changed after the sweep had begun; the same command runs the new one"


def test_a_table_never_holds_two_versions_of_a_method_and_who_runs_the_new_one_is_told(
    tiny_plugin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = tmp_path / "mine.py"
    code = "from benchmark.methods.ce import CrossEntropy\nclass Mine(CrossEntropy):\n    'Mine.'\n    name = 'mine'\n"
    how = {"methods": ("mine",), "plugins": (str(tiny_plugin), str(plugin))}
    plugin.write_text(code)
    swept(tiny_plugin, tmp_path / "o", **how, seeds=(0, 1))
    plugin.write_text(code + "    scale = 2\n")
    swept(tiny_plugin, tmp_path / "o", Settings(jobs=1), **how, seeds=(2,))
    assert "the code of 'mine' has changed: 2 finished runs of the old one left out of the tables" in capsys.readouterr().err
    rows, _ = write_tables(Store(tmp_path / "o"), ("md",))
    assert [row["seed"] for row in rows] == [2]
    assert len(arrays(tmp_path / "o")) == 3, "the old results stay on disk"


def test_a_table_never_holds_two_versions_of_a_dataset(tiny_plugin: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(tiny_plugin.read_text())
    swept(own, tmp_path / "o")
    own.write_text(tiny_plugin.read_text().replace("rng.normal(0, 12", "rng.normal(0, 13"))
    with pytest.raises(BadInput, match="other data called 'tiny'"):
        swept(own, tmp_path / "o", methods=("dul",))


def test_an_option_that_is_a_list_is_the_same_when_it_comes_again(tiny_plugin: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "listed.py"
    plugin.write_text("""
from dataclasses import dataclass
from pathlib import Path
from benchmark.methods.ce import CrossEntropy
@dataclass(frozen=True)
class Options:
    steps: tuple[int, ...] = ()
    where: Path = Path("here")
class Listed(CrossEntropy):
    "Has a list of steps."
    name = "listed"
    Config = Options
""")
    options = {"listed": {"steps": [1, 2], "where": "there"}}
    how = {"methods": ("listed",), "plugins": (str(tiny_plugin), str(plugin)), "options": options}
    assert swept(tiny_plugin, tmp_path / "o", **how).finished == 1
    assert swept(tiny_plugin, tmp_path / "o", **how).skipped == 1
    rows, _ = write_tables(Store(tmp_path / "o"), ("md",))
    assert len(rows) == 1


def test_a_damaged_checkpoint_costs_the_epochs_but_not_the_run(tiny_plugin: Path, tmp_path: Path) -> None:
    swept(tiny_plugin, tmp_path / "straight")
    key = swept(tiny_plugin, tmp_path / "o").jobs[0].key
    run = tmp_path / "o" / "runs" / key
    (run / "metrics.json").unlink()
    (run / "checkpoint.pt").write_bytes(b"PK nonsense")
    assert swept(tiny_plugin, tmp_path / "o").finished == 1
    assert_identical(tmp_path / "straight", tmp_path / "o")


def test_a_checkpoint_with_one_flipped_bit_is_none(tiny_plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch reads it without a word, and the run would end with other bits."""
    outcome = swept(tiny_plugin, tmp_path / "straight")
    job = outcome.jobs[0]
    shutil.copytree(tmp_path / "straight" / "noise", tmp_path / "o" / "noise")

    looks = iter([False, False, True])  # before it begins, before its first checkpoint, before its second

    def stopped() -> None:
        if next(looks):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute.execute(job, tmp_path / "o", stopped)
    file = tmp_path / "o" / "runs" / job.key / "checkpoint.pt"
    content = bytearray(file.read_bytes())
    state = torch.load(io.BytesIO(content[execute.DIGEST :]), weights_only=True)
    largest = max(state["trainer"]["method"].values(), key=torch.numel)
    place = content.index(bytes(largest.untyped_storage())[:64])
    content[place + 3] ^= 0x40
    torch.load(io.BytesIO(content[execute.DIGEST :]), weights_only=True)
    file.write_bytes(content)
    trained: list[int] = []
    real = execute.Trainer.train_epoch
    monkeypatch.setattr(execute.Trainer, "train_epoch", lambda self: trained.append(self.finished) or real(self))
    assert execute.execute(job, tmp_path / "o") == "finished"
    assert trained == [0, 1]
    assert_identical(tmp_path / "straight", tmp_path / "o")


def test_force_replaces_what_is_damaged_too(tiny_plugin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "o"
    given = {"dataset": "tiny", "methods": ("ce",), "noise": (20,), "epochs": 1, "threads": 1, "plugins": (str(tiny_plugin),)}
    run_sweep(checked_sweep(given), out, Settings(quiet=True))
    (metrics,) = out.glob("runs/*/metrics.json")
    metrics.write_text("{")
    assert run_sweep(checked_sweep(given), out, Settings(force=True)).finished == 1
    assert "replacing ce, symmetric 20 %, seed 0, whose metrics.json cannot be read" in capsys.readouterr().err
    assert Store(out).run(metrics.parent.name).metrics()["acc_last"] is not None


def test_force_replaces_runs_one_by_one(tiny_plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped before its first run, it has harmed no result; of what it did run again, the bits are the same."""
    swept(tiny_plugin, tmp_path / "o", seeds=(0, 1))
    before = arrays(tmp_path / "o")

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("benchmark.sweep.run.work", stopped)
        with pytest.raises(KeyboardInterrupt):
            swept(tiny_plugin, tmp_path / "o", Settings(jobs=1, quiet=True, force=True), seeds=(0, 1))
    assert arrays(tmp_path / "o").keys() == before.keys()
    assert swept(tiny_plugin, tmp_path / "o", Settings(jobs=1, quiet=True, force=True), seeds=(0, 1)).finished == 2


def test_a_name_of_labels_stands_for_one_content_within_a_folder(tiny_plugin: Path, tmp_path: Path) -> None:
    how = {"noise_kind": "file", "noise": (), "noise_files": (str(tmp_path / "mine.txt"),)}
    (tmp_path / "mine.txt").write_text("0\n" * 96)
    swept(tiny_plugin, tmp_path / "o", **how)
    (tmp_path / "mine.txt").write_text("1\n" * 96)
    with pytest.raises(BadInput, match="other labels called 'file:mine'"):
        swept(tiny_plugin, tmp_path / "o", **how, methods=("dul",))


def test_a_privileged_method_is_told_what_it_declares_and_marked_and_no_other_is(tiny_plugin: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "oracle.py"
    plugin.write_text("""
from benchmark.methods.ce import CrossEntropy
class Told(CrossEntropy):
    "Knows the rate and the votes."
    name = "told:oracle"
    privilege = ("noise_rate", "votes")
    def training_step(self, batch):
        assert 0 < self.task.noise_rate < 0.5 and self.task.votes.shape == (72, 3) and self.task.transition is None
        return super().training_step(batch)
class Untold(CrossEntropy):
    "Knows nothing."
    name = "untold"
    def training_step(self, batch):
        assert (self.task.noise_rate, self.task.votes, self.task.transition) == (None, None, None)
        return super().training_step(batch)
""")
    plugins = (str(tiny_plugin), str(plugin))
    outcome = swept(tiny_plugin, tmp_path / "o", methods=("told:oracle", "untold"), plugins=plugins, validation=25)
    assert (outcome.finished, outcome.failed) == (2, 0)
    _, text = write_tables(Store(tmp_path / "o"), ("md",))
    assert "| told:oracle † |" in text
    assert "| untold        |" in text


def test_held_out_images_are_not_trained_on_and_choose_an_epoch(tiny_plugin: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    swept(tiny_plugin, out, validation=25, epochs=3)
    (run,) = arrays(out).values()
    assert len(run["train_index"]) == 72
    rows, _ = write_tables(Store(out), ("md",))
    assert rows[0]["acc_val"] is not None
    history = next(out.glob("runs/*/history.csv")).read_text().splitlines()
    assert "validation_accuracy" in history[0]


def test_each_epoch_tells_how_many_wrong_labels_are_learned_by_heart(tiny_plugin: Path, tmp_path: Path) -> None:
    """On a fixed sample of them, here all; the last epoch's share is that of the run's metrics."""
    swept(tiny_plugin, tmp_path / "noisy", noise=(30,), epochs=3)
    swept(tiny_plugin, tmp_path / "clean", noise=(0,), epochs=2)
    noisy, clean = (pd.read_csv(next((tmp_path / name).glob("runs/*/history.csv"))) for name in ("noisy", "clean"))
    (result,) = read_results(Store(tmp_path / "noisy"))
    assert len(noisy) == 3
    assert noisy["wrong_label_fit"].iloc[-1] == pytest.approx(result.metrics["wrong_label_fit"])
    assert "wrong_label_fit" not in clean


def test_human_labels_and_files_bring_their_own_noise(tiny_plugin: Path, tmp_path: Path) -> None:
    human = swept(tiny_plugin, tmp_path / "h", noise_kind="human", noise=())
    assert human.jobs[0].spec.noise_rate is None
    labels = tmp_path / "mine.txt"
    labels.write_text("\n".join(["0"] * 96))
    swept(tiny_plugin, tmp_path / "f", noise_kind="file", noise=(), noise_files=(str(labels),))
    rows, _ = write_tables(Store(tmp_path / "f"), ("md",))
    assert rows[0]["noise_kind"] == "file:mine"
    assert rows[0]["noise_rate"] is None
    assert rows[0]["noise_realised"] > 50


def test_shards_are_disjoint_and_together_the_whole_grid(tiny_plugin: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    for k in (1, 2, 3):
        outcome = swept(tiny_plugin, out, Settings(jobs=1, quiet=True, shard=(k, 3)), seeds=(0, 1, 2, 3))
        assert outcome.finished == (2 if k == 1 else 1)
    assert len(arrays(out)) == 4


def test_workers_side_by_side_give_the_same_bits_as_one(tiny_plugin: Path, tmp_path: Path) -> None:
    swept(tiny_plugin, tmp_path / "one", methods=("ce", "rul"))
    swept(tiny_plugin, tmp_path / "two", Settings(jobs=2, quiet=True), methods=("ce", "rul"))
    assert_identical(tmp_path / "one", tmp_path / "two")


def test_the_folder_explains_itself(tiny_plugin: Path, tmp_path: Path) -> None:
    """sweep.toml, given back as --config, is the same sweep: everything is found finished."""
    from benchmark.sweep.sweep import read_settings

    out = tmp_path / "o"
    swept(tiny_plugin, out)
    (settings,) = read_settings(out / "sweep.toml")
    assert run_sweep(checked_sweep(settings), out, QUIET).skipped == 1
    assert list((out / "noise").iterdir())


@pytest.mark.slow
def test_noise_visibly_hurts_plain_cross_entropy_on_faces(tmp_path: Path) -> None:
    sweep = checked_sweep({"methods": ("ce",), "noise": (0, 30)})
    run_sweep(sweep, tmp_path, Settings(quiet=True))
    clean, noisy = (row["acc_last"] for row in write_tables(Store(tmp_path), ("md",))[0])
    assert 70 < clean < 92
    assert noisy < clean - 3
