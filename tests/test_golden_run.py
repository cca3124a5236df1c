"""Guards PROTOCOL: where this fails, training or scoring give other results than before, and `spec.PROTOCOL` has to be raised.

Where the code of single methods was changed, and they alone differ, their keys have changed with it: new figures will do.

The figures are of the suite itself, fp32 on one thread. Other instruction sets and thread counts round differently, which moves
them by up to 1.6 %.
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
    "ce": {"nll": 0.378616, "brier": 0.193199, "noise_auroc": 0.992554},
    "scn": {"nll": 0.233176, "brier": 0.092846, "noise_auroc": 1.000000},
    "dul": {"nll": 0.266289, "brier": 0.105083, "noise_auroc": 1.000000},
    "rul": {"nll": 0.528654, "brier": 0.280237, "noise_auroc": 0.977662},
    "rul-relabel": {"nll": 0.581648, "brier": 0.329635, "noise_auroc": 0.944155},
}


def test_results_are_those_of_this_protocol(tiny_plugin: Path, tmp_path: Path) -> None:
    methods = [name for name in GOLDEN if name != "protocol"]
    given = {"dataset": "tiny", "methods": methods, "noise": (20,), "epochs": 4, "batch_size": 16, "precision": "fp32"}
    sweep = checked_sweep({**given, "threads": 1, "plugins": (str(tiny_plugin),)})
    outcome = run_sweep(sweep, tmp_path, Settings(jobs=1, quiet=True, device="cpu"))
    assert GOLDEN["protocol"] == PROTOCOL
    for job in outcome.jobs:
        metrics = json.loads((tmp_path / "runs" / job.key / "metrics.json").read_text())
        found = {name: metrics[name] for name in ("nll", "brier", "noise_auroc")}
        assert found == pytest.approx(GOLDEN[job.spec.method], rel=3e-2), (job.spec.method, found)
