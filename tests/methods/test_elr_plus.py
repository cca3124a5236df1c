"""ELR+: two networks, their averages, and who learns from whom."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from stubs import Identity, Labels, fill, task, wave
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import Batch
from benchmark.methods import elr_plus
from benchmark.methods.elr_plus import ELRPlus, average_weights, sigmoid_ramp

STEPS = [
    {
        "loss": 5.528088926627747,
        "ramped_loss": 5.793286656724223,
        "weight_grad": [0.23075878392847576, -0.014405168062053674, -0.11564382316415314],
        "weight_grad_norm": 0.5467798856030807,
        "targets": [0.28342681391676866, 0.012395637061286834, 0.004315745740828205, 0.0],
        "targets_norm": 0.5934511284705049,
    },
    {
        "loss": 7.27092835875475,
        "ramped_loss": 7.84913572946519,
        "weight_grad": [0.2603730010192253, 0.030358999217619174, -0.14549199446698016],
        "weight_grad_norm": 0.7020853439057173,
        "targets": [0.4490763092392276, 0.00922313515258987, 0.003989527841695283, 0.0],
        "targets_norm": 0.9263065527488071,
    },
]
"""Two steps of one network. shengliu66/ELR at 934af53, ELR_plus: the trainer's `_mixup_data`, then `elr_plus_loss` with 8
samples, beta 0.7, lambda 3 and coef_step 0 ("ramped_loss": iteration 30 of coef_step 100), with linear layers for the network
and for the other's average. In float64 on the inputs of the test, with numpy's beta giving 0.3 and torch.randperm giving
`PARTNER`; some two fifths of the probabilities are clamped."""
AVERAGES = {
    0: [2.730810076433248, -1.655549189110724, 0.3031793574939501],
    10000: [2.6450868717942577, -1.6719454428825122, 0.37651701342606775],
    39998: [1.134122029524296, -1.9609472726489228, 1.669173070727964],
    60000: [1.134122024500789, -1.9609472736097675, 1.6691730750256593],
}
"""By the step it was called with: the trainer's `update_ema_variables`, which adds 1 to it, with ema_update, alpha 0.997 and
ema_step 40000, from a layer filled by `fill(0.6, 2)` towards one by `fill(0.9, 3.5)`."""

LABELS = torch.tensor([0, 3, 6, 1, 2, 5])
PARTNER = torch.tensor([2, 0, 1, 5, 4, 3])
INDEX = torch.tensor([5, 0, 3, 7, 1, 2])


class Views(Labels):
    """A training set whose other views are the images of another wave."""

    def images(self, index: Tensor, *, augmented: bool = False) -> Tensor:
        assert augmented
        return wave(len(index), 5, 1, 1, f=0.77).to(torch.get_default_dtype())


def step(images: Tensor) -> Batch:
    return Batch(images, LABELS, INDEX, Views(LABELS))


def close(found: Tensor, wanted: float | list[float]) -> None:
    torch.testing.assert_close(found.detach(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=1e-12)


def draw(monkeypatch: pytest.MonkeyPatch, share: float = 0.3) -> None:
    monkeypatch.setattr(elr_plus, "draw_share", lambda alpha, device: torch.tensor(share, dtype=torch.float64))
    monkeypatch.setattr(torch, "randperm", lambda n, **_: PARTNER)


def both() -> ELRPlus:
    """An ELR+ of 8 samples, in training."""
    return ELRPlus(task((5, 1, 1), 8), ELRPlus.Config()).train()


@pytest.mark.parametrize("k", [0, 1])
def test_two_steps_of_either_network_equal_the_released_code(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(monkeypatch)
    method = both().double()
    fill(method.networks[k].classifier, 0.9, 3.5)
    fill(method.averages[1 - k].classifier, 1.3, 3.5)
    for f, wanted in zip((0.37, 0.53), STEPS, strict=True):
        method.zero_grad()
        images = wave(6, 5, 1, 1, f=f)
        loss = method.loss(k, images, step(images))
        loss.backward()
        weight = method.networks[k].classifier.weight
        close(loss, wanted["loss"])
        close(weight.grad[[0, 3, 6], [0, 2, 4]], wanted["weight_grad"])
        close(weight.grad.norm(), wanted["weight_grad_norm"])
        close(method.targets[k, [0, 3, 5, 6], [0, 1, 6, 2]], wanted["targets"])
        close(method.targets[k].norm(), wanted["targets_norm"])
    assert method.targets[1 - k].count_nonzero() == 0
    assert method.networks[1 - k].classifier.weight.grad is None


def test_the_weight_rises_as_in_the_released_code(monkeypatch: pytest.MonkeyPatch) -> None:
    draw(monkeypatch)
    method = ELRPlus(task((5, 1, 1), 8), ELRPlus.Config(weight_ramp=0.5)).double().train()
    fill(method.networks[0].classifier, 0.9, 3.5)
    fill(method.averages[1].classifier, 1.3, 3.5)
    method.progress = 0.15
    for f, wanted in zip((0.37, 0.53), STEPS, strict=True):
        images = wave(6, 5, 1, 1, f=f)
        close(method.loss(0, images, step(images)), wanted["ramped_loss"])


@pytest.mark.parametrize("called_with", AVERAGES)
def test_an_average_moves_as_in_the_released_code(called_with: int) -> None:
    average, network = nn.Linear(5, 7).double(), nn.Linear(5, 7).double()
    fill(average, 0.6, 2.0)
    fill(network, 0.9, 3.5)
    average_weights(average, network, 0.997 * sigmoid_ramp((called_with + 1) / 40_000, 1.0))
    close(average.weight[[0, 3, 6], [0, 2, 4]], AVERAGES[called_with])


def test_the_ramp_rises_to_one_and_stays() -> None:
    ramp = [sigmoid_ramp(progress, 0.5) for progress in (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)]
    assert ramp[0] == math.exp(-5)
    assert ramp == sorted(ramp)
    assert ramp[3:] == [1.0, 1.0, 1.0]
    assert sigmoid_ramp(0.0, 0.0) == 1.0


def test_the_averages_ramp_is_that_share_of_the_schedule() -> None:
    method = ELRPlus(replace(task((5, 1, 1), 45_000), batch_size=128), ELRPlus.Config())
    for progress, alpha in ((0.0, 0.997 * math.exp(-5)), (20_000 / 70_400, 0.997 * math.exp(-5 / 4)), (0.9, 0.997)):
        for parameter in method.averages.parameters():
            parameter.zero_()
        for parameter in method.networks.parameters():
            parameter.data.fill_(1.0)
        method.progress = progress
        method.after_step()
        for parameter in method.averages.parameters():
            torch.testing.assert_close(parameter, torch.full_like(parameter, 1 - alpha))


def test_an_average_looks_back_as_many_epochs_whatever_their_steps() -> None:
    """What a weight that was 1 adds to its average, after an epoch in which it was 0; in the ramp, and after it."""
    for samples, batch_size, progress in (
        (45_000, 128, 1.0),
        (2_400, 64, 1.0),
        (8, 64, 1.0),
        (45_000, 64, 0.5),
        (2_400, 64, 0.5),
    ):
        told = replace(task((5, 1, 1), samples), batch_size=batch_size)
        method = ELRPlus(replace(told, num_samples=samples), ELRPlus.Config())
        method.progress = progress
        alpha = 0.997 * sigmoid_ramp(progress, 40_000 / 70_400)
        for parameter in method.networks.parameters():
            parameter.data.zero_()
        for parameter in method.averages.parameters():
            parameter.fill_(1.0)
        for _ in range(-(-samples // batch_size)):
            method.after_step()
        for parameter in method.averages.parameters():
            torch.testing.assert_close(parameter, torch.full_like(parameter, alpha**352), rtol=1e-4, atol=0)


def test_the_averages_begin_as_copies_are_not_trained_and_outlive_a_checkpoint() -> None:
    method = both()
    for average, network in zip(method.averages, method.networks, strict=True):
        for mean, weight in zip(average.parameters(), network.parameters(), strict=True):
            assert torch.equal(mean, weight)
            assert mean.data_ptr() != weight.data_ptr()
            assert not mean.requires_grad
    grouped = [p for group in method.param_groups(0.1) for p in group["params"]]
    trainable = [p for p in method.parameters() if p.requires_grad]
    assert sorted(map(id, grouped)) == sorted(map(id, trainable))
    assert len(grouped) == 4
    method.training_step(step(torch.randn(6, 5, 1, 1)))
    method.after_step()
    resumed = both()
    resumed.load_state_dict(method.state_dict())
    assert torch.equal(resumed.targets, method.targets)


class Normalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(5)


def test_only_weights_are_averaged() -> None:
    average, network = Normalised(), Normalised()
    network.norm.weight.data.fill_(3.0)
    network.norm.running_mean.fill_(7.0)
    average_weights(average, network, 0.5)
    assert (average.norm.weight == 2).all()
    assert (average.norm.running_mean == 0).all()


class Norm(Identity):
    """A batch norm in front of the features, whose running statistics are far off."""

    def __init__(self) -> None:
        super().__init__((5, 1, 1))
        self.norm = nn.BatchNorm2d(5)
        self.norm.running_mean.fill_(100.0)

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(images)


def test_the_averages_normalise_by_the_batch_at_hand() -> None:
    method = ELRPlus(replace(task((5, 1, 1), 8), make_backbone=Norm), ELRPlus.Config()).train()
    images = torch.randn(6, 5, 1, 1)
    features = F.batch_norm(images, None, None, training=True)[:, :, 0, 0]
    said = method.averages[1].classifier(features).softmax(dim=1)
    method.training_step(step(images))
    torch.testing.assert_close(method.targets[0, INDEX], (1 - 0.7) * said)
    by_running_statistics = method.averages[1].eval()(images).softmax(dim=1)
    assert (by_running_statistics - said).abs().max() > 0.1


def test_each_network_learns_from_the_others_average() -> None:
    """Average 0 says class 2 of all images, average 1 says class 4: the targets are crossed."""
    method = both()
    for k, said in ((0, 2), (1, 4)):
        method.averages[k].classifier.weight.zero_()
        method.averages[k].classifier.bias.copy_(50.0 * torch.eye(7)[said])
    method.training_step(step(torch.randn(6, 5, 1, 1)))
    assert (method.targets[0, INDEX].argmax(dim=1) == 4).all()
    assert (method.targets[1, INDEX].argmax(dim=1) == 2).all()
    assert method.targets[:, [4, 6]].count_nonzero() == 0


def test_the_second_network_sees_other_views(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    method = both()
    monkeypatch.setattr(method, "loss", lambda k, images, batch: seen.append((k, images)) or images.sum())
    images = torch.randn(6, 5, 1, 1)
    method.training_step(step(images))
    assert [k for k, _ in seen] == [0, 1]
    assert torch.equal(seen[0][1], images)
    assert torch.equal(seen[1][1], wave(6, 5, 1, 1, f=0.77).float())


def test_a_step_trains_both_and_no_average() -> None:
    method = both()
    method.training_step(step(torch.randn(6, 5, 1, 1))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in method.networks.parameters())
    assert all(p.grad is None for p in method.averages.parameters())


@pytest.mark.parametrize("drawn", [0.2, 0.8])
def test_an_image_prevails_in_its_blend(drawn: float, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(monkeypatch, drawn)
    used = []
    monkeypatch.setattr(elr_plus, "blend", lambda values, partner, share: used.append(share.item()) or values)
    both().loss(0, torch.randn(6, 5, 1, 1), step(torch.randn(6, 5, 1, 1)))
    assert used == [0.8, 0.8, 0.8]


def test_without_regularisation_and_blending_each_network_has_plain_cross_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    draw(monkeypatch, 0.0)
    method = ELRPlus(task((5, 1, 1), 8), ELRPlus.Config(weight=0.0)).train()
    images = torch.randn(6, 5, 1, 1)
    wanted = F.cross_entropy(method.networks[1](images), LABELS)
    torch.testing.assert_close(method.loss(1, images, step(images)), wanted, check_dtype=False)


def test_prediction_is_the_mean_of_the_networks_logits_and_not_of_their_averages() -> None:
    method = both().eval()
    images = torch.randn(3, 5, 1, 1)
    logits, uncertainty = method.predict(images)
    torch.testing.assert_close(logits, (method.networks[0](images) + method.networks[1](images)) / 2)
    torch.testing.assert_close(uncertainty, 1 - logits.softmax(dim=1).amax(dim=1))
    for parameter in method.averages.parameters():
        parameter.fill_(9.0)
    assert torch.equal(method.predict(images).logits, logits)
    assert method.features(images).shape == (3, 10)


def test_the_noise_score_is_the_mass_that_both_targets_have_off_the_label() -> None:
    method = both().eval()
    method.targets[:, :, 0], method.targets[0, 3, 1], method.targets[1, 3, 2] = 0.9, 0.05, 0.03
    labels = torch.zeros(8, dtype=torch.long)
    labels[5] = 6
    found = method.noise_score(method.predict(torch.randn(8, 5, 1, 1)), Labels(labels))
    torch.testing.assert_close(found, torch.tensor([0, 0, 0, 0.04, 0, 0.9, 0, 0]))


def test_the_defaults_are_those_of_config_cifar10() -> None:
    wanted = ELRPlus.Config(beta=0.7, weight=3.0, weight_ramp=0.0, mixup_alpha=1.0, average=0.997, average_ramp=40_000 / 70_400)
    assert ELRPlus.Config() == wanted
