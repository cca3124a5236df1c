"""Operations are those that a pencil counts; the peak is a product's operations over its time."""

from __future__ import annotations

import pytest
import torch
from diary import Diary, quick, setting
from torch import nn
from torch.nn import functional as F

from benchmark.bench import peak
from benchmark.bench.loops import Bare, Harness
from benchmark.bench.peak import Cost, Peak, step_cost


def counted(method: type[Diary], **changes: object) -> int:
    harness = Harness(setting(method, **changes), steps=2)
    harness.begin()
    return step_cost(Bare(harness)).flop


class Convolved(Diary):
    def __init__(self, task, config):
        super().__init__(task, config)
        self.conv = nn.Conv2d(3, 5, 3, padding=1)
        self.layer = nn.Linear(5, 7)

    def logits(self, images):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.low):
            return self.layer(self.conv(images).mean(dim=(2, 3))).float()

    low = False


class Low(Convolved):
    low = True


@pytest.mark.parametrize("method", [Convolved, Low])
def test_a_convolution_and_a_layer(method):
    conv = 2 * 8 * (16 * 16) * (3 * 3 * 3) * 5  # batch, positions, window, channels; images need no gradient
    layer = 2 * 8 * 5 * 7
    assert counted(method) == 2 * conv + 3 * layer


class Grouped(Convolved):
    def __init__(self, task, config):
        super().__init__(task, config)
        self.conv = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.Conv2d(6, 5, 1))


def test_a_channel_of_a_grouped_convolution_sees_its_group_alone():
    places = 8 * 16 * 16
    dense, depthwise, pointwise = 2 * places * 9 * 3 * 6, 2 * places * 9 * 6, 2 * places * 6 * 5
    assert counted(Grouped) == 2 * dense + 3 * depthwise + 3 * pointwise + 3 * (2 * 8 * 5 * 7)


class Attentive(Diary):
    def logits(self, images):
        x = images.flatten(2).transpose(1, 2)[:, None] * self.layer.weight.sum()  # (B, 1, 256, 3)
        return F.scaled_dot_product_attention(x, x, x).mean(dim=(1, 2)) @ self.layer.weight.T


def test_attention():
    tokens, width = 16 * 16, 3
    products = 2 * 8 * tokens * tokens * width  # each: of queries and keys, of weights and values
    forward, backward = 2 * products, 5 * products  # backward computes the weights again
    assert counted(Attentive) >= forward + backward
    assert counted(Attentive) == pytest.approx(forward + backward, rel=1e-3)  # the last layer is small


def test_the_peak_is_of_the_fastest_size(monkeypatch):
    spent = {64: 1.0, 128: 2.0, 256: 64.0}  # operations: 1, 8, 64

    def clock(work, device):
        work()
        return spent[made[-1]] if made else 1.0  # before any: the copy

    made = []
    take = Peak._take
    monkeypatch.setattr(Peak, "_take", lambda self, side: (made.append(side), take(self, side)))
    monkeypatch.setattr(peak, "seconds", clock)
    monkeypatch.setattr(peak, "SIDES", (64, 128, 256, 512))
    monkeypatch.setattr(peak, "LONG_ENOUGH", 3.0)
    monkeypatch.setattr(peak, "COPIED", 2**16)
    found = Peak(torch.device("cpu"), "bf16")
    assert found.side == 128
    assert made == [64, 128, 256, 128]
    spent[128] = 0.5
    assert found.gflops() == pytest.approx(2e-9 * 128**3 * 2 / 0.5)  # products of 2 s, repeated to last 3


def cost_of(work) -> Cost:
    class Once:
        method = nn.Module()
        gradients = staticmethod(work)

    return step_cost(Once)


def test_bytes_are_those_of_tensors_that_are_read_and_written_and_a_view_has_none():
    x, w = torch.zeros(4, 8), torch.zeros(8, 16)
    wide = torch.zeros(1, 8).expand(1000, 8)  # has 8 numbers, and shows 8,000
    assert cost_of(lambda: x + x).moved == 4 * (32 + 32)  # x is read once
    assert cost_of(lambda: x @ w).moved == 4 * (32 + 128 + 64)
    assert cost_of(lambda: x.add_(1.0)).moved == 4 * (32 + 32)
    assert cost_of(lambda: wide.sum()).moved == 4 * (8 + 1)
    assert cost_of(lambda: x.zero_()).moved == 4 * 32
    assert cost_of(lambda: x.copy_(x + 0)).moved == 4 * (64 + 64)
    assert cost_of(lambda: torch.mm(x, w, out=torch.empty(4, 16))).moved == 4 * (32 + 128 + 64)
    assert cost_of(lambda: torch.zeros_like(x)).moved == 4 * 32
    row = torch.tensor([3])
    assert cost_of(lambda: w.index_select(0, row)).moved == 4 * (16 + 16) + 8  # of which eight are the row's number
    assert cost_of(lambda: x.view(32).detach()[None]).moved == 0
    assert cost_of(lambda: torch.empty(1000)).moved == 0


def test_the_least_time_is_that_of_the_narrower_ceiling_of_each_operation():
    x, w = torch.zeros(4, 8), torch.zeros(8, 16)
    cost = cost_of(lambda: (x @ w).relu())
    product, relu = 2 * 4 * 8 * 16, 4 * (64 + 64)
    assert cost.flop == product
    assert cost.seconds(gflops=1e-9, gigabytes=1e-9) == pytest.approx(product + relu)
    assert cost.seconds(gflops=1.0, gigabytes=1e-9) == pytest.approx(cost.moved)


def test_the_peak_is_measured_in_the_precision_of_the_run(monkeypatch):
    quick(monkeypatch)
    assert Peak(torch.device("cpu"), "bf16")._a.dtype == torch.bfloat16
    assert Peak(torch.device("cpu"), "fp32")._a.dtype == torch.float32
