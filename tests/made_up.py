"""A finished sweep on disk that nobody trained: made-up predictions of a tiny dataset, quick and known to the last digit."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stubs import SPEC

from benchmark.cache import prepare
from benchmark.contract import Card, Data, Dataset, Split
from benchmark.data import load
from benchmark.noise.artefact import Header, frozen
from benchmark.report.figures.group import Group, settings
from benchmark.report.results import read_results
from benchmark.score import accuracy, mistakes, score_test
from benchmark.spec import DatasetSpec, recipe
from benchmark.store import PlannedRun, Store

CLASSES = ("across", "50%_off <b>", "écriture 表情")
TRAIN, TEST, EPOCHS = 90, 150, 3


@dataclass(frozen=True)
class Options:
    votes: bool = True
    classes: int = 3


class Marked(Dataset):
    """Images whose pixels are their number, so that one can be told from the other."""

    name = "marked"
    card = Card("marked", "none", "a test", "for friends only")
    Config = Options

    def read(self) -> Data:
        K = self.config.classes
        names = CLASSES if K == 3 else tuple(f"class {k}" for k in range(K))
        return Data(self.split(TRAIN, 0), self.split(TEST, 1), names)

    def split(self, size: int, seed: int) -> Split:
        rng = np.random.default_rng(seed)
        K = self.config.classes
        labels = np.arange(size) % K
        votes = rng.multinomial(10, np.eye(K)[labels] * 0.6 + 0.4 / K) if self.config.votes else None
        images = np.broadcast_to(np.arange(size, dtype=np.uint8)[:, None, None, None], (size, 6, 6, 1)).copy()
        return Split(images, labels, votes)


def finished_sweep(
    root: Path,
    methods: Sequence[str] = ("ce", "scn"),
    rates: Sequence[float | None] = (0.3,),
    seeds: Sequence[int] = (0,),
    options: Options = Options(),
    **changes: Any,
) -> Store:
    """Writes a sweep of all these runs. `changes`: `privilege` by method, `history` columns, `without` files or arrays."""
    store = Store(root)
    prepared = load(prepare(Marked(options, None)), DatasetSpec("marked"))
    train = prepared.data.train
    K = options.classes
    planned = []
    for rate in rates:
        for method in methods:
            for seed in seeds:
                rng = np.random.default_rng([seed, int((rate or 0) * 100), sum(method.encode())])
                flip = np.random.default_rng(seed).random(TRAIN) < (rate if rate is not None else 0.2)
                given = np.where(flip, (train.labels + 1) % K, train.labels)
                header = Header(
                    kind="human" if rate is None else "symmetric",
                    rate=rate,
                    seed=seed,
                    dataset="marked",
                    dataset_sha256=prepared.sha256,
                    classes=prepared.data.classes,
                )
                noise = frozen(header, train.labels, given)
                store.save_noise(noise.sha256, noise.to_bytes())
                spec = dataclasses.replace(
                    SPEC,
                    dataset=DatasetSpec("marked", None, {}),
                    noise_kind=header.kind,
                    noise_rate=rate,
                    method=method,
                    options={},
                    recipe=recipe("common", EPOCHS),
                    seed=seed,
                )
                key = re.sub(r"[/:\\]", "-", f"{method}-{header.kind}-{rate}-{seed}")
                planned.append(
                    PlannedRun(
                        spec=spec,
                        key=key,
                        noise_sha256=noise.sha256,
                        weights_sha256=None,
                        dataset_sha256=prepared.sha256,
                        code="code",
                        protocol=1,
                        realised=noise.realised,
                        images_of=spec.dataset.name,
                        imbalance=1.0,
                        privilege=tuple(changes.get("privilege", {}).get(method, ())),
                        weights_match=None,
                    )
                )
                (root / "runs").mkdir(parents=True, exist_ok=True)
                _finish(store, planned[-1], prepared.data, given, rng, changes)
    store.save_plan(planned)
    return store


def _finish(store: Store, planned: PlannedRun, data: Data, given: Any, rng: Any, changes: dict[str, Any]) -> None:
    K, spec = len(data.classes), planned.spec
    logits = (np.eye(K)[data.test.labels] * 1.5 + rng.normal(size=(TEST, K))).astype(np.float32)
    uncertainty = rng.random(TEST).astype(np.float32)
    arrays = {
        "test_logits": logits,
        "test_uncertainty": uncertainty,
        "test_reference": data.test.labels,
        "test_votes": data.test.votes,
        "train_index": np.arange(0, TRAIN, 2),
        "train_given": given[::2],
        "train_reference": data.train.labels[::2],
        "train_predicted": data.train.labels[::2],
        "train_uncertainty": rng.random(TRAIN // 2).astype(np.float32),
        "train_noise_score": rng.random(TRAIN // 2).astype(np.float32),
    }
    without = changes.get("without", ())
    run = store.run(planned.key)
    run.begin(spec, {"processor": "abacus", "device": "cpu", "threads": 1})
    columns = changes.get("history", ("test_accuracy", "wrong_label_fit"))
    run.save_history(
        [{"epoch": e + 1, "epochs": EPOCHS, "stage": 0, **dict.fromkeys(columns, 10.0 * e + spec.seed)} for e in range(EPOCHS)]
    )
    run.save_arrays("predictions", {name: array for name, array in arrays.items() if name not in without})
    run.save_arrays("outcomes", {"right": ~mistakes(logits, data.test.labels), "reference": data.test.labels})
    if "features" not in without:
        index = np.arange(0, TEST, 2)
        features = (np.eye(K)[data.test.labels[index]] * 3 + rng.normal(size=(len(index), K))).astype(np.float16)
        run.save_arrays("features", {"features": features, "index": index})
    scores = score_test(logits, uncertainty, data.test.labels, data.test.votes)
    seconds = 10.0 + spec.seed + 5 * (spec.method != "ce")
    metrics = {"acc_last": accuracy(logits, data.test.labels), **scores, "networks": 1, "train_seconds": seconds}
    run.finish(metrics, planned.inputs)


def only_group(store: Store) -> Group:
    """The one setting of a sweep, as figures get it."""
    (group,) = settings(store, read_results(store))
    return group
