"""RAF-DB as the RUL repository lays it out: what is read, and every line and file that is not what it should be."""

import numpy as np
import pytest
from pictures import kinds, pixels, refused, save
from refusal import refusal

from benchmark.datasets.rafdb import CLASSES, RAFDB

# (name, label from 1); every class is in training
ROWS = [(f"train_{k:05}.jpg", k) for k in range(1, 8)] + [("test_0001.jpg", 4), ("test_0002.jpg", 7)]


@pytest.fixture(autouse=True)
def _small_set(monkeypatch):
    monkeypatch.setattr(RAFDB, "published", {})


def write(root, rows, newline="\n", before=""):
    file = root / "raf-basic" / "EmoLabel" / "list_patition_label.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(before + newline.join(" ".join(map(str, row)) for row in rows) + newline, encoding="utf-8", newline="")
    return root


def image(root, name):
    return root / "raf-basic" / "Image" / "aligned" / name.replace(".jpg", "_aligned.jpg")


@pytest.fixture
def root(tmp_path):
    for seed, (name, _) in enumerate(ROWS):
        save(image(tmp_path, name), seed, 100, 100)
    return write(tmp_path, ROWS)


def rafdb(root, **options):
    return RAFDB(RAFDB.Config(**options), root)


# What is read


def test_the_layout_reads_back_in_the_order_of_the_classes(root):
    data = rafdb(root).read()
    assert data.classes == CLASSES == ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
    assert data.train.labels.tolist() == list(range(7))
    assert data.test.labels.tolist() == [3, 6]
    assert np.array_equal(data.train.images, [pixels(k, 100, 100) for k in range(7)])
    assert np.array_equal(data.test.images, [pixels(k, 100, 100) for k in (7, 8)])
    assert data.train.votes is None
    assert set(data.mistakes) == {"asymmetric", "asymmetric-la-net"}


def test_names_are_those_by_which_the_papers_lists_know_the_images(root):
    assert rafdb(root).read().train.names[:2].tolist() == [f"raf-basic/Image/aligned/train_0000{k}_aligned.jpg" for k in (1, 2)]


def test_the_order_is_that_of_the_list(root):
    assert rafdb(write(root, ROWS[::-1])).read().train.labels.tolist() == list(range(6, -1, -1))


def test_another_side(root):
    assert rafdb(root, side=24).read().test.images.shape == (2, 24, 24, 3)


@pytest.mark.parametrize(("newline", "before"), [("\r\n", ""), ("\n", "\ufeff"), ("\n\n", ""), (" \n", ""), ("\n", "\n\n")])
def test_line_ends_blank_lines_and_a_byte_order_mark_do_no_harm(root, newline, before):
    assert rafdb(write(root, ROWS, newline, before)).read().train.labels.tolist() == list(range(7))


def test_the_fields_may_be_parted_by_tabs(root):
    write(root, [(f"{name}\t{label}",) for name, label in ROWS])
    assert rafdb(root).read().test.labels.tolist() == [3, 6]


def test_sources_are_the_list_and_all_images(root):
    assert set(rafdb(root).sources()) == {path for path in root.rglob("*") if path.is_file()}


def test_a_good_set_has_no_findings(root):
    assert kinds(rafdb(root)) == []


# Bad input


def test_what_is_missing_says_how_to_get_it(root):
    refused(rafdb(None), "--data-root", "BENCHMARK_DATA", "http://www.whdeld.net/RAF/")
    (root / "raf-basic" / "EmoLabel" / "list_patition_label.txt").rename(root / "list.txt")
    refused(rafdb(root), "list_patition_label.txt is missing", "raf-basic/EmoLabel")
    (root / "list.txt").rename(root / "raf-basic" / "EmoLabel" / "list_patition_label.txt")
    (root / "raf-basic" / "Image").rename(root / "Image")
    refused(rafdb(root), "raf-basic/Image/aligned", "is missing", "http://www.whdeld.net/RAF/")
    assert kinds(rafdb(root)) == ["unreadable"]
    (root / "raf-basic" / "EmoLabel" / "list_patition_label.txt").unlink()
    refusal(lambda: kinds(rafdb(root)), "list_patition_label.txt is missing")


@pytest.mark.parametrize(
    "line",
    [
        "val_0001.jpg 3",
        "train_00008.png 3",
        "train_x.jpg 3",
        "train_../../secret.jpg 3",
        "train_00008.jpg",
        "train_00008",
        "3 4 5",
    ],
)
def test_a_line_that_is_none_is_named(root, line):
    refused(rafdb(write(root, [*ROWS, (line,)])), "list_patition_label.txt, line 10", line, "wanted train_NUMBER.jpg")
    assert kinds(rafdb(root)) == ["unusable row"]


@pytest.mark.parametrize("label", [0, 8, "x", "1.0", -1])
def test_a_label_out_of_range_is_named(root, label):
    save(image(root, "train_00008.jpg"), 20, 100, 100)
    refused(rafdb(write(root, [*ROWS, ("train_00008.jpg", label)])), "line 10", "none of the 7 classes")
    assert kinds(rafdb(root)) == ["label out of range"]


def test_an_image_that_is_missing_is_named_with_its_line(root):
    image(root, "train_00003.jpg").unlink()
    refused(rafdb(root), "line 3", "there is no image", "train_00003_aligned.jpg")
    assert kinds(rafdb(root)) == ["label without image"]


def test_findings_of_the_images(root):
    save(image(root, "train_00001.jpg"), 0, 99, 100)
    image(root, "train_00002.jpg").write_bytes(b"")
    save(image(root, "train_00003.jpg"), 3, 100, 100)
    save(image(root, "train_00004.jpg"), 8, 100, 100)
    save(image(root, "train_00099.jpg"), 99, 100, 100)
    assert kinds(rafdb(root)) == ["duplicate across splits", "image without label", "undecodable", "wrong size"]


def test_a_list_that_was_cut_is_told_and_found(root, monkeypatch):
    monkeypatch.setattr(RAFDB, "published", {"train": 7, "test": 2})
    assert rafdb(root).read().notes == ()
    write(root, ROWS[:-1])
    image(root, ROWS[-1][0]).unlink()
    assert rafdb(root).read().notes == ("test: 1 images, where 2 were published: a subset, or a list that was cut",)
    (finding,) = rafdb(root).findings()
    assert (finding.kind, finding.detail) == ("wrong count", "test: wanted 2 images, found 1")
    assert finding.where.endswith("list_patition_label.txt")


def test_a_line_that_is_there_twice_is_used_once(root):
    data = rafdb(write(root, [*ROWS, ROWS[0]])).read()
    assert data.train.names[0] == "raf-basic/Image/aligned/train_00001_aligned.jpg"
    assert len(data.train) == 7
    assert "1 rows list an image again" in data.notes[0]
    assert "line 10" in data.notes[0]
    assert kinds(rafdb(root)) == ["listed twice"]


def test_a_list_in_another_encoding_is_named(root):
    file = root / "raf-basic" / "EmoLabel" / "list_patition_label.txt"
    file.write_text(file.read_text(), encoding="utf-16")
    assert refused(rafdb(root)) == f"{file}: it is no text in UTF-8"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"\n\n"])
def test_another_file_under_the_name_is_refused(root, content):
    (root / "raf-basic" / "EmoLabel" / "list_patition_label.txt").write_bytes(content)
    refused(rafdb(root))
