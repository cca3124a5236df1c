"""Measured beside published: which numbers meet, what marks say, and that an unverified one is never shown as if it were."""

from __future__ import annotations

import dataclasses

import pytest
from stubs import SPEC

from benchmark.report.against import belongs, beside_published, differences_of
from benchmark.report.formats import FORMATS, render
from benchmark.report.published import Published, published
from benchmark.report.results import Result
from benchmark.spec import DatasetSpec, recipe

RIGHT = recipe("paper", epochs=60)
ROW = Published(
    paper="A paper",
    year=2020,
    method="SCN (pretrained)",
    registered="scn",
    dataset="RAF-DB",
    registered_dataset="rafdb",
    noise_kind="symmetric",
    registered_noise="symmetric",
    noise_rate=20,
    metric="accuracy",
    selection="last",
    mean=81.5,
    std=0.2,
    backbone="ResNet-18",
    registered_backbone="resnet18",
    weights="none",
    epochs=60,
    source="its table 2",
    verified="yes",
    notes="",
)


def run(dataset="rafdb", classes=None, seed=0, accuracy=80.0, status="finished", **changes) -> Result:
    made = dataclasses.replace(
        SPEC,
        dataset=DatasetSpec.parse(dataset, {"classes": classes} if classes else {}),
        **{"noise_kind": "symmetric", "noise_rate": 0.2, "options": {}, "backbone": "resnet18", "recipe": RIGHT, **changes},
        seed=seed,
    )
    return Result(
        spec=made,
        key=str(seed),
        noise_sha256=f"noise {seed}",
        weights_sha256=None,
        weights_match=None,
        images_of=dataset.partition("@")[0],
        dataset_sha256="data",
        code="code",
        protocol=1,
        realised=0.2,
        imbalance=1.0,
        privilege=(),
        status=status,
        metrics={"acc_last": accuracy, "nll": 0.5, "ece": 2.0} if status == "finished" else {},
        error=None,
    )


def row(**changes) -> Published:
    return Published(**{**ROW.model_dump(), **changes})


def only_table(results, rows):
    (table,), _ = beside_published(results, rows)
    return table


def test_measured_published_and_difference_stand_side_by_side():
    table = only_table([run(accuracy=80.0), run(seed=1, accuracy=82.0)], [ROW])
    assert table.columns == ("noise", "method", "published as", "measured", "published", "difference", "marks")
    assert table.rows == (
        (
            "symmetric 20 % (realised 20.00 %)",
            "scn",
            "SCN (pretrained)",
            "81.00 ± 1.41 (n = 2)",
            "81.50 ± 0.20",
            "-0.50",
            "",
        ),
    )
    assert table.title == "Beside A paper: rafdb, backbone resnet18, each method by recipe paper[epochs=60] in fp32"
    assert "Marks, of" not in table.caption
    assert "Source: its table 2." in table.caption


@pytest.mark.parametrize(
    ("changes", "mark"),
    [
        ({"selection": "best"}, "its epoch is the best on the test set"),
        ({"selection": "val"}, "its epoch was chosen by held-out images"),
        ({"selection": ""}, "not known: how the epoch was chosen"),
        ({"epochs": 70}, "70 epochs"),
        ({"epochs": None}, "not known: the epochs"),
        ({"registered_backbone": "cnn9"}, "backbone cnn9"),
        ({"registered_backbone": ""}, "not known: the backbone"),
        ({"weights": "ms-celeb-1m"}, "weights ms-celeb-1m"),
        ({"weights": ""}, "not known: the pretrained weights"),
        ({"registered_noise": "symmetric-inclusive"}, "noise symmetric-inclusive"),
        ({"registered_noise": "unstated"}, "not known: whether symmetric noise may draw the true class"),
        ({"registered_dataset": "rafdb[classes=?]"}, "not known: the number of classes"),
        ({"registered": "scn:oracle"}, "method scn:oracle"),
    ],
)
def test_what_differs_in_the_paper_marks_the_cell_and_is_told_below(changes, mark):
    table = only_table([run()], [row(**changes)])
    assert table.rows[0][-1] == "a"
    assert f"Marks, of the published number: a: {mark}." in table.caption


@pytest.mark.parametrize(
    ("measured", "mark"),
    [
        ({"dataset": "rafdb@5k"}, "all training images"),
        ({"recipe": recipe("common", epochs=60)}, "its own recipe"),
        ({"backbone": "small"}, "backbone resnet18"),
        ({"backbone": "resnet18@96"}, "images not brought to 96 px"),
        ({"pretrained": "imagenet"}, "no pretrained weights"),
        ({"validation": 0.1}, "no images held out"),
        ({"noise_kind": "symmetric-exact"}, "noise symmetric"),
    ],
)
def test_so_does_what_differs_in_the_run(measured, mark):
    assert differences_of(run(**measured), ROW) == [mark]


