"""Deep ensemble: the mean of distributions, what the members disagree on, and who is trained when."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stubs import Identity, batch, task, wave

from benchmark.contract import Task
from benchmark.methods.ensemble import Ensemble, entropy, log_mean_softmax, mutual_information, predict_mean

LOGITS = wave(4, 6, 7, f=0.37, a=3.0)  # of four members for six images


def numpy_distributions() -> np.ndarray:
    """The members' distributions (4, 6, 7), by the definition of the softmax."""
    z = LOGITS.numpy()
    return np.exp(z) / np.exp(z).sum(axis=2, keepdims=True)


def ensemble(**options) -> Ensemble:
    return Ensemble(task((8, 1, 1), 6, epochs=5), Ensemble.Config(**options)).train()


def test_the_prediction_is_the_mean_of_the_members_distributions():
    """Held to float64 numpy, by the formulas of the paper (section 2.4) and not by ours."""
    p = numpy_distributions().mean(axis=0)
    logits, uncertainty = predict_mean(LOGITS, "entropy")
    np.testing.assert_allclose(logits.softmax(dim=1), p, rtol=1e-12)
    np.testing.assert_allclose(log_mean_softmax(LOGITS), np.log(p), rtol=1e-12)
    np.testing.assert_allclose(uncertainty, -(p * np.log(p)).sum(axis=1), rtol=1e-12)


def test_the_likelihood_is_that_of_uncertainty_baselines():
    """-logsumexp_m(log p_m(y)) + log M: its `ensemble_cross_entropy`, in float64 numpy."""
    p, labels = numpy_distributions(), np.array([0, 3, 6, 1, 2, 5])
    log_likelihoods = np.log(p[:, np.arange(6), labels])
    wanted = np.log(4) - np.log(np.exp(log_likelihoods).sum(axis=0))
    found = torch.nn.functional.cross_entropy(log_mean_softmax(LOGITS), torch.from_numpy(labels), reduction="none")
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_disagreement_is_the_entropy_of_the_mean_minus_the_mean_of_the_entropies():
    each = numpy_distributions()
    total = -(each.mean(axis=0) * np.log(each.mean(axis=0))).sum(axis=1)
    expected = total + (each * np.log(each)).sum(axis=2).mean(axis=0)
    np.testing.assert_allclose(mutual_information(LOGITS), expected, rtol=1e-10)
    np.testing.assert_allclose(predict_mean(LOGITS, "mutual-information").uncertainty, expected, rtol=1e-10)


def test_members_that_agree_leave_only_what_all_of_them_are_unsure_of():
    agreeing = LOGITS[:1].expand(4, 6, 7)
    assert mutual_information(agreeing).abs().max() < 1e-15
    assert entropy(log_mean_softmax(agreeing)).min() > 0.1


def test_sure_members_that_contradict_each_other_are_as_unsure_as_can_be():
    contradicting = torch.tensor([[[1000.0, 0.0]], [[0.0, 1000.0]]])
    torch.testing.assert_close(log_mean_softmax(contradicting), torch.full((1, 2), 0.5).log())
    torch.testing.assert_close(mutual_information(contradicting), torch.tensor([2.0]).log())


def test_confident_images_are_still_told_apart_in_float32():
    logits = torch.zeros(2, 20, 7)
    logits[:, :, 0] = torch.arange(20) + 20.0  # p of up to 1 - 1e-16
    for kind in ("entropy", "mutual-information"):
        assert (
            predict_mean(logits + 0.1 * LOGITS.float().view(-1)[:2, None, None], "entropy").uncertainty.unique().numel() == 20
        )
        logits[1] *= 1.01
        assert predict_mean(logits, kind).uncertainty.unique().numel() == 20


def test_each_member_has_a_stage_as_long_as_the_schedule():
    assert Ensemble.Config().members == 4
    assert ensemble(members=3).stages(5) == [5, 5, 5]


def test_each_member_starts_from_its_own_network():
    made = []
    plain = task((8, 1, 1), 6)
    counting = Task(7, 6, (8, 1, 1), 5, 64, lambda: (made.append(1), plain.make_backbone())[1])
    members = Ensemble(counting, Ensemble.Config(members=3)).members
    assert len(made) == 3
    weights = [member.classifier.weight for member in members]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_a_stage_trains_its_own_member_and_no_other(stage):
    trained = ensemble(members=3)
    trained.stage = stage
    groups = trained.param_groups(0.1)
    assert [id(p) for p in groups[0]["params"]] == [id(p) for p in trained.members[stage].parameters()]
    trained.training_step(batch(torch.randn(6, 8, 1, 1), torch.arange(6))).backward()
    touched = [any(p.grad is not None for p in member.parameters()) for member in trained.members]
    assert touched == [k == stage for k in range(3)]


def test_the_loss_of_a_member_is_cross_entropy():
    trained, images = ensemble(members=2), torch.randn(6, 8, 1, 1)
    trained.stage = 1
    wanted = torch.nn.functional.cross_entropy(trained.members[1].classifier(images[:, :, 0, 0]), torch.arange(6))
    torch.testing.assert_close(trained.training_step(batch(images, torch.arange(6))), wanted)


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_the_prediction_is_the_mean_over_the_members_that_have_begun(stage):
    trained, images = ensemble(members=3).eval(), torch.randn(4, 8, 1, 1)
    trained.stage = stage
    each = torch.stack([member(images).softmax(dim=1) for member in trained.members])
    logits, _ = trained.predict(images)
    torch.testing.assert_close(logits.softmax(dim=1), each[: stage + 1].mean(dim=0))
    assert trained.features(images).shape == (4, 8 * (stage + 1))


def test_one_image_is_enough():
    trained = ensemble(members=2).eval()
    trained.stage = 1
    logits, uncertainty = trained.predict(torch.randn(1, 8, 1, 1))
    assert logits.shape == (1, 7)
    assert uncertainty.shape == (1,)
    assert logits.dtype == uncertainty.dtype == torch.float32
    assert isinstance(trained.members[0].backbone, Identity)
