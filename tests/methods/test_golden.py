"""The core methods against numbers of the released code, worked out once on fixed inputs, in float64.

How they were obtained: the released files were run as they are, at the commits that the methods' docstrings name, on CPU in
float64, with only these changes: dropout 0; RUL's `use_cuda=True` read as False and its checkpoint as an empty one; SCN's
`.cuda()` removed; the backbones replaced by the identity, so that the image is the feature map. Images and weights are the
`wave`s below; RUL's permutation and DUL's draw were put in the place of torch.randperm and torch.randn_like. SCN's numbers are
of one pass of its loop body at epoch 10 (relabelling) and 9 (not yet), with margin_1 0.15 and 0.0001. DUL's code is the
unofficial dul-pytorch with kl_lambda 0.01. ResNet-18 is RUL's src/resnet.py without its last two layers.
"""

from __future__ import annotations

import pytest
import torch
from stubs import batch, fill, task, wave
from torch import Tensor

from benchmark.methods.dul import DUL
from benchmark.methods.rul import RUL, RULRelabel, mix_by_uncertainty
from benchmark.methods.scn import SCN
from benchmark.train.backbones import build_backbone
from benchmark.train.pretrained import fill as fill_pretrained
from benchmark.train.pretrained import read_weights

GOLDEN_RUL = {
    "loss": 1.951477408355,
    "share": [0.459027794878, 0.559522619515, 0.481266841927, 0.494598359431, 0.5, 0.505401640568],
    "mu_grad_norm": 770.871502545207,
    "mu_grad": [-0.125438823463, 0.161608263513, -0.156746999219],
    "logvar_grad_norm": 11.658135785606,
    "logvar_grad": [-0.007726415696, -0.013396713208, -0.002457600941],
    "classifier_grad_norm": 1.705202065819,
    "classifier_grad": [0.022651932790, -0.064039684467, 0.055463848762],
    "input_grad_norm": 1.055776809305,
    "test_logits": [
        0.088335440372,
        0.095493052386,
        0.014454249639,
        -0.079903764328,
        -0.100427908452,
        -0.028220996562,
        0.069956697752,
    ],
}
GOLDEN_SCN_ACTIVE = {
    "loss": 1.860782200944,
    "importance": [
        0.531179101876,
        0.615996427118,
        0.644443525563,
        0.596320606652,
        0.507058533912,
        0.452262794017,
        0.478197518575,
        0.563343985367,
        0.634471358609,
        0.635825168040,
    ],
    "classifier_grad_norm": 2.787487609899,
    "classifier_grad": [0.043584522003, -0.021887752214, 0.054623643559],
    "importance_grad_norm": 4.128671563789,
    "importance_grad": [-0.231088342549, -0.250708920078, -0.131659581858],
    "input_grad_norm": 4.090145162051,
    "labels": [0, 0, 6, 1, 2, 5, 4, 0, 0, 0],
}
GOLDEN_SCN_IDLE = {
    "loss": 1.834692133998,
    "importance": [
        0.531179101876,
        0.615996427118,
        0.644443525563,
        0.596320606652,
        0.507058533912,
        0.452262794017,
        0.478197518575,
        0.563343985367,
        0.634471358609,
        0.635825168040,
    ],
    "classifier_grad_norm": 2.787487609899,
    "classifier_grad": [0.043584522003, -0.021887752214, 0.054623643559],
    "importance_grad_norm": 1.347242579199,
    "importance_grad": [0.078054756978, 0.039730567526, 0.082425009432],
    "input_grad_norm": 4.079398777579,
    "labels": [0, 3, 6, 1, 2, 5, 4, 0, 1, 2],
}
GOLDEN_DUL = {
    "loss": 2.563105143750,
    "mu_grad_norm": 1610.878787559283,
    "mu_grad": [-0.527586681742, -0.272165128484, -0.419117659227],
    "logvar_grad_norm": 749.486526254151,
    "logvar_grad": [-0.675704205581, -0.335212724822, 0.389425494963],
    "classifier_grad_norm": 4.379342769388,
    "input_grad_norm": 11.316025871895,
    "test_logits": [
        0.088335440373,
        0.095493052387,
        0.014454249640,
        -0.079903764329,
        -0.100427908453,
        -0.028220996562,
        0.069956697752,
    ],
}
GOLDEN_RESNET18 = {
    "shape": [1, 512, 2, 2],
    "norm": 6.494051158480,
    "total": 175.638090094908,
    "values": [0.003449888222, 0.192512418062, 0.044963844355, 0.0],
    "tensors": 100,
}

