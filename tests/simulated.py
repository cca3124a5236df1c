"""Made-up sweeps whose truth is known: results with predictions, as tables read them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.special import ndtri
from stubs import SPEC

from benchmark.report.results import Result
from benchmark.store import Store

BASE = dataclasses.replace(SPEC, options={})


def result(
    method="scn",
    seed=0,
    status="finished",
    accuracy=80.0,
    rate=0.2,
    realised=None,
    imbalance=1.0,
    error=None,
    privilege=(),
    noise=None,
    **changes,
):
    """One run as it stands in a table; `changes` are of its spec."""
    spec = dataclasses.replace(BASE, method=method, seed=seed, noise_rate=rate, **changes)
    metrics = (
        {"acc_last": accuracy, "macro_acc": accuracy - 5, "nll": 0.5, "networks": 1, "train_seconds": 9.96}
        if status == "finished"
        else {}
    )
    return Result(
        spec=spec,
        key=f"{method}{seed}" if rate == 0.2 else f"{method}{seed}-{rate}",
        noise_sha256=noise or f"noise {rate} {seed}",
        weights_sha256=None,
        weights_match="60 of the backbone's 62 tensors" if spec.pretrained else None,
        dataset_sha256="data",
        code="code",
        protocol=1,
        realised=rate if realised is None else realised,
        images_of=spec.dataset.name,
        imbalance=imbalance,
        privilege=privilege,
        status=status,
        metrics=metrics,
        error=error,
    )


@dataclasses.dataclass
class Known:
    """Evidence that is given: by key, whether each test image is predicted right."""

    rights: dict[str, np.ndarray]
    classes: int = 5

    def right(self, runs: Sequence[Result]) -> dict[str, np.ndarray]:
        return {run.key: self.rights[run.key] for run in runs}

    def labels(self, run: Result) -> np.ndarray:
        return np.arange(len(self.rights[run.key])) % self.classes


def sweep(
    rng: np.random.Generator,
    truth: Sequence[float],
    spread: Sequence[float],
    noises: int = 1,
    seeds: int = 3,
    images: int = 1000,
    tails: float | None = None,
) -> tuple[list[Result], Known]:
    """Methods with true accuracies `truth` (fractions), whose trainings scatter with standard deviations `spread`.

    An image is predicted right where a normal variable lies below a threshold. It has three parts: how hard the image is (for
    all alike, the largest), how it suits the method (the same for all seeds, so that seeds alone cannot show it), and chance.
    A seed moves the accuracy of all methods together, and of each method by itself; with `tails`, as Student's t of so many
    degrees of freedom.
    """
    runs, rights = [], {}
    hard = rng.normal(size=images)
    suits = rng.normal(size=(len(truth), images))
    for k in range(noises):
        together = rng.normal(scale=0.005, size=seeds)
        for m, (accuracy, scatter) in enumerate(zip(truth, spread, strict=True)):
            draws = rng.normal(size=seeds) if tails is None else rng.standard_t(tails, seeds) / np.sqrt(tails / (tails - 2))
            for s in range(seeds):
                level = np.clip(accuracy + together[s] + scatter * draws[s], 0.01, 0.99)
                z = np.sqrt(0.7) * hard + np.sqrt(0.1) * suits[m] + np.sqrt(0.2) * rng.normal(size=images)
                right = z < ndtri(level)
                run = result("ce" if m == 0 else f"m{m}", s, accuracy=100 * right.mean(), rate=round(0.1 * (k + 1), 1))
                runs.append(run)
                rights[run.key] = right
    return runs, Known(rights)


def stored(root: Path, runs: Sequence[Result], evidence: Known) -> Path:
    """An output folder with these runs, as far as tables read it."""
    store = Store(root)
    store.save_plan(runs)
    for run in runs:
        folder = store.run(run.key)
        labels = evidence.labels(run)
        if run.status == "finished":
            folder.save_arrays("outcomes", {"right": evidence.rights[run.key], "reference": labels})
            folder.finish(run.metrics, run.inputs)
        elif run.status == "failed":
            folder.fail(str(run.error), "")
    return root
