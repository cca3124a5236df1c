"""The cache: read once, mapped by all, never half."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.cache import caches, channel_statistics, prepare
from benchmark.contract import BadInput, Card, Data, Dataset, NoOptions, Split
from benchmark.data import load, long_tail, replace_images, stratified
from benchmark.spec import DatasetSpec


@dataclass(frozen=True)
class Options:
    bad: str = ""


class Counting(Dataset):
    """Counts how often it is read; its images are its file's bytes."""

    name = "counting"
    card = Card("", "", "", "")
    Config = Options
    reads = 0

    def sources(self):
        return [self.root / "pixels"]

    def read(self):
        type(self).reads += 1
        if self.config.bad == "raises":
            raise BadInput("a file is not what it should be")
        images = np.frombuffer((self.root / "pixels").read_bytes(), np.uint8).reshape(-1, 2, 2, 1)
        labels = np.arange(len(images)) % 3 + (5 if self.config.bad == "label" else 0)
        split = Split(images.astype(np.float32) if self.config.bad == "dtype" else images, labels.astype(np.int64))
        return Data(split, split, ("a", "b", "ü"), {"human": labels * 0}, ("a note",))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))
    (tmp_path / "pixels").write_bytes(bytes(range(48)))
    Counting.reads = 0
    return tmp_path


def test_a_dataset_is_read_once_and_again_when_its_files_change(root: Path):
    first = prepare(Counting(Options(), root))
    assert prepare(Counting(Options(), root)) == first
    assert Counting.reads == 1
    (root / "pixels").write_bytes(bytes(range(48, 96)))
    second = prepare(Counting(Options(), root))
    assert second != first
    assert Counting.reads == 2
    assert load(second, DatasetSpec("counting")).sha256 != load(first, DatasetSpec("counting")).sha256


def test_what_comes_out_is_what_went_in_mapped_into_memory(root: Path):
    prepared = load(prepare(Counting(Options(), root)), DatasetSpec("counting"))
    assert isinstance(prepared.data.train.images, np.memmap)
    assert prepared.data.train.images.ravel().tolist() == list(range(48))
    assert prepared.data.classes == ("a", "b", "ü")
    assert prepared.data.notes == ("a note",)
    assert prepared.data.train.votes is None
    assert prepared.data.human_labels["human"].tolist() == [0] * 12


def test_a_reader_that_fails_leaves_no_cache(root: Path):
    for bad, wanted in (("raises", "not what it should be"), ("label", "outside 0 to 2"), ("dtype", "wanted uint8")):
        with pytest.raises(BadInput, match=wanted):
            prepare(Counting(Options(bad), root))
    assert not list((root / "cache").glob("*"))


def test_two_that_prepare_at_once_do_not_harm_each_other(root: Path):
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: prepare(Counting(Options(), root)), range(4)))
    assert len(set(folders)) == 1
    assert [p.name for p in (root / "cache").iterdir()] == [folders[0].name]
    assert len(load(folders[0], DatasetSpec("counting")).data.train) == 12


