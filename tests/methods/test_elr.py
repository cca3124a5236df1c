"""ELR: targets that follow the predictions, and a regularisation that holds the network to them."""

from __future__ import annotations

import pytest
import torch
from stubs import Labels, batch, fill, task, wave
from torch import Tensor
from torch.nn import functional as F

from benchmark.contract import Batch
from benchmark.methods.elr import (
    ELR,
    clamped_probability,
    early_learning_regularisation,
    mass_elsewhere,
    moved_targets,
)

GOLDEN = [
    {
        "loss": 5.9174312176612,
        "weight_grad": [0.22890116424048756, -0.032530668183298236, -0.13964857025430585],
        "weight_grad_norm": 0.7067599666384943,
        "input_grad_norm": 2.9024947556030045,
        "targets": [0.299311782706053, 2.999502047368903e-05, 2.9991367871687202e-05, 0.0],
        "targets_norm": 0.7164054503321527,
    },
    {
        "loss": 7.365677867084456,
        "weight_grad": [0.22699375859117876, 0.14600780214111783, -0.2993591682980893],
        "weight_grad_norm": 0.9827238760162597,
        "input_grad_norm": 3.3468116125873735,
        "targets": [0.21274321515476693, 0.2947064011945378, 5.098518964347716e-05, 0.0],
        "targets_norm": 0.9132535620457423,
    },
]
"""Two steps. shengliu66/ELR at 934af53: `elr_loss` of ELR/model/loss.py with 8 samples, beta 0.7 and lambda 3, after a linear
layer, in float64 on the inputs of the first test; about half of the probabilities are clamped."""

LABELS = torch.tensor([0, 3, 6, 1, 2, 5])
INDEX = torch.tensor([5, 0, 3, 7, 1, 2])


