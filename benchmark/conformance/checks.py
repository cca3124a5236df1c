"""The checks. Each looks at a method and gives None where all is well, or else what came instead of what was expected."""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..contract.errors import told
from ..noise.laws import RATED, Known
from ..spec import recipe
from ..streams import numpy_stream
from ..train.model import Predicted
from ..train.trainer import Diverged
from .case import CLASSES, EPOCHS, Case, striped_set, stripes, trained
from .parts import no_mean


def _finite_gradients(case: Case) -> str | None:
    try:
        _ = case.straight
    except Diverged:
        if not case.witness.broken:
            raise
    if case.witness.broken:
        return f"the gradient of {case.witness.broken[0]} is not finite"
    silent = case.witness.silent()
    return f"{', '.join(silent[:3])} received none" if silent else None


def _learns(case: Case) -> str | None:
    """Some methods are slow at first: what has not learned in the usual time gets four times as long."""
    _, labels = stripes(96, 1)
    for trainer in (case.straight, case.trainer(epochs=4 * EPOCHS)):
        share = float(np.mean(case.predicted(trained(trainer)).logits.argmax(axis=1) == labels))
        if share > 0.6:
            return None
    return f"after {trainer.epochs} epochs {share:.0%} of the test images are right"


def _deterministic(case: Case) -> str | None:
    first, again = (case.predicted(t) for t in (case.straight, trained(case.trainer())))
    if not _same(first, again):
        return "two trainings with one seed predict differently"
    one, other = (case.predicted(trained(case.trainer(seed=seed, epochs=1))) for seed in (0, 1))
    return "two trainings with different seeds predict the same" if _same(one, other) else None


def _same(a: Predicted, b: Predicted) -> bool:
    return a.logits.tobytes() == b.logits.tobytes() and a.uncertainty.tobytes() == b.uncertainty.tobytes()


def _whole_state(case: Case) -> str | None:
    """Every epoch in a process of its own, as it were."""
    trainer = case.trainer(rate=0.2)
    while trainer.finished < trainer.epochs:
        trainer.train_epoch()
        buffer = io.BytesIO()
        torch.save(trainer.state_dict(), buffer)
        buffer.seek(0)
        resumed = case.trainer(rate=0.2)
        resumed.load_state_dict(torch.load(buffer, weights_only=True))
        trainer = resumed
    same = _same(case.predicted(trainer), case.predicted(case.noisy))
    scores = [t.noise_score(t.predict(t.training_set, "training")) for t in (trainer, case.noisy)]
    if not same or scores[0].tobytes() != scores[1].tobytes():
        return "a run that is resumed at each epoch ends differently from one that is not"
    return None


def _shapes(case: Case) -> str | None:
    trainer = case.straight
    with torch.no_grad():
        for count in (1, 5):
            prediction = trainer.method.predict(case.test.images(torch.arange(count)))
            for name, tensor, shape in (
                ("logits", prediction.logits, (count, len(CLASSES))),
                ("uncertainty", prediction.uncertainty, (count,)),
            ):
                if tuple(tensor.shape) != shape or tensor.dtype != torch.float32 or not tensor.isfinite().all():
                    return f"of {count} images came {name} {tuple(tensor.shape)} {tensor.dtype}"
    score = trainer.noise_score(trainer.predict(trainer.training_set, "training"))
    if score.shape != (96,) or not np.isfinite(score).all():
        return f"of 96 training images came noise scores {score.shape}"
    features = trainer.features(case.test, np.arange(5))
    if features is not None and (features.ndim != 2 or len(features) != 5):
        return f"of 5 images came features {features.shape}"
    return None


def _told_apart(case: Case) -> str | None:
    trainer = case.noisy
    values = {
        "uncertainties": case.predicted(trainer).uncertainty,
        "noise scores": trainer.noise_score(trainer.predict(trainer.training_set, "training")),
    }
    for name, found in values.items():
        distinct = len(np.unique(found))
        if distinct < len(found) / 2:
            return f"the {name} of {len(found)} images have {distinct} different values"
    return None


def _both_precisions(case: Case) -> str | None:
    for precision in ("fp32", "bf16"):
        predicted = case.predicted(trained(case.trainer(epochs=2, precision=precision)))
        if not np.isfinite(predicted.logits).all():
            return f"in {precision} the logits are not finite"
    return None


def _odd_batches(case: Case) -> str | None:
    """Colour, not square, two classes without images, batches of 4 that lack classes, the last one of 3."""
    trainer = trained(case.trainer(epochs=2, batch_size=4, count=27, shape=(16, 20, 3), num_classes=5))
    images = striped_set(stripes(8, 1, (16, 20, 3))[0], np.zeros(8, np.int64))
    predicted = trainer.predict(images, "test")
    return None if np.isfinite(predicted.logits).all() else "the logits are not finite"


