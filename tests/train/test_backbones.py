"""Backbones: a feature map from anything."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmark.contract import BadInput
from benchmark.train.backbones import build_backbone, check_backbone, own_input, torchvision_backbones
from benchmark.train.residual import FOR_32_PX, PreActBlock


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
        ("dlib-resnet29", (1, 150, 150), (256, 2, 2)),
        ("cifar-resnet9", (3, 32, 32), (512, 1, 1)),
        ("cifar-resnet18", (3, 32, 32), (512, 4, 4)),
        ("preact-resnet18", (1, 32, 32), (512, 4, 4)),
        ("torchvision/mobilenet_v2", (1, 64, 64), (1280, 2, 2)),
        ("torchvision/resnet18", (3, 64, 64), (512, 2, 2)),
    ],
)
def test_every_backbone_gives_a_feature_map(name, shape, feature_shape):
    backbone = build_backbone(name, shape, "fp32")
    maps = backbone(torch.randn(3, *shape))
    assert backbone.feature_shape == feature_shape
    assert maps.shape == (3, *feature_shape)
    assert backbone.pooled(torch.randn(2, *shape)).shape == (2, backbone.num_features)


@pytest.mark.parametrize(
    ("name", "parameters", "widest"),
    [  # counted in the released codes' networks without their last layer, and for the wide one its 36.5 M of the paper
        ("cifar-resnet9", 6_568_000, 512),
        ("cifar-resnet18", 11_168_832, 512),
        ("cifar-resnet34", 21_276_992, 512),
        ("preact-resnet18", 11_166_144, 512),
        ("wrn-28-10", 36_472_784, 640),
    ],
)
def test_the_papers_networks_for_small_images_are_of_their_size(name, parameters, widest):
    with torch.device("meta"):
        net = FOR_32_PX[name]((3, 32, 32))
    assert sum(p.numel() for p in net.parameters()) == parameters
    side = {"cifar-resnet9": 1, "wrn-28-10": 8}.get(name, 4)
    assert net(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, widest, side, side)


def test_resnet9_is_its_layers_one_after_the_other():
    """Written out: a norm and an activation after each convolution, four poolings, two shortcuts around two layers."""
    net = FOR_32_PX["cifar-resnet9"]((3, 32, 32)).eval()
    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    convolutions, norms = layers[::2], layers[1::2]

    def layer(x: torch.Tensor, k: int) -> torch.Tensor:
        return norms[k](convolutions[k](x)).relu()

    images = torch.randn(2, 3, 32, 32)
    x = F.max_pool2d(layer(layer(images, 0), 1), 2)
    x = x + layer(layer(x, 2), 3)
    x = F.max_pool2d(layer(x, 4), 2)
    x = F.max_pool2d(layer(x, 5), 2)
    x = x + layer(layer(x, 6), 7)
    assert [c.out_channels for c in convolutions] == [64, 128, 128, 128, 256, 512, 512, 512]
    torch.testing.assert_close(net(images)[:, :, 0, 0], x.amax((2, 3)) / 8)


def test_shortcuts_start_after_an_activation_where_dividemixs_do():
    """Only so is the map of DivideMix's network reproduced: what a block of zeros hands on has no negative value."""
    x = torch.randn(2, 8, 6, 6)
    handed_on = []
    for activated in (True, False):
        block = PreActBlock(8, 8, 1, shortcut_of_activated=activated)
        torch.nn.init.zeros_(block.conv2.weight)
        handed_on.append(block(x))
    assert handed_on[0].min() == 0
    assert torch.equal(handed_on[1], x)


@pytest.mark.parametrize("name", ["small", "resnet18", "preact-resnet18"])
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
    torch.testing.assert_close(maps, full(images), atol=0.3, rtol=0.1)


def test_nothing_is_saved_twice():
    backbone = build_backbone("small", (1, 48, 48), "fp32")
    pointers = [t.data_ptr() for t in backbone.state_dict().values()]
    assert len(pointers) == len(set(pointers))


def test_an_unknown_backbone_names_the_nearest():
    with pytest.raises(BadInput, match="did you mean 'resnet18'"):
        check_backbone("resnet18x")
    with pytest.raises(BadInput, match="did you mean 'small'"):
        check_backbone("smal")
    with pytest.raises(BadInput, match="did you mean 'small'"):
        check_backbone("smal@24")
    with pytest.raises(BadInput, match="wanted NAME or NAME@SIDE"):
        check_backbone("small@huge")
    check_backbone("small@24")


