"""Weights from files: only data, and an account of what fitted."""

from __future__ import annotations

import dataclasses
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from benchmark.contract import BadInput
from benchmark.train.backbones import Input, build_backbone, own_input
from benchmark.train.pretrained import Weights, colour_statistics, fill, input_of, load_weights, read_weights


def small(channels: int = 1):
    return build_backbone("small", (channels, 48, 48), "fp32").named_as_published


def plain(net):
    return {name: tensor.contiguous() for name, tensor in net.state_dict().items()}


def test_safetensors_and_torch_files_fill_the_same(tmp_path: Path):
    source = plain(small())
    save_file(source, tmp_path / "w.safetensors")
    torch.save(source, tmp_path / "w.pth")
    torch.save({"state_dict": {f"module.{k}": v for k, v in source.items()}}, tmp_path / "parallel.pth")
    for name in ("w.safetensors", "w.pth", "parallel.pth"):
        net = small()
        match = fill(net, read_weights(tmp_path / name), name)
        assert match.filled == match.wanted == len(source)
        assert all(torch.equal(net.state_dict()[k], v) for k, v in source.items())
        assert str(match) == f"{name}: {len(source)} of the backbone's {len(source)} tensors filled"


def test_a_colour_network_sees_grey_images_as_if_shown_thrice():
    colour, grey = small(3), small(1)
    fill(grey, plain(colour), "w")
    images = torch.randn(2, 1, 48, 48)
    torch.testing.assert_close(grey.eval()(images), colour.eval()(images.expand(-1, 3, -1, -1)), atol=1e-4, rtol=1e-4)


def test_weights_of_another_network_are_refused():
    with pytest.raises(BadInput, match="its 1 tensors fill 0% of the backbone's parameters"):
        fill(small(), {"conv1.weight": torch.zeros(64, 3, 7, 7)}, "w")


def test_a_match_of_more_than_half_is_reported_and_one_of_less_is_refused():
    weights = plain(small())
    most = dict(list(weights.items())[6:])
    assert fill(small(), most, "w").share == f"{len(most)} of the backbone's {len(weights)} tensors"
    with pytest.raises(BadInput, match="its 6 tensors fill"):
        fill(small(), dict(list(weights.items())[:6]), "w")


def test_norm_layers_alone_are_no_match():
    weights = {name: tensor for name, tensor in plain(small()).items() if tensor.ndim < 2}
    with pytest.raises(BadInput, match="wanted half at least"):
        fill(small(), weights, "w")


@pytest.mark.parametrize("kind", [torch.float16, torch.float8_e4m3fn, torch.float64])
def test_weights_of_any_precision_fit(kind):
    assert fill(small(), {name: t.to(kind) if t.is_floating_point() else t for name, t in plain(small()).items()}, "w").filled


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_weights_that_are_not_finite_are_refused(value):
    weights = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in plain(small()).items()}
    name = next(name for name, tensor in weights.items() if tensor.is_floating_point())
    weights[name] = weights[name].clone()
    weights[name].view(-1)[0] = value
    with pytest.raises(BadInput, match=f"{name} are finite"):
        fill(small(), weights, "w")


def test_whole_numbers_do_not_pass_for_weights():
    with pytest.raises(BadInput, match="fill 0%"):
        fill(small(), {name: tensor.long() for name, tensor in plain(small()).items()}, "w")


class Exploit:
    def __reduce__(self):
        return (print, ("executed",))


def test_what_holds_more_than_weights_is_not_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    torch.save({"state_dict": {"w": torch.zeros(1)}, "more": Exploit()}, tmp_path / "w.pth")
    with pytest.raises(BadInput, match="more than weights"):
        read_weights(tmp_path / "w.pth")
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x80\x04."])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_files_that_cannot_be_read_are_bad_input(tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput) as error:
        read_weights(tmp_path / name)
    assert "\n" not in str(error.value)


def test_what_torch_finds_odd_in_a_file_is_not_told(tmp_path: Path):
    torch.save({"w": torch.zeros(500)}, tmp_path / "w.pth", pickle_protocol=3)
    with warnings.catch_warnings(action="error"):
        assert read_weights(tmp_path / "w.pth").keys() == {"w"}


