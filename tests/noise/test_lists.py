"""Label lists as text: in order, or by name as the FER papers exchange them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.contract import BadInput
from benchmark.noise.lists import Names, list_text, read_list

NAMES = Names([f"Image/aligned/train_{k:05d}_aligned.jpg" for k in range(1, 6)], ["Image/aligned/test_0001_aligned.jpg"])


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "l.txt"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0\n1\n", "it has 2 labels"),
        ("0 1 7", "label 7 in place 3"),
        ("0 1 -1", "label -1"),
        ("0 1 x", "one whole number a line"),
        ("1_0\n2\n1\n", "one whole number a line"),
        ("\n", "it has 0 labels"),
    ],
)
def test_lists_that_do_not_fit_say_why(tmp_path: Path, text: str, wanted: str):
    with pytest.raises(BadInput, match=wanted):
        read_list(written(tmp_path, text), None, 3, 7)


def test_a_list_larger_than_any_is_not_read_whole(tmp_path: Path):
    with (tmp_path / "l.txt").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(BadInput, match=r"noise file .*l.txt: it is larger than 67,108,864 bytes"):
        read_list(tmp_path / "l.txt", None, 3, 7)


def test_empty_lines_do_not_count(tmp_path: Path):
    assert read_list(written(tmp_path, "0\n\n1\n\n\n6\n"), None, 3, 7)[0].tolist() == [0, 1, 6]


def test_scns_lists_have_labels_from_1_and_names_without_aligned(tmp_path: Path):
    text = "".join(f"train_{k:05d}.jpg {label}\n" for k, label in zip(range(1, 6), (7, 1, 2, 3, 4), strict=True))
    assert read_list(written(tmp_path, text), NAMES, 5, 7) == (pytest.approx([6, 0, 1, 2, 3]), ())


def test_eacs_lists_have_whole_paths_and_labels_from_0_in_any_order(tmp_path: Path):
    text = "".join(f"/data/raf/{name} {label}\n" for name, label in zip(NAMES.training, (0, 1, 2, 3, 4), strict=True))
    text = "".join(reversed(text.splitlines(keepends=True)))
    assert read_list(written(tmp_path, text), NAMES, 5, 7)[0].tolist() == [0, 1, 2, 3, 4]


def test_a_list_is_written_with_the_names_that_scns_lists_have():
    assert list_text(np.array([6, 0]), Names(NAMES.training[:2], NAMES.test), 1) == "train_00001.jpg 7\ntrain_00002.jpg 1\n"


def test_rows_of_test_images_are_not_used_and_that_is_told(tmp_path: Path):
    text = list_text(np.array([0, 1, 2, 3, 4]), NAMES, 0) + "test_0001.jpg 6\ntest_0002.jpg 1\n"
    labels, notes = read_list(written(tmp_path, text), NAMES, 5, 7)
    assert labels.tolist() == [0, 1, 2, 3, 4]
    assert notes == ("l.txt: 2 of its 7 rows are of no training image, and are not used",)


@pytest.mark.parametrize("label", [-1, 0, 99])
def test_labels_of_test_images_do_not_matter(tmp_path: Path, label: int):
    text = list_text(np.array([0, 1, 2, 3, 6]), NAMES, 1) + f"test_0001.jpg {label}\n"
    assert read_list(written(tmp_path, text), NAMES, 5, 7)[0].tolist() == [0, 1, 2, 3, 6]


def test_images_of_one_name_are_told_apart_by_their_folders(tmp_path: Path):
    names = Names(["train/cat/1.png", "train/dog/1.png", "train/dog/1_aligned.png"], ["test/cat/1.png"])
    text = "D:\\my data\\train\\cat\\1.png 0\n/x/train/dog/1.png 1\ntrain/dog/1_aligned.png 2\n/x/test/cat/1.png 2\n"
    labels, notes = read_list(written(tmp_path, text), names, 3, 3)
    assert labels.tolist() == [0, 1, 2]
    assert notes == ("l.txt: 1 of its 4 rows are of no training image, and are not used",)
    assert read_list(written(tmp_path, list_text(labels, names, 1)), names, 3, 3)[0].tolist() == [0, 1, 2]
    with pytest.raises(BadInput, match=r"cat/1.png may be train/cat/1.png and test/cat/1.png; wanted as much of its path"):
        read_list(written(tmp_path, "cat/1.png 0\n"), names, 3, 3)


@pytest.mark.parametrize(
    ("text", "names", "wanted"),
    [
        ("a.jpg 0\nb.jpg 1\n", None, "those of this dataset have no names"),
        ("a.jpg 0\n", ["a.jpg", "b.jpg"], "1 of 2 training images have no label in it (b.jpg, …)"),
        ("a.jpg 0\nb.jpg 1\nx/a.png 1\n", ["a.jpg", "b.jpg"], "x/a.png has two labels, 0 and 1"),
        ("a.jpg 1\nb.jpg 2\n", ["a.jpg", "b.jpg"], "does not tell whether they begin with 0 or 1"),
        ("a.jpg 0\nb.jpg 3\n", ["a.jpg", "b.jpg"], "label 3 in place 2"),
        ("a.jpg 1\nb.jpg 4\n", ["a.jpg", "b.jpg"], "label 4 in place 2; wanted 1 to 3"),
        ("a.jpg happy\nb.jpg 3\n", ["a.jpg", "b.jpg"], "or a name and a label"),
    ],
)
def test_lists_of_names_that_do_not_fit_say_why(tmp_path: Path, text: str, names: list[str] | None, wanted: str):
    import re

    with pytest.raises(BadInput, match=re.escape(wanted)):
        read_list(written(tmp_path, text), Names(names) if names else None, 2, 3)


@given(labels=st.lists(st.integers(0, 4), min_size=3, max_size=30), first=st.sampled_from([0, 1]), named=st.booleans())
def test_what_is_written_is_read_again(tmp_path_factory, labels, first, named):
    labels = np.array([0, 4, *labels])  # so that the list tells what its labels begin with
    names = Names([f"a/моя картинка_{k}.png" for k in range(len(labels))]) if named else None
    if not named:
        first = 0
    file = tmp_path_factory.mktemp("l") / "l.txt"
    file.write_text(list_text(labels, names, first), encoding="utf-8")
    assert np.array_equal(read_list(file, names, len(labels), 5)[0], labels)
