"""dlib's face network: its odd sums, its file, and (with the real weights) what it says of an image."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from dlib_file import dat
from safetensors.torch import load_file

from benchmark.train.dlib import MEAN, STD, WIDTHS, DlibResNet, padded_sum, read_dat


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


@pytest.mark.realdata
def test_the_real_weights_say_of_an_image_what_they_said():
    """These weights in this code gave the features of dlib itself on three photographs to 7e-7; here they see a pattern."""
    file = Path(os.environ.get("BENCHMARK_DATA", "")) / "weights" / "dlib_face_resnet29.safetensors"
    if not file.is_file():
        pytest.skip("there is no weights/dlib_face_resnet29.safetensors below BENCHMARK_DATA")
    net = DlibResNet().eval()
    net.load_state_dict({name: tensor for name, tensor in load_file(file).items() if name != "fc.weight"})
    y, x = torch.meshgrid(torch.arange(150.0), torch.arange(150.0), indexing="ij")
    image = torch.stack([(127.5 + 127.5 * torch.sin(x * c / 20 + y / 30)).round() for c in (1, 2, 3)]) / 255
    with torch.no_grad():
        maps = net(((image - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None])[None])
    wanted = torch.tensor([1.4050905, 1.4899694, 1.1203880, 1.6254315, 1.7169087, 1.6259372])
    torch.testing.assert_close(maps.mean(dim=(2, 3))[0, :6], wanted, atol=1e-4, rtol=1e-4)