def _mean_over_samples(case: Case) -> str | None:
    """At the end of every epoch, because a loss may change with the schedule, and with the stage."""
    if not case.method.mean_over_samples:
        return None
    trainer = case.trainer(rate=0.2)
    while trainer.finished < trainer.epochs:
        trainer.train_epoch()
        if wrong := no_mean(trainer):
            return f"after {trainer.finished} of {trainer.epochs} epochs {wrong}"
    return None


OPEN = ("benchmark.contract", "benchmark.methods", "benchmark.check_method")
"""What a method may import of the suite."""


def _blind(case: Case) -> str | None:
    source = Path(getattr(sys.modules[case.method.__module__], "__file__", None) or "")
    if not source.is_file():
        return None
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{a.name}" for a in node.names]
        for name in names:
            if name.startswith("benchmark.") and not name.startswith(OPEN):
                return f"{source.name} imports {name}"
    return None


def _labels_untouched(case: Case) -> str | None:
    _, labels = stripes(96, 0)
    given = RATED["symmetric"](Known(labels, len(CLASSES)), 0.2, numpy_stream(0, "conformance"))
    return None if np.array_equal(case.noisy.training_set.labels.numpy(), given) else "they changed while it was trained"


def _never_seeds(case: Case) -> str | None:
    _ = case.straight
    return f"{case.witness.seeders[0]} was called" if case.witness.seeders else None


def _own_recipe(case: Case) -> str | None:
    recipe("paper", own=case.method.own_recipe)
    return None


def _described(case: Case) -> str | None:
    if not case.method.summary():
        return "neither the class nor its module has a docstring"
    paper = getattr(case.method, "paper", None)
    missing = [name for name in ("title", "authors", "venue", "url") if not getattr(paper, name, "")]
    return f"paper has no {missing[0]}" if missing else None


@dataclass(frozen=True)
class Verdict:
    """What became of one check."""

    name: str
    passed: bool
    expected: str
    found: str  #: empty where it passed
    mend: str

    def __str__(self) -> str:
        if self.passed:
            return f"ok      {self.name}"
        return f"FAILED  {self.name}: expected {self.expected}; {self.found}. {self.mend}"


@dataclass(frozen=True)
class Check:
    """One thing that a method must do."""

    name: str
    expected: str
    mend: str
    look: Callable[[Case], str | None]

    def verdict(self, case: Case) -> Verdict:
        """What becomes of it; where the method raises, it has failed."""
        try:
            found = self.look(case)
        except (Exception, SystemExit) as error:  # whatever it raised is what there is to report
            found = f"it raised {told(error)}"
        return Verdict(self.name, found is None, self.expected, found or "", self.mend)


CHECKS = (
    Check("described", "a summary and a citation", "Write a docstring, and fill in `paper`.", _described),
    Check(
        "recipe",
        "fields of the suite's recipes in `own_recipe`",
        "See `Recipe` in benchmark/spec.py for their names.",
        _own_recipe,
    ),
    Check(
        "gradients",
        "finite gradients in every trainable part",
        "What is not to be trained belongs in no group of `param_groups`; what is has to enter the loss.",
        _finite_gradients,
    ),
    Check("learns", "over 60 % right on stripes that anything can tell apart", "Is the loss's sign right?", _learns),
    Check(
        "deterministic",
        "the same bits from the same seed, others from another",
        "Draw from torch's global stream alone, and use no set, hash or clock that orders things.",
        _deterministic,
    ),
    Check(
        "resume",
        "a resumed run that ends in the same bits",
        "All state that training changes belongs in parameters and buffers (`register_buffer`) that exist from the beginning.",
        _whole_state,
    ),
    Check(
        "shapes",
        "float32 logits (B, K), uncertainty (B,) and noise score (N,), all finite, even of one image",
        "See `Prediction` in benchmark/contract/method.py.",
        _shapes,
    ),
    Check(
        "told apart",
        "uncertainties and noise scores that order the images",
        "Ties carry no order: in float32, 1 - max p ties at 0 where the sum of the other probabilities does not.",
        _told_apart,
    ),
    Check(
        "precision", "finite predictions in fp32 and bf16", "Keep what is built on the backbone in float32.", _both_precisions
    ),
    Check(
        "odd batches",
        "training on colour images, small last batches and absent classes",
        "Take sizes from the batch, not from the task; guard means over empty groups.",
        _odd_batches,
    ),
    Check(
        "parts",
        "a loss that is the mean over its samples, where `mean_over_samples` says so",
        "Leave the declaration out where samples meet, are compared or weighed against each other, or change the state.",
        _mean_over_samples,
    ),
    Check(
        "blind",
        "a method that imports nothing of the suite but its contract",
        "What a method may know comes with `Task`, `Batch` and `TrainingSet`; more is declared in `privilege`.",
        _blind,
    ),
    Check(
        "labels",
        "given labels that stay as they are",
        "Keep labels that change in a buffer of your own.",
        _labels_untouched,
    ),
    Check(
        "seeds",
        "a method that never seeds",
        "The harness seeds torch, numpy and random before every call; draw from them as they are.",
        _never_seeds,
    ),
)
