"""EAC: the released code's loss, what is erased, and what the consistency may move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from stubs import Identity, batch, fill, task, wave
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import RandomErasing

from benchmark.methods import eac
from benchmark.methods.eac import EAC, attention, erase, inconsistency

# EAC's src at 61efdfd, in float64 on CPU: Model.forward with the identity for its network and fc filled as below, ACLoss with
# generate_flip_grid(5, 3), and the loss of main.py with its lambda of 5. Its two images are view_1 and view_2 of `images`.
GOLDEN = {
    "loss": 2.30029812263,
    "inconsistency": 0.074104913004,
    "attention": [0.435068654373, 0.0, 0.368669409899],
    "attention_norm": 6.313454320512,
    "weight_grad_norm": 0.759790717486,
    "weight_grad": [-0.00421763058, 0.008724707193, 0.005698467339],
    "bias_grad_norm": 0.32167850834,
    "images_grad_norm": 0.830940744528,
}
MAP = (2048, 3, 5)
LABELS = torch.tensor([0, 3, 6, 1])


def kept(f: float) -> Tensor:
    """A fixed mask in the place of a random rectangle."""
    return (wave(1, 1, 3, 5, f=f) > -0.5).double()


def close(found: Tensor, wanted: float | list[float]) -> None:
    torch.testing.assert_close(found.detach(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-8, atol=1e-11)


def one(**options: object) -> EAC:
    method = EAC(task(MAP, 4), EAC.Config(**options)).double().train()
    fill(method.classifier, 0.9, 0.1)
    return method


def erasing_in_turn(*masks: Tensor) -> Callable[..., Tensor]:
    turn = iter(masks)
    return lambda images, *_: images * next(turn)


def test_the_loss_and_its_gradients_are_those_of_the_released_code(monkeypatch: pytest.MonkeyPatch) -> None:
    method, images = one(), wave(4, *MAP, f=0.37).requires_grad_()
    monkeypatch.setattr(eac, "erase", erasing_in_turn(kept(1.3), kept(2.1)))
    loss = method.training_step(batch(images, LABELS))
    loss.backward()
    close(loss, GOLDEN["loss"])
    close(method.classifier.weight.grad.norm(), GOLDEN["weight_grad_norm"])
    close(method.classifier.weight.grad[[0, 3, 6], [0, 100, 2047]], GOLDEN["weight_grad"])
    close(method.classifier.bias.grad.norm(), GOLDEN["bias_grad_norm"])
    close(images.grad.norm(), GOLDEN["images_grad_norm"])


def test_the_attention_maps_are_those_of_the_released_code() -> None:
    method, images = one(), wave(4, *MAP, f=0.37)
    weight = method.classifier.weight
    first = attention(images * kept(1.3), weight)
    second = attention(images.flip(3) * kept(2.1), weight)
    close(first[[0, 1, 3], [0, 4, 6], [0, 1, 2], [0, 3, 4]], GOLDEN["attention"])
    close(first.norm(), GOLDEN["attention_norm"])
    close(inconsistency(first, second), GOLDEN["inconsistency"])


def test_a_classs_map_averages_to_its_logit_but_for_the_bias() -> None:
    method, images = one(), wave(4, *MAP, f=0.37)
    logits = attention(images, method.classifier.weight).mean(dim=(2, 3)) + method.classifier.bias
    torch.testing.assert_close(logits, method(images))


def test_the_maps_of_a_mirrored_image_agree_once_they_are_mirrored_back() -> None:
    maps = attention(wave(2, 8, 4, 6, f=0.37), wave(3, 8, f=0.9))
    assert inconsistency(maps, maps.flip(3)) == 0
    assert inconsistency(maps, maps.flip(2)) > 0.01
    assert inconsistency(maps, maps) > 0.01


def test_the_consistency_moves_the_features_of_both_views_and_not_the_classifier() -> None:
    first, second = wave(2, 8, 3, 3, f=0.37).requires_grad_(), wave(2, 8, 3, 3, f=0.53).requires_grad_()
    weight = wave(3, 8, f=0.9).requires_grad_()
    inconsistency(attention(first, weight), attention(second, weight)).backward()
    assert weight.grad is None
    torch.testing.assert_close(first.grad, -second.grad.flip(3))
    assert first.grad.norm() > 0


def test_without_consistency_and_erasing_it_is_cross_entropy() -> None:
    method, images = one(consistency=0.0, erase_probability=0.0), wave(4, *MAP, f=0.37)
    close(method.training_step(batch(images, LABELS)), F.cross_entropy(method(images), LABELS).item())


def test_the_label_is_asked_of_the_first_view_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    method, images = one(consistency=0.0), wave(4, *MAP, f=0.37)
    monkeypatch.setattr(eac, "erase", erasing_in_turn(kept(1.3), 0 * kept(2.1)))
    close(method.training_step(batch(images, LABELS)), F.cross_entropy(method(images * kept(1.3)), LABELS).item())


class Norm(Identity):
    """A batch norm whose output is the feature map."""

    def __init__(self) -> None:
        super().__init__(MAP)
        self.norm = nn.BatchNorm2d(MAP[0])

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(images)


def test_each_view_is_normalised_by_its_own_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second view is so much brighter that together they would have quite other ones."""
    method = EAC(replace(task(MAP, 4), make_backbone=Norm), EAC.Config()).double().train()
    fill(method.classifier, 0.9, 0.1)
    images, bright = wave(4, *MAP, f=0.37), 9 * wave(4, *MAP, f=0.37).flip(3) + 5
    monkeypatch.setattr(method, "views", lambda images: (images, bright))
    maps, mirrored = (F.batch_norm(view, None, None, training=True) for view in (images, bright))
    apart = inconsistency(attention(maps, method.classifier.weight), attention(mirrored, method.classifier.weight))
    wanted = F.cross_entropy(method.classifier(maps.mean(dim=(2, 3))), LABELS) + 5 * apart
    close(method.training_step(batch(images, LABELS)), wanted.item())
    together = F.batch_norm(torch.cat([images, bright]), None, None, training=True).chunk(2)
    assert (together[0] - maps).abs().max() > 0.5


