"""Manifold mixup: the place of the blend, its loss, and networks of any number of stages."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from stubs import batch, fill, task, wave
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import Backbone
from benchmark.methods import manifold_mixup
from benchmark.methods.manifold_mixup import ManifoldMixup, blended_binary_cross_entropy, inner_places, pooled_and_blended
from benchmark.methods.mixup import blend, blended_cross_entropy
from benchmark.train.backbones import build_backbone

GOLDEN = {
    (0, "binary"): {
        "loss": 0.4940453133981845,
        "first_grad_norm": 0.02813042243575603,
        "second_grad_norm": 0.04113366793624771,
        "linear_grad": [0.007404909339582008, -0.0003953157291230974, -0.0006133585156340166],
        "input_grad_norm": 0.039142838402218876,
    },
    (0, "cross-entropy"): {
        "loss": 2.461650581605266,
        "first_grad_norm": 0.16036045646722616,
        "second_grad_norm": 0.23713226744854793,
        "linear_grad": [0.04151934883628826, -0.002508646375162128, 0.0005448795149334672],
        "input_grad_norm": 0.22179358427982768,
    },
    (1, "binary"): {
        "loss": 0.49535483364103866,
        "first_grad_norm": 0.0282001418864272,
        "second_grad_norm": 0.0384552529646206,
        "linear_grad": [0.008758652243801616, -0.0005023928258036733, -0.00042868891433627617],
        "input_grad_norm": 0.03604564302706528,
    },
    (1, "cross-entropy"): {
        "loss": 2.4685496284815467,
        "first_grad_norm": 0.1611285865851729,
        "second_grad_norm": 0.21897078172636564,
        "linear_grad": [0.04713568744279527, -0.003233468389206017, 0.0017910223852155493],
        "input_grad_norm": 0.20647503908823897,
    },
    (2, "binary"): {
        "loss": 0.49441986443114816,
        "first_grad_norm": 0.027196780629944767,
        "second_grad_norm": 0.040152468516554456,
        "linear_grad": [0.008573965214796891, -0.00045706315597168155, -0.00032749100439092367],
        "input_grad_norm": 0.035137203331854897,
    },
    (2, "cross-entropy"): {
        "loss": 2.463536169949245,
        "first_grad_norm": 0.154152489457476,
        "second_grad_norm": 0.22792493120128082,
        "linear_grad": [0.04612022690725259, -0.002934443875577084, 0.0025377326298237734],
        "input_grad_norm": 0.20198482185097433,
    },
}
"""By place and loss. vikasverma1077/manifold_mixup at 870ef77: `PreActResNet.forward` of supervised/models/preresnet.py with
mixup_hidden, whose layers were the three of `Tiny` below (the stem and the last stage were the identity), then the script's
BCELoss of the softmax; for "cross-entropy" the soft cross-entropy of the same outputs and blended labels. In float64 on the
inputs of the first test, with random.randint giving the place, numpy's permutation giving `PARTNER` and its beta giving 0.3,
which the code rounds to float32."""

LABELS = torch.tensor([0, 3, 6, 1, 2, 5])
PARTNER = torch.tensor([2, 0, 1, 5, 4, 3])


class Tiny(Backbone):
    """Three 1x1 convolutions with tanh, of which the first `shown` are its stages."""

    feature_shape = (5, 4, 4)

    def __init__(self, shown: int):
        super().__init__()
        self.shown = shown
        self.layers = nn.ModuleList()
        for i, o, f in ((3, 4, 0.7), (4, 5, 1.1), (5, 5, 1.3)):
            layer = nn.Conv2d(i, o, 1)
            layer.weight.data, layer.bias.data = wave(o, i, 1, 1, f=f).float(), wave(o, f=f + 0.1, a=0.1).float()
            self.layers.append(nn.Sequential(layer, nn.Tanh()))

    @property
    def stages(self) -> list[nn.Module]:
        return list(self.layers[: self.shown])

    def forward(self, images: Tensor) -> Tensor:
        for layer in self.layers:
            images = layer(images)
        return images


def method_on(backbone: Backbone, loss: str = "cross-entropy") -> ManifoldMixup:
    told = replace(task((3, 4, 4), 6), make_backbone=lambda: backbone)
    return ManifoldMixup(told, ManifoldMixup.Config(loss=loss)).train()


def draw(monkeypatch: pytest.MonkeyPatch, place: int, share: float = 0.3) -> None:
    """The next steps' draws."""
    monkeypatch.setattr(manifold_mixup, "draw_share", lambda alpha, device: torch.tensor(share).double())
    monkeypatch.setattr(torch, "randperm", lambda n, **_: PARTNER)
    monkeypatch.setattr(torch, "randint", lambda high, size: torch.tensor(place))


