"""SCN: groups by importance, the margin between them, and who may be relabelled."""

from __future__ import annotations

import pytest
import torch
from stubs import Labels, batch, task

from benchmark.contract import Batch
from benchmark.methods.scn import SCN, importance_groups, rank_regularisation


def test_the_high_group_is_the_share_beta_rounded_down():
    alpha = torch.tensor([0.1, 0.9, 0.5, 0.7, 0.3])
    assert importance_groups(alpha, 0.7).tolist() == [False, True, True, True, False]
    assert importance_groups(alpha, 0.1).sum() == 0


def test_the_margin_costs_nothing_once_it_is_kept():
    high = torch.tensor([True, False])
    assert rank_regularisation(torch.tensor([0.9, 0.1]), high, 0.15) == 0
    torch.testing.assert_close(rank_regularisation(torch.tensor([0.5, 0.4]), high, 0.15), torch.tensor(0.05))


@pytest.mark.parametrize(("epochs", "first"), [(70, 9), (12, 2), (1, 1)])
def test_relabelling_begins_after_nine_seventieths_of_the_schedule(epochs, first):
    scn = SCN(task((8, 1, 1), 4, epochs=epochs), SCN.Config()).train()
    step = batch(torch.randn(4, 8, 1, 1), torch.arange(4))
    scn.begin_stage(0, step.training_set)
    for epoch in range(max(epochs, first + 1)):
        scn.epoch, scn.logged = epoch, {}
        scn.training_step(step)
        assert ("relabelled" in scn.logged) == (epoch >= first), epoch


def contradicted(group: str) -> tuple[SCN, object]:
    """An SCN sure of class 0 everywhere, by labels that are none of them 0, after one step."""
    scn = SCN(task((8, 1, 1), 10), SCN.Config(relabel_group=group)).train()
    scn.classifier.weight.data.zero_()
    scn.classifier.bias.data = torch.tensor([20.0] + [0.0] * 6)
    step = batch(torch.randn(10, 8, 1, 1), torch.arange(10) % 6 + 1)
    scn.begin_stage(0, step.training_set)
    scn.epoch = 60
    scn.training_step(step)
    return scn, step


def test_the_codes_group_is_every_sample():
    scn, _ = contradicted("all")
    assert (scn.relabelling.labels == 0).all()


def test_the_papers_group_is_the_low_importance_one():
    scn, step = contradicted("low")
    _, alpha = scn.read(step.images)
    changed = scn.relabelling.labels == 0
    assert changed.sum() == 3
    assert alpha[changed].max() < alpha[~changed].min()


def test_a_batch_of_one_and_a_prediction_for_one():
    scn = SCN(task((8, 1, 1), 1), SCN.Config())
    step = batch(torch.randn(1, 8, 1, 1), torch.zeros(1, dtype=torch.long))
    scn.begin_stage(0, step.training_set)
    assert torch.isfinite(scn.training_step(step))
    logits, uncertainty = scn.eval().predict(step.images)
    assert logits.shape == (1, 7)
    assert 0 < uncertainty < 1


def test_the_noise_score_is_how_clearly_the_given_label_is_contradicted():
    scn, step = contradicted("all")
    prediction = scn.eval().predict(step.images)
    probability = prediction.logits.softmax(dim=1)
    wanted = probability[:, 0] - probability[torch.arange(10), step.labels]  # the given labels, not the relabelled ones
    torch.testing.assert_close(scn.noise_score(prediction, step.training_set), wanted)


def test_the_loss_believes_the_relabelled_labels_and_the_given_ones_stay():
    scn, step = contradicted("all")
    scn.importance.weight.data.zero_()  # the same importance for all: logits of about 10 for class 0
    scn.importance.bias.data.zero_()
    assert scn.training_step(step) < 1
    assert torch.equal(step.training_set.labels, torch.arange(10) % 6 + 1)
    scn.begin_stage(0, step.training_set)
    assert scn.training_step(step) > 9


def test_relabelling_finds_a_batchs_samples_in_the_whole_set_and_outlives_a_checkpoint():
    scn, step = contradicted("all")
    scn.begin_stage(0, step.training_set)
    index = torch.tensor([7, 2, 5])
    scn.training_step(Batch(step.images[index], step.labels[index], index, Labels(step.labels)))
    assert (scn.relabelling.labels == 0).nonzero()[:, 0].tolist() == [2, 5, 7]
    resumed = SCN(task((8, 1, 1), 10), SCN.Config())
    resumed.load_state_dict(scn.state_dict())
    assert torch.equal(resumed.relabelling.labels, scn.relabelling.labels)


def test_an_empty_group_asks_for_nothing():
    for high in (torch.tensor([True, True]), torch.tensor([False, False])):
        assert rank_regularisation(torch.tensor([0.01, 0.02]), high, 0.15) == 0
