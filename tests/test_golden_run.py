"""Guards PROTOCOL: where this fails, training or scoring give other results than before, and `spec.PROTOCOL` has to be raised.

The figures are of the suite itself, fp32 on one thread; the tolerance leaves room for the rounding of other processors.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.spec import PROTOCOL
from benchmark.sweep.run import Settings, run_sweep
from benchmark.sweep.sweep import checked_sweep

GOLDEN = {
    "protocol": 1,
    "ce": {"nll": 0.085538, "brier": 0.031472, "noise_auroc": 1.000000},
    "scn": {"nll": 0.692762, "brier": 0.427488, "noise_auroc": 0.865599},
    "dul": {"nll": 0.201308, "brier": 0.117642, "noise_auroc": 0.999255},
    "rul": {"nll": 0.629224, "brier": 0.384676, "noise_auroc": 0.941176},
    "rul-relabel": {"nll": 1.102104, "brier": 0.556580, "noise_auroc": 0.799702},
}


def test_results_are_those_of_this_protocol(tiny_plugin: Path, tmp_path: Path) -> None:
    methods = [name for name in GOLDEN if name != "protocol"]
    given = {"dataset": "tiny", "methods": methods, "noise": (20,), "epochs": 4, "batch_size": 16, "precision": "fp32"}
    sweep = checked_sweep({**given, "threads": 1, "plugins": (str(tiny_plugin),)})
    outcome = run_sweep(sweep, tmp_path, Settings(jobs=1, quiet=True, device="cpu"))
    assert GOLDEN["protocol"] == PROTOCOL
    for job in outcome.plan.jobs:
        metrics = json.loads((tmp_path / "runs" / job.key / "metrics.json").read_text())
        found = {name: metrics[name] for name in ("nll", "brier", "noise_auroc")}
        assert found == pytest.approx(GOLDEN[job.spec.method], rel=1e-2), (job.spec.method, found)
