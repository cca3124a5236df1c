"""SNGP: bounded norms, a posterior that knows its distance, and logits that shrink with it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from stubs import Identity, Labels, batch, task, wave
from torch import Tensor, nn

from benchmark.contract import Batch, Task
from benchmark.methods._spectral import bound_norms
from benchmark.methods.sngp import SNGP, normal_directions, posterior_root

# The head of wide_resnet_sngp at uncertainty-baselines 0dbf6f6: a Dense of 16 to 8 without bias, then
# RandomFeatureGaussianProcess of edward2/tensorflow/layers/random_feature.py at 807bd74, the last commit before it, with 24
# random features, 7 outputs, ridge 1 and momentum -1, in float64 (tensorflow 2.21, tf_keras 2.21; its float32 constants
# sqrt(2 / M) and 1 were made float64). All weights and inputs are the waves of the test. It was applied to the ten training
# inputs in parts of 7 and 3 in training mode, then to the four test inputs; then mean_field_logits of layers/utils.py, for
# pi / 8 and for 25. The formulas of the module's docstring in numpy, with Keras' 1e-3 in the layernorm, agree to 4e-16.
GOLDEN_GP = {
    "variance": [0.098418880015, 0.099933938216, 0.266247777047, 0.119688184246],
    "logits": [
        -0.186352064505,
        0.786696443199,
        -1.26820524982,
        1.558143473314,
        -1.612714074871,
        1.423673813136,
        -1.019578438986,
    ],
    math.pi / 8: [
        -0.182799689073,
        0.771699876756,
        -1.244029820458,
        1.528441035573,
        -1.581971373558,
        1.39653473158,
        -1.000142510508,
    ],
    25.0: [
        -0.099632878036,
        0.42060618424,
        -0.678044213332,
        0.833059290499,
        -0.86223538846,
        0.761165269428,
        -0.545116226802,
    ],
}
# SpectralNormalization of edward2/jax/nn/normalization.py at ee02560 with norm_multiplier 3 and one iteration, in float64, on
# a Dense of 8 to 5 and on a 3x3 Conv of 3 to 4 (its default, the reshaped matrix); kernel and u are the waves of the test.
# The second step is of the kernel that the first one gave. Of each: the new kernel's Frobenius norm and first entry, and u.
GOLDEN_NORMS = {
    (5, 8): [
        (
            3.0488675420066413,
            0.4697971334897123,
            [0.433596814016, 0.447192877236, 0.454011535405, 0.453949448754, 0.447007558235],
        ),
        (3.043838224077092, 0.46902217061770907, [0.439762504328, 0.45031206658, 0.454036951093, 0.4508807056, 0.440891164393]),
    ],
    (4, 3, 3, 3): [
        (4.127379838080324, 0.38938135780908684, [0.453687309687, -0.630944338795, 0.002216663439, 0.629342635433]),
        (3.8746353699527627, 0.3655371786835673, [0.544082025926, -0.515386602859, -0.171677068006, 0.639435988179]),
    ],
}


class Images(Labels):
    """A training set whose images are there."""

    def __init__(self, images: Tensor):
        super().__init__(torch.zeros(len(images), dtype=torch.long))
        self.all = images

    def batches(self, index=None, *, augmented=False):
        assert not augmented
        for part in torch.arange(len(self.all)).split(7):
            yield Batch(self.all[part], self.labels[part], part, self)


class Convolutions(Identity):
    """A backbone with a convolution and a linear layer whose norms are far too large."""

    def __init__(self):
        super().__init__((8, 1, 1))
        self.conv, self.linear, self.norm = nn.Conv2d(8, 16, 1), nn.Linear(16, 8), nn.BatchNorm2d(8)
        self.conv.weight.data *= 100
        self.linear.weight.data *= 0.01

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.linear(self.conv(images).mean(dim=(2, 3)))[:, :, None, None])


def sngp(make=None, **options) -> SNGP:
    plain = task((8, 1, 1), 10)
    return SNGP(Task(7, 10, (8, 1, 1), 12, 64, make or plain.make_backbone), SNGP.Config(**{"hidden": 64, **options})).train()


@torch.no_grad()
def step(method: SNGP) -> None:
    """As the harness does."""
    method.after_step()


def close(found, wanted) -> None:
    torch.testing.assert_close(found.detach(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("mean_field", [math.pi / 8, 25.0])
def test_posterior_and_prediction_equal_the_released_code(mean_field):
    method = SNGP(task((16, 1, 1), 10), SNGP.Config(projected=8, hidden=24, mean_field=mean_field)).double().eval()
    method.projection.copy_(wave(8, 16, f=0.57, a=0.3))
    method.norm.weight.data, method.norm.bias.data = 1 + wave(8, f=0.83, a=0.2), wave(8, f=0.29, a=0.1)
    method.frequencies.copy_(wave(24, 8, f=0.7, a=0.4))
    method.phases.copy_(wave(24, f=0.45, a=3.0))
    method.beta.weight.data = wave(7, 24, f=0.9, a=0.5)
    test = wave(4, 16, f=0.91)[:, :, None, None]
    close(method.predict(test).logits[1], GOLDEN_GP["logits"])  # before the end, the variance is 0
    method.end_training(Images(wave(10, 16, f=0.37)[:, :, None, None]), None)
    phi = method.phi(test)
    close((phi @ method.root.mT).square().sum(dim=1), GOLDEN_GP["variance"])
    close(method.predict(test).logits[1], GOLDEN_GP[mean_field])


@pytest.mark.parametrize("shape", [(5, 8), (4, 3, 3, 3)])
def test_the_bound_equals_the_released_code(shape):
    weight, left = wave(*shape, f=0.77, a=2.0), wave(shape[0], f=0.31)
    for norm, first, u in GOLDEN_NORMS[shape]:
        bound_norms([weight], [left], 3.0)
        close(weight.norm(), norm)
        close(weight.flatten()[0], first)
        close(left, u)


def test_after_enough_steps_no_norm_is_over_the_bound_and_small_ones_are_as_they_were():
    method = sngp(Convolutions)
    small = method.backbone.linear.weight.clone()
    assert torch.linalg.matrix_norm(method.backbone.conv.weight.flatten(1), 2) > 60
    for _ in range(60):
        step(method)
    norm = torch.linalg.matrix_norm(method.backbone.conv.weight.flatten(1), 2)
    torch.testing.assert_close(norm, torch.tensor(6.0), rtol=1e-3, atol=0)
    assert torch.equal(method.backbone.linear.weight, small)
    assert torch.equal(method.backbone.norm.weight, torch.ones(8))
    assert "largest_norm" in method.logged


def test_a_weight_of_nothing_but_zeros_stays_one():
    weight, left = torch.zeros(3, 4), torch.randn(3)
    bound_norms([weight], [left], 6.0)
    assert torch.equal(weight, torch.zeros(3, 4))
    torch.testing.assert_close(left.norm(), torch.tensor(1.0))  # and may be estimated once it is something else


def test_a_backbone_without_layers_has_nothing_to_bound():
    method = sngp()
    step(method)
    assert "largest_norm" not in method.logged


def test_estimates_of_the_norms_outlive_a_checkpoint():
    method = sngp(Convolutions)
    before = method.left.clone()
    step(method)
    assert not torch.equal(method.left, before)
    assert torch.equal(method.state_dict()["left"], method.left)


@pytest.mark.parametrize("length", [6.0, 20.0])
def test_random_features_have_the_radial_kernel(length):
    """phi phi' is exp(-|x - x'|^2 / (2 l^2)), x the projected features, normalised to a length of sqrt(128)."""
    options = {} if length == 20 else {"length_scale": length}
    method, images = SNGP(task((16, 1, 1), 10), SNGP.Config(hidden=2048, **options)), wave(5, 16, f=0.37).float()
    x = images @ method.projection.T
    x = (x - x.mean(dim=1, keepdim=True)) / x.std(dim=1, correction=0, keepdim=True)
    kernel = (-torch.cdist(x, x).square() / (2 * length**2)).exp()
    assert kernel.min() < (0.1 if length == 6 else 0.8)
    phi = method.phi(images[:, :, None, None])
    torch.testing.assert_close(phi @ phi.T, kernel, rtol=0, atol=0.08)


def test_frequencies_are_at_right_angles_in_blocks_and_as_long_as_normal_vectors():
    frequencies = normal_directions(300, 128)
    for block in frequencies.split(128):
        gram = nn.functional.normalize(block) @ nn.functional.normalize(block).T
        torch.testing.assert_close(gram, torch.eye(len(block)), rtol=0, atol=1e-5)
    lengths = frequencies.square().sum(dim=1)
    assert 120 < lengths.mean() < 136
    assert 12 < lengths.std() < 20  # 16, of a chi square


def test_the_head_has_its_own_rate_and_does_not_decay():
    method = sngp(Convolutions)
    rest, head = method.param_groups(0.1)
    assert {id(p) for p in rest["params"]} == {id(p) for p in method.backbone.parameters()}
    assert "weight_decay" not in rest
    assert "lr" not in rest
    assert {id(p) for p in head["params"]} == {id(p) for p in (method.beta.weight, method.norm.weight, method.norm.bias)}
    assert head["weight_decay"] == 0
    assert head["lr"] == 0.1 * 10
    assert sngp(**SNGP.own_options).param_groups(0.1)[1]["lr"] == 0.1


def test_the_posterior_is_the_inverse_by_definition():
    phi = wave(30, 12, f=0.37)
    covariance = 0.5 * np.linalg.inv(0.5 * np.eye(12) + phi.numpy().T @ phi.numpy())
    root = posterior_root(phi.T @ phi, 0.5)
    np.testing.assert_allclose(root.T @ root, covariance, rtol=1e-9, atol=1e-12)


def test_what_is_far_from_the_training_images_is_flattened_and_nothing_changes_its_class():
    method, near = sngp(hidden=256, mean_field=25.0).eval(), torch.randn(1, 8, 1, 1) + 0.01 * torch.randn(40, 8, 1, 1)
    images = torch.cat([near[:1], -near[:1]])
    before = method.predict(images)
    method.end_training(Images(near), None)
    after = method.predict(images)
    shrunk = after.logits.norm(dim=1) / before.logits.norm(dim=1)
    assert shrunk[0] > 0.6
    assert shrunk[1] < 0.3  # v is at most |phi|^2, which is 1 on average: not below 1 / sqrt(26)
    assert torch.equal(after.logits.argmax(dim=1), before.logits.argmax(dim=1))
    assert after.uncertainty[1] > 0.99 * math.log(7)


def test_what_is_drawn_is_kept_and_not_trained():
    method = sngp()
    assert {name for name, _ in method.named_parameters()} == {"beta.weight", "norm.weight", "norm.bias"}
    assert {"projection", "frequencies", "phases", "left", "root"} <= method.state_dict().keys()


def test_the_defaults_are_uncertainty_baselines_but_for_the_heads_rate():
    assert SNGP.Config() == SNGP.Config(
        bound=6.0, projected=128, hidden=1024, length_scale=20.0, ridge=1.0, mean_field=25.0, head_lr=10.0
    )


def test_training_is_cross_entropy_of_the_posteriors_mode():
    method, images = sngp(mean_field=25.0), torch.randn(10, 8, 1, 1)
    labels = torch.arange(10) % 7
    wanted = nn.functional.cross_entropy(method.beta(method.phi(images)), labels)
    torch.testing.assert_close(method.training_step(batch(images, labels)), wanted)
    method.end_training(Images(images), None)
    assert method.root.norm() > 0
    torch.testing.assert_close(method.training_step(batch(images, labels)), wanted)


def test_one_image_is_enough():
    logits, uncertainty = sngp().eval().predict(torch.randn(1, 8, 1, 1))
    assert logits.shape == (1, 7)
    assert uncertainty.shape == (1,)
    assert logits.dtype == uncertainty.dtype == torch.float32