def close(found: Tensor, wanted: float | list[float]) -> None:
    torch.testing.assert_close(found.detach(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("loss", ["binary", "cross-entropy"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_step_equals_the_released_code(place: int, loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(monkeypatch, place)
    backbone = Tiny(3).double()
    for layer, (i, o, f) in zip(backbone.layers, ((3, 4, 0.7), (4, 5, 1.1), (5, 5, 1.3)), strict=True):
        layer[0].weight.data, layer[0].bias.data = wave(o, i, 1, 1, f=f), wave(o, f=f + 0.1, a=0.1)
    method = method_on(backbone, loss).double()
    fill(method.classifier, 0.9, 2.0)
    images = wave(6, 3, 4, 4, f=0.37).requires_grad_()
    found = method.training_step(batch(images, LABELS))
    found.backward()
    wanted = GOLDEN[place, loss]
    close(found, wanted["loss"])
    close(backbone.layers[0][0].weight.grad.norm(), wanted["first_grad_norm"])
    close(backbone.layers[1][0].weight.grad.norm(), wanted["second_grad_norm"])
    close(method.classifier.weight.grad[[0, 3, 6], [0, 2, 4]], wanted["linear_grad"])
    close(images.grad.norm(), wanted["input_grad_norm"])


@pytest.mark.parametrize("shown", [0, 1, 2, 3])
def test_a_network_short_of_stages_has_its_final_map_for_the_missing_ones(shown: int) -> None:
    backbone = Tiny(shown)
    assert (
        inner_places(backbone)
        == {
            0: [backbone],
            1: [backbone.layers[0], backbone],
            2: [backbone.layers[0], backbone.layers[1]],
            3: [backbone.layers[0], backbone.layers[1]],
        }[shown]
    )


def test_of_a_timm_resnet_the_places_are_its_first_two_layers_and_not_the_stems_activation() -> None:
    backbone = build_backbone("resnet18", (3, 32, 32), "fp32")
    model = backbone.net.model
    assert backbone.stages[0] is model.act1
    assert inner_places(backbone) == [model.layer1, model.layer2]


@pytest.mark.parametrize("name", ["densenet121", "mobilenetv3_small_100"])
def test_a_stems_norm_is_no_place_either(name: str) -> None:
    backbone = build_backbone(name, (3, 64, 64), "fp32")
    assert inner_places(backbone) == list(backbone.stages[1:3])


def test_where_all_stages_are_activations_they_are_the_places() -> None:
    """A timm VGG names the activation at the end of each stage."""
    backbone = build_backbone("vgg11", (3, 32, 32), "fp32")
    assert inner_places(backbone) == list(backbone.stages[:2])


def test_without_stages_it_is_the_input_or_the_final_map_that_is_blended(monkeypatch: pytest.MonkeyPatch) -> None:
    method = method_on(Tiny(0))
    images, share = torch.randn(6, 3, 4, 4), torch.tensor(0.3)
    maps = method.backbone(images)
    at_the_end = method.classifier(blend(maps, PARTNER, share).mean(dim=(2, 3)))
    at_the_start = method(blend(images, PARTNER, share))
    for place, logits in ((0, at_the_start), (1, at_the_end), (2, at_the_end)):
        draw(monkeypatch, place)
        found = method.training_step(batch(images, LABELS))
        torch.testing.assert_close(found, blended_cross_entropy(logits, LABELS, PARTNER, share), check_dtype=False)


def test_each_of_the_three_places_is_as_likely(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"input": 0, 0: 0, 1: 0}
    method = method_on(Tiny(3))
    places = inner_places(method.backbone)

    def see(backbone: Backbone, images: Tensor, place: nn.Module, mix: object) -> Tensor:
        found[places.index(place)] += 1
        return backbone.pooled(images)

    monkeypatch.setattr(manifold_mixup, "pooled_and_blended", see)
    for _ in range(300):
        method.training_step(batch(torch.randn(6, 3, 4, 4), LABELS))
    found["input"] = 300 - found[0] - found[1]
    assert min(found.values()) > 70


def test_no_hook_outlives_a_step_even_one_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    method = method_on(Tiny(3))
    images = torch.randn(6, 3, 4, 4)
    before = method.eval().predict(images).logits
    method.train()
    for place in (1, 2):
        draw(monkeypatch, place)
        method.training_step(batch(images, LABELS))
    monkeypatch.setattr(manifold_mixup, "blend", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        method.training_step(batch(images, LABELS))
    assert not any(module._forward_hooks for module in method.modules())
    torch.testing.assert_close(method.eval().predict(images).logits, before)


class Odd(Tiny):
    """Runs its first stage twice, never its second, and its third gives no tensor."""

    def forward(self, images: Tensor) -> Tensor:
        self.layers[0](images)
        return self.layers[2](torch.nn.functional.pad(self.layers[0](images), (0, 0, 0, 0, 0, 1)))


class Tuples(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, None]:
        return images, None


def test_what_cannot_be_blended_within_is_blended_at_the_end() -> None:
    """The labels are blended whatever happens: a network that did not see a blend would be taught nonsense."""
    backbone, images = Odd(3), torch.randn(6, 3, 4, 4)

    def mix(values: Tensor) -> Tensor:
        return blend(values, PARTNER, torch.tensor(0.3))

    plain = backbone.pooled(images)
    torch.testing.assert_close(pooled_and_blended(backbone, images, backbone.layers[1], mix), mix(plain))
    once = pooled_and_blended(backbone, images, backbone.layers[0], mix)
    torch.testing.assert_close(once, plain)  # its first run, which goes nowhere, was taken
    tuples = Tiny(3)
    tuples.layers[0].append(Tuples())
    tuples.layers[1].insert(0, nn.Module())
    tuples.layers[1][0].forward = lambda pair: pair[0]
    plain = tuples.pooled(images)
    torch.testing.assert_close(pooled_and_blended(tuples, images, tuples.layers[0], mix), mix(plain))


def test_the_binary_loss_averages_over_images_and_classes() -> None:
    logits, share = wave(6, 7, f=0.37, a=3), torch.tensor(0.3).double()
    p = logits.softmax(dim=1)
    t = blend(F.one_hot(LABELS, 7).double(), PARTNER, share)
    wanted = -(t * p.log() + (1 - t) * (1 - p).log()).mean()
    torch.testing.assert_close(blended_binary_cross_entropy(logits, LABELS, PARTNER, share), wanted)


def test_the_loss_is_the_papers_unless_told_otherwise_and_alpha_is_two() -> None:
    assert ManifoldMixup.Config() == ManifoldMixup.Config(alpha=2.0, loss="cross-entropy")


def test_with_its_papers_recipe_it_has_the_loss_that_the_recipes_rate_belongs_to() -> None:
    assert ManifoldMixup.Config(**ManifoldMixup.own_options).loss == "binary"
