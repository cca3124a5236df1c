"""results.csv: a row for every run of the grid that has ended, in grid order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..contract.errors import BadInput
from ..contract.text import cut, written
from ..paths import is_file_name
from ..store import PlannedRun, RunFolder, Store

METRICS = (
    "acc_last", "acc_last5", "acc_val", "acc_best", "macro_acc", "nll", "ece", "brier", "aurc", "error_auroc", "msp_auroc",
    "noise_auroc", "noise_ap", "noise_unc_auroc", "wrong_label_fit", "vote_spearman",
)  # fmt: skip
COSTS = ("train_seconds", "images_per_second", "peak_memory_mb")
COLUMNS = (
    "dataset", "noise_kind", "noise_rate", "noise_realised", "method", "backbone", "epochs", "seed", "status", *METRICS, *COSTS,
    "key", "recipe", "pretrained", "options", "error",
)  # fmt: skip


LARGEST = 1e12
"""No metric and no cost comes near."""


@dataclass(frozen=True)
class Result(PlannedRun):
    """One run of the grid, as far as it has come."""

    status: str  #: `finished`, `failed`, `started` or `missing`
    metrics: dict[str, float | None]
    error: str | None

    def row(self) -> dict[str, Any]:
        """Its row in results.csv."""
        spec = self.spec
        return {
            "dataset": spec.dataset.label,
            "noise_kind": spec.noise_kind,
            "noise_rate": None if spec.noise_rate is None else round(spec.noise_rate * 100, 6),
            "noise_realised": round(self.realised * 100, 4),
            "method": spec.method,
            "backbone": spec.backbone,
            "epochs": spec.recipe.epochs,
            "seed": spec.seed,
            "status": self.status,
            **{name: _rounded(self.metrics.get(name)) for name in (*METRICS, *COSTS)},
            "key": self.key,
            "recipe": spec.recipe.name,
            "pretrained": spec.pretrained,
            "options": spec.options_label or None,
            "error": self.error,
        }


def read_results(store: Store) -> list[Result]:
    """Every run of the grid in its order, finished or not. Raises BadInput where the folder holds no sweep."""
    results = []
    for run in store.plan():
        _check(run, store)
        results.append(_read(run, store.run(run.key)))
    return results


def _read(run: PlannedRun, folder: RunFolder) -> Result:
    status = folder.status
    try:
        metrics = folder.metrics() if status == "finished" else {}
        for name, value in metrics.items():
            if value is not None and abs(value) > LARGEST:  # the sum of a few such might be none
                raise BadInput(f"{folder.path / 'metrics.json'} is damaged: its {cut(name)} is {value:g}")
        error = str(folder.failure().get("error", "unknown")) if status == "failed" else None
    except BadInput:
        if folder.status == status:
            raise
        return _read(run, folder)  # another command has begun it anew meanwhile
    return Result(**vars(run), status=status, metrics=metrics, error=error)


def _check(run: PlannedRun, store: Store) -> None:
    """Raises BadInput for a line of grid.json that no sweep has written: its key and its noise name files, which are read."""
    for name in (run.key, run.noise_sha256):
        if not is_file_name(name):
            raise BadInput(f"{store.root / 'grid.json'} is damaged: {written(name)} in it is no name of a file")
    if not (0 <= run.realised <= 1 and math.isfinite(run.imbalance)):
        raise BadInput(f"{store.root / 'grid.json'} is damaged: rates of {run.realised:g} and {run.imbalance:g} in it")


def results_rows(results: list[Result]) -> list[dict[str, Any]]:
    """The rows of results.csv: the runs that have ended."""
    return [result.row() for result in results if result.status in ("finished", "failed")]


def _rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value
