"""Writes a network's weights as dlib writes them."""

from __future__ import annotations

import struct

import torch

from benchmark.train.dlib import DlibResNet


def number(value: int) -> bytes:
    """A whole number as dlib writes it."""
    content = abs(value).to_bytes(4, "little").rstrip(b"\0") or b"\0"
    return bytes([len(content) | (0x80 if value < 0 else 0)]) + content


def layer(kind: str, values: torch.Tensor) -> bytes:
    """A layer's beginning in dlib's file."""
    sizes = b"".join(map(number, (2, len(values), 1, 1, 1)))
    return number(len(kind)) + kind.encode() + sizes + struct.pack(f"<{len(values)}f", *values.tolist())


def dat(net: DlibResNet) -> bytes:
    """A file with the weights of a network, in the order in which dlib writes layers."""
    parts = [(net.conv1, net.bn1)]
    for block in net.blocks:
        parts += [(block.conv1, block.bn1), (block.conv2, block.bn2)]
    content = b"\x01\x01\x01\x0dloss_metric_2"
    for conv, affine in parts:
        for kind, module in (("con_4", conv), ("affine_", affine)):
            content += b"\x01\x02" + layer(kind, torch.cat([module.weight.flatten(), module.bias]).detach())
    return content
