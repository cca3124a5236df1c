"""dlib's face network: its odd sums, its file, and (with the real weights) what it says of an image."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from dlib_file import dat
from safetensors.torch import load_file

from benchmark.contract.registry import load_plugins
from benchmark.data import stratified
from benchmark.spec import DatasetSpec
from benchmark.sweep.inputs import prepared
from benchmark.train.backbones import build_backbone
from benchmark.train.dlib import MEAN, SIDE, STD, WIDTHS, DlibResNet, padded_sum, read_dat


def test_the_file_gives_every_tensor_back():
    net = DlibResNet()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    tensors = read_dat(dat(net))
    assert tensors.keys() == net.state_dict().keys()
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensors[name], tensor), name


@pytest.mark.parametrize(
    ("damage", "wanted"),
    [
        (lambda content: content[: len(content) // 2], "layers in another order|is no tensor"),
        (lambda content: content.replace(b"affine_", b"bn_con2", 1), "57 layers in another order"),
        (lambda content: b"nonsense", "0 layers in another order"),
    ],
)
def test_another_file_is_refused(damage, wanted):
    with pytest.raises((ValueError, IndexError), match=wanted):
        read_dat(damage(dat(DlibResNet())))


def test_the_smaller_side_of_a_sum_is_filled_with_zeros_at_its_end():
    a, b = torch.ones(1, 2, 2, 2), torch.ones(1, 1, 3, 2)
    total = padded_sum(a, b)
    assert total.shape == (1, 2, 3, 2)
    assert total[0, 0].tolist() == [[2, 2], [2, 2], [1, 1]]
    assert total[0, 1].tolist() == [[1, 1], [1, 1], [0, 0]]


def test_it_has_29_convolutions_and_sees_grey_as_colour():
    net = DlibResNet().eval()
    assert sum(isinstance(module, torch.nn.Conv2d) for module in net.modules()) == 1 + 2 * len(WIDTHS) == 29
    grey = torch.randn(2, 1, 150, 150)
    assert net(grey).shape == (2, 256, 2, 2)
    torch.testing.assert_close(net(grey), net(grey.expand(-1, 3, -1, -1)))


def real_weights() -> dict[str, torch.Tensor]:
    file = Path(os.environ.get("BENCHMARK_DATA", "")) / "weights" / "dlib_face_resnet29.safetensors"
    if not file.is_file():
        pytest.skip("there is no weights/dlib_face_resnet29.safetensors below BENCHMARK_DATA")
    return {name: tensor for name, tensor in load_file(file).items() if name != "fc.weight"}


@pytest.mark.realdata
def test_the_real_weights_say_of_an_image_what_they_said():
    """These weights in this code gave the features of dlib itself on three photographs to 7e-7; here they see a pattern."""
    net = DlibResNet().eval()
    net.load_state_dict(real_weights())
    y, x = torch.meshgrid(torch.arange(150.0), torch.arange(150.0), indexing="ij")
    image = torch.stack([(127.5 + 127.5 * torch.sin(x * c / 20 + y / 30)).round() for c in (1, 2, 3)]) / 255
    with torch.no_grad():
        maps = net(((image - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None])[None])
    wanted = torch.tensor([1.4050905, 1.4899694, 1.1203880, 1.6254315, 1.7169087, 1.6259372])
    torch.testing.assert_close(maps.mean(dim=(2, 3))[0, :6], wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.realdata
def test_a_linear_probe_reads_expressions_from_the_real_weights_and_not_from_random_ones():
    """FER+, the network frozen: of 1,000 test images 58.2 % against 36.8 % when this was written."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    weights, root = real_weights(), Path(os.environ["BENCHMARK_DATA"])
    if not (root / "fer2013").is_dir():
        pytest.skip("fer2013 is not below BENCHMARK_DATA")
    _, _, of = prepared(load_plugins(), DatasetSpec.parse("ferplus@2k", {}), root)
    test = of.data.test.take(stratified(of.data.test.labels, 1000, np.random.default_rng(0)))
    accuracy = {}
    for name in ("dlib", "random"):
        torch.manual_seed(0)
        backbone = build_backbone("dlib-resnet29", (1, 48, 48), "bf16", SIDE).eval()
        if name == "dlib":
            backbone.net.load_state_dict(weights)
        train_features, test_features = (probed(backbone, split.images) for split in (of.data.train, test))
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        accuracy[name] = probe.fit(train_features, of.data.train.labels).score(test_features, test.labels)
    assert accuracy["dlib"] > accuracy["random"] + 0.15, accuracy
    assert accuracy["dlib"] > 0.5


def probed(backbone: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    """The features (N, 256) of grey images (N, H, W, 1)."""
    rows = []
    with torch.inference_mode():
        for block in np.array_split(images, len(images) // 50):
            shown = torch.from_numpy(block.astype(np.float32)).permute(0, 3, 1, 2) / 255
            rows.append(backbone((shown - sum(MEAN) / 3) / STD[0]).mean((2, 3)).float())
    return torch.cat(rows).numpy()