def test_a_mark_means_the_same_in_the_whole_table():
    rows = [row(epochs=70), row(epochs=70, selection="best", registered="ce", method="CE")]
    table = only_table([run(), run(method="ce")], rows)
    assert [cells[-1] for cells in table.rows] == ["a", "a b"]


@pytest.mark.parametrize(
    "changes",
    [
        {"registered": "rul"},
        {"registered": ""},
        {"registered_dataset": "ferplus"},
        {"noise_rate": 30},
        {"registered_noise": "asymmetric"},
        {"registered_noise": "none", "noise_rate": 0},
        {"registered_dataset": "rafdb[classes=8]"},
    ],
)
def test_numbers_of_something_else_stay_away(changes):
    assert not belongs(run(), row(**changes))


def test_clean_labels_meet_clean_labels_whatever_kind_has_the_rate_of_zero():
    clean = row(registered_noise="none", noise_rate=0)
    assert belongs(run(noise_rate=0.0, noise_kind="asymmetric"), clean)
    assert differences_of(run(noise_rate=0.0, noise_kind="asymmetric"), clean) == []
    assert not belongs(run(noise_rate=0.0), ROW)


def test_human_labels_meet_by_their_kind():
    human = row(registered_noise="human-worst", noise_rate=40.21)
    assert belongs(run(noise_kind="human-worst", noise_rate=None), human)
    assert not belongs(run(noise_kind="human-random1", noise_rate=None), human)


def test_classes_that_are_said_have_to_agree():
    eight = run(dataset="affectnet", classes=8)
    assert belongs(eight, row(registered_dataset="affectnet[classes=8]"))
    assert belongs(eight, row(registered_dataset="affectnet[classes=?]"))
    assert not belongs(eight, row(registered_dataset="affectnet"))


@pytest.mark.parametrize("name", FORMATS)
def test_an_unverified_number_is_called_so_in_its_cell_and_below_in_every_format(name):
    made, lacking = beside_published([run()], [row(verified="no", source="from memory, not checked")])
    text = render(made, lacking)[name]
    assert "81.50 ± 0.20 (UNVERIFIED)" in text.replace("$\\pm$", "±")
    assert "UNVERIFIED, for its source was not read: from memory, not checked." in text


def test_no_unverified_number_that_is_shipped_stands_unmarked():
    for unverified in (r for r in published() if r.verified == "no" and r.registered):
        clean = unverified.registered_noise == "none"
        twin = run(
            dataset=unverified.registered_dataset.partition("[")[0],
            classes=8 if "classes=8" in unverified.registered_dataset else None,
            method=unverified.registered,
            noise_kind="symmetric" if clean else unverified.registered_noise,
            noise_rate=unverified.noise_rate / 100,
        )
        assert "(UNVERIFIED)" in only_table([twin], [unverified]).rows[0][4]


def test_several_metrics_are_told_apart_and_come_in_our_units():
    rows = [
        row(registered_noise="none", noise_rate=0),
        row(metric="ece", mean=0.025, std=None, registered_noise="none", noise_rate=0),
    ]
    table = only_table([run(noise_rate=0.0)], rows)
    assert table.columns[3] == "metric"
    assert table.rows[1][3:7] == ("ECE (%)", "2.00 (n = 1)", "2.50", "-0.50")


def test_each_paper_and_each_setting_has_its_own_table():
    made, _ = beside_published([run(), run(backbone="small")], [ROW, row(paper="Another")])
    assert [table.title.partition(":")[0] for table in made] == ["Beside A paper", "Beside Another"] * 2


def test_the_small_scale_stands_in_the_title():
    table = only_table([run(dataset="rafdb@5k")], [ROW])
    assert table.title.startswith("Small scale, not the published setting. Beside A paper")


def test_a_setting_without_a_number_says_so_in_a_line():
    made, lacking = beside_published([run(dataset="faces")], published())
    assert made == []
    assert lacking == [
        "No published number that we know of stands beside a finished run of: faces, backbone resnet18, "
        "each method by recipe paper[epochs=60] in fp32"
    ]


def test_runs_that_are_not_finished_are_measured_by_nothing():
    assert beside_published([run(status="missing")], [ROW])[0] == []
    table = only_table([run(accuracy=80.0), run(seed=1, status="missing")], [ROW])
    assert table.rows[0][3] == "80.00 (n = 1)"
