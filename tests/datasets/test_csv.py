"""A table of images of one's own: how it may be written, and every row that is not what it should be."""

import os
import unicodedata
from zlib import crc32

import numpy as np
import pytest
from pictures import kinds, pixels, refused, save
from refusal import refusal

from benchmark.datasets.csv_list import Csv

HEADER = ("path", "label", "split")
ROWS = [
    ("images/1.png", "cat", "train"),
    ("images/2.png", "dog", "train"),
    ("other/3.png", "dog", "test"),
    ("4.png", "cat", "test"),
]


def table(root, rows=ROWS, header=HEADER, mark=",", newline="\n", encoding="utf-8", name="labels.csv"):
    """Writes the table as it is."""
    lines = [mark.join(map(str, row)) for row in (header, *rows)]
    (root / name).write_bytes((newline.join(lines) + newline).encode(encoding))
    return root


PLACES = {path: seed for seed, (path, _, _) in enumerate(ROWS)}


def images(root, *names):
    """Writes an image for each name: of `ROWS` with their numbers as seeds, of others with seeds of their own."""
    for name in names:
        save(root / name, PLACES.get(name, crc32(name.encode())))
    return root


@pytest.fixture
def root(tmp_path):
    return images(table(tmp_path), *PLACES)


def listed(root, **options):
    return Csv(Csv.Config(**options), root)


# What is read


def test_the_table_reads_back_in_its_order(root):
    data = listed(root).read()
    assert data.classes == ("cat", "dog")
    assert data.train.labels.tolist() == [0, 1]
    assert data.test.labels.tolist() == [1, 0]
    assert np.array_equal(data.train.images, [pixels(0), pixels(1)])
    assert np.array_equal(data.test.images, [pixels(2), pixels(3)])
    assert data.train.names.tolist() == ["images/1.png", "images/2.png"]
    assert data.train.votes is None
    assert kinds(listed(root)) == []


def test_sources_are_the_table_and_its_images(root):
    images(root, "not listed.png")
    assert set(listed(root).sources()) == {root / "labels.csv", *(root / path for path in PLACES)}


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize(("newline", "encoding"), [("\n", "utf-8"), ("\r\n", "utf-8-sig"), ("\n\n", "utf-8")])
def test_however_fields_and_lines_are_parted(root, mark, newline, encoding):
    data = listed(table(root, mark=mark, newline=newline, encoding=encoding)).read()
    assert data.train.labels.tolist() == [0, 1]
    assert data.test.labels.tolist() == [1, 0]


def test_columns_in_any_order_and_case_with_others_between(root):
    rows = [("?", split.upper(), f" {label} ", f" {path}") for path, label, split in ROWS]
    data = listed(table(root, rows, ("who", "Split", " LABEL", "Path "))).read()
    assert data.train.labels.tolist() == [0, 1]


def test_another_file(root):
    (root / "lists").mkdir()
    (root / "labels.csv").rename(root / "lists" / "mine.tsv")
    assert len(listed(root, file="lists/mine.tsv").read().train) == 2


def test_names_in_any_script_and_with_commas(tmp_path):
    names = ["Größe", "大小", "حجم", "🙂", "with blanks, and a comma"]
    rows = [(f'"bilder/{name} {part}.png"', f'"{name}"', part) for part in ("train", "test") for name in names]
    images(table(tmp_path, rows), *(row[0].strip('"') for row in rows))
    data = listed(tmp_path).read()
    assert data.classes == tuple(sorted(names))
    assert sorted(data.train.labels.tolist()) == list(range(5))
    assert kinds(listed(tmp_path)) == []


def test_numbers_are_labels_from_0_in_their_order(tmp_path):
    rows = [(f"{k}.png", f"0{k}" if k == 3 else k, part) for part in ("train", "test") for k in range(11)]
    images(table(tmp_path, [(f"{part}{path}", label, part) for path, label, part in rows]), *(f"{p}{n}" for n, _, p in rows))
    data = listed(tmp_path).read()
    assert data.classes == tuple(str(k) for k in range(11))
    assert data.train.labels.tolist() == list(range(11))


def test_one_label_written_in_two_ways_is_one_class(root):
    forms = [unicodedata.normalize(form, "Tür") for form in ("NFC", "NFD")]
    labels = [forms[0], "dog", "dog", forms[1]]
    data = listed(table(root, [(path, label, split) for (path, _, split), label in zip(ROWS, labels, strict=True)])).read()
    assert data.classes == ("Tür", "dog")


