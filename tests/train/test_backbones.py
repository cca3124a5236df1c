"""Backbones: a feature map from anything."""

from __future__ import annotations

import pytest
import torch

from benchmark.contract import BadInput
from benchmark.train.backbones import build_backbone, check_backbone


@pytest.mark.parametrize(
    ("name", "shape", "feature_shape"),
    [
        ("small", (1, 48, 48), (192, 3, 3)),
        ("small", (3, 32, 32), (192, 4, 4)),
        ("small", (3, 64, 64), (192, 4, 4)),
        ("resnet18", (1, 48, 48), (512, 2, 2)),
        ("mobilenetv3_small_050", (3, 64, 64), (1024, 2, 2)),
        ("vit_tiny_patch16_224", (3, 48, 48), (192, 3, 3)),
        ("swin_tiny_patch4_window7_224", (3, 56, 56), (768, 2, 2)),
        ("convnext_atto", (1, 64, 64), (320, 2, 2)),
    ],
)
def test_every_backbone_gives_a_feature_map(name, shape, feature_shape):
    backbone = build_backbone(name, shape, "fp32")
    maps = backbone(torch.randn(3, *shape))
    assert backbone.feature_shape == feature_shape
    assert maps.shape == (3, *feature_shape)
    assert backbone.pooled(torch.randn(2, *shape)).shape == (2, backbone.num_features)


@pytest.mark.parametrize("name", ["small", "resnet18"])
def test_a_method_may_hook_into_the_stages(name):
    backbone, shapes = build_backbone(name, (1, 48, 48), "fp32"), []
    for stage in backbone.stages:
        stage.register_forward_hook(lambda _module, _given, out: shapes.append(tuple(out.shape)))
    backbone(torch.randn(2, 1, 48, 48))
    assert len(shapes) == len(backbone.stages) >= 4
    assert all(len(shape) == 4 for shape in shapes)


def test_precision_stays_inside():
    backbone = build_backbone("small", (1, 48, 48), "bf16")
    images = torch.randn(2, 1, 48, 48)
    maps = backbone(images)
    assert maps.dtype == torch.float32
    full = build_backbone("small", (1, 48, 48), "fp32")
    full.load_state_dict(backbone.state_dict())
    assert not torch.equal(maps, full(images))
    torch.testing.assert_close(maps, full(images), atol=0.1, rtol=0.1)


def test_nothing_is_saved_twice():
    backbone = build_backbone("small", (1, 48, 48), "fp32")
    pointers = [t.data_ptr() for t in backbone.state_dict().values()]
    assert len(pointers) == len(set(pointers))


def test_an_unknown_backbone_names_the_nearest():
    with pytest.raises(BadInput, match="did you mean 'resnet18'"):
        check_backbone("resnet18x")
    with pytest.raises(BadInput, match="did you mean 'small'"):
        check_backbone("smal")
