"""Forward correction: the released loss and estimate, what the loss is minimal for, and the two stages.

The golden loss is of robust("forward", T) in loss.py of giorgiop/loss-correction at 15a79de on softmax(wave(6, 7, f=0.37,
a=3)) with LABELS, the golden estimates of NoiseEstimator in its models.py on softmax(2 wave(120, 5, f=0.71)). Both were run
as they are, in float64 on CPU, with a stand-in for keras.backend of the same functions in torch, and numpy's new name for
`interpolation`. No row's image is among the surest 3 % of an earlier class there, so the code loses no entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from stubs import Identity, Labels, task, wave
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import Batch, NoOptions, Prediction
from benchmark.methods.forward import Forward, ForwardOracle, estimate_transition, forward_loss, wrong_label_probability

LABELS = torch.tensor([0, 3, 6, 1, 2, 5])
GOLDEN_LARGEST = [
    [0.697528304264, 0.198615668829, 0.051950361758, 0.023864875749, 0.028040789400],
    [0.288996490379, 0.410101945440, 0.222455058973, 0.061990630659, 0.016455874549],
    [0.069452461427, 0.235361101072, 0.384742027182, 0.239245859002, 0.071198551317],
    [0.016180102843, 0.060626974024, 0.219042199196, 0.410171582502, 0.293979141434],
    [0.031161484409, 0.024962854123, 0.051617859497, 0.193936234181, 0.698321567791],
]
GOLDEN_PERCENTILE = [
    [0.694548779677, 0.205815354954, 0.052747167083, 0.022574480966, 0.024314217321],
    [0.353165650431, 0.404271806315, 0.181741889962, 0.047219961074, 0.013600692218],
    [0.054157943182, 0.197594181839, 0.378708762498, 0.278429435639, 0.091109676842],
    [0.013881155126, 0.048750798899, 0.186381097493, 0.405710433605, 0.345276514877],
    [0.026838341346, 0.023444585465, 0.052149011580, 0.200710931119, 0.696857130490],
]


def logits() -> Tensor:
    return wave(6, 7, f=0.37, a=3.0).requires_grad_()


def asymmetric() -> Tensor:
    """A transition matrix (7, 7), different from its transpose."""
    T = (wave(7, 7, f=0.53) + 0.1 + 3 * torch.eye(7)).abs()
    return T / T.sum(dim=1, keepdim=True)


class Images(Labels):
    """A training set of images that are features."""

    def __init__(self, features: Tensor, labels: Tensor):
        super().__init__(labels)
        self.features = features

    def batches(self) -> Iterator[Batch]:
        for index in torch.arange(len(self)).split(64):
            yield Batch(self.features[index], self.labels[index], index, self)


def two_stages(**options) -> tuple[Forward, Images, Batch]:
    """Forward on 100 images of 5 classes, whose backbone has a weight, so that a new one can be told from the old."""

    class Scaled(Identity):
        def __init__(self):
            super().__init__((5, 1, 1))
            self.scale = nn.Parameter(torch.rand(()))

        def forward(self, images: Tensor) -> Tensor:
            return self.scale * images

    features = 2 * wave(100, 5, f=0.71).float()[:, :, None, None]
    images = Images(features, torch.arange(100) % 5)
    method = Forward(replace(task((5, 1, 1), 100, classes=5), make_backbone=Scaled), Forward.Config(**options))
    return method.eval(), images, next(images.batches())


def test_the_loss_equals_the_released_code():
    z = logits()
    loss = forward_loss(z, LABELS, asymmetric())
    (gradient,) = torch.autograd.grad(loss, z)
    assert loss.item() == pytest.approx(1.930496739059, rel=1e-10)
    assert gradient.norm().item() == pytest.approx(0.121982529581, rel=1e-10)
    assert gradient[[0, 3, 5], [0, 1, 6]].tolist() == pytest.approx(
        [-0.020353984769, -0.045383635966, 0.002022168673], rel=1e-9
    )


@pytest.mark.parametrize(("anchor", "golden"), [("largest", GOLDEN_LARGEST), ("percentile", GOLDEN_PERCENTILE)])
def test_the_estimate_equals_the_released_code(anchor: str, golden: list[list[float]]) -> None:
    found = estimate_transition((2 * wave(120, 5, f=0.71)).softmax(dim=1), anchor)
    torch.testing.assert_close(found, torch.tensor(golden, dtype=torch.float64), rtol=1e-10, atol=1e-11)


def test_an_estimate_from_perfect_noisy_predictions_with_sure_images_is_the_matrix_itself():
    T = asymmetric()
    clean = torch.cat([torch.eye(7, dtype=torch.float64), wave(200, 7, f=0.7).softmax(dim=1)])
    torch.testing.assert_close(estimate_transition(clean @ T, "largest"), T)


def test_of_a_rare_class_the_percentile_finds_another_classs_image():
    """Two of 100 images are of class 1: the default keeps that row right, the percentile does not."""
    probability = torch.tensor([[0.9, 0.1]]).repeat(100, 1)
    probability[:2] = torch.tensor([0.2, 0.8])
    torch.testing.assert_close(estimate_transition(probability, "largest")[1], torch.tensor([0.2, 0.8]))
    torch.testing.assert_close(estimate_transition(probability, "percentile")[1], torch.tensor([0.9, 0.1]))
    assert Forward.Config().anchor == "largest"


def test_with_its_papers_recipe_both_stages_are_whole_and_the_anchor_is_cifar10s():
    assert Forward.Config(**Forward.own_options) == Forward.Config(first_stage=1.0, anchor="percentile")


def test_a_handful_of_images_has_a_percentile_too():
    assert estimate_transition(torch.eye(2), "percentile").shape == (2, 2)


def test_without_noise_it_is_cross_entropy():
    found = forward_loss(logits(), LABELS, torch.eye(7).double())
    torch.testing.assert_close(found, F.cross_entropy(logits(), LABELS), rtol=2e-6, atol=0)  # T's least entry is 1e-7


def test_noisy_labels_are_predicted_best_by_the_true_posterior():
    T, posterior = asymmetric(), wave(1, 7, f=0.9).softmax(dim=1)[0]
    z = posterior.log().requires_grad_()
    expected = sum((posterior @ T)[y] * forward_loss(z[None], torch.tensor([y]), T) for y in range(7))
    assert torch.autograd.grad(expected, z)[0].abs().max() < 1e-12


def test_labels_that_cannot_be_have_finite_losses_and_gradients():
    z = torch.tensor([[500.0, 0.0, 0.0]], requires_grad=True)
    loss = forward_loss(z, torch.tensor([2]), torch.eye(3))
    assert loss.isfinite()
    assert torch.autograd.grad(loss, z)[0].isfinite().all()


def test_the_noise_score_is_bayes_rule():
    p, T, y = logits().detach().softmax(dim=1).numpy(), asymmetric().numpy(), LABELS.numpy()
    wanted = [1 - T[y[i], y[i]] * p[i, y[i]] / sum(T[k, y[i]] * p[i, k] for k in range(7)) for i in range(6)]
    found = wrong_label_probability(logits(), LABELS, asymmetric())
    np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=1e-10)


def test_a_label_tells_something_of_an_unsure_image():
    """Of two classes alike to the network, the given one is the likelier, by what T says of it."""
    T = torch.tensor([[0.8, 0.2], [0.4, 0.6]])
    found = wrong_label_probability(torch.zeros(2, 2), torch.tensor([0, 1]), T)
    torch.testing.assert_close(found, torch.tensor([0.4 / 1.2, 0.2 / 0.8]))


def test_very_sure_noise_scores_keep_their_order():
    z = torch.tensor([[40.0, 0.0], [30.0, 0.0], [20.0, 0.0]])
    assert (wrong_label_probability(z, torch.zeros(3, dtype=torch.long), torch.eye(2)).diff() > 0).all()


@pytest.mark.parametrize(
    ("options", "epochs", "stages"), [({}, 12, [6, 12]), ({"first_stage": 1.0}, 12, [12, 12]), ({}, 1, [1, 1])]
)
def test_the_first_stage_is_a_share_of_the_schedule_and_the_second_all_of_it(options, epochs, stages) -> None:
    assert two_stages(**options)[0].stages(epochs) == stages


def test_first_cross_entropy_then_an_estimate_then_a_new_network_that_is_held_to_it():
    method, images, step = two_stages()
    with torch.no_grad():
        method.begin_stage(0, images)
    assert torch.equal(method.transition, torch.eye(5))
    torch.testing.assert_close(method.training_step(step), F.cross_entropy(method(step.images), step.labels))

    wanted = estimate_transition(method(images.features).softmax(dim=1), "largest")
    before = {name: value.clone() for name, value in method.named_parameters()}
    method.stage = 1
    with torch.no_grad():
        method.begin_stage(1, images)
    torch.testing.assert_close(method.transition, wanted)
    torch.testing.assert_close(method.transition.sum(dim=1), torch.ones(5))
    assert all(
        parameter.requires_grad and not torch.equal(parameter, before[name]) for name, parameter in method.named_parameters()
    )
    assert {id(p) for group in method.param_groups(0.1) for p in group["params"]} == {id(p) for p in method.parameters()}

    torch.testing.assert_close(method.training_step(step), forward_loss(method(step.images), step.labels, wanted))
    torch.testing.assert_close(method.logged["transition_diagonal"][0], wanted.diagonal().mean())
    assert torch.equal(images.labels, torch.arange(100) % 5)


def test_the_estimate_is_no_parameter_and_outlives_a_checkpoint():
    method, images, _ = two_stages(anchor="percentile")
    with torch.no_grad():
        method.begin_stage(1, images)
    resumed = two_stages()[0]
    resumed.load_state_dict(method.state_dict())
    assert torch.equal(resumed.transition, method.transition)
    assert not torch.equal(method.transition, torch.eye(5))
    assert "transition" not in dict(method.named_parameters())


def test_predictions_are_of_the_true_class():
    method, images, step = two_stages()
    with torch.no_grad():
        method.begin_stage(1, images)
        method.transition.copy_(torch.eye(5).roll(1, dims=1))  # every label is another class's
        prediction = method.predict(step.images[:1])
    torch.testing.assert_close(prediction.logits, method(step.images[:1]))
    torch.testing.assert_close(prediction.uncertainty, 1 - prediction.logits.softmax(dim=1).max(dim=1).values)


def test_the_oracle_is_told_the_matrix_says_so_and_trains_in_one_stage():
    T = asymmetric().float()
    oracle = ForwardOracle(replace(task((8, 1, 1), 6), transition=T), NoOptions())
    assert (ForwardOracle.privilege, Forward.privilege) == (("transition",), ())
    assert oracle.stages(12) == [12]
    features = torch.randn(6, 8, 1, 1)
    step = Batch(features, LABELS, torch.arange(6), Images(features, LABELS))
    torch.testing.assert_close(oracle.training_step(step), forward_loss(oracle(features), LABELS, T))
    prediction = Prediction(oracle(features), torch.zeros(6))
    torch.testing.assert_close(
        oracle.noise_score(prediction, step.training_set), wrong_label_probability(prediction.logits, LABELS, T)
    )
