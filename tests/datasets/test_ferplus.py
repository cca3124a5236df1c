"""FER+: the join of two files, the two rules, duplicates across splits, and every row that is not what it should be."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from mirror import mirror
from refusal import refusal

from benchmark.datasets._download import Remote
from benchmark.datasets._fer_files import EMOTIONS, VOTES, VOTES_HEADER, occurs_in, read_faces, read_votes
from benchmark.datasets.ferplus import FER2013_TO_FERPLUS, FERPlus, winners

NEUTRAL, HAPPINESS, SURPRISE, SADNESS, ANGER, DISGUST, FEAR, CONTEMPT, UNKNOWN, NF = range(10)


def votes(**counts):
    """A row of ten votes: `votes(anger=6, fear=4)`."""
    return [counts.get(name, 0) for name in (*EMOTIONS, "unknown", "NF")]


@pytest.fixture(autouse=True)
def _small_files(monkeypatch, request):
    if "realdata" not in request.keywords:
        monkeypatch.setattr(FERPlus, "published", {})


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, 2304)


# (emotion of FER2013, pixels, Usage, votes); row 5 has the pixels of a private test image, row 2 those of a public one
ROWS = [
    (0, picture(0), "Training", votes(anger=7, fear=2, unknown=1)),
    (3, picture(1), "Training", votes(happiness=10)),
    (6, picture(2), "Training", votes(neutral=5, sadness=5)),
    (4, picture(3), "Training", votes(contempt=8, neutral=2)),
    (2, picture(4), "Training", votes(fear=6, surprise=4)),
    (5, picture(5), "Training", votes(NF=10)),
    (5, picture(6), "Training", votes(surprise=5, neutral=4, sadness=1)),
    (3, picture(1), "PublicTest", votes(happiness=9, neutral=1)),
    (1, picture(8), "PublicTest", votes(disgust=6, anger=4)),
    (2, picture(4), "PrivateTest", votes(fear=8, sadness=2)),
    (6, picture(10), "PrivateTest", votes(unknown=6, neutral=4)),
    (6, picture(11), "PrivateTest", votes(neutral=10)),
]


def faces_line(emotion, pixels, usage, _):
    return f"{emotion},{' '.join(map(str, pixels))},{usage}"


def votes_line(_, __, usage, counts):
    return f"{usage},,{','.join(map(str, counts))}"


def write(root, faces, lines, newline="\n"):
    (root / "fer2013").mkdir(exist_ok=True)
    for name, content in (
        ("fer2013.csv", ["emotion,pixels,Usage", *faces]),
        ("fer2013new.csv", [",".join(VOTES_HEADER), *lines]),
    ):
        (root / "fer2013" / name).write_bytes((newline.join(content) + newline).encode())
    return root


@pytest.fixture
def faces():
    return [faces_line(*row) for row in ROWS]


@pytest.fixture
def lines():
    return [votes_line(*row) for row in ROWS]


@pytest.fixture
def root(tmp_path, faces, lines):
    return write(tmp_path, faces, lines)


def ferplus(root, **options):
    return FERPlus(FERPlus.Config(**options), root)


def refused(root, *words, **options):
    return refusal(lambda: ferplus(root, **options).read(), *words)


# What is read


def test_the_votes_are_fetched_and_verified(tmp_path, monkeypatch):
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "fer2013new.csv").write_bytes(b"ten votes a row")
    with mirror(tmp_path / "published") as address:
        for digest, told in ((hashlib.sha256(b"ten votes a row").hexdigest(), 0), ("0", 1)):
            votes = Remote(str(VOTES), (f"{address}/fer2013new.csv",), digest)
            monkeypatch.setattr("benchmark.datasets.ferplus.PUBLISHED_VOTES", votes)
            root = tmp_path / digest
            root.mkdir()
            assert len(FERPlus(FERPlus.Config(), root).download()) == told
            assert (root / VOTES).is_file() == (not told)


def test_rows_are_joined_and_kept_by_majority(root):
    data = ferplus(root).read()
    assert data.classes == EMOTIONS[:7]
    assert data.train.labels.tolist() == [ANGER, HAPPINESS, SURPRISE]  # not: a tie, contempt, a duplicate, not a face
    assert data.test.labels.tolist() == [FEAR, NEUTRAL]
    assert np.array_equal(data.train.images.reshape(3, -1), [ROWS[k][1] for k in (0, 1, 6)])
    assert data.train.images.shape == (3, 48, 48, 1)
    assert data.train.images.dtype == np.uint8
    assert data.train.labels.dtype == data.human_labels["human"].dtype == data.train.votes.dtype == np.int64


def test_votes_are_the_raw_ones_over_the_classes_in_use(root):
    assert ferplus(root).read().train.votes.tolist() == [ROWS[k][3][:7] for k in (0, 1, 6)]
    assert ferplus(root, classes=8).read().train.votes.tolist() == [ROWS[k][3][:8] for k in (0, 1, 3, 6)]


def test_human_labels_are_fer2013s_own_in_the_order_of_ferplus(root):
    data = ferplus(root, classes=8, keep_duplicates=True).read()
    assert data.human_labels["human"].tolist() == [ANGER, HAPPINESS, SADNESS, FEAR, SURPRISE]
    assert data.train.labels.tolist() == [ANGER, HAPPINESS, CONTEMPT, FEAR, SURPRISE]


def test_every_class_of_fer2013_finds_its_own(tmp_path, lines):
    wanted = [ANGER, DISGUST, FEAR, HAPPINESS, SADNESS, SURPRISE, NEUTRAL]
    assert FER2013_TO_FERPLUS.tolist() == wanted
    rows = [faces_line(k, picture(k), ROWS[k][2], None) for k in range(7)]
    write(tmp_path, rows, lines)
    assert read_faces(tmp_path / "fer2013" / "fer2013.csv")[1].tolist() == list(range(7))


def test_duplicates_of_the_test_split_in_use_leave_training_and_are_counted(root):
    private, public = ferplus(root).read(), ferplus(root, evaluate_on="public").read()
    assert not occurs_in(private.train.images, private.test.images).any()
    assert FEAR not in private.train.labels
    assert HAPPINESS in private.train.labels
    assert not occurs_in(public.train.images, public.test.images).any()
    assert FEAR in public.train.labels
    assert HAPPINESS not in public.train.labels
    for data, part in ((private, "PrivateTest"), (public, "PublicTest")):
        assert data.notes[-1] == f"Training: 1 images taken out, since their exact pixels are also in {part}"
    kept = ferplus(root, keep_duplicates=True).read()
    assert len(kept.train) == len(private.train) + 1
    assert not any("pixels" in note for note in kept.notes)


def test_the_notes_count_what_lost_its_vote(root):
    notes = ferplus(root).read().notes
    assert notes[0].startswith("Training: 3 of 7 images left out")
    assert notes[1].startswith("PrivateTest: 1 of 3 images left out")


def test_the_public_split_is_the_test_on_request(root):
    assert ferplus(root, evaluate_on="public").read().test.labels.tolist() == [HAPPINESS, DISGUST]


def test_argmax_keeps_what_has_no_majority(root):
    assert ferplus(root, rule="argmax").read().train.labels.tolist() == [ANGER, HAPPINESS, NEUTRAL, SURPRISE]


@pytest.mark.parametrize(
    ("row", "majority", "argmax"),
    [
        (votes(anger=6, fear=4), ANGER, ANGER),
        (votes(anger=5, fear=5), UNKNOWN, ANGER),
        (votes(anger=5, fear=4, sadness=1), ANGER, ANGER),  # 5 of 9: the single vote does not count
        (votes(anger=4, fear=3, sadness=2, disgust=1), UNKNOWN, ANGER),
        (votes(anger=4, NF=6), NF, NF),
        (votes(anger=4, unknown=4, NF=2), UNKNOWN, ANGER),  # the two last columns count among the votes
        (votes(neutral=1, fear=1), UNKNOWN, NEUTRAL),
    ],
)
def test_the_rules(row, majority, argmax):
    assert winners(np.array([row]), "majority").tolist() == [majority]
    assert winners(np.array([row]), "argmax").tolist() == [argmax]


def test_windows_line_ends_and_a_byte_order_mark_do_no_harm(tmp_path, root, faces, lines):
    plain = ferplus(root).read()
    write(tmp_path, faces, lines, newline="\r\n")
    file = tmp_path / "fer2013" / "fer2013.csv"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert np.array_equal(ferplus(tmp_path).read().train.images, plain.train.images)


def test_sources_are_the_two_files(root):
    assert set(ferplus(root).sources()) == set((root / "fer2013").iterdir())


# Bad input


def test_a_missing_file_says_where_to_get_it(root):
    (root / "fer2013" / "fer2013new.csv").unlink()
    refused(root, root / "fer2013" / "fer2013new.csv", "microsoft/FERPlus")
    (root / "fer2013" / "fer2013.csv").unlink()
    refused(
        root, root / "fer2013" / "fer2013.csv", "challenges-in-representation-learning-facial-expression-recognition-challenge"
    )
    refused(None, "--data-root", "BENCHMARK_DATA")


def test_a_number_of_classes_that_does_not_exist_is_refused(root):
    refused(root, "ferplus.classes is 6", "7", "8", classes=6)


def test_files_of_different_length_are_refused(tmp_path, faces, lines):
    refused(write(tmp_path, faces, lines[:-1]), "fer2013new.csv", "11 rows", "12")


def test_files_in_different_order_are_refused(tmp_path, faces, lines):
    refused(write(tmp_path, faces, lines[::-1]), "fer2013new.csv", "row 1", "Usage")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (" ", "", ["wanted 2304 pixels, found 2303"]),
        (" ", " 7 ", ["wanted 2304 pixels, found 2305"]),
        (" ", " 256", ["0 to 255"]),
        (" ", " -1", ["0 to 255"]),
        (" ", " 99999999999999999999", ["0 to 255"]),
        (" ", " x", ["0 to 255"]),
        (" ", " 0.5 ", ["0 to 255"]),
        (" ", ",", ["wanted 3 fields, found 4"]),
        ("1,", "7,", ["emotion is '7'", "0 to 6"]),
        ("1,", "-1,", ["emotion is '-1'", "0 to 6"]),
        ("1,", ",", ["emotion is ''"]),
        ("1,", "1.0,", ["emotion is '1.0'"]),
        ("PublicTest", "Validation", ["Usage is 'Validation'", "PublicTest"]),
    ],
)
def test_a_bad_row_of_fer2013_is_named(tmp_path, faces, lines, old, new, words):
    faces[8] = f"1,{' '.join(['17'] * 2304)},PublicTest".replace(old, new, 1)
    refused(write(tmp_path, faces, lines), "fer2013.csv, row 9", *words)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("PublicTest,,11,0,0,0,0,0,0,0,0,0", ["vote is '11'", "0 to 10"]),
        ("PublicTest,,-1,0,0,0,0,0,0,0,0,0", ["vote is '-1'", "0 to 10"]),
        ("PublicTest,,,0,0,0,0,0,0,0,0,0", ["vote is ''"]),
        ("PublicTest,,9,0,0,0", ["wanted 12 fields, found 6", "truncated"]),
        ("Test,,9,0,0,0,0,0,0,0,0,0", ["Usage is 'Test'"]),
    ],
)
def test_a_bad_row_of_votes_is_named(tmp_path, faces, lines, line, words):
    lines[8] = line
    refused(write(tmp_path, faces, lines), "fer2013new.csv, row 9", *words)


def test_a_file_cut_in_a_row_is_refused(root):
    file = root / "fer2013" / "fer2013.csv"
    file.write_bytes(file.read_bytes()[:-5000])
    refused(root, file, "row 12")


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\x00\xff\x00", b"PK\x03\x04"])
def test_another_file_under_the_name_is_refused(root, content):
    for name in ("fer2013.csv", "fer2013new.csv"):
        (root / "fer2013" / name).write_bytes(content)
        refused(root, root / "fer2013", "wanted the columns")


def test_a_split_without_images_is_refused(tmp_path, faces, lines):
    refused(write(tmp_path, faces[:9], lines[:9]), "no PrivateTest image")
    refused(write(tmp_path, [], []), "no Training image")


# What is found


def found(root):
    return [(finding.kind, finding.where) for finding in ferplus(root).findings()]


def test_each_group_of_the_same_pixels_is_found_once(tmp_path, faces, lines):
    again = (0, picture(1), "PrivateTest", votes(happiness=10))
    inside = (0, picture(0), "Training", votes(anger=10))
    write(tmp_path, [*faces, faces_line(*again), faces_line(*inside)], [*lines, votes_line(*again), votes_line(*inside)])
    first, second, third = ferplus(tmp_path).findings()
    assert (first.kind, first.where) == ("duplicate", "fer2013.csv, row 1 (Training)")
    assert first.detail == "the same pixels as fer2013.csv, row 14 (Training)"
    assert (second.kind, second.where) == ("duplicate across splits", "fer2013.csv, row 2 (Training)")
    assert "row 8 (PublicTest)" in second.detail
    assert "row 13 (PrivateTest)" in second.detail
    assert second.detail.endswith("their labels differ")
    assert third.detail == "the same pixels as fer2013.csv, row 10 (PrivateTest)"


def test_duplicates_that_read_leaves_out_are_found(root):
    data = ferplus(root).read()
    assert not occurs_in(data.train.images, data.test.images).any()
    assert found(root) == [("duplicate across splits", f"fer2013.csv, row {row} (Training)") for row in (2, 5)]


def test_every_damaged_row_is_found_and_the_others_are_still_compared(tmp_path, faces, lines):
    faces[0], faces[5], lines[3] = faces[0][:-20], f"7{faces[5][1:]}", "Training,,1"
    folder = write(tmp_path, faces, lines) / "fer2013"
    damaged = [f"{folder / 'fer2013.csv'}, row {row}" for row in (1, 6)] + [f"{folder / 'fer2013new.csv'}, row 4"]
    twice = [("duplicate across splits", f"fer2013.csv, row {row} (Training)") for row in (2, 5)]
    assert found(tmp_path) == [("damaged row", where) for where in damaged] + twice
    details = [finding.detail for finding in ferplus(tmp_path).findings()][:3]
    assert details[1] == "emotion is '7'; wanted a whole number from 0 to 6"


def test_missing_and_foreign_files_and_files_that_do_not_match_are_found(tmp_path, faces, lines):
    folder = write(tmp_path, faces, lines[:-1]) / "fer2013"
    assert found(tmp_path)[0] == ("files do not match", str(folder / "fer2013new.csv"))
    (folder / "fer2013new.csv").write_bytes(b"PK")
    assert found(tmp_path)[0] == ("unreadable", str(folder / "fer2013new.csv"))
    (folder / "fer2013new.csv").unlink()
    assert found(tmp_path) == [("missing", str(folder / "fer2013new.csv"))]
    (folder / "fer2013.csv").unlink()
    refusal(lambda: found(tmp_path), folder / "fer2013.csv", "is missing", "microsoft/FERPlus")
    refusal(lambda: found(None), "--data-root")


def test_files_cut_between_two_rows_are_told_and_found(tmp_path, root, faces, lines, monkeypatch):
    monkeypatch.setattr(FERPlus, "published", {"Training": 7, "PublicTest": 2, "PrivateTest": 3})
    assert {kind for kind, _ in found(root)} == {"duplicate across splits"}
    assert not any("published" in note for note in ferplus(root).read().notes)
    folder = write(tmp_path, faces[:-1], lines[:-1]) / "fer2013"
    assert found(tmp_path)[:2] == [("wrong count", str(folder / name)) for name in ("fer2013.csv", "fer2013new.csv")]
    assert ferplus(tmp_path).read().notes[0].startswith("PrivateTest: fer2013.csv has 2 rows, where 3 were published")
    write(tmp_path, faces, lines[:-1])
    assert found(tmp_path)[:2] == [(kind, str(folder / "fer2013new.csv")) for kind in ("wrong count", "files do not match")]


# The real thing


@pytest.fixture(scope="module")
def real():
    """Images, labels, usage and votes of all rows, and a reader that takes the parsed rows instead of parsing them again."""
    root = os.environ.get("BENCHMARK_DATA")
    if not root:
        pytest.skip("BENCHMARK_DATA is not set")
    folder = Path(root) / "fer2013"
    if not folder.is_dir():
        pytest.skip(f"there is no fer2013 below BENCHMARK_DATA={root}")
    faces, voted = read_faces(folder / "fer2013.csv"), read_votes(folder / "fer2013new.csv")

    def read(**options):
        with pytest.MonkeyPatch.context() as patch:
            module = "benchmark.datasets.ferplus"
            patch.setattr(f"{module}.read_faces", lambda _: faces)
            patch.setattr(f"{module}.read_votes", lambda _: voted)
            return ferplus(Path(root), **options).read()

    return faces, read


@pytest.mark.realdata
def test_real_counts_by_the_majority_rule(real):
    _, read = real
    data = read(classes=8, keep_duplicates=True)
    assert np.bincount(data.train.labels).tolist() == [8740, 7287, 3149, 3014, 2100, 119, 532, 119]
    assert len(data.train) == 25_060
    assert len(data.test) == 3153
    assert len(read(classes=8, evaluate_on="public").test) == 3199


@pytest.mark.realdata
def test_real_counts_by_argmax(real):
    _, read = real
    data = read(classes=8, rule="argmax", keep_duplicates=True)
    assert (len(data.train), len(data.test)) == (28_389, 3546)
    assert len(read(classes=8, rule="argmax", evaluate_on="public").test) == 3553


@pytest.mark.realdata
def test_real_counts_of_the_default(real):
    _, read = real
    data = read()
    assert (len(data.train), len(data.test)) == (24_941 - 335, 3137)
    assert data.notes[-1].startswith("Training: 335 images")
    assert not occurs_in(data.train.images, data.test.images).any()


@pytest.mark.realdata
@pytest.mark.parametrize(("classes", "percent"), [(8, 32.3), (7, 32.0)])
def test_real_disagreement_of_fer2013_with_ferplus(real, classes, percent):
    _, read = real
    data = read(classes=classes, keep_duplicates=True)
    assert 100 * np.mean(data.human_labels["human"] != data.train.labels) == pytest.approx(percent, abs=0.05)


@pytest.mark.realdata
def test_real_duplicates_and_blank_images_are_those_of_the_card(real):
    (images, labels, usage), _ = real
    groups = {}
    for row, image in enumerate(images):
        groups.setdefault(image.tobytes(), []).append(row)
    assert sum(len(set(usage[rows])) > 1 for rows in groups.values()) == 557
    assert sum(len(set(labels[rows])) > 1 for rows in groups.values()) == 57
    for part, other, count in (
        ("Training", "PublicTest", 270),
        ("Training", "PrivateTest", 278),
        ("PublicTest", "PrivateTest", 43),
    ):
        assert sum({part, other} <= set(usage[rows]) for rows in groups.values()) == count
    assert np.sum(images.min(axis=(1, 2, 3)) == images.max(axis=(1, 2, 3))) == 12


@pytest.mark.realdata
def test_real_duplicates_are_found(real):
    findings = list(ferplus(Path(os.environ["BENCHMARK_DATA"])).findings())
    assert sum(finding.kind == "duplicate across splits" for finding in findings) == 557
    assert sum(finding.detail.endswith("their labels differ") for finding in findings) == 57
    assert {finding.kind for finding in findings} == {"duplicate", "duplicate across splits"}


@pytest.mark.realdata
def test_real_blank_images_lose_every_vote(real):
    _, read = real
    for rule in ("majority", "argmax"):
        data = read(classes=8, rule=rule, keep_duplicates=True)
        for split in (data.train, data.test, read(classes=8, rule=rule, evaluate_on="public").test):
            assert (split.images.min(axis=(1, 2, 3)) < split.images.max(axis=(1, 2, 3))).all()
