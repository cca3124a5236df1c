"""Datasets of image files: what is read, and every finding."""

import os
from dataclasses import dataclass, replace

import numpy as np
import pytest
from pictures import kinds, pixels, refused, save
from PIL import Image
from refusal import refusal

from benchmark.contract import BadInput, Card, NoOptions
from benchmark.datasets._listed import ListedDataset, Row, names_for_lists, needed, whole


class Listed(ListedDataset):
    """Whatever rows a test gives it."""

    name = "listed"
    card = Card("rows of a test", "none", "a test", "none")
    Config = NoOptions
    file_size = (8, 8)

    def __init__(self, root, rows, classes=("a", "b")):
        super().__init__(NoOptions(), root)
        self._rows, self._classes = rows, classes

    def classes(self):
        return self._classes

    def rows(self):
        return self._rows

    def side(self):
        return 8

    def folders(self):
        return [self.root]


@dataclass
class Scene:
    """A folder with four good images and the rows that list them."""

    root: os.PathLike
    rows: list

    def __post_init__(self):
        for k, split in enumerate(("train", "train", "test", "test")):
            self.add(f"{k}.png", k, split, k % 2)

    def add(self, name, seed, split="train", label=0, **rest):
        self.rows.append(Row(split, save(self.root / name, seed), label, f"line {len(self.rows) + 1}", **rest))
        return self.rows[-1].path

    @property
    def dataset(self):
        return Listed(self.root, self.rows)

    def found(self):
        """The only finding."""
        (finding,) = self.dataset.findings()
        assert "\n" not in finding.where + finding.detail
        return finding


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path, [])


# What is read


def test_images_labels_and_names_read_back_in_the_order_of_the_rows(scene):
    data = scene.dataset.read()
    assert np.array_equal(data.train.images, [pixels(0), pixels(1)])
    assert np.array_equal(data.test.images, [pixels(2), pixels(3)])
    assert data.train.labels.tolist() == data.test.labels.tolist() == [0, 1]
    assert (data.train.images.dtype, data.train.labels.dtype) == (np.uint8, np.int64)
    assert data.train.names.tolist() == ["0.png", "1.png"]
    assert data.train.votes is None
    assert data.classes == ("a", "b")


def test_what_is_decoded_into_the_scratch_folder_is_the_same(scene, tmp_path):
    plain, dataset = scene.dataset.read(), scene.dataset
    dataset.scratch = tmp_path / "scratch"
    dataset.scratch.mkdir()
    data = dataset.read()
    assert isinstance(data.train.images, np.memmap)
    assert np.array_equal(data.train.images, plain.train.images)
    assert np.array_equal(data.test.images, plain.test.images)


def test_votes_and_boxes_are_of_their_rows(tmp_path):
    path = save(tmp_path / "a.png", 0, 16, 16)
    boxes = [(0, 0, 8, 8), (8, 0, 16, 8), (0, 8, 8, 16), (8, 8, 16, 16)]
    rows = [Row("train" if k < 2 else "test", path, k % 2, f"line {k}", (k, 9 - k), box) for k, box in enumerate(boxes)]
    data = Listed(tmp_path, rows).read()
    assert np.array_equal(data.train.images, [pixels(0, 16, 16)[:8, :8], pixels(0, 16, 16)[:8, 8:]])
    assert data.train.votes.tolist() == [[0, 9], [1, 8]]
    assert data.test.votes.tolist() == [[2, 7], [3, 6]]


def test_sources_are_the_images_each_once(scene):
    scene.rows.append(scene.rows[1])
    assert scene.dataset.sources() == [scene.root / f"{k}.png" for k in range(4)]


def test_sources_are_refused_where_reading_would_be(scene):
    """Else a cache that was made before would be used."""
    scene.rows.append(Row("train", scene.root / "missing.png", 0, "line 5"))
    refusal(scene.dataset.sources, "line 5", "there is no image")
    refusal(Listed(scene.root, scene.rows[:4], ("a", "b", "c")).sources, "the class 'c' has no training image")


# What is refused, and found


def test_a_good_set_has_no_findings(scene):
    assert list(scene.dataset.findings()) == []


@pytest.mark.parametrize("label", [2, -1, None])
def test_a_label_out_of_range(scene, label):
    scene.add("4.png", 4, label=label)
    refused(scene.dataset, "line 5", "none of the 2 classes")
    assert (scene.found().kind, scene.found().where) == ("label out of range", "line 5")


def test_an_image_listed_twice(scene):
    scene.rows.append(replace(scene.rows[0], where="line 5"))
    data = scene.dataset.read()
    assert data.train.names.tolist() == ["0.png", "1.png"]  # a noise list can still name the images
    assert data.notes == ("1 rows list an image again, and are not used (line 5)",)
    assert (scene.found().kind, scene.found().where) == ("listed twice", str(scene.rows[0].path))
    assert "2 rows" in scene.found().detail


@pytest.mark.parametrize(("split", "label", "what"), [("train", 1, "label"), ("test", 0, "split")])
def test_an_image_listed_twice_that_contradicts_itself(scene, split, label, what):
    scene.rows.append(Row(split, scene.rows[0].path, label, "line 5"))
    refused(scene.dataset, "line 5", scene.rows[0].path, f"another {what}", "line 1")
    assert scene.found().kind == "listed twice"


def test_an_image_without_label(scene):
    path = save(scene.root / "inner" / "4.png", 4)
    assert len(scene.dataset.read().train) == 2
    assert (scene.found().kind, scene.found().where) == ("image without label", str(path))


