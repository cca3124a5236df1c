"""`bench` as a user types it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import weakref

import pytest
from diary import quick

from benchmark.bench import measure, run
from benchmark.contract.registry import load_plugins

TINY = ("--image-size", 16, "--batch-size", 8, "--threads", 1, "--precision", "fp32", "--device", "cpu", "--seconds", 0.001)
MEASURED = ("images_per_second", "step_ms", "bare_step_ms", "overhead", "peak_memory_mb")
WANTED = ("method", "backbone", "device", "precision", "batch_size", "image_size", *MEASURED)
OF_PEAK = ("step_gflop", "step_gb", "achieved_gflops", "peak_gflops", "copy_gbps", "peak_share", "ceiling_share")

MEMORY = run.memory_of_its_own

FAILS = '''
from benchmark.contract import Paper
from benchmark.methods.ce import CrossEntropy


class Fails(CrossEntropy):
    """Fails."""

    name = "fails"
    paper = Paper("", "", "", "")

    def training_step(self, batch):
        raise RuntimeError("there is no more\\nmemory")
'''


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    quick(monkeypatch)


def test_json_has_a_row_a_method_and_backbone(call, tmp_path):
    words = ("--methods", "ce,rul", "--backbone", "small,test_resnet", "--json", "--out", tmp_path)
    status, out, err = call("bench", *TINY, *words)
    rows = json.loads(out)
    assert status == 0
    assert [(row["method"], row["backbone"]) for row in rows] == [
        ("ce", "small"),
        ("rul", "small"),
        ("ce", "test_resnet"),
        ("rul", "test_resnet"),
    ]
    assert [line.partition(":")[0] for line in err.splitlines()] == [f"{row['method']} on {row['backbone']}" for row in rows]
    for row in rows:
        assert all(row[name] is not None for name in (*WANTED, *OF_PEAK))
        assert row["overhead"] == pytest.approx(row["step_ms"] / row["bare_step_ms"], rel=1e-4)
        assert row["images_per_second"] == pytest.approx(8000 / row["step_ms"], rel=1e-4)
        assert 0 < row["peak_share_low"] <= row["peak_share"] <= row["peak_share_high"]
    assert [row["relative_step"] == 1 for row in rows] == [True, False, True, False]  # the first of each backbone


def test_rows_are_kept_in_one_file_and_measured_again_in_their_places(call, tmp_path):
    call("bench", *TINY, "--methods", "ce,scn", "--out", tmp_path)
    status, out, _ = call("bench", *TINY, "--methods", "ce,dul", "--out", tmp_path)
    assert status == 0
    assert out.startswith("**Speed: small**")
    (file,) = tmp_path.iterdir()
    assert file.name.startswith("cpu-")
    assert "-fp32-1threads-torch" in file.name
    with file.open(newline="") as text:
        assert [row["method"] for row in csv.DictReader(text)] == ["ce", "scn", "dul"]


def test_the_core_methods_are_measured_unless_others_are_named(call, tmp_path):
    rows = json.loads(call("bench", *TINY, "--json", "--out", tmp_path)[1])
    assert [row["method"] for row in rows] == ["ce", "scn", "dul", "rul"]


def test_the_released_loop_is_set_beside_where_it_is_asked_for(call, tmp_path):
    (row,) = json.loads(call("bench", *TINY, "--methods", "rul", "--released", "--json", "--out", tmp_path)[1])
    assert row["speedup"] == pytest.approx(row["images_per_second"] / row["released_images_per_second"], rel=1e-2)
    assert (row["compiled"], row["compiled_speedup"]) == (False, None)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("c++"), reason="there is no C++ compiler, which torch.compile needs")
def test_a_compiled_loop_is_set_beside_where_it_is_asked_for(call, tmp_path):
    (row,) = json.loads(call("bench", *TINY, "--methods", "rul", "--compiled", "--json", "--out", tmp_path)[1])
    assert row["error"] is None
    assert row["compiled"] is True
    assert row["compile_seconds"] > row["bare_step_ms"] / 1000
    assert 0 < row["compiled_speedup_low"] <= row["compiled_speedup"] <= row["compiled_speedup_high"] < 100


NOTES = '''
import os
from pathlib import Path
from benchmark.contract import Paper
from benchmark.methods.ce import CrossEntropy

class Notes(CrossEntropy):
    """Notes where it is trained."""

    name = "notes"
    paper = Paper("", "", "", "")

    def training_step(self, batch):
        with (Path(__file__).parent / "pids").open("a") as file:
            file.write(f"{os.getpid()}\\n")
        return super().training_step(batch)
'''


def test_memory_is_that_of_a_training_in_a_process_of_its_own(call, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "memory_of_its_own", MEMORY)
    (tmp_path / "notes.py").write_text(NOTES)
    words = (
        "--plugin",
        tmp_path / "notes.py",
        "--methods",
        "notes",
        "--recipe",
        "fast-cifar",
        "--json",
        "--out",
        tmp_path / "o",
    )
    (row,) = json.loads(call("bench", *TINY, *words)[1])
    assert 0 < row["peak_memory_mb"] < 1000
    pids = set((tmp_path / "pids").read_text().split())
    assert len(pids - {str(os.getpid())}) == 1


def test_the_recipe_is_that_which_is_asked_for(call, tmp_path, monkeypatch):
    seen = []
    blocks = measure.Bench.blocks
    monkeypatch.setattr(
        measure.Bench, "blocks", lambda made, *_, **how: seen.append(made.harness.setting.recipe) or blocks(made, *_, **how)
    )
    words = [word for word in TINY if word not in ("--batch-size", 8)]
    call("bench", *words, "--methods", "ce", "--recipe", "fast-cifar", "--out", tmp_path)
    (used,) = seen
    assert (used.optimizer, used.batch_size) == ("sgd", 256)


@pytest.mark.parametrize("alone", [True, False])
def test_a_method_that_fails_says_so_in_its_row_and_the_others_go_on(call, tmp_path, monkeypatch, alone):
    if alone:  # it fails where its memory is measured
        monkeypatch.setattr(run, "memory_of_its_own", MEMORY)
    plugin = tmp_path / "fails.py"
    plugin.write_text(FAILS)
    words = ("bench", *TINY, "--plugin", plugin, "--methods", "fails,ce", "--out", tmp_path / "o")
    status, out, err = call(*words, "--json")
    failed, fine = json.loads(out)
    assert status == 1
    assert failed["error"] == "RuntimeError: there is no more memory"
    assert failed["images_per_second"] is None
    assert fine["error"] is None
    assert fine["relative_step"] == 1
    assert "Traceback" not in err
    assert "fails on small failed: RuntimeError: there is no more memory" in call(*words)[1]


def test_what_was_measured_is_let_go_before_the_next_but_for_the_first(call, tmp_path, monkeypatch):
    made, alive = [], []

    def noted(self, setting):
        alive.append([bench() is not None for bench in made])
        made.append(weakref.ref(self))
        begin(self, setting)

    begin = measure.Bench.__init__
    monkeypatch.setattr(measure.Bench, "__init__", noted)
    call("bench", *TINY, "--methods", "ce,scn,dul,rul", "--out", tmp_path)
    assert alive == [[], [True], [True, False], [True, False, False]]


def test_what_is_done_is_kept_when_the_rest_is_interrupted(call, tmp_path, monkeypatch):
    def interrupted(made, *_, **how):
        if made.harness.setting.method.name == "scn":
            raise KeyboardInterrupt
        return blocks(made, *_, **how)

    blocks = measure.Bench.blocks
    monkeypatch.setattr(measure.Bench, "blocks", interrupted)
    status, out, err = call("bench", *TINY, "--methods", "ce,scn,dul", "--out", tmp_path)
    assert (status, out) == (130, "")
    assert err.splitlines()[-1].startswith("interrupted; what is done is kept in ")
    (file,) = tmp_path.iterdir()
    assert len(file.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--methods", "rull"), "did you mean 'rul'?"),
        (("--methods", ","), "--methods"),
        (("--recipe", "comon"), "did you mean 'common'?"),
        (("--recipe", "paper"), "paper"),
        (("--backbone", "resnet17"), "did you mean 'resnet18'?"),
        (("--backbone", "small,torchvision/squeezenet1_1", "--image-size", 2), "cannot be built for 2x2 images"),
        (("--image-size", 0), "--image-size 0: wanted a whole number of at least 1"),
        (("--image-size", 10**7), "--image-size 10000000"),
        (("--image-size", "big"), "'big' is not a whole number"),
        (("--batch-size", 1), "--batch-size 1: wanted a whole number of at least 2"),
        (("--threads", 0), "--threads 0"),
        (("--seconds", 0), "--seconds 0"),
        (("--seconds", "nan"), "--seconds nan"),
        (("--seconds", "inf"), "--seconds inf"),
        (("--device", "abacus"), "abacus"),
        (("--precision", "fp8"), "did you mean 'fp32'?"),
        (("--plugin", "nowhere.py"), "there is no such file"),
        (("--out", ""), "--out"),
    ],
)
def test_bad_input_ends_in_one_line_and_status_2_with_nothing_written(call, tmp_path, monkeypatch, given, said):
    monkeypatch.chdir(tmp_path)
    status, out, err = call("bench", *given)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_the_way_is_named_before_anything_is_measured(call, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "Bench", None)
    (tmp_path / "file").touch()
    status, _, err = call("bench", *TINY, "--out", tmp_path / "file" / "below")
    assert (status, err.count("\n")) == (2, 1)
    assert "is a file" in err


@pytest.mark.slow
def test_every_method_can_be_measured(call, tmp_path):
    status, out, _ = call("bench", *TINY, "--methods", "all", "--json", "--out", tmp_path)
    rows = json.loads(out)
    assert [row["error"] for row in rows if row["error"]] == []
    assert [row["method"] for row in rows] == list(load_plugins().methods)
    assert status == 0