@pytest.mark.parametrize("shape", [(8, 1, 1), (8, 1, 4), (8, 5, 1)])
def test_maps_of_any_size_will_do(shape: tuple[int, int, int]) -> None:
    method = EAC(task(shape, 2), EAC.Config()).train()
    assert torch.isfinite(method.training_step(batch(torch.randn(2, *shape), torch.tensor([0, 1]))))
    logits, uncertainty = method.eval().predict(torch.randn(1, *shape))
    assert logits.shape == (1, 7)
    assert uncertainty.shape == (1,)


# ---------------------------------------------------------------- erasing


def boxes(images: Tensor) -> np.ndarray:
    """(M, 4) top, left, height and width of the zeros in images of ones (B, 1, H, W), of those that have any."""
    found = []
    for image in images[:, 0]:
        y, x = (image == 0).nonzero(as_tuple=True)
        if len(y):
            top, left, bottom, right = y.min().item(), x.min().item(), y.max().item() + 1, x.max().item() + 1
            assert (image[top:bottom, left:right] == 0).all()  # a rectangle
            found.append((top, left, bottom - top, right - left))
    return np.array(found)


def test_every_rectangle_is_drawn_as_torchvision_draws_it() -> None:
    """Of 40 by 10 px, so that many wide rectangles do not fit: those that do have another law than all."""
    torch.manual_seed(0)
    ours = boxes(erase(torch.ones(3000, 1, 40, 10), 1.0, 0.02, 0.25))
    theirs = RandomErasing(p=1.0, scale=(0.02, 0.25), ratio=(0.3, 3.3))
    wanted = boxes(torch.stack([theirs(torch.ones(1, 40, 10)) for _ in range(3000)]))
    assert len(ours) == len(wanted) == 3000
    assert ours[:, 3].max() == 9
    for column in range(4):
        assert ks_2samp(ours[:, column], wanted[:, column]).pvalue > 0.01
    assert ks_2samp(ours[:, 2] * ours[:, 3], wanted[:, 2] * wanted[:, 3]).pvalue > 0.01
    assert ks_2samp(ours[:, 2] / ours[:, 3], wanted[:, 2] / wanted[:, 3]).pvalue > 0.01


def test_half_of_the_views_are_erased_and_all_channels_alike() -> None:
    torch.manual_seed(0)
    images = erase(torch.ones(1000, 3, 16, 16), 0.5, 0.02, 0.25)
    assert (images == images[:, :1]).all()
    assert 450 < (images.amin(dim=(1, 2, 3)) == 0).sum() < 550


def test_what_is_not_erased_stays_as_it_was_and_so_does_the_batch() -> None:
    images = torch.randn(50, 3, 12, 9)
    before = images.clone()
    found = erase(images, 1.0, 0.02, 0.25)
    assert torch.equal(images, before)
    assert ((found == images) | (found == 0)).all()
    assert torch.equal(erase(images, 0.0, 0.02, 0.25), images)


def test_no_rectangle_at_all_where_none_fits() -> None:
    assert torch.equal(erase(torch.ones(20, 1, 1, 1), 1.0, 0.02, 0.25), torch.ones(20, 1, 1, 1))
    assert torch.equal(erase(torch.ones(20, 1, 8, 8), 1.0, 1.0, 1.0), torch.ones(20, 1, 8, 8))


def test_views_are_erased_each_on_its_own_or_alike() -> None:
    torch.manual_seed(0)
    images = torch.ones(40, 1, 16, 16)
    first, second = EAC(task((1, 16, 16), 40), EAC.Config(erase_probability=1.0)).views(images)
    assert not torch.equal(first.flip(3), second)
    first, second = EAC(task((1, 16, 16), 40), EAC.Config(erase_probability=1.0, erasing="shared")).views(images)
    assert torch.equal(first.flip(3), second)
    assert (first == 0).any()


def test_the_second_view_is_mirrored() -> None:
    images = torch.randn(3, 1, 4, 4)
    for erasing in ("each", "shared"):
        first, second = EAC(task((1, 4, 4), 3), EAC.Config(erase_probability=0.0, erasing=erasing)).views(images)
        assert torch.equal(first, images)
        assert torch.equal(second, images.flip(3))


def test_the_defaults_are_those_of_the_released_code() -> None:
    assert EAC.Config() == EAC.Config(consistency=5, erase_probability=0.5, erase_from=0.02, erase_to=0.25, erasing="each")
