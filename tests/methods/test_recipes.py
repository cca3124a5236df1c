"""How each paper trains, as its released files say: what `--recipe paper` of every method comes to.

The numbers were read from the files named here, not from the methods. Rates are those at the start of an epoch, counted from 0.
A random crop of an image padded by 4 of 32 px is a shift of 1/8. Nesterov's momentum, which the suite lacks, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from benchmark.contract.registry import load_plugins
from benchmark.spec import recipe
from benchmark.train.optimise import schedule_factor

METHODS = load_plugins().methods.plugins


@dataclass(frozen=True)
class Row:
    """One recipe, resolved."""

    names: str  #: of the methods that it is of
    where: str  #: the repository at a commit, and the files
    epochs: int
    batch_size: int
    momentum: float | None  #: None: Adam
    weight_decay: float
    shift: float
    rates: Mapping[int, float]
    flip: float = 0.5
    erase: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)


UB = "google/uncertainty-baselines at 0dbf6f6, baselines/cifar/"
ROWS = [
    Row(
        "apl",
        "HanxunH/Active-Passive-Losses at 04bce53, configs/cifar10/sym/nce+rce.yaml, dataset.py",
        *(120, 128, 0.9, 1e-4, 4 / 32),
        {0: 0.01, 60: 0.005},
    ),
    Row(  # of the last network; its networks that measure: test_aum
        "aum",
        "asappresearch/aum at 892e76e, examples/paper_replication/small_dataset_aum.sh, runner.py",
        *(300, 256, 0.9, 1e-4, 4 / 32),
        {0: 0.1, 149: 0.1, 150: 0.01, 224: 0.01, 225: 0.001},
    ),
    Row(  # the three main.py agree; from epoch 80 on the rate falls by the line that test_small_loss looks at
        "co-teaching:oracle co-teaching-plus:oracle jocor:oracle",
        "bhanML/Co-teaching at 7c7fbe2, xingruiyu/coteaching_plus at a68ed61, hongxin001/JoCoR at 86db359, main.py",
        *(200, 128, None, 0.0, 0.0),
        {0: 0.001, 79: 0.001},
        flip=0.0,
    ),
    Row(  # the warm-up is ours: the codes are told what it is there to find out
        "co-teaching co-teaching-plus jocor",
        "the same",
        *(200, 128, None, 0.0, 0.0),
        {0: 0.001, 79: 0.001},
        flip=0.0,
        options={"warm_up": 0.1},
    ),
    Row(
        "confident-learning",
        "cgnorthcutt/confidentlearning, examples/cifar10/cifar10_train_crossval.py",
        *(350, 64, 0.9, 1e-4, 4 / 32),
        {0: 0.1, 149: 0.1, 150: 0.01, 249: 0.01, 250: 0.001},
        options={"fold_share": 1.0},
    ),
    Row(  # it counts to 301 epochs
        "dividemix",
        "LiJunnan1992/DivideMix at d9d3058, Train_cifar.py, dataloader_cifar.py",
        *(300, 64, 0.9, 5e-4, 4 / 32),
        {0: 0.02, 149: 0.02, 150: 0.002, 299: 0.002},
        options={"warm_up": 10 / 300},
    ),
    Row(
        "dul",
        "Ontheway361/dul-pytorch at 2277b30, config/train_cls_config.py",
        *(50, 512, 0.9, 5e-4, 0.0),
        {0: 0.1, 11: 0.1, 12: 0.03, 20: 0.009, 30: 0.0027, 42: 0.00081},
    ),
    Row(  # the rate is the README's for ResNet-18
        "eac",
        "zyh-uaiaaaa/Erasing-Attention-Consistency at 61efdfd, src/main.py, README.md",
        *(60, 32, None, 1e-4, 0.0),
        {0: 2e-4, 1: 2e-4 * 0.9, 10: 2e-4 * 0.9**10},
        flip=0.0,
    ),
    Row(  # its run with exp and the expected cross-entropy: LeNet_EDL(exp_evidence, loss_EDL(tf.digamma), lmb=0.001)
        "edl",
        "muratsensoy/muratsensoy.github.io at 05ea903, uncertainty.ipynb",
        *(50, 1000, None, 0.001, 0.0),
        {0: 1e-3, 49: 1e-3},
        flip=0.0,
        options={"annealing": 10 / 50},
    ),
    Row(
        "elr",
        "shengliu66/ELR at 934af53, ELR/config_cifar10.json, ELR/data_loader/data_loaders.py",
        *(150, 128, 0.9, 1e-3, 4 / 32),
        {0: 0.02, 5: (0.02 + 0.001) / 2, 10: 0.02, 145: (0.02 + 0.001) / 2},
    ),
    Row(
        "elr-plus",
        "shengliu66/ELR at 934af53, ELR_plus/config_cifar10.json, ELR_plus/data_loader/data_loaders.py",
        *(200, 128, 0.9, 5e-4, 4 / 32),
        {0: 0.02, 149: 0.02, 150: 0.002},
    ),
    Row(  # l2 of 2e-4; the base rate is that of batches of 128, whatever their size; a border of 2 px
        "ensemble het",
        f"{UB}utils.py, deterministic.py and heteroscedastic.py, uncertainty_baselines/datasets/cifar.py",
        *(200, 128, 0.9, 2 * 2e-4, 2 / 32),
        {0: 0.1, 59: 0.1, 60: 0.02, 119: 0.02, 120: 0.004, 159: 0.004, 160: 0.0008},
    ),
    Row(
        "mc-dropout",
        f"{UB}utils.py, dropout.py",
        *(200, 128, 0.9, 2 * 3e-4, 2 / 32),
        {0: 0.05, 59: 0.05, 60: 0.01, 119: 0.01, 120: 0.002, 159: 0.002, 160: 0.0004},
    ),
    Row(  # its epochs of decay are those of 200, times 250 / 200
        "sngp",
        f"{UB}utils.py, sngp.py",
        *(250, 128, 0.9, 2 * 3e-4, 2 / 32),
        {0: 0.05, 74: 0.05, 75: 0.01, 149: 0.01, 150: 0.002, 199: 0.002, 200: 0.0004},
        options={"head_lr": 1.0},
    ),
    Row(
        "focal",
        "torrvision/focal_calibration at 475422a, train.py, Data/cifar10.py",
        *(350, 128, 0.9, 5e-4, 4 / 32),
        {0: 0.1, 149: 0.1, 150: 0.01, 249: 0.01, 250: 0.001},
    ),
    Row(  # decay 1e-4 times the squares; the estimate is the whole first training's, with filter_outlier
        "forward",
        "giorgiop/loss-correction at 15a79de, models.py, experiment.py, resnet.py",
        *(120, 128, 0.9, 2 * 1e-4, 0.1),
        {0: 0.1, 40: 0.1, 41: 0.01, 80: 0.01, 81: 0.001},
        options={"first_stage": 1.0, "anchor": "percentile"},
    ),
    Row(
        "forward:oracle",
        "giorgiop/loss-correction at 15a79de, models.py, experiment.py, resnet.py",
        *(120, 128, 0.9, 2 * 1e-4, 0.1),
        {0: 0.1, 40: 0.1, 41: 0.01, 80: 0.01, 81: 0.001},
    ),
    Row(
        "gce",
        "AlanChou/Truncated-Loss at fef5908, main.py, README.md",
        *(120, 128, 0.9, 1e-4, 4 / 32),
        {0: 0.01, 39: 0.01, 40: 0.001, 79: 0.001, 80: 0.0001},
    ),
    Row(  # 0.05 with a unit-gain momentum of 0.9; its halving at epoch 20 is left out
        "ldl",
        "microsoft/FERPlus at ae2128a, src/train.py, src/models.py, src/ferplus.py",
        *(100, 32, 0.9, 0.0, 0.08),
        {0: 0.05 * (1 - 0.9), 39: 0.005, 40: 0.0005},
    ),
    Row(
        "ls",
        "UCSC-REAL/negative-label-smoothing at 05078f6, main_GLS_direct_train.py, data/datasets.py",
        *(200, 128, 0.9, 1e-4, 4 / 32),
        {0: 0.1, 99: 0.1, 100: 0.01, 149: 0.01, 150: 0.001},
    ),
    Row(  # momentum and decay are the second file's; the first has none
        "negative-ls",
        "UCSC-REAL/negative-label-smoothing at 05078f6, main_warmup.py, main_GLS_load.py, data/datasets.py",
        *(120 + 100, 128, 0.9, 1e-4, 4 / 32),
        {0: 0.1, 39: 0.1, 40: 0.01, 79: 0.01, 80: 0.001, 119: 0.001, 120: 1e-6, 219: 1e-6},
    ),
    Row(
        "manifold-mixup",
        "vikasverma1077/manifold_mixup at 870ef77, supervised/README.md (PreActResNet-18), main.py, load_data.py",
        *(2000, 100, 0.9, 1e-4, 2 / 32),
        {0: 0.1, 499: 0.1, 500: 0.01, 999: 0.01, 1000: 0.001, 1499: 0.001, 1500: 0.0001},
        options={"loss": "binary"},
    ),
    Row(  # "at 100 and 150 epoch": the call comes after those epochs
        "mixup",
        "facebookresearch/mixup-cifar10 at eaff31a, train.py",
        *(200, 128, 0.9, 1e-4, 4 / 32),
        {0: 0.1, 99: 0.1, 101: 0.01, 149: 0.01, 151: 0.001},
    ),
    Row(  # half of the images are mirrored or get Gaussian noise, each as often; RandomErasing erases half
        "rul rul-relabel rul-random-share rul-equal-share ce-two-head",
        "zyh-uaiaaaa/Relative-Uncertainty-Learning at 63b73f2, src/main.py, src/dataset.py",
        *(60, 64, None, 1e-4, 0.0),
        {0: 2e-4, 1: 2e-4 * 0.9, 10: 2e-4 * 0.9**10},
        flip=0.25,
        erase=0.5,
        options={"classifier_lr": 0.002 / 0.0002},
    ),
    Row(  # the same augmentation; Adam with its default rate
        "scn",
        "kaiwang960112/Self-Cure-Network at 9f4c3ad, src/train.py",
        *(70, 64, None, 1e-4, 0.0),
        {0: 1e-3, 1: 1e-3 * 0.9, 10: 1e-3 * 0.9**10},
        flip=0.25,
        erase=0.5,
    ),
    Row(  # the scheduler's rate replaces the optimiser's 0.1
        "sce",
        "YisenWang/symmetric_cross_entropy_for_noisy_labels at ec778df, train_models.py, util.py",
        *(120, 128, 0.9, 0.0, 0.2),
        {0: 0.01, 40: 0.01, 41: 0.001, 80: 0.001, 81: 0.0001},
    ),
    Row(
        "sop",
        "shengliu66/SOP at 4d991ce, config_cifar100.json, data_loader/data_loaders.py",
        *(300, 128, 0.9, 1e-3, 4 / 32),
        {0: 0.02, 150: (0.02 + 0.0002) / 2},
        options={"warm_up": 0.0},
    ),
    Row(  # train has a decay by default, which its optimiser is not given
        "temperature",
        "gpleiss/temperature_scaling at ce1154e, train.py",
        *(300, 64, 0.9, 0.0, 4 / 32),
        {0: 0.1, 149: 0.1, 150: 0.01, 224: 0.01, 225: 0.001},
    ),
]
CASES = {name: row for row in ROWS for name in row.names.split()}


@pytest.mark.parametrize("name", CASES)
def test_a_papers_recipe_is_that_of_its_released_files(name: str) -> None:
    row, method = CASES[name], METHODS[name]
    own = recipe("paper", own=method.own_recipe)
    found = own.epochs, own.batch_size, own.weight_decay, own.shift, own.flip, own.erase
    assert found == pytest.approx((row.epochs, row.batch_size, row.weight_decay, row.shift, row.flip, row.erase)), row.where
    assert (own.optimizer, own.momentum if own.optimizer == "sgd" else None) == (
        ("adam", None) if row.momentum is None else ("sgd", row.momentum)
    ), row.where
    found = {epoch: own.lr * schedule_factor(own, min(1, (epoch + 1e-6) / own.epochs), own.epochs) for epoch in row.rates}
    assert found == pytest.approx(dict(row.rates), rel=1e-5, abs=1e-9), row.where
    assert method.own_options == row.options, row.where
    method.Config(**method.own_options)


def test_no_recipe_is_left_out() -> None:
    assert {name for name, method in METHODS.items() if method.own_recipe or method.own_options} == set(CASES)


def test_expressions_is_ruls_recipe_for_all() -> None:
    assert recipe("expressions") == replace(recipe("paper", own=METHODS["rul"].own_recipe), name="expressions")


def test_fast_expressions_is_the_same_with_a_rate_that_falls_faster() -> None:
    whole, fast = recipe("expressions"), recipe("fast-expressions")
    assert replace(fast, name=whole.name, epochs=whole.epochs, decay=whole.decay) == whole
    for epoch in range(fast.epochs):
        falls = schedule_factor(fast, epoch / fast.epochs, fast.epochs)
        assert falls == pytest.approx(schedule_factor(whole, 5 * epoch / whole.epochs, whole.epochs))