def test_a_cache_that_cannot_be_written_is_bad_input(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BENCHMARK_CACHE", str(root / "pixels" / "below"))
    with pytest.raises(BadInput, match="BENCHMARK_CACHE names another"):
        prepare(Counting(Options(), root))


@pytest.mark.parametrize("damage", ["meta.json", "train_images.npy", "test_labels.npy", "labels_human.npy"])
def test_a_cache_that_is_damaged_is_made_again(root: Path, damage: str):
    folder = prepare(Counting(Options(), root))
    whole = (folder / damage).read_bytes()
    for content in (whole[:-4], b"", None):
        if content is None:
            (folder / damage).unlink()
        else:
            (folder / damage).write_bytes(content)
        with pytest.raises(BadInput, match="the same command makes it again"):
            load(folder, DatasetSpec("counting"))
        assert prepare(Counting(Options(), root)) == folder
        assert (folder / damage).read_bytes() == whole
    shutil.rmtree(folder)
    folder.mkdir()
    assert len(load(prepare(Counting(Options(), root)), DatasetSpec("counting")).data.train) == 12


@pytest.mark.parametrize("array", ["train_labels", "test_labels", "labels_human"])
def test_labels_that_changed_within_a_cache_are_noticed(root: Path, array: str):
    folder = prepare(Counting(Options(), root))
    labels = np.load(folder / f"{array}.npy")
    np.save(folder / f"{array}.npy", (labels + 1) % 3)
    prepare(Counting(Options(), root))
    assert np.array_equal(np.load(folder / f"{array}.npy"), labels)


def test_what_a_killed_process_left_is_removed_and_what_is_being_made_is_not(root: Path):
    folder = prepare(Counting(Options(), root))
    left, held = (folder.parent / f".{folder.name}-{name}" for name in ("left", "held"))
    for part in (left, held):
        part.mkdir()
        (part / "owner").write_bytes(b"")
    with (held / "owner").open("rb") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        prepare(Counting(Options(), root))
        assert (left.exists(), held.exists()) == (False, True)
    prepare(Counting(Options(), root))
    assert not held.exists()


def test_nothing_is_removed_where_nobody_can_tell_whether_it_is_held(root: Path, monkeypatch: pytest.MonkeyPatch):
    """As on Windows, where the files of a live process would go but for those that it has open."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    folder = prepare(Counting(Options(), root))
    part = folder.parent / f".{folder.name}-other"
    part.mkdir()
    for name in ("owner", "train_images.npy"):
        (part / name).write_bytes(b"")
    assert prepare(Counting(Options(), root)) == folder
    assert {path.name for path in part.iterdir()} == {"owner", "train_images.npy"}


def test_a_stamp_that_was_cut_off_is_not_believed(root: Path):
    """It would give two different sets one cache."""
    os.utime(root / "pixels", (1e9, 1e9))  # old enough that its time tells of a change
    folder = prepare(Counting(Options(), root))
    (stamp,) = (folder.parent / "stamps").iterdir()
    for content in (b"", b"0" * 63):
        stamp.write_bytes(content)
        assert prepare(Counting(Options(), root)) == folder


def test_a_reader_that_cannot_read_is_not_taken_for_a_cache_that_cannot_be_written(root: Path):
    class Unreadable(Counting):
        def read(self):
            raise PermissionError(13, "not yours", "pixels")

    with pytest.raises(BadInput, match="dataset 'counting' failed: PermissionError"):
        prepare(Unreadable(Options(), root))


def test_the_scratch_folder_is_a_readers_for_the_time_of_its_reading(root: Path):
    class Scratching(Counting):
        def read(self):
            assert self.scratch is not None
            (self.scratch / "large.npy").write_bytes(b"")
            return super().read()

    dataset = Scratching(Options(), root)
    folder = prepare(dataset)
    assert dataset.scratch is None
    assert not (folder / "scratch").exists()


def test_a_missing_source_is_bad_input(root: Path):
    (root / "pixels").unlink()
    with pytest.raises(BadInput, match="cannot be read"):
        prepare(Counting(Options(), root))


def test_channel_statistics_are_numpys():
    images = np.random.default_rng(0).integers(0, 256, (20, 5, 4, 3), dtype=np.uint8)
    mean, std = channel_statistics(images)
    np.testing.assert_allclose(mean, images.mean(axis=(0, 1, 2)) / 255, rtol=1e-5)
    np.testing.assert_allclose(std, images.std(axis=(0, 1, 2)) / 255, rtol=1e-5)


def test_a_stratified_choice_keeps_the_shares():
    labels = np.repeat([0, 1, 2], [700, 200, 100])
    index = stratified(labels, 101, np.random.default_rng(0))
    assert len(index) == len(set(index.tolist())) == 101
    assert np.bincount(labels[index]).tolist() in ([71, 20, 10], [70, 20, 11], [70, 21, 10])
    assert np.array_equal(index, stratified(labels, 101, np.random.default_rng(0)))


@given(ratio=st.floats(1, 1000), classes=st.integers(2, 12), seed=st.integers(0, 2**31))
def test_a_long_tail_falls_off_exponentially_from_the_most_frequent_class_to_the_rarest(ratio, classes, seed):
    labels = np.random.default_rng(seed).permutation(np.arange(500 * classes) % classes)
    index = long_tail(labels, ratio, np.random.default_rng(seed))
    counts = np.bincount(labels[index], minlength=classes)
    assert (np.diff(index) > 0).all()
    assert counts[0] == 500
    assert counts[-1] == max(1, int(500 / ratio + 1e-9))
    np.testing.assert_allclose(counts, 500 * ratio ** (-np.arange(classes) / (classes - 1)), atol=1)


def test_a_long_tail_ranks_classes_by_their_images_and_makes_none_of_them_up():
    labels = np.repeat([0, 1, 2], [10, 1000, 40])
    counts = np.bincount(labels[long_tail(labels, 4.0, np.random.default_rng(0))])
    assert counts.tolist() == [10, 1000, 40]


def test_other_images_take_the_places_of_some_and_the_cache_stays_as_it_is(root: Path):
    folder = prepare(Counting(Options(), root))
    prepared, before = load(folder, DatasetSpec("counting")), load(folder, DatasetSpec("counting"))
    shape = prepared.data.train.images.shape[1:]
    others = np.full((2, 9, 7, 3), 200, np.uint8)
    replace_images(prepared, np.array([1, 3]), others)
    assert (prepared.data.train.images[[1, 3]] == 200).all()
    assert prepared.data.train.images.shape[1:] == shape
    again = load(folder, DatasetSpec("counting")).data.train.images
    assert np.array_equal(again, before.data.train.images)
    assert np.array_equal(again[0], prepared.data.train.images[0])


def test_a_subset_takes_human_labels_along(root: Path):
    prepared = load(prepare(Counting(Options(), root)), DatasetSpec("counting", 6))
    assert len(prepared.data.train) == len(prepared.data.human_labels["human"]) == 6
    assert len(prepared.data.test) == 12


RACE = """
import sys
from pathlib import Path
from benchmark.contract.registry import load_plugins
from benchmark.cache import prepare
kind = load_plugins([sys.argv[1]]).datasets["tiny"]
print(prepare(kind(kind.Config(), None)))
"""


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"\x93NUMPY nonsense")])
def test_a_subsets_images_are_mapped_into_memory_too_and_made_again_where_they_are_damaged(root: Path, damage):
    spec, cache = DatasetSpec("counting", 9, {}, imbalance=2), prepare(Counting(Options(), root))
    whole, part = load(cache, DatasetSpec("counting")).data.train, load(cache, spec).data.train
    assert isinstance(part.images, np.memmap)
    expected, kept = part.images.copy(), next(cache.glob("selected-*.npy"))
    assert kept.stat().st_size < (cache / "train_images.npy").stat().st_size
    among = {image.tobytes() for image in whole.images}
    assert {image.tobytes() for image in part.images} <= among
    assert 3 <= len(part) < 9
    damage(kept)
    again = load(cache, spec).data.train
    assert np.array_equal(again.images, expected)
    assert np.array_equal(again.labels, part.labels)


def test_two_processes_that_prepare_at_once_make_one_cache(tiny_plugin: Path, tmp_path: Path):
    import os
    import subprocess
    import sys

    given = {"env": {**os.environ, "BENCHMARK_CACHE": str(tmp_path)}, "cwd": Path(__file__).parents[1]}
    command = [sys.executable, "-c", RACE, str(tiny_plugin)]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **given) for _ in range(2)]
    folders = {racer.communicate()[0].strip() for racer in racers}
    assert [racer.returncode for racer in racers] == [0, 0]
    assert [str(p) for p in tmp_path.iterdir()] == list(folders)


class ByFolder(Dataset):
    """One-pixel images below a folder named after their class, as `folder` datasets lie."""

    name = "by-folder"
    card = Card("", "", "", "")

    def sources(self):
        return sorted(self.root.glob("[ab]/*"))

    def read(self):
        images = np.array([list(p.read_bytes()) for p in self.sources()], np.uint8).reshape(-1, 1, 1, 1)
        split = Split(images, np.array(["ab".index(p.parent.name) for p in self.sources()]))
        return Data(split, split, ("a", "b"))


def test_an_image_moved_to_another_class_is_another_dataset(root: Path):
    for name in ("a/1", "a/2", "b/3"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(name[-1].encode())
    first = prepare(ByFolder(NoOptions(), root))
    (root / "a" / "2").rename(root / "b" / "2")
    assert prepare(ByFolder(NoOptions(), root)) != first


class Wrong(Dataset):
    """A plugin whose labels, votes or human labels do not fit its images."""

    name = "wrong"
    card = Card("", "", "", "")
    Config = Options

    def read(self):
        labels = np.arange(6) % 2
        votes = {
            "shape of votes": np.zeros((3, 5), np.int64),
            "negative votes": np.full((6, 2), -1),
            "broken votes": np.full((6, 2), np.nan),
        }.get(self.config.bad)
        names = np.array(["a", "b", "c"]) if self.config.bad == "names" else None
        split = Split(np.zeros((6, 2, 2, 1), np.uint8), labels + 0.5 if self.config.bad == "float" else labels, votes, names)
        maps = {
            "name of a map": {"asymmetric-a-exact": np.zeros((2, 2))},
            "shape of a map": {"asymmetric": np.zeros((3, 3))},
            "own class in a map": {"asymmetric": np.eye(2)},
        }.get(self.config.bad, {})
        human = {"short": [0, 1], "range": [0, 1, 0, 1, 0, 9]}.get(self.config.bad)
        named = {"human name": "people", "human path": "human-../x"}.get(self.config.bad)
        humans = {} if human is None else {"human": np.array(human)}
        humans |= {named: labels} if named else {}
        return Data(split, split, ("a", "b"), humans, "a note" if self.config.bad == "notes" else (), maps)


@pytest.mark.parametrize(
    ("bad", "wanted"),
    [
        ("shape of votes", "votes are int64 (3, 5)"),
        ("negative votes", "votes are negative"),
        ("broken votes", "votes are float64"),
        ("float", "labels are float64"),
        ("short", "labels of kind human are int64 (2,)"),
        ("range", "lie outside 0 to 1"),
        ("human name", "called 'people'"),
        ("human path", "called 'human-../x'"),
        ("notes", "notes are a str"),
        ("names", "names are (3,)"),
        ("name of a map", "called 'asymmetric-a-exact'"),
        ("shape of a map", "its map 'asymmetric' is (3, 3)"),
        ("own class in a map", "wanted shares (2, 2) of the other classes"),
    ],
)
def test_what_does_not_fit_the_images_is_refused_before_it_is_kept(root: Path, bad: str, wanted: str):
    with pytest.raises(BadInput, match=re.escape(wanted)):
        prepare(Wrong(Options(bad), root))
    assert not (root / "cache").exists() or not list((root / "cache").iterdir())


def test_a_stratified_choice_of_all_or_of_any_count_has_that_count():
    labels = np.repeat([0, 1, 2, 3], [1, 2, 90, 7])
    for count in range(101):
        index = stratified(labels, count, np.random.default_rng(count))
        assert len(set(index.tolist())) == count
        assert (np.diff(index) > 0).all()


def test_a_cache_is_found_by_its_content_without_the_plugin(root: Path):
    folder = prepare(Counting(Options(), root))
    held = load(folder, DatasetSpec("counting"))
    assert caches("counting") == [folder]
    assert (held.licence, held.publishable) == ("", False)
    assert [caches(name) for name in ("count*", "", ".", "..", "/", "/etc", "a/../counting", "a\0b")] == [[]] * 8
    (folder / "meta.json").write_text("{")
    assert caches("counting") == []
