"""Features and images: laid out the same every time, the right ones, with what their licence allows."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from made_up import CLASSES, finished_sweep, only_group
from PIL import Image

from benchmark.report.figures import features, galleries
from benchmark.report.figures.group import NotApplicable


def blobs(count: int) -> np.ndarray:
    centres = np.repeat(np.eye(3) * 8, count, axis=0)
    return (centres + np.random.default_rng(0).normal(size=centres.shape)).astype(np.float16)


def test_the_layout_is_the_same_every_time_and_keeps_neighbours():
    values = blobs(50)
    places = features.layout(values)
    assert np.array_equal(places, features.layout(values))
    assert places.min(axis=0).tolist() == [0, 0]
    assert places.max(axis=0).tolist() == [1, 1]
    centres = places.reshape(3, 50, 2).mean(axis=1)
    nearest = np.linalg.norm(places[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == np.repeat(np.arange(3), 50)).mean() > 0.97


@pytest.mark.parametrize("values", [np.zeros((120, 4)), np.ones((5, 1)), np.full((3, 2), np.inf)])
def test_features_that_say_nothing_are_still_laid_out(values: np.ndarray):
    places = features.layout(values.astype(np.float16))
    assert places.shape == (len(values), 2)
    assert np.isfinite(places).all()


def test_the_three_methods_of_the_repository_stand_side_by_side(tmp_path: Path):
    group = only_group(finished_sweep(tmp_path, methods=("ce", "rul", "scn", "gce", "dul")))
    chart, caption = features.draw(group)
    assert [panel["title"]["text"] for panel in chart.to_dict()["concat"]] == [["scn"], ["dul"], ["rul"]]
    assert "Features not shown: ce, gce" in caption
    shown = [row for rows in chart.to_dict()["datasets"].values() for row in rows]
    assert {(row["class"], row["name"]) for row in shown} == {(k, f"{k}  {name}") for k, name in enumerate(CLASSES)}
    assert len(shown) == 3 * 75


def test_without_features_there_is_no_picture_of_them(tmp_path: Path):
    with pytest.raises(NotApplicable, match="no method of this sweep shows its features"):
        features.draw(only_group(finished_sweep(tmp_path, without=("features",))))


def pixel(url: str) -> int:
    """The value of a made-up image, which is its number in its split."""
    head, _, content = url.partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return round(float(np.asarray(Image.open(io.BytesIO(base64.b64decode(content)))).mean()))


def shown_images(chart: object) -> list[dict]:
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows if "url" in row]  # type: ignore[attr-defined]


def test_a_gallery_has_the_images_at_both_ends_of_the_uncertainty(tmp_path: Path):
    group = only_group(finished_sweep(tmp_path))
    chart, caption = galleries.draw_uncertain(group)
    stored = np.load(group.store.run("ce-symmetric-0.3-0").path / "predictions.npz")
    order = np.argsort(stored["test_uncertainty"])
    mine = [row for row in shown_images(chart) if row["method"] == "ce"]
    assert [pixel(row["url"]) for row in mine] == [*order[:4], *order[:-5:-1]]
    for row, k in zip(mine, [*order[:4], *order[:-5:-1]], strict=True):
        assert row["reference"] == CLASSES[stored["test_reference"][k]]
        assert row["predicted"] == CLASSES[stored["test_logits"][k].argmax()]
        votes = dict(zip(CLASSES, stored["test_votes"][k], strict=True))
        assert {name: n for name, n in votes.items() if n} == {
            vote.rpartition(" ")[0]: int(vote.rpartition(" ")[2]) for vote in row["votes"].split(", ")
        }
    assert "Not to be published: licence of the images: for friends only." in caption
    assert "for friends only" in str(chart.to_dict()["datasets"])  # in the picture itself


def test_the_caught_and_the_missed_have_wrong_labels(tmp_path: Path):
    group = only_group(finished_sweep(tmp_path))
    chart, _ = galleries.draw_flipped(group)
    stored = np.load(group.store.run("scn-symmetric-0.3-0").path / "predictions.npz")
    index, score = stored["train_index"], stored["train_noise_score"]
    wrong = np.flatnonzero(stored["train_given"] != index % 3)
    order = wrong[np.argsort(score[wrong])]
    mine = [row for row in shown_images(chart) if row["method"] == "scn"]
    assert [pixel(row["url"]) for row in mine] == [*index[order[:-5:-1]], *index[order[:4]]]
    assert all(row["given"] != row["reference"] for row in mine)


def test_images_from_outside_are_no_wrong_labels_to_show():
    score, given, reference = np.array([0.1, 0.9, 0.5, 0.3]), np.array([1, 1, 1, 1]), np.array([0, -1, 0, 1])
    assert galleries.missed_first(score, given, reference).tolist() == [0, 2]


def test_large_images_are_reduced_and_small_ones_kept():
    large = np.random.default_rng(0).integers(0, 256, (200, 100, 3), np.uint8)
    content = base64.b64decode(galleries.picture(large).partition(",")[2])
    assert Image.open(io.BytesIO(content)).size == (32, 64)
    assert len(content) < 4000


def test_many_methods_share_the_width_and_have_numbers_for_classes(tmp_path: Path):
    group = only_group(finished_sweep(tmp_path, methods=[f"m{k}" for k in range(9)]))
    texts = [
        row["text"]
        for rows in galleries.draw_uncertain(group)[0].to_dict()["datasets"].values()
        for row in rows
        if "text" in row
    ]
    assert texts.count("least uncertain") == 2
    assert any(text.startswith("0 across") for text in texts)