def test_votes_are_of_their_rows(root):
    rows = [(*row, f"{k} {9 - k}") for k, row in enumerate(ROWS)]
    data = listed(table(root, rows, (*HEADER, "votes"))).read()
    assert data.train.votes.tolist() == [[0, 9], [1, 8]]
    assert data.test.votes.tolist() == [[2, 7], [3, 6]]
    assert data.train.votes.dtype == np.int64


def test_without_a_split_a_share_of_each_class_is_the_test(tmp_path):
    rows = [(f"{label}{k}.png", label) for k in range(10) for label in ("cat", "dog")]
    images(table(tmp_path, rows, ("path", "label")), *(path for path, _ in rows))
    data = listed(tmp_path).read()
    assert np.bincount(data.train.labels).tolist() == [8, 8]
    assert np.bincount(data.test.labels).tolist() == [2, 2]
    assert np.bincount(listed(tmp_path, test=50.0).read().test.labels).tolist() == [5, 5]
    table(tmp_path, rows[::-1], ("path", "label"))
    assert set(listed(tmp_path).read().test.names) == set(data.test.names)


def test_sizes_and_colours_are_those_of_folder(root):
    data = listed(root, side=4, colour="grey").read()
    assert data.train.images.shape == (2, 4, 4, 1)


def test_a_link_below_the_root_may_lead_elsewhere(root, tmp_path_factory):
    elsewhere = images(tmp_path_factory.mktemp("elsewhere"), "images/1.png")
    (root / "images" / "1.png").unlink()
    (root / "images" / "1.png").symlink_to(elsewhere / "images" / "1.png")
    assert np.array_equal(listed(root).read().train.images[0], pixels(0))


@pytest.mark.parametrize("path", ["images\\1.png", "./images/1.png", "images//1.png", "x/../images/1.png"])
def test_other_spellings_of_a_path(root, path):
    data = listed(table(root, [(path, "cat", "train"), *ROWS[1:]])).read()
    assert np.array_equal(data.train.images[0], pixels(0))
    assert kinds(listed(root)) == []


def test_a_whole_path_below_the_root(root):
    data = listed(table(root, [(root / "images" / "1.png", "cat", "train"), *ROWS[1:]])).read()
    assert np.array_equal(data.train.images[0], pixels(0))


def test_a_root_with_dots_in_it(root):
    (root / "inner").mkdir()
    data = listed(root / "inner" / "..").read()
    assert len(data.train) == 2
    rows = [(path, label) for path, label, _ in ROWS]
    assert len(listed(table(root, rows, HEADER[:2]) / "inner" / "..").read().test) == 2


# Bad input: the table


def test_no_root_and_no_table(tmp_path):
    refused(listed(None), "--data-root", "labels.csv")
    refused(listed(tmp_path), tmp_path / "labels.csv", "is missing")
    refused(listed(tmp_path, file="x" * 300), "is missing")
    refusal(lambda: kinds(listed(tmp_path)), tmp_path / "labels.csv", "is missing")
    refused(listed(tmp_path, file="mine.csv"), tmp_path / "mine.csv", "is missing")


@pytest.mark.parametrize("header", [("file", "label"), ("path", "class"), ("path label",), ("",), ("path|label",)])
def test_a_missing_column_is_named(root, header):
    refused(listed(table(root, header=header)), "labels.csv", "has no column", f"it has {header[0] or 'none'}")


def test_two_columns_of_one_name_are_refused(root):
    refused(listed(table(root, header=("path", "label", "Label"))), "two of its columns", "path, label, label")


@pytest.mark.parametrize("content", [b"", b"path,label\n", b"path,label\n,\n\n"])
def test_a_table_without_rows_is_refused(root, content):
    (root / "labels.csv").write_bytes(content)
    refused(listed(root), "labels.csv")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_is_refused(root, encoding):
    refused(listed(table(root, [("Größe.png", "cat", "train"), *ROWS], encoding=encoding)), "UTF-8")
    assert kinds(listed(root)) == ["unreadable"]


@pytest.mark.parametrize("line", ['"images/9.png,cat,train', '"images/9.png"x,cat,train'])
def test_quotes_that_do_not_close_are_refused(root, line):
    (root / "labels.csv").write_text((root / "labels.csv").read_text() + line)
    refused(listed(root), "cannot be read as CSV")


# Bad input: labels


def test_names_and_numbers_together_are_refused(root):
    refused(listed(table(root, [*ROWS, ("5.png", 1, "train")])), "names and numbers ('cat', '1')")


@pytest.mark.parametrize(("labels", "words"), [((1, 2), "go up to 2, and none is 0"), ((0, 999999999), "none is 1")])
def test_numbers_with_gaps_are_refused(root, labels, words):
    rows = [(path, labels[k % 2], split) for k, (path, _, split) in enumerate(ROWS)]
    refused(listed(table(root, rows)), words, "wanted all from 0 on")


