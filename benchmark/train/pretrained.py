"""Pretrained weights from a file into a backbone, with an account of what fitted."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..contract.errors import BadInput, need_file


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
            content = torch.load(file, map_location="cpu", weights_only=True)
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
        if target.ndim == 4 and target.shape[1] == 1 and tensor.ndim == 4 and tensor.shape[1] == 3:
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
