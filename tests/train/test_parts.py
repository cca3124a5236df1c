"""A batch in parts: what a part holds, what it counts, and whose batches must stay whole."""

from __future__ import annotations

import pytest
import torch
from stubs import Identity, batch, task, wave
from torch import nn
from torch.nn import functional as F

from benchmark.contract import Method
from benchmark.methods.ce import CrossEntropy
from benchmark.train.parts import divided, gradients, why_whole

IMAGES, LABELS = wave(10, 6, 1, 1).float(), torch.arange(10) % 7


class Declared(CrossEntropy):
    mean_over_samples = True


def method(kind: type[Method] = Declared, *layers: nn.Module) -> Method:
    made = kind(task((6, 1, 1), 10), kind.Config())
    made.layers = nn.Sequential(*layers)
    return made.train()


def gradient(of: Method, parts: int) -> tuple[torch.Tensor, torch.Tensor]:
    of.zero_grad(set_to_none=True)
    loss = gradients(of, batch(IMAGES, LABELS), parts)
    return loss, torch.cat([p.grad.flatten() for p in of.parameters() if p.grad is not None])


@pytest.mark.parametrize(("parts", "sizes"), [(2, [5, 5]), (4, [3, 3, 2, 2]), (8, [2, 2] + [1] * 6), (16, [1] * 10)])
def test_parts_are_in_order_of_nearly_one_size_and_never_empty(parts, sizes):
    found = list(divided(batch(IMAGES, LABELS), parts))
    assert [len(part.index) for part in found] == sizes
    for name, whole in (("images", IMAGES), ("labels", LABELS), ("index", torch.arange(10))):
        assert torch.equal(torch.cat([getattr(part, name) for part in found]), whole)


@pytest.mark.parametrize("parts", [2, 4, 8, 16])
def test_gradients_of_uneven_parts_add_up_to_those_of_the_batch(parts):
    of = method()
    (loss, whole), (loss_of_parts, added) = gradient(of, 1), gradient(of, parts)
    torch.testing.assert_close(loss_of_parts, loss)
    torch.testing.assert_close(added, whole)
    assert not loss.requires_grad
    assert not loss_of_parts.requires_grad


def test_a_method_that_says_it_changes_no_state_and_does_is_found_out():
    class Counts(Declared):
        mean_over_samples = True

        def __init__(self, task, config):
            super().__init__(task, config)
            self.register_buffer("steps", torch.zeros(()))

        def training_step(self, batch):
            self.steps += 1
            return super().training_step(batch)

    class Replaces(Counts):
        mean_over_samples = True

        def training_step(self, batch):
            self.steps = self.steps + 1
            return super().training_step(batch)

    for kind in (Counts, Replaces):
        gradient(method(kind), 1)
        with pytest.raises(ValueError, match="training_step changes the state 'steps'"):
            gradient(method(kind), 2)


def test_who_declares_nothing_stays_whole_and_a_declaration_is_not_inherited():
    class Mixed(Declared):
        """Has another step than what it inherits from declares something of."""

        def training_step(self, batch):
            return F.cross_entropy(self(batch.images.flip(0)), batch.labels)

    assert why_whole(method(Declared)) is None
    assert why_whole(method(Mixed)) == "the method does not declare its loss to be a mean over samples"


class ThirdParty(nn.Module):
    """A norm of somebody else's, known by what it keeps."""

    def __init__(self):
        super().__init__()
        self.register_buffer("running_var", torch.ones(6))


def at_rest(layer: nn.Module) -> nn.Module:
    """A layer that stays in eval mode."""
    layer.train = lambda mode=True: layer
    return nn.Module.train(layer, False)


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm1d(6),
        nn.BatchNorm2d(6),
        nn.SyncBatchNorm(6),
        nn.LazyBatchNorm2d(),
        nn.BatchNorm2d(6, track_running_stats=False),
        at_rest(nn.BatchNorm2d(6, track_running_stats=False)),  # has nothing to apply but the batch's own
        nn.InstanceNorm2d(6, track_running_stats=True),
        ThirdParty(),
    ],
    ids=repr,
)
def test_norms_over_the_batch_keep_it_whole_wherever_they_stand(layer):
    assert why_whole(method(Declared, nn.Identity(), layer)) == "'layers.1' normalises over the batch"


@pytest.mark.parametrize(
    "layer",
    [nn.LayerNorm(6), nn.GroupNorm(2, 6), nn.InstanceNorm2d(6), nn.Dropout(0.5), at_rest(nn.BatchNorm2d(6))],
    ids=repr,
)
def test_norms_of_each_image_and_those_that_rest_do_not(layer):
    assert why_whole(method(Declared, layer)) is None


def test_timms_norms_are_told_apart_too():
    timm = pytest.importorskip("timm.layers")
    for name in ("BatchNormAct2d", "EvoNorm2dB0", "EvoNorm2dB1", "EvoNorm2dB2"):
        assert why_whole(method(Declared, getattr(timm, name)(8))), name
    for name in ("LayerNorm2d", "GroupNormAct", "EvoNorm2dS0", "FilterResponseNormAct2d", "DropPath"):
        layer = getattr(timm, name)(0.1 if name == "DropPath" else 32, *([8] if name == "GroupNormAct" else []))
        assert why_whole(method(Declared, layer)) is None, name


def test_the_stub_backbone_hands_its_images_on():
    """Or the tests above would look at nothing."""
    assert isinstance(method().backbone, Identity)