def hooked(name, shape):
    """Feature shape of a backbone, and the shapes that its stages give for two images."""
    backbone, shapes = build_backbone(name, shape, "fp32"), []
    for stage in backbone.stages:
        stage.register_forward_hook(lambda _module, _given, out: shapes.append(tuple(out.shape)))
    backbone.eval()(torch.zeros(2, *shape))
    return backbone.feature_shape, shapes


def test_the_last_stage_of_a_transformer_of_two_sides_keeps_them_apart():
    assert build_backbone("test_vit", (3, 48, 64), "fp32").feature_shape == (64, 3, 4)


def test_channels_last_are_known_whatever_the_head():
    feature_shape, _ = hooked("test_mambaout", (1, 48, 48))
    assert feature_shape[1:] == (2, 2)


@pytest.mark.parametrize("name", ["test_vit", "hrnet_w18_small"])
def test_a_backbone_that_does_not_fit_the_images_is_bad_input(name):
    with pytest.raises(BadInput, match="40x40"):
        build_backbone(name, (1, 40, 40), "fp32")


def trainer(method, seed=0):
    import numpy as np

    from benchmark.contract import NoOptions
    from benchmark.spec import recipe
    from benchmark.train.trainer import Trainer
    from benchmark.train.training_set import DeviceSet

    half = np.full(1, 0.5, np.float32)
    few = DeviceSet(np.zeros((4, 16, 16, 1), np.uint8), np.arange(4), None, mean=half, std=half, device=torch.device("cpu"))
    common = recipe("common")
    return Trainer(
        method, NoOptions(), few, None, num_classes=4, recipe=common, backbone="small", precision="fp32", seed=seed
    ).method


def weights(module):
    return torch.cat([p.detach().ravel() for p in module.parameters()])


def test_the_kth_backbone_has_the_kth_weights_whatever_the_method():
    from benchmark.methods.ce import CrossEntropy

    class Two(CrossEntropy):
        def __init__(self, task, config):
            torch.rand(7)  # a method that draws before it builds
            super().__init__(task, config)
            self.second = task.make_backbone()

    one, two = trainer(CrossEntropy), trainer(Two)
    assert torch.equal(weights(one.backbone), weights(two.backbone))
    assert not torch.equal(weights(two.backbone), weights(two.second))
    assert torch.equal(weights(trainer(Two).second), weights(two.second))
    assert not torch.equal(weights(trainer(CrossEntropy, seed=1).backbone), weights(one.backbone))


def test_images_are_brought_to_the_side_that_the_weights_were_shown():
    backbone = build_backbone("torchvision/mobilenet_v2", (1, 48, 48), "fp32", side=96)
    assert backbone.feature_shape == (1280, 3, 3)
    assert backbone(torch.randn(2, 1, 48, 48)).shape == (2, 1280, 3, 3)


def test_images_are_brought_to_the_side_that_was_asked_for():
    name = "small@32"
    backbone = build_backbone(name, (1, 16, 16), "fp32", own_input(name).side)
    assert backbone.feature_shape == (192, 4, 4)
    assert backbone(torch.randn(2, 1, 16, 16)).shape == (2, 192, 4, 4)


def test_a_copy_of_a_torchvision_backbone_is_a_network_of_its_own():
    backbone = build_backbone("torchvision/mobilenet_v2", (3, 64, 64), "fp32").eval()
    images = torch.randn(2, 3, 64, 64)
    twin, before = copy.deepcopy(backbone), backbone(images)
    for parameter in twin.parameters():
        torch.nn.init.zeros_(parameter)
    assert torch.equal(backbone(images), before)
    assert not torch.equal(twin(images), before)


def test_every_listed_torchvision_backbone_can_be_built_and_none_has_a_head():
    names = torchvision_backbones()
    assert {"torchvision/resnet50", "torchvision/mobilenet_v2", "torchvision/vgg11"} <= set(names)
    for name in ("torchvision/squeezenet1_1", "torchvision/wide_resnet50_2"):
        maps = build_backbone(name, (3, 64, 64), "fp32").eval()(torch.randn(2, 3, 64, 64))
        assert maps.ndim == 4
