"""FER2013 by its own labels: the splits, duplicates across them, and every file that is not what it should be."""

import os
from pathlib import Path

import numpy as np
import pytest
from refusal import refusal

from benchmark.datasets._fer_files import FER2013_CLASSES, occurs_in, read_faces
from benchmark.datasets.fer2013 import FER2013

ANGER, DISGUST, FEAR, HAPPINESS, SADNESS, SURPRISE, NEUTRAL = range(7)


@pytest.fixture(autouse=True)
def _small_files(monkeypatch, request):
    if "realdata" not in request.keywords:
        monkeypatch.setattr(FER2013, "published", {})


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, 2304)


# (emotion, pixels, Usage); row 2 has the pixels of a public test image, row 3 those of a private one under another label
ROWS = [
    (ANGER, picture(0), "Training"),
    (HAPPINESS, picture(1), "Training"),
    (FEAR, picture(2), "Training"),
    (DISGUST, picture(3), "Training"),
    (HAPPINESS, picture(1), "PublicTest"),
    (NEUTRAL, picture(5), "PublicTest"),
    (SURPRISE, picture(2), "PrivateTest"),
    (SADNESS, picture(7), "PrivateTest"),
]


def write(root, rows):
    (root / "fer2013").mkdir(exist_ok=True)
    lines = [f"{emotion},{' '.join(map(str, pixels))},{usage}" for emotion, pixels, usage in rows]
    (root / "fer2013" / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *lines, ""]), encoding="utf-8")
    return root


@pytest.fixture
def root(tmp_path):
    return write(tmp_path, ROWS)


def fer2013(root, **options):
    return FER2013(FER2013.Config(**options), root)


def refused(root, *words, **options):
    return refusal(lambda: fer2013(root, **options).read(), *words)


# What is read


def test_the_splits_read_back_with_their_own_labels(root):
    data = fer2013(root, keep_duplicates=True).read()
    assert data.classes == FER2013_CLASSES == ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    assert data.train.labels.tolist() == [ANGER, HAPPINESS, FEAR, DISGUST]
    assert data.test.labels.tolist() == [SURPRISE, SADNESS]
    assert np.array_equal(data.train.images.reshape(4, -1), [ROWS[k][1] for k in range(4)])
    assert np.array_equal(data.test.images.reshape(2, -1), [ROWS[k][1] for k in (6, 7)])
    assert data.train.images.shape == (4, 48, 48, 1)
    assert (data.train.images.dtype, data.train.labels.dtype) == (np.uint8, np.int64)
    assert data.train.votes is None
    assert data.notes == ()


def test_duplicates_of_the_test_split_in_use_leave_training_and_are_counted(root):
    private, public = fer2013(root).read(), fer2013(root, evaluate_on="public").read()
    assert private.train.labels.tolist() == [ANGER, HAPPINESS, DISGUST]
    assert public.train.labels.tolist() == [ANGER, FEAR, DISGUST]
    assert public.test.labels.tolist() == [HAPPINESS, NEUTRAL]
    for data, part in ((private, "PrivateTest"), (public, "PublicTest")):
        assert not occurs_in(data.train.images, data.test.images).any()
        assert data.notes == (f"Training: 1 images taken out, since their exact pixels are also in {part}",)


def test_asymmetric_noise_has_its_maps(root):
    data = fer2013(root).read()
    assert set(data.mistakes) == {"asymmetric", "asymmetric-la-net"}
    la_net = data.mistakes["asymmetric-la-net"]
    assert la_net.argmax(axis=1).tolist() == [DISGUST, ANGER, SURPRISE, NEUTRAL, NEUTRAL, ANGER, SADNESS]
    assert la_net.shape == (7, 7)


def test_the_votes_of_ferplus_are_not_needed(root):
    assert fer2013(root).sources() == [root / "fer2013" / "fer2013.csv"]


