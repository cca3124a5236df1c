"""The loop of released code: what makes it what it is."""

from __future__ import annotations

import io

import pytest
import torch
from diary import Diary, setting
from PIL import Image
from torch import nn

from benchmark.bench.loops import Harness
from benchmark.bench.released import SIDE, Released, jpeg


class Filtered(Diary):
    def __init__(self, task, config):
        super().__init__(task, config)
        self.backbone = task.make_backbone()
        self.given = []

    def logits(self, images):
        self.given.append(images)
        return self.layer(images.mean(dim=(2, 3))) + self.backbone.pooled(images).mean()


def on_cores(cores: int, steps: int) -> Released:
    harness = Harness(setting(Filtered, precision="bf16"), steps)
    harness.begin()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("benchmark.bench.released.usable_cores", lambda: cores)
        return Released(harness)


@pytest.fixture(scope="module")
def released() -> Released:
    return on_cores(2, steps=2)


def test_full_precision_contiguous_memory_and_adam_as_it_comes(released):
    assert released.method.backbone.precision == "fp32"
    for conv in (m for m in released.method.modules() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)):
        assert conv.weight.is_contiguous()
    (adam,) = released._optimisers
    assert isinstance(adam, torch.optim.Adam)
    assert {group["fused"] for group in adam.param_groups} == {None}


def test_images_come_from_files_by_way_of_workers(released):
    assert Image.open(io.BytesIO(jpeg(0))).size == (SIDE, SIDE)
    assert released._loader.num_workers == 2
    before = released.method.layer.weight.clone()
    released.method.given.clear()
    assert released.step() > 0
    assert len(released.method.given) == 1 + 2  # the first is not timed
    for images in released.method.given:
        assert images.shape == (8, 3, 16, 16)
        assert images.is_contiguous()
        assert -1 <= images.min() < images.max() <= 1
    assert not torch.equal(before, released.method.layer.weight)


def test_files_differ_and_are_about_as_large_as_faces():
    files = [jpeg(k) for k in range(5)]
    assert len(set(files)) == 5
    assert all(2_000 < len(file) < 8_000 for file in files)


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 2), (16, 4)])
def test_it_has_the_codes_four_workers_where_there_are_cores_for_them(cores, workers):
    made = on_cores(cores, steps=7)
    assert made._loader.num_workers == workers
    assert made._steps % workers == 0
    assert len(made._loader) == 1 + made._steps + 2 * workers  # there is always more to decode