def test_a_file_without_tensors_is_bad_input(tmp_path: Path):
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(BadInput, match="no tensors"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_file_that_was_cut_short_or_is_not_there_is_bad_input(tmp_path: Path, name: str):
    with pytest.raises(BadInput, match="there is no such file"):
        read_weights(tmp_path / name)
    save = save_file if name.endswith("safetensors") else torch.save
    save({"w": torch.zeros(500)}, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 9):
        (tmp_path / name).write_bytes(whole[:length])
        with pytest.raises(BadInput) as error:
            read_weights(tmp_path / name)
        assert "\n" not in str(error.value)


def test_a_checkpoint_that_is_larger_unpacked_is_refused(tmp_path: Path):
    torch.save({"w": torch.zeros(1000)}, tmp_path / "w.pth")
    with zipfile.ZipFile(tmp_path / "w.pth") as saved, zipfile.ZipFile(tmp_path / "p.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in saved.namelist():
            packed.writestr(name, saved.read(name))
    assert read_weights(tmp_path / "w.pth")
    with pytest.raises(BadInput, match=r"p.pth: its parts are compressed"):
        read_weights(tmp_path / "p.pth")


def test_a_tensor_that_only_claims_its_size_is_no_weight():
    """One number, seen ten thousand times a million times: torch stores it in two kilobytes."""
    huge = torch.zeros(1).expand(10**6, 3, 10**4, 10**4)
    with pytest.raises(BadInput, match="wanted half at least"):
        fill(small(), dict.fromkeys(plain(small()), huge), "w")


def test_a_tensor_of_another_shape_is_left_as_it_was():
    net = small()
    before = net.stem[0].weight.clone()
    odd = {"stem.0.weight": torch.zeros(24, 1, 5, 5), "stem.1.weight": torch.full((24,), 3.0)}
    fill(net, {**plain(small()), **odd}, "w")
    assert torch.equal(net.stem[0].weight, before)
    assert net.stem[1].weight.unique().tolist() == [3.0]


# Weights by name


def test_dlibs_weights_come_from_their_package_and_fit_their_backbone_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from dlib_file import dat

    from benchmark.train.dlib import DlibResNet

    with pytest.raises(BadInput, match="are of the backbone dlib-resnet29; got --backbone small"):
        load_weights("dlib-face", "small")
    monkeypatch.setattr("benchmark.train.pretrained.find_spec", lambda _: None)
    with pytest.raises(BadInput, match="pip install face_recognition_models"):
        load_weights("dlib-face", "dlib-resnet29")
    net = DlibResNet()
    file = tmp_path / "models" / "dlib_face_recognition_resnet_model_v1.dat"
    file.parent.mkdir()
    file.write_bytes(dat(net))
    place = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr("benchmark.train.pretrained.find_spec", lambda _: place)
    weights = load_weights("dlib-face", "dlib-resnet29")
    backbone = build_backbone("dlib-resnet29", (1, 48, 48), "fp32", side=150)
    assert fill(backbone.named_as_published, weights.tensors, weights.name).filled == len(net.state_dict())
    assert load_weights("dlib-face", "dlib-resnet29").sha256 == weights.sha256
    file.write_bytes(b"nonsense")
    with pytest.raises(BadInput, match="cannot be read"):
        load_weights("dlib-face", "dlib-resnet29")


def test_there_are_no_imagenet_weights_for_our_own_network():
    with pytest.raises(BadInput, match="there are none for the backbone small"):
        load_weights("imagenet", "small")


def test_imagenet_weights_bring_their_colours_and_their_size(monkeypatch: pytest.MonkeyPatch):
    import timm

    real = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained=False, **more: real(name, **more))
    weights = load_weights("imagenet", "mobilenetv3_small_050")
    assert weights.input == Input((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 224)
    backbone = build_backbone("mobilenetv3_small_050", (3, 48, 48), "fp32", side=224)
    match = fill(backbone.named_as_published, weights.tensors, weights.name)
    assert match.filled == match.wanted


def test_torchvisions_weights_are_read_as_data_and_verified(monkeypatch: pytest.MonkeyPatch):
    """torch.hub would unpickle whatever lies in its cache."""
    from torchvision import models

    asked: dict[str, object] = {}

    def from_url(url: str, **how: object) -> dict[str, torch.Tensor]:
        asked.update(how)
        return dict(models.resnet18().state_dict())

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", from_url)
    assert load_weights("imagenet", "torchvision/resnet18").tensors
    assert (asked["weights_only"], asked["check_hash"]) == (True, True)


def test_weights_that_cannot_be_fetched_end_in_one_line(monkeypatch: pytest.MonkeyPatch):
    import timm

    def offline(name, pretrained):
        raise OSError("no\nnetwork")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(BadInput, match="none could be had for resnet18: no"):
        load_weights("imagenet", "resnet18")


def test_images_are_shown_as_the_weights_were_shown_them_or_as_the_backbone_wants():
    shown = Input((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), 224)
    assert input_of("resnet18", Weights("w", {}, "", shown)) == shown
    assert input_of("resnet18", None) == Input()
    assert input_of("dlib-resnet29", None) == input_of("dlib-resnet29", Weights("w", {}, "")) == own_input("dlib-resnet29")
    assert input_of("resnet18@96", Weights("w", {}, "", shown)) == Input(shown.mean, shown.std, 96)
    assert input_of("resnet18@96", None) == Input(side=96)
    assert input_of("dlib-resnet29@96", None) == dataclasses.replace(own_input("dlib-resnet29"), side=96)
    mean, std = colour_statistics(shown, 1)
    assert (mean.shape, round(float(mean[0]), 6), round(float(std[0]), 6)) == ((1,), 0.2, 0.5)
    assert colour_statistics(shown, 3)[0].tolist() == pytest.approx([0.1, 0.2, 0.3])