def test_findings_are_the_pixel_identical_groups(root):
    found = list(fer2013(root).findings())
    assert [f.kind for f in found] == ["duplicate across splits"] * 2
    assert "row 2 (Training)" in found[0].where
    assert "row 5 (PublicTest)" in found[0].detail
    assert ["labels differ" in f.detail for f in found] == [False, True]
    write(root, [*ROWS, ROWS[0]])
    assert [f.kind for f in fer2013(root).findings()].count("duplicate") == 1


# Bad input


def test_a_missing_file_says_where_to_get_it(root):
    (root / "fer2013" / "fer2013.csv").unlink()
    refused(root, root / "fer2013" / "fer2013.csv", "fer2013.tar.gz", "kaggle", "into fer2013/")
    refused(None, "--data-root", "BENCHMARK_DATA")
    refusal(lambda: list(fer2013(root).findings()), root / "fer2013" / "fer2013.csv", "is missing")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((7, picture(9), "Training"), ["row 9", "emotion is '7'", "0 to 6"]),
        ((1, picture(9)[1:], "Training"), ["row 9", "wanted 2304 pixels, found 2303"]),
        ((1, [256] * 2304, "Training"), ["row 9", "0 to 255"]),
        ((1, picture(9), "Test"), ["row 9", "Usage is 'Test'", "PrivateTest"]),
        ((1, picture(9), "Training,1"), ["row 9", "wanted 3 fields, found 4"]),
    ],
)
def test_a_bad_row_is_named(root, row, words):
    refused(write(root, [*ROWS, row]), "fer2013.csv", *words)


@pytest.mark.parametrize(("rows", "part"), [(ROWS[:4], "PrivateTest"), (ROWS[4:], "Training"), ([], "Training")])
def test_a_split_without_images_is_refused(root, rows, part):
    refused(write(root, rows), f"there is no {part} image")


def test_a_file_cut_between_two_rows_is_told_and_found(root, monkeypatch):
    monkeypatch.setattr(FER2013, "published", {"Training": 4, "PublicTest": 2, "PrivateTest": 2})
    assert not any("published" in note for note in fer2013(root).read().notes)
    write(root, ROWS[:-1])
    assert fer2013(root).read().notes[0] == (
        "PrivateTest: fer2013.csv has 1 rows, where 2 were published: a subset, or a file that was cut"
    )
    finding = next(fer2013(root).findings())
    assert (finding.kind, finding.where) == ("wrong count", str(root / "fer2013" / "fer2013.csv"))
    assert finding.detail == "PrivateTest: wanted 2 rows, found 1"


# The real thing


@pytest.fixture(scope="module")
def real():
    """All rows, and a reader that takes them instead of parsing them again."""
    root = os.environ.get("BENCHMARK_DATA")
    if not root:
        pytest.skip("BENCHMARK_DATA is not set")
    if not (file := Path(root) / "fer2013" / "fer2013.csv").is_file():
        pytest.skip(f"there is no fer2013 below BENCHMARK_DATA={root}")
    faces = read_faces(file)

    def read(**options):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("benchmark.datasets.fer2013.read_faces", lambda _: faces)
            return fer2013(Path(root), **options).read()

    return faces, read


@pytest.mark.realdata
def test_real_counts(real):
    _, read = real
    data = read(keep_duplicates=True)
    assert np.bincount(data.train.labels).tolist() == [3995, 436, 4097, 7215, 4830, 3171, 4965]
    assert (len(data.train), len(data.test), len(read(evaluate_on="public").test)) == (28_709, 3589, 3589)


@pytest.mark.realdata
def test_real_duplicates_are_those_of_the_card(real):
    _, read = real
    found = list(fer2013(Path(os.environ["BENCHMARK_DATA"])).findings())
    assert {f.kind for f in found} == {"duplicate", "duplicate across splits"}
    assert sum(f.kind == "duplicate across splits" for f in found) == 557
    assert sum("labels differ" in f.detail for f in found) == 57
    data = read()
    assert not occurs_in(data.train.images, data.test.images).any()
