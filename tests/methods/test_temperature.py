"""Temperature scaling: the best temperature, on which images it is fitted, and that only the confidence changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stubs import Labels, batch, task, wave
from torch import Tensor, nn

from benchmark.contract import Batch
from benchmark.methods.temperature import Temperature, best_temperature


class Images(Labels):
    """A training set whose images are there."""

    def __init__(self, images: Tensor, labels: Tensor):
        super().__init__(labels)
        self.all = images

    def batches(self, index=None, *, augmented=False):
        assert not augmented
        for part in (torch.arange(len(self)) if index is None else index).split(7):
            yield Batch(self.all[part], self.labels[part], part, self)


def case(scale: float, wrong: int = 3) -> tuple[Tensor, Tensor]:
    """Logits (40, 7), and their argmax as labels, of which every third is another."""
    logits = wave(40, 7, f=0.37, a=scale)
    labels = logits.argmax(dim=1)
    labels[::wrong] = (labels[::wrong] + 2) % 7
    return logits, labels


def slope(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """The derivative of the mean cross-entropy by 1/T, from its definition: mean of E_p[z] - z_y."""
    p = np.exp(logits / temperature)
    p /= p.sum(axis=1, keepdims=True)
    return float(((p * logits).sum(axis=1) - logits[np.arange(len(labels)), labels]).mean())


@pytest.mark.parametrize("scale", [0.8, 2.0, 4.0])
def test_the_temperature_is_where_the_losss_slope_is_zero(scale):
    """The root by bisection, in float64 numpy."""
    logits, labels = (t.numpy() for t in case(scale))
    low, high = 0.1, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(logits, labels, middle) > 0 else (low, middle)
    np.testing.assert_allclose(best_temperature(*case(scale)), low, rtol=1e-6)


@pytest.mark.parametrize(("scale", "released"), [(0.8, 0.3677743060267988), (4.0, 1.8378142198220981)])
def test_the_released_code_comes_to_it_too_if_it_is_called_often_enough(scale, released):
    """ModelWithTemperature of gpleiss/temperature_scaling at ce1154e, in float64, without `.cuda()`.

    The number is what `set_temperature` gives when it is called 400 times over. Called once, as is meant, it stops at 1.2884
    and 1.7706, and the first of these is worse than 1.
    """
    np.testing.assert_allclose(best_temperature(*case(scale)), released, rtol=1e-3)


def test_logits_times_a_number_have_a_temperature_times_that_number():
    logits, labels = case(0.8)
    torch.testing.assert_close(best_temperature(3 * logits, labels), 3 * best_temperature(logits, labels), rtol=1e-5, atol=0)


def test_labels_that_are_all_right_or_all_wrong_end_at_a_bound():
    logits = wave(40, 7, f=0.37, a=2.0)
    torch.testing.assert_close(best_temperature(logits, logits.argmax(dim=1)), torch.tensor(0.1).double())
    torch.testing.assert_close(best_temperature(logits, logits.argmin(dim=1)), torch.tensor(10.0).double())


def test_more_wrong_labels_make_a_larger_temperature():
    """What noise does: see the deviations."""
    found = [best_temperature(*case(2.0, wrong)) for wrong in (10, 5, 3, 2)]
    assert found == sorted(found)
    assert found[-1] > 2 * found[0]


def temperature(samples: int = 40, **options) -> Temperature:
    return Temperature(task((7, 1, 1), samples), Temperature.Config(**options)).eval()


def started(samples: int = 40, **options) -> tuple[Temperature, Images]:
    """A classifier that hands its images on as logits, at the beginning of its training."""
    method = temperature(samples, **options)
    method.classifier.weight.data, method.classifier.bias.data = torch.eye(7), torch.zeros(7)
    logits, labels = case(2.0)
    training_set = Images(logits.float()[:samples, :, None, None], labels[:samples])
    method.begin_stage(0, training_set)
    return method, training_set


@pytest.mark.parametrize(
    ("samples", "share", "count"), [(40, 0.1, 4), (40, 0.25, 10), (40, 0.0, 0), (12, 1.0, 10), (3, 0.1, 0)]
)
def test_a_share_of_the_training_images_is_held_out_all_along(samples, share, count):
    method, training_set = started(samples, held_out=share)
    assert method.held_out.sum() == count
    trained_on = [method.begin_epoch(epoch, training_set) for epoch in range(3)]
    assert all(torch.equal(index, (~method.held_out).nonzero()[:, 0]) for index in trained_on)
    assert torch.equal(method.state_dict()["held_out"], method.held_out)


def test_by_default_a_tenth_is_held_out():
    method, _ = started()
    assert method.held_out.sum() == 4


def test_until_the_end_the_temperature_is_one():
    method, training_set = started()
    torch.testing.assert_close(method.predict(training_set.all).logits, training_set.all[:, :, 0, 0])


@pytest.mark.parametrize("validation", [False, True])
def test_the_temperature_is_fitted_to_what_was_not_trained_on(validation):
    method, training_set = started(held_out=0.5)
    other = Images(0.3 * training_set.all, training_set.labels)
    method.end_training(training_set, other if validation else None)
    logits, labels = training_set.all[method.held_out, :, 0, 0], training_set.labels[method.held_out]
    if validation:
        logits, labels = torch.cat([logits, other.all[:, :, 0, 0]]), torch.cat([labels, other.labels])
    torch.testing.assert_close(method.T, best_temperature(logits, labels))
    assert method.T != 1
    assert "temperature" in method.logged
    found = method.predict(training_set.all)
    torch.testing.assert_close(found.logits, training_set.all[:, :, 0, 0] / method.T)
    torch.testing.assert_close(found.uncertainty, 1 - found.logits.softmax(dim=1).amax(dim=1))
    assert torch.equal(method.state_dict()["T"], method.T)


def test_with_a_runs_own_held_out_images_none_need_be_kept_from_training():
    method, training_set = started(held_out=0.0)
    method.end_training(training_set, training_set)
    torch.testing.assert_close(method.T, best_temperature(training_set.all[:, :, 0, 0], training_set.labels))


def test_nothing_to_fit_a_temperature_on_is_told():
    method, training_set = started(held_out=0.0)
    with pytest.raises(ValueError, match="held_out"):
        method.end_training(training_set, None)


def test_fitting_leaves_the_network_without_gradients():
    method, training_set = started()
    with torch.enable_grad():
        method.end_training(training_set, None)
    assert all(p.grad is None for p in method.parameters())
    assert not method.T.requires_grad


def test_training_is_cross_entropy():
    method, training_set = started()
    step = batch(training_set.all, training_set.labels)
    wanted = nn.functional.cross_entropy(training_set.all[:, :, 0, 0], training_set.labels)
    torch.testing.assert_close(method.training_step(step), wanted)
