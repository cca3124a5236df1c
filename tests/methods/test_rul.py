"""RUL: who gets which share, and what relabelling does."""

from __future__ import annotations

import pytest
import torch
from stubs import Labels, batch, task
from torch import nn
from torch.nn import functional as F

from benchmark.contract import Prediction
from benchmark.methods._relabel import relabel_margin
from benchmark.methods.rul import RUL, RULRelabel, add_up_loss, mix_by_uncertainty


def test_the_less_certain_of_a_pair_gets_the_larger_share():
    mu, partner = torch.eye(2), torch.tensor([1, 0])
    mixed = mix_by_uncertainty(mu, torch.tensor([[3.0], [1.0]]), partner)
    torch.testing.assert_close(mixed[0], torch.tensor([0.75, 0.25]))
    torch.testing.assert_close(mixed[1], mixed[0])  # a pair's two mixtures are the same


def test_equal_uncertainties_and_self_pairs_mix_by_halves():
    mu = torch.randn(3, 4)
    torch.testing.assert_close(mix_by_uncertainty(mu, torch.ones(3, 1), torch.tensor([1, 2, 0])), (mu + mu[[1, 2, 0]]) / 2)
    torch.testing.assert_close(mix_by_uncertainty(mu, torch.rand(3, 1) + 0.1, torch.arange(3)), mu)


def test_the_add_up_loss_hears_both_labels_equally():
    logits, labels, partner = torch.randn(4, 7), torch.tensor([0, 1, 2, 3]), torch.tensor([1, 0, 3, 2])
    wanted = (F.cross_entropy(logits, labels) + F.cross_entropy(logits, labels[partner])) / 2
    torch.testing.assert_close(add_up_loss(logits, labels, partner), wanted)


def test_uncertainty_learns_only_through_the_shares():
    """Where every image meets itself its share is fixed, and nothing is left to learn from."""
    mu, labels = torch.randn(6, 7), torch.arange(6)
    for partner, learns in ((torch.arange(6).roll(1), True), (torch.arange(6), False)):
        s = (torch.rand(6, 1) + 0.1).requires_grad_()
        add_up_loss(mix_by_uncertainty(mu, s, partner), labels, partner).backward()
        assert (s.grad.abs().max() > 1e-4) == learns


def test_training_drops_single_cells_of_the_map_and_the_norm_before_that_has_nothing_to_learn():
    rul = RUL(task((8, 9, 9), 4), RUL.Config()).train()
    for head in (rul.mu, rul.logvar):
        dropped = head[:3](torch.randn(50, 8, 9, 9)).view(50, 81, 8) == 0
        assert 0.37 < dropped.float().mean() < 0.43
        assert (dropped.any(dim=1) & ~dropped.all(dim=1)).all()  # cells, not whole channels
        assert not list(head[:3].parameters())


def test_the_head_fits_any_map_and_a_single_image_can_be_predicted():
    for shape in ((8, 1, 1), (8, 3, 3), (4, 7, 5)):
        rul = RUL(task(shape, 4), RUL.Config()).eval()
        logits, uncertainty = rul.predict(torch.randn(1, *shape))
        assert logits.shape == (1, 7)
        assert uncertainty.shape == (1,)
        assert uncertainty > 0


def test_the_classifiers_rate_is_an_option():
    rul = RUL(task((8, 3, 3), 4), RUL.Config(classifier_lr=10.0))
    rest, classifier = rul.param_groups(0.1)
    assert classifier["lr"] == 1.0
    assert len(rest["params"]) + len(classifier["params"]) == len(list(rul.parameters()))


def test_relabelling_waits_for_its_share_of_the_schedule_and_leaves_the_given_labels_alone():
    method = RULRelabel(task((8, 3, 3), 12, epochs=70), RULRelabel.Config(dropout=0.0)).train()
    step = batch(torch.randn(12, 8, 3, 3), torch.arange(12) % 7)
    given = step.training_set.labels.clone()
    method.classifier.weight.data *= 100  # so that it contradicts clearly
    method.begin_stage(0, step.training_set)
    for epoch, waits in ((8, True), (9, False)):
        method.epoch = epoch
        method.training_step(step)
        assert torch.equal(method.relabelling.labels, given) == waits
    assert torch.equal(step.training_set.labels, given)
    assert "relabelling.labels" in method.state_dict()


def test_the_loss_believes_the_relabelled_labels():
    method = RULRelabel(task((8, 3, 3), 12), RULRelabel.Config(dropout=0.0)).train()
    method.classifier.weight.data.zero_()
    method.classifier.bias.data = torch.tensor([20.0] + [0.0] * 6)  # sure of class 0
    step = batch(torch.randn(12, 8, 3, 3), torch.arange(12) % 6 + 1)
    method.begin_stage(0, step.training_set)
    method.epoch = 60
    assert method.training_step(step) > 19
    assert method.training_step(step) < 1


def test_an_image_is_relabelled_by_its_own_prediction_not_by_its_mixtures(monkeypatch: pytest.MonkeyPatch):
    """Each image shows its class clearly, and the image after it has nearly all of its mixture."""
    method = RULRelabel(task((7, 1, 1), 7), RULRelabel.Config(dim=7)).train()
    method.mu, method.logvar = nn.Flatten(), nn.Sequential(nn.Flatten(), nn.Linear(7, 1))
    method.logvar[1].weight.data = 9.0 * torch.arange(7.0)[None]
    method.classifier.weight.data, method.classifier.bias.data = 20 * torch.eye(7), torch.zeros(7)
    monkeypatch.setattr(torch, "randperm", lambda n, **_: (torch.arange(n) + 1) % n)
    step = batch(torch.eye(7)[:, :, None, None], (torch.arange(7) + 3) % 7)
    method.begin_stage(0, step.training_set)
    method.epoch = 60
    method.training_step(step)
    assert torch.equal(method.relabelling.labels, torch.arange(7))


def test_the_noise_score_judges_the_given_labels_not_those_that_replaced_them():
    method = RULRelabel(task((8, 3, 3), 12), RULRelabel.Config()).eval()
    given = Labels(torch.arange(12) % 7)
    method.begin_stage(0, given)
    logits = 5 * F.one_hot((torch.arange(12) + (torch.arange(12) < 4)) % 7, 7).float() + torch.rand(12, 7)
    method.relabelling.update(torch.arange(12), logits)
    assert (method.relabelling.labels != given.labels).sum() == 4
    score = method.noise_score(Prediction(logits, torch.zeros(12)), given)
    torch.testing.assert_close(score, relabel_margin(logits, given.labels))
    assert score[:4].min() > 0.5 > 0 > score[4:].max()
