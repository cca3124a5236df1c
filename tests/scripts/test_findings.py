"""The reference results: whole, what their tables say, and to be had again."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import random
import re
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from modules import script
from simulated import Known, stored, sweep

from benchmark.doctor import examine
from benchmark.report.page.repeat import entries, repeat_command
from benchmark.report.results import Result, read_results
from benchmark.spec import RunSpec
from benchmark.store import Store
from benchmark.sweep.sweep import checked_sweep, read_settings

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results" / "reference"
FOLDERS = sorted(path.parent.name for path in REFERENCE.glob("*/grid.json"))
LARGE = ("predictions.npz", "features.npz", "model.safetensors")


def test_there_are_reference_results() -> None:
    assert FOLDERS


@pytest.mark.parametrize("name", FOLDERS)
def test_every_finished_run_is_verified(name: str) -> None:
    found = examine(REFERENCE / name)
    assert found.wrong == []
    assert found.states["verified"] == found.states.total() - found.states["unfinished"] - found.states["failed"]


@pytest.mark.parametrize("name", FOLDERS)
def test_results_are_of_the_sweeps_that_are_called_like_them(name: str) -> None:
    wanted = [checked_sweep(settings) for settings in read_settings(ROOT / "scripts" / "reference" / f"{name}.toml")]
    methods = {method for sweep in wanted for method in sweep.methods}
    specs = {setting(spec) for sweep in wanted for spec, _ in sweep.runs()}
    for run in read_results(Store(REFERENCE / name)):
        assert setting(run.spec) in specs
        assert run.spec.method in methods or "all" in methods


def setting(spec: RunSpec) -> tuple[object, ...]:
    """All of a run but its method."""
    return spec.dataset.label, spec.noise_kind, spec.noise_rate, spec.backbone, spec.pretrained, spec.recipe.name, spec.seed


@pytest.mark.parametrize("name", FOLDERS)
def test_tables_are_made_again_byte_for_byte(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "results" / "reference" / name
    shutil.copytree(REFERENCE / name, copy)
    made = {path.name: path.read_bytes() for path in copy.glob("*") if path.name.startswith(("table.", "results."))}
    assert {"results.csv", "table.md"} <= made.keys()
    for file in made:
        (copy / file).write_text("")
    command = [sys.executable, "-m", "benchmark", "table", str(copy.relative_to(tmp_path))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL)
    for file, content in made.items():
        assert (copy / file).read_bytes() == content, f"{file} is stale"


def test_pages_say_what_the_results_say() -> None:
    for page, text in script("findings").pages().items():
        assert page.read_text(encoding="utf-8") == text, f"{page.name} is stale: run python scripts/findings.py"


def test_what_is_large_or_of_others_is_not_committed() -> None:
    listed = subprocess.run(["git", "ls-files", "results"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no clone")
    files = [ROOT / line for line in listed.stdout.splitlines()]
    assert not [file for file in files if file.name in LARGE or file.parent.name == "noise"]
    assert sum(file.stat().st_size for file in files) < 20e6


def page_of(folder: Path, kinds: Sequence[str], runs: Sequence[Result], evidence: Known) -> Path:
    """A page with a mark of each kind, beside a sweep called made-up."""
    stored(folder / "results" / "reference" / "made-up", runs, evidence)
    page = folder / "docs" / "findings.md"
    page.parent.mkdir()
    marks = "".join(f"<!-- {kind}: scripts/findings.py -->\nstale\n<!-- end -->\nbetween\n" for kind in kinds)
    page.write_text(f"before\n{marks}", encoding="utf-8")
    return page


KINDS = ("accuracy made-up acc_last", "beside made-up acc_last m1", "score made-up nll", "lead made-up nll m1", "gap made-up")


def test_tables_stand_between_their_marks_and_are_what_the_suite_measures(tmp_path: Path) -> None:
    runs, evidence = sweep(np.random.default_rng(0), truth=[0.6, 0.8, 0.61], spread=[0.005] * 3, images=2000)
    runs = [dataclasses.replace(run, metrics={**run.metrics, "acc_best": run.metrics["acc_last"] + 1}) for run in runs]
    page = page_of(tmp_path, KINDS, runs, evidence)
    text = script("findings").pages(tmp_path)[page]
    assert "stale" not in text
    assert text.startswith("before\n<!-- accuracy made-up acc_last: scripts/findings.py -->\n")
    assert text.count("<!-- end -->\nbetween\n") == 5
    mean = statistics.fmean(run.metrics["acc_last"] for run in runs if run.spec.method == "m1")
    for row in (
        rf"m1 +\| {mean:.2f} ± 0\.\d\d",
        r"ce +\| \*\*\+(19|20|21)\.\d\d\*\* \(\+1\d\.\d\d to \+2\d\.\d\d\)",  # 20 points better
        r"ce +\| 0\.500 \(0\.500 to 0\.500\)",
        r"ce +\| \+0\.000 \(\+0\.000 to \+0\.000\)",
        r"ce +\| 1\.00 \(to 1\.00\)",
    ):
        assert re.search(rf"^\| {row} +\|$", text, re.M), row
    sample = "; 3 seeds, 2,000 images each, trained on what is not recorded. From `python"
    assert text.count(f"{sample} -m benchmark table results/reference/made-up") == 2
    assert text.count(f"{sample} scripts/findings.py`") == 3
    assert "table results/reference/made-up --baseline m1`" in text
    page.write_text(text, encoding="utf-8")
    assert script("findings").pages(tmp_path)[page] == text


def test_what_noise_costs_is_set_beside_what_it_costs_another_method(tmp_path: Path) -> None:
    """ce loses ten points and m1 five, six and seven more; of a fourth seed m1 has no run without noise."""
    base, evidence = sweep(np.random.default_rng(0), truth=[0.6] * 2, spread=[0.005] * 2, images=2000, noises=3, seeds=4)
    ends = {("ce", 0.1): 80.0, ("ce", 0.2): 70.0, ("m1", 0.1): 75.0, ("m1", 0.2): 60.0, ("ce", 0.3): 60.0, ("m1", 0.3): 60.0}
    as_what = {0.1: ("symmetric", 0.0), 0.2: ("symmetric", 0.2), 0.3: ("human", None)}
    runs = []
    for run in base:
        method, rate, seed = run.spec.method, run.spec.noise_rate, run.spec.seed
        kind, share = as_what[rate]
        spec = dataclasses.replace(run.spec, noise_kind=kind, noise_rate=share)
        metrics = {**run.metrics, "acc_last": ends[method, rate] + seed * ((method, rate) == ("m1", 0.1))}
        lacks = (method, rate, seed) == ("m1", 0.1, 3)
        runs.append(
            dataclasses.replace(run, spec=spec, **({"status": "missing", "metrics": {}} if lacks else {"metrics": metrics}))
        )
    page = page_of(tmp_path, ["lost made-up acc_last ce"], runs, evidence)
    header, _, ce, m1 = [line for line in script("findings").pages(tmp_path)[page].splitlines() if line.startswith("|")]
    assert "human" in header
    assert header.count("symmetric") == 1, "without noise nothing is lost"
    assert "+10.00 (" in ce
    assert "+20.00 (" in ce
    low, high = map(float, re.search(r"\+6\.00 \(\+(\d\.\d\d) to \+(\d\.\d\d)\)", m1).groups())
    assert low < 3.52, "Student's t of two degrees is 4.303, over the root of three; and test images add to that"
    assert high > 8.48


def test_what_is_inside_runs_is_read_from_their_file(tmp_path: Path) -> None:
    runs, evidence = sweep(np.random.default_rng(0), truth=[0.6, 0.8], spread=[0.005] * 2, noises=2)
    page = page_of(tmp_path, ["inside made-up symmetric 20"], runs, evidence)
    file = tmp_path / "results" / "reference" / "made-up" / "inside.csv"
    lines = ["key,method,rare,within,share_low,share_high,as_given,spoilt,mended,none_left"]
    for run in runs:
        known = run.spec.noise_rate == 0.2
        own = "5,0.61,0.4,0.6,20,35.4,40,fear" if run.spec.method == "m1" else f"{10 * run.spec.seed},0.5,0.4,0.6,,,,"
        lines.append(f"{run.key},{run.spec.method},{own if known else '99,9,9,9,99,99,99,none'}")
    file.write_text("\n".join(lines), encoding="utf-8")
    text = script("findings").pages(tmp_path)[page]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert rows[0][:2] == ["method", "recall of the rarest class, %"]
    shares = ["0.40 (0.40 to 0.40)", "0.60 (0.60 to 0.60)"]
    assert rows[2] == ["ce", "10 (0 to 20)", "0.50 (0.50 to 0.50)", *shares, "", "", "", ""]
    assert rows[3][:2] == ["m1", "5 (5 to 5)"]
    assert rows[3][-3:] == ["35 (35 to 35)", "40 (40 to 40)", "fear"]
    assert "3 seeds, " in text
    file.write_text("\n".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(ValueError, match=r"tells of 2 of 3 runs of m1"):
        script("findings").pages(tmp_path)


def test_a_caption_says_what_runs_were_trained_on(tmp_path: Path) -> None:
    runs, evidence = sweep(np.random.default_rng(0), truth=[0.6, 0.8], spread=[0.005] * 2)
    page = page_of(tmp_path, ["accuracy made-up acc_last"], runs, evidence)
    store = Store(tmp_path / "results" / "reference" / "made-up")
    for run, said in zip(runs, ['{"device": "cpu"}'] * 3 + ['{"device": "NVIDIA H200"}'] * 2 + ["[]"], strict=True):
        (store.run(run.key).path / "environment.json").write_text(said)
    assert "trained on NVIDIA H200 and a CPU and what is not recorded. From" in script("findings").pages(tmp_path)[page]


def test_a_claim_holds_is_contradicted_or_open_by_the_rule_of_the_protocol(tmp_path: Path) -> None:
    """rul is better than two rivals and like a third, better than one control and worse than another, and so on."""
    truth = {"ce": 0.6, "scn": 0.6, "dul": 0.7, "rul": 0.7, "ce-two-head": 0.6, "rul-random-share": 0.9, "rul-equal-share": 0.7}
    truth["rul-relabel"] = 0.9
    scores = {"noise_unc_auroc": 0.6, "error_auroc": 0.8, "msp_auroc": 0.7}
    made, evidence = sweep(np.random.default_rng(0), truth=[*truth.values()], spread=[0.005] * 8, images=2000, noises=2)
    names = {"ce" if k == 0 else f"m{k}": name for k, name in enumerate(truth)}
    runs = [
        dataclasses.replace(run, spec=dataclasses.replace(run.spec, method=name), metrics={**run.metrics, **scores})
        for run in made
        if (name := names[run.spec.method])
    ]
    page = page_of(tmp_path, ["judged made-up"], runs, evidence)

    def cells() -> list[str]:
        rows = [line.split("|") for line in script("findings").pages(tmp_path)[page].splitlines() if line.startswith("| ")]
        assert [len(row) for row in rows] == [4] * len(rows), "only the noise that decides has a column"
        return [row[2].strip() for row in rows[1:]]

    verdicts = [cell.partition(":")[0] for cell in cells()]
    assert verdicts == ["**open**", "**contradicted**", "**open**", "**holds**", "not asked", "**holds**"]
    assert re.match(
        r"\*\*holds\*\*: minus rul-relabel -(19|20|21)\.\d\d \(-2\d\.\d\d to -1\d\.\d\d, p (< )?0\.\d+\)$", cells()[-1]
    )
    assert "minus msp_auroc +0.100 (+0.100 to +0.100)" in cells()[3]
    unfinished = next(run for run in runs if (run.spec.method, run.spec.noise_rate, run.spec.seed) == ("scn", 0.2, 1))
    Store(tmp_path / "results" / "reference" / "made-up").run(unfinished.key).discard()
    assert [cells()[k] for k in (0, 2)] == ["not judged: scn 2 of 3 seeds"] * 2


def test_what_has_failed_is_told_what_is_missing_too_and_who_is_told_more_does_not_compete(tmp_path: Path) -> None:
    runs, evidence = sweep(np.random.default_rng(0), truth=[0.6, 0.8, 0.61], spread=[0.005] * 3, images=2000, noises=2)
    changed = []
    for run in runs:
        if run.spec.method == "m2":
            run = dataclasses.replace(run, privilege=("votes",))
        if run.spec.noise_rate == 0.2:  # none of them has begun
            run = dataclasses.replace(run, status="missing", metrics={})
        elif (run.spec.method, run.spec.seed) == ("m1", 2):
            run = dataclasses.replace(run, status="failed", metrics={}, error="nan")
        changed.append(run)
    page = page_of(tmp_path, KINDS[:2], changed, evidence)
    text = script("findings").pages(tmp_path)[page]
    assert re.search(r"^\| m1 +\| [\d.]+ ± [\d.]+ \(1 of 3 failed\) +\| missing +\|$", text, re.M)
    assert re.search(r"^\| m2 † +\| [\d.]+ ± [\d.]+ +\| missing +\|$", text, re.M)
    assert "correction for 0 comparisons" in text
    assert "2 to 3 seeds" in text


@pytest.mark.parametrize("mark", ["accuracy  made-up acc_last", "nll-x made-up"])
def test_a_mark_that_is_none_is_refused(tmp_path: Path, mark: str) -> None:
    page_of(tmp_path, [mark], *sweep(np.random.default_rng(0), truth=[0.6, 0.8], spread=[0.005] * 2))
    with pytest.raises(ValueError, match="is not of the form"):
        script("findings").pages(tmp_path)


@pytest.mark.slow
def test_a_run_drawn_at_random_gives_the_recorded_accuracy(tmp_path: Path) -> None:
    """Bit by bit on a machine of its kind, if it is recorded of which kind that was; else within what seeds scatter."""
    there = {"faces"} | ({"ferplus", "cifar10"} if os.environ.get("BENCHMARK_DATA") else set())
    cheap = [name for name in FOLDERS if not name.endswith(("-dlib", "-long"))]  # the others take a quarter of an hour
    runs = [
        (Store(REFERENCE / name), run)
        for name in cheap
        for run in read_results(Store(REFERENCE / name))
        if run.status == "finished" and run.spec.dataset.name in there
    ]
    if not runs:
        pytest.skip("BENCHMARK_DATA is not set, and no reference result can be had without it")
    store, run = random.SystemRandom().choice(runs)
    recorded = store.run(run.key)
    environment = recorded.environment()
    command = repeat_command(entries(store), run.spec, run.key, environment)
    assert command is not None
    words = [sys.executable, *shlex.split(command)[1:], "--quiet"]
    subprocess.run(words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, stdout=subprocess.DEVNULL)
    again = Store(tmp_path / f"repeat-{run.key}").run(run.key)
    alike = ("device", "processor", "model", "instructions", "platform", "python", "torch", "timm", "numpy")
    here = again.environment()
    now, then = (float(folder.metrics()["acc_last"]) for folder in (again, recorded))
    if "earlier" not in environment and all(environment.get(name) == here[name] for name in alike):
        assert now == then, command
        assert np.array_equal(again.outcomes()[0], recorded.outcomes()[0])
    else:
        seeds = [other.metrics["acc_last"] for _, other in runs if apart_from_seed(other) == apart_from_seed(run)]
        assert now == pytest.approx(then, abs=max(1.0, 4 * float(np.std(seeds, ddof=1)))), command


def apart_from_seed(run: Result) -> str:
    return json.dumps({**run.spec.to_dict(), "seed": 0}, sort_keys=True)


def test_every_run_has_a_row() -> None:
    for name in FOLDERS:
        with (REFERENCE / name / "results.csv").open(encoding="utf-8") as file:
            keys = {row["key"] for row in csv.DictReader(file)}
        ended = [*(REFERENCE / name).glob("runs/*/metrics.json"), *(REFERENCE / name).glob("runs/*/failure.json")]
        assert keys == {path.parent.name for path in ended}
