"""MC dropout: what is dropped where, when it stays on, and the mean over the passes."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch
from stubs import Labels, batch
from torch import Tensor, nn

from benchmark.contract import Backbone, Task
from benchmark.methods.mc_dropout import FilterDropout, MCDropout


class Staged(Backbone):
    """A backbone of 1x1 convolutions with a batch norm, whose stages can be watched."""

    feature_shape = (32, 2, 2)

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 16, 1), nn.BatchNorm2d(16)), nn.Conv2d(16, 16, 1), nn.Conv2d(16, 32, 1)
        )

    @property
    def stages(self) -> Sequence[nn.Module]:
        return list(self.net)

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)


def mc_dropout(epochs: int = 12, **options) -> MCDropout:
    return MCDropout(Task(7, 6, (3, 2, 2), epochs, 64, Staged), MCDropout.Config(**options)).train()


IMAGES = torch.sin(torch.arange(6 * 3 * 2 * 2).float()).view(6, 3, 2, 2)


def test_whole_filters_are_dropped_and_the_others_scaled():
    maps = torch.rand(50, 40, 3, 3) + 1
    dropped = FilterDropout(0.25).train()(maps)
    gone = (dropped == 0).flatten(2)
    assert torch.equal(gone.any(dim=2), gone.all(dim=2))
    assert 0.2 < gone.float().mean() < 0.3
    kept = ~gone.view_as(maps)
    torch.testing.assert_close(dropped[kept], maps[kept] / 0.75)


@pytest.mark.parametrize("shape", [(50, 9, 40), (50, 40)])
def test_of_tokens_and_of_features_the_last_dimension_is_dropped(shape):
    dropped = FilterDropout(0.25).train()(torch.ones(shape))
    gone = (dropped == 0).view(50, -1, 40)
    assert torch.equal(gone.any(dim=1), gone.all(dim=1))
    assert not torch.equal(gone[0, 0], gone[1, 0])  # each image has its own


def test_maps_stay_channels_last_in_memory():
    maps = torch.randn(2, 8, 3, 3).to(memory_format=torch.channels_last)
    assert FilterDropout(0.1).train()(maps).is_contiguous(memory_format=torch.channels_last)


def test_every_stages_output_is_dropped_once_and_the_features_too():
    """The last stage's map reaches the classifier as features, and is dropped as such."""
    dropping = mc_dropout(rate=0.5)
    seen: list[Tensor] = []
    for layer in (dropping.backbone.net[1], dropping.backbone.net[2], dropping.classifier):
        layer.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    features = dropping.features(IMAGES)
    assert (features == 0).sum() == 0  # nothing is dropped behind the last stage
    dropping.training_step(batch(IMAGES, torch.arange(6)))
    for inputs in seen[2:]:
        share = (inputs == 0).flatten(2).all(dim=2).float().mean() if inputs.ndim == 4 else (inputs == 0).float().mean()
        assert 0.25 < share < 0.75


def test_by_default_a_tenth_is_dropped_and_ten_passes_are_made():
    assert MCDropout.Config() == MCDropout.Config(rate=0.1, passes=10, uncertainty="entropy")
    dropping = mc_dropout()
    assert 0.08 < (dropping.dropout(torch.ones(500, 40)) == 0).float().mean() < 0.12


def test_hooks_add_no_state_and_a_deep_copy_has_its_own():
    dropping = mc_dropout(rate=0.5).eval()
    names = {name.split(".")[0] for name in dropping.state_dict()}
    assert names == {"backbone", "classifier"}
    twin = copy.deepcopy(dropping)
    dropping.dropout.train()  # only the original's
    assert torch.equal(twin.features(IMAGES), twin.features(IMAGES))
    assert not torch.equal(dropping.features(IMAGES), dropping.features(IMAGES))
    assert all(len(stage._forward_hooks) == (k < 2) for k, stage in enumerate(twin.backbone.stages))


def test_training_is_cross_entropy_with_dropout():
    dropping = mc_dropout(rate=0.0)
    torch.testing.assert_close(
        dropping.training_step(batch(IMAGES, torch.arange(6))),
        nn.functional.cross_entropy(dropping.classifier(dropping.backbone.pooled(IMAGES)), torch.arange(6)),
    )


@pytest.mark.parametrize(("epochs", "first"), [(12, 7), (5, 0), (2, 0)])
def test_all_passes_are_made_from_the_fifth_last_epoch_on_and_the_history_says_so(epochs, first):
    dropping = mc_dropout(epochs=epochs).eval()
    for epoch in range(epochs):
        dropping.epoch, dropping.logged = epoch, {}
        dropping.end_epoch(epoch, Labels(torch.arange(6)))
        value, count = dropping.logged["passes"]
        assert value / count == (10 if epoch >= first else 1)
        again = [dropping.predict(IMAGES).logits for _ in range(2)]
        assert torch.equal(*again) == (epoch < first)


def test_the_one_pass_is_without_dropout():
    dropping = mc_dropout().eval()
    wanted = dropping.classifier(dropping.backbone.pooled(IMAGES)).log_softmax(dim=1)
    torch.testing.assert_close(dropping.predict(IMAGES).logits, wanted)


def test_predicting_changes_no_state_and_leaves_dropout_off():
    dropping = mc_dropout().eval()
    dropping.epoch = 11
    before = {name: value.clone() for name, value in dropping.state_dict().items()}
    dropping.predict(IMAGES)
    assert all(torch.equal(value, before[name]) for name, value in dropping.state_dict().items())
    assert not any(module.training for module in dropping.modules())
    assert torch.equal(dropping.features(IMAGES), dropping.features(IMAGES))


def test_the_mean_is_over_what_dropout_leaves_of_the_features():
    """One feature is there, twice as large, in half of the passes: p is the mean of the two distributions."""
    dropping = mc_dropout(rate=0.5, passes=4000).eval()
    dropping.epoch = 11
    dropping.features = lambda images: images
    dropping.classifier = nn.Linear(1, 7, bias=False)
    image = torch.tensor([[1.0]])
    there = dropping.classifier(2 * image).softmax(dim=1)
    torch.testing.assert_close(dropping.predict(image).logits.softmax(dim=1), (there + 1 / 7) / 2, rtol=0, atol=0.02)


@pytest.mark.parametrize("kind", ["entropy", "mutual-information"])
def test_one_image_is_enough(kind):
    dropping = mc_dropout(uncertainty=kind).eval()
    dropping.epoch = 11
    logits, uncertainty = dropping.predict(IMAGES[:1])
    assert logits.shape == (1, 7)
    assert uncertainty.shape == (1,)
    assert uncertainty > 0
    torch.testing.assert_close(logits.exp().sum(), torch.tensor(1.0))
