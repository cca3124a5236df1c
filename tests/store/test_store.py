"""On disk: whole files, and a run that counts as finished only when its metrics are there."""

from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from stubs import INPUTS, SPEC

from benchmark.contract import BadInput
from benchmark.paths import write_whole
from benchmark.store import RunFolder, Store
from benchmark.store.lock import Lock


def run_of(out: Path, key: str) -> RunFolder:
    """A run of a folder that has been planned."""
    (out / "runs").mkdir(exist_ok=True)
    return Store(out).run(key)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "f"
    write_whole(file, b"old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_runs_status_follows_its_files(tmp_path: Path):
    run = run_of(tmp_path, "k")
    assert run.status == "missing"
    run.begin(SPEC, {"torch": "2"})
    run.save_checkpoint(b"state")
    assert run.status == "started"
    assert run.spec() == SPEC
    run.fail("because", "traceback")
    assert (run.status, run.checkpoint()) == ("failed", None)
    run.begin(SPEC, {})
    run.save_checkpoint(b"state")
    metrics = {"acc_last": 1.0, "train_seconds": 2.0, "ece": None}
    run.finish(metrics, INPUTS)
    assert (run.status, run.checkpoint(), run.metrics()) == ("finished", None, metrics)
    run.discard()
    assert run.status == "missing"


def test_a_finished_run_vouches_for_each_of_its_files_and_says_what_it_hangs_on(tmp_path: Path):
    run = run_of(tmp_path, "k")
    run.begin(SPEC, {"torch": "2"})
    run.save_checkpoint(b"state")
    run.save_history([{"epoch": 1, "epochs": 1}])
    run.save_arrays("predictions", {"test_logits": np.eye(3), "test_reference": np.arange(3)})
    run.save_arrays("outcomes", {"right": np.ones(3, bool), "reference": np.arange(3)})
    run.finish({"acc_last": 100.0, "train_seconds": 1.0}, INPUTS)
    manifest = run.manifest()
    assert manifest.inputs == INPUTS
    assert {name: (content.size, content.sha256) for name, content in manifest.files.items()} == {
        name: (len(content := (run.path / name).read_bytes()), hashlib.sha256(content).hexdigest())
        for name in ("spec.json", "environment.json", "history.csv", "predictions.npz", "outcomes.npz", "metrics.json")
    }
    assert {path.name for path in run.path.iterdir()} == {*manifest.files, "manifest.json"}


def test_the_manifest_is_there_before_a_run_counts_as_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = run_of(tmp_path, "k")
    run.begin(SPEC, {})

    def killed(path: Path, content: bytes, **how: object) -> None:
        if path.name == "metrics.json":
            raise KeyboardInterrupt
        write_whole(path, content, **how)

    monkeypatch.setattr("benchmark.store.run.write_whole", killed)
    with pytest.raises(KeyboardInterrupt):
        run.finish({"acc_last": 1.0, "train_seconds": 1.0}, INPUTS)
    assert (run.status, run.manifest().inputs) == ("started", INPUTS)
    monkeypatch.undo()
    run.save_history([{"epoch": 1, "epochs": 1}])  # it goes on, and vouches for what it is then
    run.finish({"acc_last": 2.0, "train_seconds": 1.0}, INPUTS)
    assert run.status == "finished"
    assert "history.csv" in run.manifest().files
    assert run.manifest().files["metrics.json"].size == (run.path / "metrics.json").stat().st_size


def test_a_damaged_manifest_is_named(tmp_path: Path):
    run = run_of(tmp_path, "k")
    run.finish({}, INPUTS)
    for text in ("", "[]", '{"inputs": {}, "files": {}}'):
        (run.path / "manifest.json").write_text(text)
        with pytest.raises(BadInput, match=r"manifest\.json is damaged"):
            run.manifest()


def test_damaged_metrics_are_named(tmp_path: Path):
    run = run_of(tmp_path, "k")
    run.finish({}, INPUTS)
    for text in ("{", '{"acc_last": 1.0}', '{"acc_last": NaN, "train_seconds": 1}', '{"acc_last": 1e400, "train_seconds": 1}'):
        (run.path / "metrics.json").write_text(text)
        with pytest.raises(BadInput, match=r"metrics\.json is damaged"):
            run.metrics()


def test_a_damaged_history_is_named(tmp_path: Path):
    run = run_of(tmp_path, "k")
    run.begin(SPEC, {})
    run.finish({}, INPUTS)
    unlike = (b"a,b\n", b"a,b\n1,2\n", b"epoch,epochs\n", b"epoch,epochs\n1,3\n3,3\n")
    for content in (b"epoch,loss\n1,x\n", b"\xff\xfe\x00", *unlike):
        (run.path / "history.csv").write_bytes(content)
        with pytest.raises(BadInput, match=r"history\.csv is damaged"):
            run.history()


def test_what_became_of_each_test_image_is_read_without_the_predictions(tmp_path: Path):
    run = run_of(tmp_path, "k")
    run.save_arrays("outcomes", {"right": np.array([True, False]), "reference": np.array([4, 0])})
    right, reference = run.outcomes()
    assert (right.tolist(), reference.tolist()) == ([True, False], [4, 0])
    run.discard()
    with pytest.raises(BadInput, match=r"outcomes\.npz is missing"):
        run.outcomes()


@pytest.mark.parametrize(
    ("right", "reference"),
    [
        (None, np.arange(2)),
        (np.ones(2, bool), None),
        (np.ones(2, bool), np.arange(3)),
        (np.ones((2, 1), bool), np.ones((2, 1), int)),
        (np.ones(2), np.arange(2)),
        (np.ones(2, bool), np.array(["a", "b"])),
        (np.ones(2, bool), np.array([0, -1])),
        (np.ones(2, bool), np.array([0, 10**15])),
    ],
)
def test_damaged_outcomes_are_named(tmp_path: Path, right, reference):
    run = run_of(tmp_path, "k")
    run.save_arrays("outcomes", {"right": right, "reference": reference})
    with pytest.raises(BadInput, match=r"outcomes\.npz is damaged"):
        run.outcomes()


def test_checking_an_output_folder_leaves_no_trace(tmp_path: Path):
    Store(tmp_path / "a" / "b").check_writable()
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadInput, match="is a file"):
            Store(path).check_writable()


