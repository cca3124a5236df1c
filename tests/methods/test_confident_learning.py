"""Confident learning's stages: folds, out-of-fold probabilities, and a fresh network on what is left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from benchmark.contract import Backbone, Batch, Task
from benchmark.methods._confident import class_weights, joint_counts, label_issues
from benchmark.methods.confident_learning import ConfidentLearning, stratified_folds


class Small(Backbone):
    """One convolution; each has other weights than the one before, as from the harness."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        self.feature_shape = (4, 1, 1)
        with torch.random.fork_rng():
            torch.manual_seed(Small.made)
            self.layer = nn.Conv2d(4, 4, 1)
        Small.made += 1

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images).relu()


class Images:
    """A training set of images that are features."""

    def __init__(self, images: Tensor, labels: Tensor):
        self.stored, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, index: Tensor, *, augmented: bool = False) -> Tensor:
        return self.stored[index]

    def batches(self, index: Tensor | None = None, *, augmented: bool = False) -> Iterator[Batch]:
        index = torch.arange(len(self)) if index is None else index
        for part in index.split(7):
            yield Batch(self.stored[part], self.labels[part], part, self)


@pytest.fixture
def images() -> Images:
    torch.manual_seed(0)
    labels = torch.arange(60) % 3
    stored = torch.randn(60, 4, 1, 1)
    stored[:, :3, 0, 0] += 3 * nn.functional.one_hot(labels, 3)
    given = torch.where(torch.arange(60) % 12 == 0, (labels + 1) % 3, labels)
    return Images(stored, given)


def learner(epochs: int = 12, **options: object) -> ConfidentLearning:
    Small.made = 0
    task = Task(3, 60, (4, 1, 1), epochs, 16, Small)
    return ConfidentLearning(task, ConfidentLearning.Config(**options))


@torch.no_grad()
def begin(method: ConfidentLearning, stage: int, images: Images) -> Tensor:
    """The stage's first epoch, as the harness begins it; gives the indices to train on."""
    method.eval()
    method.stage, method.epoch = stage, sum(method.stages(method.task.epochs)[:stage])
    method.begin_stage(stage, images)
    chosen = method.begin_epoch(method.epoch, images)
    method.train()
    return chosen


def test_every_fold_takes_its_share_of_the_schedule_and_the_last_network_all_of_it() -> None:
    assert learner().stages(12) == [6, 6, 6, 6, 12]
    assert learner(folds=2, fold_share=1.0).stages(12) == [12, 12, 12]
    assert learner(**ConfidentLearning.own_options).stages(12) == [12, 12, 12, 12, 12]
    assert learner(epochs=1).stages(1) == [1, 1, 1, 1, 1]


def test_folds_are_stratified_random_and_cover_all() -> None:
    labels = torch.tensor([0] * 41 + [1] * 10 + [2] * 2)
    first, second = (stratified_folds(labels, 4) for _ in range(2))
    assert not torch.equal(first, second)
    sizes = first.bincount(minlength=4)
    assert sizes.sum() == 53
    assert sizes.max() - sizes.min() <= 1
    for k in range(3):
        of_class = first[labels == k].bincount(minlength=4)
        assert of_class.max() - of_class.min() <= 1


def test_a_network_trains_on_the_other_folds_and_judges_its_own(images: Images) -> None:
    method = learner()
    for stage in range(4):
        chosen = begin(method, stage, images)
        assert (method.fold[chosen] != stage).all()
        assert len(chosen) == (method.fold != stage).sum()
        own = (method.fold == stage).nonzero()[:, 0]
        assert (method.probability[own] == 1 / 3).all()  # not judged yet
        with torch.no_grad():
            wanted = method.eval()(images.stored[own]).softmax(dim=1)
        begin(method, stage + 1, images)
        torch.testing.assert_close(method.probability[own], wanted)


def test_every_stage_starts_with_a_fresh_network_in_the_same_parameters(images: Images) -> None:
    method = learner()
    parameters = [id(p) for p in method.parameters()]
    seen = []
    for stage in range(5):
        begin(method, stage, images)
        seen.append([p.detach().clone() for p in method.parameters()])
        assert [id(p) for p in method.parameters()] == parameters
    assert Small.made == 5
    for a in range(5):
        for b in range(a):
            assert all(not torch.equal(x, y) for x, y in zip(seen[a], seen[b], strict=True))
    Small.made = 4  # the fifth network's stream
    torch.testing.assert_close(seen[4][0], Small().layer.weight.detach())  # nothing is left of the stage before


def test_the_last_network_trains_on_what_cleanlabs_rule_leaves(images: Images) -> None:
    method = learner()
    for stage in range(4):
        begin(method, stage, images)
    truth = torch.arange(60) % 3
    method.probability.copy_((4.0 * nn.functional.one_hot(truth, 3) + torch.randn(60, 3) / 4).softmax(dim=1))
    method.fold.fill_(3)
    method.fold[:8] = torch.arange(8) % 3  # the last network judges the rest, by weights that know the images
    with torch.no_grad():
        method.backbone.layer.weight.copy_(4 * torch.eye(4)[:, :, None, None])
        method.backbone.layer.bias.zero_()
        method.classifier.weight.copy_(torch.eye(4)[:3])
        method.classifier.bias.zero_()
    chosen = begin(method, 4, images)
    counts = joint_counts(method.probability, images.labels)
    issues = label_issues(method.probability, images.labels, counts)
    assert torch.equal(chosen, (~issues).nonzero()[:, 0])
    assert 3 <= issues.sum() <= 10
    assert (images.labels != truth)[issues].float().mean() > 0.6
    torch.testing.assert_close(method.class_weight, class_weights(counts))


def test_class_weights_count_in_the_last_stage_alone(images: Images) -> None:
    method = learner()
    begin(method, 0, images)
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 0, 1])
    torch.testing.assert_close(method.loss(logits, labels), nn.functional.cross_entropy(logits, labels))
    method.class_weight.copy_(torch.tensor([1.0, 2.0, 4.0]))
    each = nn.functional.cross_entropy(logits, labels, reduction="none") * torch.tensor([1, 2, 4, 1, 1, 2])
    torch.testing.assert_close(method.loss(logits, labels), each.sum() / 11)


def test_the_noise_score_is_what_the_folds_thought_of_the_given_label(images: Images) -> None:
    method = learner()
    for stage in range(5):
        begin(method, stage, images)
    prediction = method.eval().predict(images.stored)
    wanted = 1 - method.probability[torch.arange(60), images.labels]
    torch.testing.assert_close(method.noise_score(prediction, images), wanted)


def test_a_checkpoint_knows_folds_judgements_and_what_was_pruned(images: Images) -> None:
    method = learner()
    for stage in range(5):
        begin(method, stage, images)
    resumed = learner()
    resumed.load_state_dict(method.state_dict())
    resumed.stage = 4
    assert torch.equal(resumed.begin_epoch(30, images), method.begin_epoch(30, images))
    assert torch.equal(resumed.fold, method.fold)
    assert torch.equal(resumed.probability, method.probability)


@pytest.mark.parametrize("folds", ["1", "21", "1000"])
def test_too_few_and_too_many_folds_are_refused_where_options_are_read(folds: str) -> None:
    with pytest.raises(ValidationError, match="folds"):
        TypeAdapter(ConfidentLearning.Config).validate_python({"folds": folds})
    assert TypeAdapter(ConfidentLearning.Config).validate_python({"folds": "3"}).folds == 3