def close(found: Tensor, wanted: float | list[float]) -> None:
    torch.testing.assert_close(found.detach(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=1e-12)


def test_two_steps_equal_the_released_code() -> None:
    elr = ELR(task((5, 1, 1), 8), ELR.Config()).double().train()
    fill(elr.classifier, 0.9, 3.5)
    for f, wanted in zip((0.37, 0.53), GOLDEN, strict=True):
        elr.zero_grad()
        images = wave(6, 5, 1, 1, f=f).requires_grad_()
        loss = elr.training_step(Batch(images, LABELS, INDEX, Labels(LABELS)))
        loss.backward()
        close(loss, wanted["loss"])
        close(elr.classifier.weight.grad[[0, 3, 6], [0, 2, 4]], wanted["weight_grad"])
        close(elr.classifier.weight.grad.norm(), wanted["weight_grad_norm"])
        close(images.grad.norm(), wanted["input_grad_norm"])
        close(elr.targets[[0, 3, 5, 6], [0, 1, 6, 2]], wanted["targets"])
        close(elr.targets.norm(), wanted["targets_norm"])


def test_without_regularisation_it_is_cross_entropy() -> None:
    elr = ELR(task((5, 1, 1), 6), ELR.Config(weight=0.0))
    step = batch(torch.randn(6, 5, 1, 1), LABELS)
    torch.testing.assert_close(elr.training_step(step), F.cross_entropy(elr(step.images), LABELS))


def test_a_target_fills_up_to_one_and_follows_the_prediction() -> None:
    targets, p = torch.zeros(1, 3), torch.tensor([[0.5, 0.3, 0.2]])
    for visit in range(1, 6):
        targets = moved_targets(targets, p, 0.7)
        torch.testing.assert_close(targets, p * (1 - 0.7**visit))
    torch.testing.assert_close(moved_targets(targets, 4 * p, 0.0), p)  # scaled to sum to 1


def test_no_gradient_flows_into_the_targets() -> None:
    logits = wave(6, 7, f=0.37).requires_grad_()
    assert not moved_targets(torch.zeros(6, 7).double(), clamped_probability(logits), 0.7).requires_grad


def test_the_regularisation_is_zero_at_first_and_falls_with_agreement() -> None:
    p = torch.tensor([[0.8, 0.1, 0.1]])
    assert early_learning_regularisation(p, torch.zeros(1, 3)) == 0
    agreement = [
        early_learning_regularisation(p, torch.tensor([t])) for t in ([0.1, 0.8, 0.1], [0.4, 0.5, 0.1], [0.8, 0.1, 0.1])
    ]
    assert 0 > agreement[0] > agreement[1] > agreement[2]
    torch.testing.assert_close(agreement[2], torch.tensor(1 - 0.66).log())


def test_it_holds_a_wrongly_labelled_image_where_its_target_is() -> None:
    """The image looks like class 0 and is labelled 1: cross-entropy pulls to 1, the regularisation back to 0."""
    targets = torch.tensor([[0.95, 0.03, 0.02]])
    pulls = []
    for weight in (0.0, 3.0):
        logits = torch.tensor([[3.0, 0.0, 0.0]], requires_grad=True)
        loss = F.cross_entropy(logits, torch.tensor([1]))
        (loss + weight * early_learning_regularisation(clamped_probability(logits), targets)).backward()
        pulls.append(logits.grad[0, 0].item())
    assert pulls[0] > 0.9  # away from class 0
    assert pulls[1] < 0


def test_confident_predictions_stay_finite() -> None:
    logits = torch.tensor([[200.0, 0, 0], [0, -200.0, 0]], requires_grad=True)
    p = clamped_probability(logits)
    assert p.min() >= 1e-4
    assert p.max() <= 1 - 1e-4
    loss = early_learning_regularisation(p, p.detach())
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_only_the_batchs_targets_move_and_they_outlive_a_checkpoint() -> None:
    elr = ELR(task((5, 1, 1), 8), ELR.Config()).train()
    elr.training_step(Batch(torch.randn(6, 5, 1, 1), LABELS, INDEX, Labels(LABELS)))
    assert (elr.targets.sum(dim=1) > 0).nonzero()[:, 0].tolist() == sorted(INDEX.tolist())
    torch.testing.assert_close(elr.targets[INDEX].sum(dim=1), torch.full((6,), 0.3))
    resumed = ELR(task((5, 1, 1), 8), ELR.Config())
    resumed.load_state_dict(elr.state_dict())
    assert torch.equal(resumed.targets, elr.targets)


def test_the_noise_score_is_the_targets_mass_off_the_label() -> None:
    targets = torch.tensor([[0.9, 0.05, 0.05], [0.2, 0.7, 0.1]])
    torch.testing.assert_close(mass_elsewhere(targets, torch.tensor([0, 0])), torch.tensor([0.1, 0.8]))


def test_confident_images_do_not_tie() -> None:
    """All targets are those of the clamp: what the prediction for the plain image adds tells the images apart."""
    elr = ELR(task((5, 1, 1), 6), ELR.Config()).eval()
    logits = torch.zeros(6, 7)
    logits[:, 0] = torch.linspace(10, 14, 6)
    elr.targets.copy_(clamped_probability(torch.eye(7)[:1] * 50).expand(6, 7))
    found = elr.noise_score(elr.predict(torch.randn(6, 5, 1, 1))._replace(logits=logits), Labels(torch.zeros(6).long()))
    assert (found.diff() < 0).all()


@pytest.mark.parametrize("labels", [torch.zeros(2).long(), torch.tensor([6, 6])])
def test_a_batch_that_lacks_classes_and_one_image_to_predict(labels: Tensor) -> None:
    elr = ELR(task((5, 1, 1), 2), ELR.Config()).train()
    assert torch.isfinite(elr.training_step(batch(torch.randn(2, 5, 1, 1), labels)))
    assert elr.eval().predict(torch.randn(1, 5, 1, 1)).logits.shape == (1, 7)


def test_the_defaults_are_those_of_config_cifar10() -> None:
    assert ELR.Config() == ELR.Config(beta=0.7, weight=3.0)
