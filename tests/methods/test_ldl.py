"""Label distribution learning: the votes' shares, what is minimised, and images without votes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from stubs import batch, fill, task, wave
from torch import Tensor

from benchmark.contract import Task
from benchmark.contract.method import Batch
from benchmark.methods.ldl import LabelDistributionLearning, vote_distribution

VOTES = torch.tensor([[10, 0, 0], [3, 4, 3], [0, 0, 0], [1, 0, 1], [0, 9, 1]])
LABELS = torch.tensor([1, 1, 2, 0, 0])


def voted(votes: Tensor = VOTES) -> Task:
    return replace(task((4, 1, 1), len(votes), classes=3), votes=votes)


def learner(votes: Tensor = VOTES) -> LabelDistributionLearning:
    method = LabelDistributionLearning(voted(votes), LabelDistributionLearning.Config()).double()
    fill(method.classifier, 0.9, 0.8)
    return method


def test_an_image_without_votes_falls_back_on_its_label() -> None:
    found = vote_distribution(VOTES, LABELS)
    wanted = torch.tensor([[1, 0, 0], [0.3, 0.4, 0.3], [0, 0, 1], [0.5, 0, 0.5], [0, 0.9, 0.1]])
    torch.testing.assert_close(found, wanted)


def test_the_loss_and_its_gradient_are_those_of_the_divergence_from_the_votes() -> None:
    """A derivation of its own: KL(q || p) + entropy of q, and the gradient (p - q) / B of the logits."""
    method, images = learner(), wave(5, 4, 1, 1, f=0.37).requires_grad_()
    loss = method.training_step(batch(images, LABELS))
    loss.backward()
    W, b = method.classifier.weight.detach().numpy(), method.classifier.bias.detach().numpy()
    z = images.detach().numpy()[:, :, 0, 0] @ W.T + b
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    q = np.array([[1, 0, 0], [0.3, 0.4, 0.3], [0, 0, 1], [0.5, 0, 0.5], [0, 0.9, 0.1]])
    some = q > 0
    divergence = (q[some] * np.log(q[some] / p[some])).sum() / 5
    entropy = -(q[some] * np.log(q[some])).sum() / 5
    assert loss.item() == pytest.approx(divergence + entropy, rel=1e-6)  # the shares are float32
    np.testing.assert_allclose(images.grad[:, :, 0, 0].numpy(), (p - q) @ W / 5, rtol=1e-6, atol=1e-8)


def test_given_labels_count_for_nothing_where_there_are_votes() -> None:
    method, images = learner(VOTES[[0, 1, 3]]), wave(3, 4, 1, 1, f=0.37)
    losses = [method.training_step(batch(images, torch.tensor(labels))) for labels in ([0, 0, 0], [2, 1, 0])]
    assert losses[0] == losses[1]


def test_votes_that_agree_are_plain_cross_entropy() -> None:
    method, images = learner(torch.eye(3, dtype=torch.long) * 7), wave(3, 4, 1, 1, f=0.37)
    wanted = torch.nn.functional.cross_entropy(method(images), torch.arange(3))
    torch.testing.assert_close(method.training_step(batch(images, torch.zeros(3, dtype=torch.long))), wanted)


def test_a_batch_finds_its_votes_by_index() -> None:
    method, images = learner(), wave(5, 4, 1, 1, f=0.37)
    whole = batch(images, LABELS)
    index = torch.tensor([4, 1])
    part = Batch(images[index], LABELS[index], index, whole.training_set)
    p = method(images).log_softmax(dim=1)
    wanted = -(0.9 * p[4, 1] + 0.1 * p[4, 2] + 0.3 * p[1, 0] + 0.4 * p[1, 1] + 0.3 * p[1, 2]) / 2
    torch.testing.assert_close(method.training_step(part), wanted, rtol=1e-6, atol=1e-8)


def test_it_says_what_it_is_told_and_keeps_it_out_of_its_checkpoints() -> None:
    assert LabelDistributionLearning.privilege == ("votes",)
    assert set(learner().state_dict()) == {"classifier.weight", "classifier.bias"}


def test_the_noise_score_is_the_models_doubt_of_the_given_label() -> None:
    method, images = learner(), wave(5, 4, 1, 1, f=0.37)
    step = batch(images, LABELS)
    prediction = method.eval().predict(images)
    wanted = 1 - prediction.logits.softmax(dim=1)[torch.arange(5), LABELS]
    torch.testing.assert_close(method.noise_score(prediction, step.training_set), wanted)