def test_an_interrupt_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "f"
    write_whole(file, b"old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_process_that_was_held_up_until_another_took_the_folder_over_changes_nothing(tmp_path: Path):
    store = Store(tmp_path)
    with store.alone():
        store.save_sweep("mine")
        other = Lock(tmp_path / "lock.json")
        assert other.claim(over=other.owner().token)
        for save in (store.save_sweep, lambda _: store.save_plan([]), lambda _: store.save_result("results.csv", "late")):
            with pytest.raises(BadInput, match="does not hold the folder any more"):
                save("late")
    assert other.is_mine()
    assert store.sweep_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"sweep.toml", "runs", "lock.json"}
    other.release()


def test_what_is_left_beside_a_run_goes_unless_somebody_is_at_work_on_it(tmp_path: Path):
    run, part = run_of(tmp_path, "k"), tmp_path / "runs" / "k" / ".history.csv-part-ab12"
    run.make()
    (run.path / "metrics.json").write_text("{}")
    run.tidy_if_free()
    assert not run.lock.path.exists(), "there was nothing to do"
    for other in (Lock(run.lock.path), None):
        for left in (part, run.path / "checkpoint.pt"):
            left.write_text("half")
        if other:
            assert other.claim()
        run.tidy_if_free()
        assert part.exists() == (run.path / "checkpoint.pt").exists() == (other is not None)
        if other:
            other.release()
    assert [path.name for path in run.path.iterdir()] == ["metrics.json"]


def test_a_folder_that_is_called_as_what_is_half_written_stays(tmp_path: Path):
    run, theirs = run_of(tmp_path, "k"), ".mine-part-of-it"
    for place in (tmp_path, run.path):
        (place / theirs).mkdir(parents=True)
    with Store(tmp_path).alone():
        pass
    run.tidy_if_free()
    run.tidy()
    assert [path.name for path in run.path.iterdir()] == [theirs]
    assert (tmp_path / theirs).is_dir()


def test_what_cannot_be_written_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = Store(tmp_path)
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(BadInput, match="runs cannot be written"):
        store.save_plan([])
    (tmp_path / "runs").unlink()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    for save in (
        lambda: store.save_noise("5ca1ab1e", b"noise"),
        lambda: store.save_plan([]),
        lambda: store.save_sweep("sweep"),
        lambda: store.save_result("results.csv", "rows"),
    ):
        with pytest.raises(BadInput, match=r"cannot be written \(No space left on device\)"):
            save()


def test_a_marker_is_there_while_it_is_wanted_and_those_of_the_dead_go(tmp_path: Path):
    store = Store(tmp_path)
    with store.marker() as first:
        owner = json.loads(first.read_text())
        (tmp_path / ".driver-dead").write_text(json.dumps({**owner, "pid": 2**22 + 1, "born": "1"}))
        with store.marker() as second:
            assert {path.name for path in tmp_path.iterdir()} == {first.name, second.name}
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_sweep_says_so(tmp_path: Path):
    with pytest.raises(BadInput, match="there is no sweep in it"):
        Store(tmp_path).plan()


def test_a_damaged_grid_is_named(tmp_path: Path):
    (tmp_path / "grid.json").write_text("[{")
    with pytest.raises(BadInput, match=r"grid\.json"):
        Store(tmp_path).plan()


def test_a_name_that_no_file_system_takes_is_bad_input(tmp_path: Path):
    with pytest.raises(BadInput, match="--out"):
        Store(tmp_path / ("a" * 300)).check_writable()


def test_arrays_are_read_by_name_and_damage_is_told(tmp_path: Path):
    run = run_of(tmp_path, "k")
    with pytest.raises(BadInput, match=r"predictions\.npz is missing"):
        run.arrays("predictions", ("a",))
    run.save_arrays("predictions", {"a": np.arange(3), "b": np.ones(2), "c": None})
    assert run.has("predictions")
    assert not run.has("features")
    found = run.arrays("predictions", ("a", "c"))
    assert {name: array.tolist() for name, array in found.items()} == {"a": [0, 1, 2]}
    (run.path / "predictions.npz").write_bytes(b"PK half of it")
    with pytest.raises(BadInput, match=r"predictions\.npz is damaged"):
        run.arrays("predictions", ("a",))


def test_a_history_is_read_as_numbers(tmp_path: Path):
    run = run_of(tmp_path, "k")
    assert run.history() == {}
    run.save_history([{"epoch": 1, "epochs": 3, "loss": 0.5}, {"epoch": 2, "epochs": 3, "loss": None}])
    history = run.history()
    assert history["epoch"].tolist() == [1, 2]
    assert history["loss"][0] == 0.5
    assert np.isnan(history["loss"][1])
    run.finish({}, INPUTS)
    with pytest.raises(BadInput, match=r"history\.csv is damaged: it holds 2 epochs, and not each of 3 once"):
        run.history()


def test_a_figure_is_written_whole_below_its_folder(tmp_path: Path):
    Store(tmp_path).save_result("figures/a.png", b"\x89PNG")
    assert (tmp_path / "figures" / "a.png").read_bytes() == b"\x89PNG"
