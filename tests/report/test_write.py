"""What is said beneath the tables of a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from simulated import stored, sweep

from benchmark.report.results import read_results
from benchmark.report.write import MACHINES, trained_on
from benchmark.store import Store


def said(root: Path, *environments: object) -> list[str]:
    """Of finished runs with these environments; there is none where one is None."""
    store = Store(stored(root, *sweep(np.random.default_rng(0), [0.5], [0.01], seeds=len(environments), images=20)))
    results = read_results(store)
    for run, environment in zip(results, environments, strict=True):
        if environment is not None:
            (store.run(run.key).path / "environment.json").write_text(json.dumps(environment))
    return trained_on(store, results)


CPU = {"device": "cpu", "processor": "abacus", "model": "7", "threads": 2}
GPU = {"device": "NVIDIA H200", "threads": 1}


def test_one_machine_is_named_once(tmp_path: Path) -> None:
    assert said(tmp_path, CPU, CPU) == ["Trained on abacus 7 (cpu, threads: 2)."]


def test_of_several_machines_each_has_its_runs_and_a_run_may_have_moved(tmp_path: Path) -> None:
    (line,) = said(tmp_path, CPU, CPU, GPU, GPU | {"earlier": [CPU]})
    assert line == (
        "Trained on abacus 7 (cpu, threads: 2): 2 runs; NVIDIA H200 (NVIDIA H200, threads: 1): 1 run; "
        "abacus 7 (cpu, threads: 2) and NVIDIA H200 (NVIDIA H200, threads: 1): 1 run."
    )


def test_what_says_nothing_is_told_as_that(tmp_path: Path) -> None:
    assert said(tmp_path, None, {}, [], {"device": 3}) == ["Trained on what is not recorded."]
    (line,) = said(tmp_path / "o", CPU | {"earlier": 5}, CPU | {"earlier": [5]})
    assert line == "Trained on abacus 7 (cpu, threads: 2): 1 run; what is not recorded and abacus 7 (cpu, threads: 2): 1 run."


def test_of_many_machines_a_few_are_named(tmp_path: Path) -> None:
    (line,) = said(tmp_path, *(CPU | {"threads": k} for k in range(MACHINES + 3)))
    assert line.endswith("; 3 more.")


def test_where_nothing_is_finished_nothing_is_said(tmp_path: Path) -> None:
    store = Store(stored(tmp_path, *sweep(np.random.default_rng(0), [0.5], [0.01], images=20)))
    for run in read_results(store):
        store.run(run.key).discard()
    assert trained_on(store, read_results(store)) == []