MAP = (512, 7, 7)
LABELS = torch.tensor([0, 3, 6, 1, 2, 5])
PARTNER = torch.tensor([2, 0, 1, 5, 4, 3])


def close(found: Tensor, wanted: float | list[float]) -> None:
    torch.testing.assert_close(found.detach(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-8, atol=1e-10)


def entries(gradient: Tensor | None) -> Tensor:
    assert gradient is not None
    as_released = gradient.unflatten(1, (*MAP[1:], MAP[0])).permute(0, 3, 1, 2).flatten(1)
    return as_released[[0, 5, 63], [0, 1000, 25087]]


def two_heads(kind: type) -> tuple:
    """RUL or DUL with the fixed weights, and the fixed feature maps."""
    method = kind(task(MAP, 6), kind.Config(dropout=0.0)).double().train()
    for head, frequency in ((method.mu, 0.7), (method.logvar, 1.3)):
        fill(head[3], frequency, 0.01)
        head[3].weight.data = head[3].weight.data.unflatten(1, MAP).permute(0, 2, 3, 1).flatten(1)  # to the order of `Rows`
    fill(method.classifier, 0.9, 0.1)
    return method, wave(6, *MAP, f=0.37).requires_grad_()


def test_rul_equals_the_released_code(monkeypatch: pytest.MonkeyPatch) -> None:
    rul, maps = two_heads(RUL)
    monkeypatch.setattr(torch, "randperm", lambda n, **_: PARTNER)
    loss = rul.training_step(batch(maps, LABELS))
    loss.backward()
    close(loss, GOLDEN_RUL["loss"])
    close(rul.mu[3].weight.grad.norm(), GOLDEN_RUL["mu_grad_norm"])
    close(entries(rul.mu[3].weight.grad), GOLDEN_RUL["mu_grad"])
    close(rul.logvar[3].weight.grad.norm(), GOLDEN_RUL["logvar_grad_norm"])
    close(entries(rul.logvar[3].weight.grad), GOLDEN_RUL["logvar_grad"])
    close(rul.classifier.weight.grad.norm(), GOLDEN_RUL["classifier_grad_norm"])
    close(rul.classifier.weight.grad[[0, 3, 6], [0, 10, 63]], GOLDEN_RUL["classifier_grad"])
    close(maps.grad.norm(), GOLDEN_RUL["input_grad_norm"])
    close(rul.eval().predict(maps).logits[1], GOLDEN_RUL["test_logits"])  # with the running statistics of that one step


def test_rul_shares_equal_the_released_code() -> None:
    rul, maps = two_heads(RUL)
    _, s = rul.read(maps)
    one = torch.ones_like(s)
    share = mix_by_uncertainty(torch.cat([one, 0 * one]), torch.cat([s, s[PARTNER]]), torch.arange(12).roll(6))[:6]
    close(share[:, 0], GOLDEN_RUL["share"])


@pytest.mark.parametrize(("golden", "margin", "epoch"), [("active", 0.15, 9), ("idle", 0.0001, 8)])
def test_scn_equals_the_released_code(golden: str, margin: float, epoch: int) -> None:
    wanted = {"active": GOLDEN_SCN_ACTIVE, "idle": GOLDEN_SCN_IDLE}[golden]
    scn = SCN(task((512, 1, 1), 10), SCN.Config(margin_1=margin)).double().train()
    fill(scn.classifier, 0.9, 1.5)
    scn.importance.weight.data, scn.importance.bias.data = wave(1, 512, f=0.61, a=0.1), torch.tensor([0.2]).double()
    maps = wave(10, 512, f=0.37)[:, :, None, None].requires_grad_()
    step = batch(maps, torch.tensor([0, 3, 6, 1, 2, 5, 4, 0, 1, 2]))
    scn.epoch = epoch
    scn.begin_stage(0, step.training_set)
    loss = scn.training_step(step)
    loss.backward()
    close(loss, wanted["loss"])
    close(1 - scn.predict(maps).uncertainty, wanted["importance"])
    close(scn.classifier.weight.grad.norm(), wanted["classifier_grad_norm"])
    close(scn.classifier.weight.grad[[0, 3, 6], [0, 100, 511]], wanted["classifier_grad"])
    close(scn.importance.weight.grad.norm(), wanted["importance_grad_norm"])
    close(scn.importance.weight.grad[0, [0, 100, 511]], wanted["importance_grad"])
    close(maps.grad.norm(), wanted["input_grad_norm"])
    assert scn.relabelling.labels.tolist() == wanted["labels"]


def test_dul_equals_the_unofficial_code(monkeypatch: pytest.MonkeyPatch) -> None:
    dul, maps = two_heads(DUL)
    monkeypatch.setattr(torch, "randn_like", lambda mu: wave(*mu.shape, f=0.53))
    loss = dul.training_step(batch(maps, LABELS))
    loss.backward()
    close(loss, GOLDEN_DUL["loss"])
    close(dul.mu[3].weight.grad.norm(), GOLDEN_DUL["mu_grad_norm"])
    close(entries(dul.mu[3].weight.grad), GOLDEN_DUL["mu_grad"])
    close(dul.logvar[3].weight.grad.norm(), GOLDEN_DUL["logvar_grad_norm"])
    close(entries(dul.logvar[3].weight.grad), GOLDEN_DUL["logvar_grad"])
    close(dul.classifier.weight.grad.norm(), GOLDEN_DUL["classifier_grad_norm"])
    close(maps.grad.norm(), GOLDEN_DUL["input_grad_norm"])
    close(dul.eval().predict(maps).logits[1], GOLDEN_DUL["test_logits"])  # of mu: RUL's head, so RUL's numbers


def test_the_defaults_are_those_of_the_released_code_but_for_the_classifiers_rate():
    """Of train.py's arguments (margin_1: its README's, for batches of 64), of rul.py's signature, of dul-pytorch's config."""
    assert SCN.Config() == SCN.Config(beta=0.7, margin_1=0.07, margin_2=0.2, relabel_from=9 / 70, relabel_group="all")
    assert RUL.Config() == RUL.Config(dim=64, dropout=0.4, classifier_lr=1.0)
    assert RULRelabel.Config() == RULRelabel.Config(dim=64, dropout=0.4, classifier_lr=1.0, margin=0.2, relabel_from=9 / 70)
    assert DUL.Config() == DUL.Config(kl_weight=0.01, dim=64, dropout=0.4)


def test_resnet18_is_ruls_and_reads_weights_in_the_layout_of_its_checkpoint(tmp_path) -> None:
    """Keys with `module.` before them, below `state_dict`, as in resnet18_msceleb.pth."""
    backbone = build_backbone("resnet18", (3, 64, 64), "fp32").double().eval()
    names = sorted([*backbone.named_as_published.state_dict(), "fc.weight", "fc.bias"])
    weights = {"module.fc.weight": torch.zeros(1000, 512), "module.fc.bias": torch.zeros(1000)}
    for k, name in enumerate(names):
        tensor = backbone.named_as_published.state_dict().get(name)
        if tensor is None or tensor.dtype == torch.long:
            continue
        w = wave(*tensor.shape, f=0.1 + 0.01 * k)
        if "running_var" in name:
            w = w.abs() + 0.5
        elif w.ndim == 1:
            w = 1 + 0.2 * w if name.endswith("weight") else 0.1 * w
        else:
            w = w * (2 / w[0].numel()) ** 0.5
        weights[f"module.{name}"] = w
    torch.save({"state_dict": weights}, tmp_path / "weights.pth")
    match = fill_pretrained(backbone.named_as_published, read_weights(tmp_path / "weights.pth"), "weights.pth")
    assert match.filled == GOLDEN_RESNET18["tensors"]
    maps = backbone.net(wave(1, 3, 64, 64, f=0.05))
    assert list(maps.shape) == GOLDEN_RESNET18["shape"]
    close(maps.norm(), GOLDEN_RESNET18["norm"])
    close(maps.sum(), GOLDEN_RESNET18["total"])
    close(maps[0, [0, 100, 300, 511], [0, 1, 0, 1], [0, 0, 1, 1]], GOLDEN_RESNET18["values"])