def test_a_label_without_image(scene):
    path = scene.add("4.png", 4)
    path.unlink()
    refused(scene.dataset, "line 5", "there is no image", path)
    assert (scene.found().kind, scene.found().where) == ("label without image", "line 5")
    assert str(path) in scene.found().detail


@pytest.mark.parametrize("content", [b"", b"text"])
def test_an_undecodable_image(scene, content):
    path = scene.add("4.png", 4)
    path.write_bytes(content)
    refused(scene.dataset, path, "cannot be decoded")
    assert (scene.found().kind, scene.found().where) == ("undecodable", str(path))
    assert scene.found().detail == "cannot be decoded: it is no image of a known format"  # its name stands before


def test_other_counts_than_were_published(scene, monkeypatch):
    monkeypatch.setattr(Listed, "published", {"train": 2, "test": 2})
    assert (scene.dataset.read().notes, list(scene.dataset.findings())) == ((), [])
    monkeypatch.setattr(Listed, "published", {"train": 2, "test": 5})
    assert scene.dataset.read().notes == ("test: 2 images, where 5 were published: a subset, or a list that was cut",)
    assert (scene.found().kind, scene.found().detail) == ("wrong count", "test: wanted 5 images, found 2")


def test_a_truncated_jpeg(scene):
    path = scene.add("4.jpg", 4)
    Image.fromarray(pixels(4, 64, 64)).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:-500])
    refused(scene.dataset, path, "cannot be decoded", "truncated")
    assert (scene.found().kind, scene.found().where) == ("undecodable", str(path))
    assert "truncated" in scene.found().detail


def test_an_image_of_another_size(scene):
    path = save(scene.add("4.png", 4), 4, 10, 9)
    assert (scene.found().kind, scene.found().where) == ("wrong size", str(path))
    assert "9x10; wanted 8x8" in scene.found().detail


@pytest.mark.parametrize(
    ("split", "label", "kind"),
    [("train", 0, "duplicate"), ("test", 0, "duplicate across splits"), ("train", 1, "duplicate")],
)
def test_a_duplicate(scene, split, label, kind):
    path = scene.add("4.png", 0, split, label)
    finding = scene.found()
    assert finding.kind == kind
    told = f"{finding.where} {finding.detail}"
    assert str(path) in told
    assert str(scene.rows[0].path) in told
    assert ("label" in finding.detail) == (label == 1)


def test_a_row_with_a_fault_of_its_own(scene):
    scene.rows.append(Row("train", scene.root, None, "line 5", fault="it is nonsense"))
    refused(scene.dataset, "line 5: it is nonsense")
    assert (scene.found().kind, scene.found().where, scene.found().detail) == ("unusable row", "line 5", "it is nonsense")


def test_a_file_that_is_no_image(scene):
    (scene.root / "notes.txt").write_text("notes")
    scene.dataset.read()
    assert (scene.found().kind, scene.found().where) == ("no image", str(scene.root / "notes.txt"))


def test_a_class_without_training_image(scene):
    dataset = Listed(scene.root, scene.rows, ("a", "b", "c"))
    refused(dataset, "the class 'c' has no training image")
    assert [(f.kind, f.where) for f in dataset.findings()] == [("class without image", "c")]


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_without_images(scene, split):
    scene.rows[:] = [row for row in scene.rows if row.split != split]
    refused(scene.dataset, f"there is no {split} image", scene.root)
    assert "split without image" in kinds(scene.dataset)


def test_votes_of_some_rows_only(scene):
    scene.add("4.png", 4, votes=(1, 2))
    refused(scene.dataset, "1 of 3 train rows have votes", "all or none")
    assert scene.found().kind == "rows differ"


def test_everything_is_found_at_once(scene):
    scene.add("4.png", 4).write_bytes(b"")
    scene.add("5.png", 0, "test")
    scene.add("6.png", 6, label=7)
    save(scene.root / "7.png", 7)
    scene.rows.append(scene.rows[1])
    assert kinds(scene.dataset) == sorted(
        ["undecodable", "duplicate across splits", "label out of range", "image without label", "listed twice"]
    )


def test_a_list_that_cannot_be_read_is_the_only_finding(scene):
    class Broken(Listed):
        def rows(self):
            raise BadInput("the list is missing")

    (finding,) = Broken(scene.root, []).findings()
    assert (finding.kind, finding.detail) == ("unreadable", "the list is missing")


# Words


@pytest.mark.parametrize(
    ("text", "first", "label"),
    [
        ("0", 0, 0),
        (" 12 ", 0, 12),
        ("007", 0, 7),
        ("1", 1, 0),
        ("0", 1, -1),
        *((t, 0, None) for t in ("", "-1", "1.0", "x", "٣", "²")),
    ],
)
def test_whole_numbers(text, first, label):
    assert whole(text, first) == label


def test_numbers_too_long_are_none():
    assert whole("9" * 5000) is None


def test_lists_know_images_by_their_paths_below_the_data_root(tmp_path):
    def names(*given):
        found = names_for_lists([tmp_path / name for name in given], tmp_path)
        return None if found is None else found.tolist()

    assert names("a/大小.png", "b/my cat.png") == ["a/大小.png", "b/my cat.png"]
    assert names("a/1.png", "a/1.png") is None


def test_a_root_is_needed_and_has_to_be_there(tmp_path):
    with pytest.raises(BadInput, match="--data-root DIR or set BENCHMARK_DATA; ask her"):
        needed(None, "listed", "ask her")
    with pytest.raises(BadInput, match="listed: there is no folder"):
        needed(tmp_path / "gone", "listed", "ask her")
    assert needed(tmp_path, "listed", "ask her") == tmp_path