def test_a_table_of_training_images_alone_is_refused(root):
    refused(listed(table(root, [(path, label, "train") for path, label, _ in ROWS])), "there is no test image")
    assert kinds(listed(root)) == ["split without image"]


def test_votes_of_some_rows_only_are_refused_and_found(root):
    rows = [(*row, "3 4") for row in ROWS]
    assert kinds(listed(table(root, rows, (*HEADER, "votes")))) == []
    refused(
        listed(table(root, [*rows, ("4.png", "cat", "test", "9 9")], (*HEADER, "votes"))), "line 6", "another votes", "line 5"
    )


def test_labels_that_differ_in_case_alone_are_refused(root):
    refused(listed(table(root, [*ROWS, ("images/1.png", "Cat", "train")])), "'Cat' and 'cat' differ in case alone")


@pytest.mark.parametrize("label", ["cat", 0])
def test_fewer_than_two_classes_are_refused(root, label):
    refused(listed(table(root, [(path, label, split) for path, _, split in ROWS])), "1 classes")


def test_a_class_in_the_test_alone_is_refused(root):
    refused(listed(table(images(root, "5.png"), [*ROWS, ("5.png", "emu", "test")])), "'emu' has no training image")


# Bad input: rows


@pytest.mark.parametrize(
    ("row", "kind", "words"),
    [
        (("../5.png", "cat", "train"), "unusable row", "../5.png lies outside"),
        (("/etc/passwd", "cat", "train"), "unusable row", "/etc/passwd lies outside"),
        (("images/../../5.png", "cat", "train"), "unusable row", "lies outside"),
        (("", "cat", "train"), "unusable row", "has no path"),
        (("5.png", "", "train"), "label out of range", "none of the 2 classes"),
        (("5.png", "cat", "val"), "unusable row", "its split is 'val'; wanted train or test"),
        (("5.png", "cat", ""), "unusable row", "its split is ''"),
        (("a,5.png", "cat", "train"), "unusable row", "wanted 3 fields, found 4"),
        (("5.png", "cat"), "unusable row", "wanted 3 fields, found 2"),
        (("gone.png", "cat", "train"), "label without image", "there is no image"),
        (("x" * 300, "cat", "train"), "label without image", "there is no image"),
        (("images", "cat", "train"), "not a file", "images is no file"),
        (("pipe.png", "cat", "train"), "not a file", "pipe.png is no file"),
        (("5.png", "cat\0\0", "train"), "unusable row", "its label has a control character"),
        (("5.png", "c\x1bat", "train"), "unusable row", "its label has a control character"),
        (("labels.csv", "cat", "train"), "undecodable", "cannot be decoded"),
    ],
)
def test_a_bad_row_is_named(root, row, kind, words):
    images(root, "5.png")
    os.mkfifo(root / "pipe.png")
    refused(listed(table(root, [*ROWS, row])), "labels.csv" if kind == "undecodable" else "labels.csv, line 6", words)
    assert kinds(listed(root)) == [kind]


@pytest.mark.parametrize("votes", ["1", "1 2 3", "1 x", "1 -2", "", "0.5 0.5"])
def test_bad_votes_are_named(root, votes):
    rows = [(*row, "3 4") for row in ROWS[:3]] + [(*ROWS[3], votes)]
    refused(listed(table(root, rows, (*HEADER, "votes"))), "line 5", f"its votes are '{votes}'", "wanted 2 counts")


def test_lines_are_counted_as_an_editor_does(root):
    rows = [('"images/\n1.png"', "cat", "train"), ("gone.png", "dog", "train"), *ROWS]
    images(root, "images/\n1.png")
    assert "line 4: there is no image" in refused(listed(table(root, rows)))


@pytest.mark.parametrize(("label", "split", "what"), [("dog", "train", "label"), ("cat", "test", "split")])
def test_an_image_with_two_labels_or_in_both_splits_is_refused(root, label, split, what):
    refused(listed(table(root, [*ROWS, ("images/1.png", label, split)])), "line 6", f"another {what}", "line 2")
    assert kinds(listed(root)) == ["listed twice"]


def test_a_bad_row_spoils_no_class(root):
    """A comma that is not quoted moves a name into the column of labels, where the others are numbers."""
    rows = [(path, k % 2, split) for k, (path, _, split) in enumerate(ROWS)]
    refused(listed(table(root, [*rows, ("a,5.png", 0, "train")])), "line 6", "wanted 3 fields, found 4")
