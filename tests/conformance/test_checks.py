"""The conformance checks: a sound method passes all, and for each check there is a method that it catches."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conformance import misfits

from benchmark import check_method
from benchmark.conformance import relative_speed
from benchmark.conformance.case import Case
from benchmark.conformance.checks import CHECKS
from benchmark.contract.registry import methods_in_file
from benchmark.train.training_set import DeviceSet

CAUGHT = [
    (misfits.Nameless, "described", "paper has no authors"),
    (misfits.Baker, "recipe", "learning_rate"),
    (misfits.Idle, "gradients", "unused.bias, unused.weight received none"),
    (misfits.Exploding, "gradients", "the gradient of classifier.weight is not finite"),
    (misfits.Reversed, "learns", "of the test images are right"),
    (misfits.Moody, "deterministic", "two trainings with one seed"),
    (misfits.Deaf, "deterministic", "different seeds predict the same"),
    (misfits.Forgetful, "resume", "resumed at each epoch"),
    (misfits.Squeezed, "shapes", "of 1 images came logits (3,)"),
    (misfits.Doubled, "shapes", "torch.float64"),
    (misfits.Indifferent, "told apart", "the uncertainties of 96 images have 1 different values"),
    (misfits.Unsuspicious, "told apart", "the noise scores of 96 images have 1 different values"),
    (misfits.Halved, "precision", "in bf16"),
    (misfits.Sized, "odd batches", "RuntimeError"),
    (misfits.Summed, "parts", "after 1 of 8 epochs the gradients of a batch's 2 parts do not add up to the batch's"),
    (misfits.Weighed, "parts", "after 6 of 8 epochs the gradients"),
    (misfits.Counting, "parts", "training_step changes the state 'steps'"),
    (misfits.Sociable, "parts", "what a sample adds to the loss changes with the others of its batch"),
    (misfits.SummedAtRandom, "parts", "of its 2 parts by their shares of the samples"),
    (misfits.Meddling, "labels", "they changed"),
    (misfits.Seeding, "seeds", "numpy.random.seed was called"),
]


def test_a_sound_method_passes_every_check() -> None:
    assert [str(verdict) for verdict in check_method(misfits.Sound) if not verdict.passed] == []


def test_draws_of_its_own_are_no_reason_to_leave_the_declaration_out() -> None:
    (verdict,) = [check.verdict(Case(misfits.Dropping)) for check in CHECKS if check.name == "parts"]
    assert verdict.passed, str(verdict)


@pytest.mark.parametrize(("method", "check", "found"), CAUGHT, ids=[f"{m.__name__}-{c}" for m, c, _ in CAUGHT])
def test_each_check_catches_what_it_is_for_and_says_how_to_mend_it(method, check, found) -> None:
    (verdict,) = [c.verdict(Case(method)) for c in CHECKS if c.name == check]
    assert not verdict.passed
    assert found in verdict.found
    assert verdict.expected in str(verdict)
    assert verdict.mend in str(verdict)


def test_a_method_that_reaches_into_the_suite_is_not_blind(tmp_path: Path) -> None:
    file = tmp_path / "peeping.py"
    file.write_text(
        "from benchmark.methods.ce import CrossEntropy\nfrom benchmark.data import load\n"
        "class Peeping(CrossEntropy):\n    'Looks up the answers.'\n    name = 'peeping'\n"
    )
    (method,) = methods_in_file(file)
    (verdict,) = [v for v in check_method(method) if not v.passed]
    assert (verdict.name, verdict.found) == ("blind", "peeping.py imports benchmark.data.load")


def test_speed_is_a_multiple_of_plain_cross_entropys(monkeypatch: pytest.MonkeyPatch) -> None:
    now = SimpleNamespace(t=0.0)

    class Slow(misfits.Sound):
        """Takes five ticks a step."""

        def training_step(self, batch):
            now.t += 4
            return super().training_step(batch)

    def ticking(self: object, index: torch.Tensor, *, augmented: bool = False) -> torch.Tensor:
        now.t += 1
        return real(self, index, augmented=augmented)

    real = DeviceSet.images
    monkeypatch.setattr(DeviceSet, "images", ticking)
    monkeypatch.setattr("benchmark.conformance.time.perf_counter", lambda: now.t)
    assert relative_speed(Slow) == 5
