"""The images on the device: what is read is what lies there, shifted and mirrored as drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchmark.train.training_set import Augmentation, DeviceSet

MEAN, STD = np.array([0.4, 0.5, 0.6], np.float32), np.array([0.2, 0.25, 0.3], np.float32)
PIXELS = np.random.default_rng(0).integers(0, 256, (10, 8, 6, 3), dtype=np.uint8)
LABELS = np.arange(10)


def device_set(augmentation=Augmentation(), rows=None, pixels=PIXELS):  # noqa: B008 (frozen)
    return DeviceSet(pixels, LABELS, rows, mean=MEAN, std=STD, device=torch.device("cpu"), augmentation=augmentation)


def test_plain_images_are_normalised_and_channels_last():
    images = device_set().images(torch.tensor([3, 0]))
    wanted = (PIXELS[[3, 0]] / 255 - MEAN) / STD
    np.testing.assert_allclose(images.permute(0, 2, 3, 1).numpy(), wanted, rtol=1e-4, atol=1e-5)
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_rows_say_which_images_are_in_the_set():
    some = device_set(rows=np.array([7, 2]))
    assert len(some) == 2
    assert some.labels.tolist() == [7, 2]
    assert torch.equal(some.images(torch.tensor([1])), device_set().images(torch.tensor([2])))
    assert [b.index.tolist() for b in some.batches()] == [[0, 1]]


def test_each_view_is_some_shift_and_mirror_of_its_own_image():
    a = Augmentation(flip=0.5, shift=2)
    views = device_set(a)._augmented(torch.arange(10)).numpy()
    seen = set()
    for image, view in zip(PIXELS, views, strict=True):
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="edge")
        shifts = [(y, x, step) for y in range(5) for x in range(5) for step in (1, -1)]
        moved = {(y, x, step): padded[y : y + 8, x : x + 6][:, ::step] for y, x, step in shifts}
        found = [key for key, candidate in moved.items() if np.array_equal(candidate, view)]
        assert found, "the view is no shift of its image"
        seen.update(found)
    assert len(seen) > 5, "every image was changed in the same way"


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_nothing_is_mirrored_or_everything(flip):
    views = device_set(Augmentation(flip=flip))._augmented(torch.arange(10)).numpy()
    assert np.array_equal(views, PIXELS[:, :, ::-1] if flip else PIXELS)


def test_erasing_takes_one_rectangle_of_the_stated_area_and_fills_it_with_the_mean():
    white = np.full((400, 32, 32, 3), 255, np.uint8)
    labels = np.zeros(400, np.int64)
    erasing = Augmentation(erase=1.0)
    few = DeviceSet(white, labels, None, mean=MEAN, std=STD, device=torch.device("cpu"), augmentation=erasing)
    views = few._augmented(torch.arange(400)).numpy()
    gone = (views != 255).any(axis=-1)
    (filled,) = np.unique(views[gone], axis=0)
    np.testing.assert_allclose(filled, MEAN * 255, atol=1)
    shares = gone.mean(axis=(1, 2))
    assert 0.005 < shares.min() < 0.08
    assert 0.2 < shares.max() < 0.32
    for image in gone:
        rows, columns = image.any(axis=1), image.any(axis=0)
        assert image.sum() == rows.sum() * columns.sum(), "not a rectangle"


@pytest.mark.parametrize("colours", [1, 3])
def test_views_are_read_shifted_mirrored_erased_and_normalised_as_one_would_each_by_itself(colours: int) -> None:
    """Against plain indexing, `where` and arithmetic of a pixel, given the same random numbers."""
    pixels, index = PIXELS[..., :colours].copy(), torch.tensor([4, 9, 0, 4, 7, 2])
    mean, std = MEAN[:colours] + 0.001, STD[:colours]  # no colour that lies between two
    few = DeviceSet(
        pixels, LABELS, None, mean=mean, std=std, device=torch.device("cpu"), augmentation=Augmentation(0.5, 2, 0.7)
    )
    few.seed_augmentation(8)
    generator = torch.Generator().manual_seed(8)
    draw, erased = (torch.rand(n, 6, 1, generator=generator)[..., 0] for n in (3, 5))
    filling = torch.from_numpy(255 * mean).round().to(torch.uint8)
    wanted = []
    for k, image in enumerate(torch.from_numpy(pixels)[index]):
        y = (torch.arange(8) + int(5 * draw[0, k]) - 2).clamp(0, 7)
        x = (torch.arange(6) + int(5 * draw[1, k]) - 2).clamp(0, 5)
        view = image[y][:, 5 - x if draw[2, k] < 0.5 else x]
        area, ratio = (0.02 + 0.23 * erased[0, k]) * 48, (math.log(0.3) + math.log(11) * erased[1, k]).exp()
        h, w = (area * ratio).sqrt().clamp(max=7), (area / ratio).sqrt().clamp(max=5)
        top, left = erased[2, k] * (8 - h), erased[3, k] * (6 - w)
        tall, wide = ((torch.arange(n) >= at) & (torch.arange(n) < at + m) for n, at, m in ((8, top, h), (6, left, w)))
        gone = (tall[:, None] & wide & (erased[4, k] < 0.7))[..., None]
        wanted.append(torch.where(gone, filling, view).float() / 255)
    found = few.images(index, augmented=True)
    assert found.shape == (6, colours, 8, 6)
    torch.testing.assert_close(
        found.permute(0, 2, 3, 1), (torch.stack(wanted) - torch.from_numpy(mean)) / torch.from_numpy(std)
    )


def test_the_stream_of_views_is_the_seeds():
    few, index = device_set(Augmentation(flip=0.5, shift=2, erase=0.5)), torch.arange(10)
    few.seed_augmentation(5)
    first, second = few.images(index, augmented=True), few.images(index, augmented=True)
    few.seed_augmentation(5)
    assert torch.equal(few.images(index, augmented=True), first)
    assert not torch.equal(first, second)


def test_shift_and_mirror_are_those_of_the_draws():
    """Against a loop over images and pixels that is given the same random numbers."""
    few = device_set(Augmentation(flip=0.4, shift=2))
    few.seed_augmentation(3)
    draw = torch.rand(3, 10, 1, generator=torch.Generator().manual_seed(3)).numpy()[:, :, 0]
    down, right, mirror = np.floor(draw[0] * 5) - 2, np.floor(draw[1] * 5) - 2, draw[2] < 0.4
    assert 0 < mirror.sum() < 10
    wanted = np.empty_like(PIXELS)
    for i in range(10):
        for y in range(8):
            for x in range(6):
                row = min(max(y + int(down[i]), 0), 7)
                column = min(max(x + int(right[i]), 0), 5)
                wanted[i, y, x] = PIXELS[i, row, 5 - column if mirror[i] else column]
    assert np.array_equal(few._augmented(torch.arange(10)).numpy(), wanted)


def test_a_view_is_of_the_row_that_it_stands_for():
    some = device_set(Augmentation(flip=1.0), rows=np.array([7, 2]))
    assert torch.equal(some._augmented(some._rows), torch.from_numpy(PIXELS[[7, 2]][:, :, ::-1].copy()))


def test_a_set_that_may_know_no_labels_holds_none():
    test = DeviceSet(PIXELS, None, None, mean=MEAN, std=STD, device=torch.device("cpu"))
    assert not test.labels.any()
    held = [v for v in vars(test).values() if isinstance(v, torch.Tensor) and v.dtype == torch.int64]
    assert all(torch.equal(v, torch.arange(10)) or not v.any() for v in held)


def test_large_batches_cover_everything_once_in_order():
    pixels = np.zeros((2500, 16, 16, 1), np.uint8)
    one = np.ones(1, np.float32)
    many = DeviceSet(pixels, np.arange(2500), None, mean=one, std=one, device=torch.device("cpu"))
    sizes = [len(batch.index) for batch in many.batches()]
    assert sizes == [1024, 1024, 452]
    assert torch.cat([batch.labels for batch in many.batches()]).tolist() == list(range(2500))
