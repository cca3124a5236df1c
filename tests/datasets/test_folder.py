"""A folder of images of one's own: layouts, names in any script, the share for the test, and what is refused."""

import os
import subprocess
import sys
import unicodedata
from zlib import crc32

import numpy as np
import pytest
from pictures import kinds, pixels, refused, save
from PIL import Image
from refusal import refusal

from benchmark.cache import prepare
from benchmark.datasets.folder import Folder, held_out_of

SCRIPTS = ("Größe", "大小", "حجم", "🙂", "with blanks")


def folder(root, **options):
    return Folder(Folder.Config(**options), root)


def fill(root, *names, size=8, channels=3):
    """Images of the names below the root, each with pixels of its own."""
    for name in names:
        save(root / name, crc32(name.encode()), size, size, channels)
    return root


@pytest.fixture
def split(tmp_path):
    """Two classes with a split."""
    return fill(tmp_path, "train/cat/1.png", "train/cat/2.png", "train/dog/3.png", "test/cat/4.png", "test/dog/5.png")


@pytest.fixture
def whole(tmp_path):
    """Two classes with ten images each, and no split."""
    return fill(tmp_path, *(f"{name}/{name}{k}.png" for name in ("cat", "dog") for k in range(10)))


# With a split


def test_a_split_reads_back(split):
    data = folder(split).read()
    assert data.classes == ("cat", "dog")
    assert data.train.labels.tolist() == [0, 0, 1]
    assert data.test.labels.tolist() == [0, 1]
    names = ["train/cat/1.png", "train/cat/2.png", "train/dog/3.png"]
    assert np.array_equal(data.train.images, [pixels(crc32(name.encode())) for name in names])
    assert data.train.names.tolist() == ["train/cat/1.png", "train/cat/2.png", "train/dog/3.png"]
    assert data.notes == ()
    assert kinds(folder(split)) == []


def test_sources_are_all_images(split):
    assert set(folder(split).sources()) == {path for path in split.rglob("*") if path.is_file()}


def test_folders_within_a_class_belong_to_it(split):
    fill(split, "train/dog/2024/spring/9.png")
    assert folder(split).read().train.labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(("train", "test"), [("Train", "TEST"), ("train", "val"), ("train", "Validation"), ("TRAIN", "valid")])
def test_what_a_split_may_be_called(split, train, test):
    for old, new in (("train", train), ("test", test)):
        (split / old).rename(split / f"{old}-")
        (split / f"{old}-").rename(split / new)
    data = folder(split).read()
    assert (len(data.train), len(data.test), data.notes) == (3, 2, ())


def test_test_goes_before_val_and_what_is_not_used_is_told(split):
    fill(split, "val/cat/7.png", "val/dog/8.png")
    data = folder(split).read()
    assert len(data.test) == 2
    assert data.notes == (f"of {split}, val is not used",)


def test_names_in_any_script(tmp_path):
    fill(tmp_path, *(f"{part}/{name}/{name} {part}.png" for part in ("train", "test") for name in SCRIPTS))
    data = folder(tmp_path).read()
    assert data.classes == tuple(sorted(SCRIPTS))
    assert data.train.labels.tolist() == data.test.labels.tolist() == list(range(5))
    assert kinds(folder(tmp_path)) == []


def test_one_name_written_in_two_ways_is_one_class(split):
    """As where the training images come from a Mac."""
    for name in ("train", "test"):
        form = "NFD" if name == "train" else "NFC"
        fill(split, f"{name}/{unicodedata.normalize(form, 'Tür')}/{name}.png")
    data = folder(split).read()
    assert data.classes == ("Tür", "cat", "dog")
    assert data.train.labels.tolist() == [0, 1, 1, 2]
    assert data.test.labels.tolist() == [0, 1, 2]


# Without a split


def test_without_a_split_a_share_of_each_class_is_the_test(whole):
    data = folder(whole).read()
    assert np.bincount(data.train.labels).tolist() == [8, 8]
    assert np.bincount(data.test.labels).tolist() == [2, 2]
    assert set(data.train.names) | set(data.test.names) == {
        f"{name}/{name}{k}.png" for name in ("cat", "dog") for k in range(10)
    }
    assert np.bincount(folder(whole, test=50.0).read().test.labels).tolist() == [5, 5]


def test_the_share_is_the_same_each_time_and_wherever_the_folder_lies(whole, tmp_path_factory):
    elsewhere = fill(tmp_path_factory.mktemp("elsewhere"), *(f"{n}/{n}{k}.png" for n in ("cat", "dog") for k in range(10)))
    assert folder(whole).read().test.names.tolist() == folder(elsewhere).read().test.names.tolist()


def test_the_share_mostly_stays_when_images_are_added(whole):
    before = set(folder(whole).read().test.names)
    fill(whole, "cat/new.png")
    assert len(before & set(folder(whole).read().test.names)) >= 3


@pytest.mark.parametrize(
    ("count", "percent", "wanted"), [(0, 20, 0), (1, 90, 0), (2, 1, 1), (2, 90, 1), (3, 90, 2), (10, 20, 2)]
)
def test_one_image_at_least_is_held_out_and_one_left(tmp_path, count, percent, wanted):
    paths = [tmp_path / f"{k}.png" for k in range(count)]
    assert len(held_out_of(paths, tmp_path, percent)) == wanted


def test_a_class_called_train_is_a_class_where_images_lie_in_it(whole):
    fill(whole, "train/1.png", "train/2.png")
    data = folder(whole).read()
    assert data.classes == ("cat", "dog", "train")


# Sizes and colours


def test_the_usual_side_is_taken_and_at_most_224(whole):
    fill(whole, "cat/large.png", size=300)
    assert folder(whole).read().train.images.shape == (17, 8, 8, 3)
    fill(whole, *(f"{name}/{name}{k}.png" for name in ("cat", "dog") for k in range(10)), size=300)
    assert folder(whole).side() == 224
    assert folder(whole, side=16).read().train.images.shape[1:] == (16, 16, 3)


def test_grey_where_all_images_are(whole):
    assert folder(whole).channels == 3
    fill(whole, *(f"{name}/{name}{k}.png" for name in ("cat", "dog") for k in range(10)), channels=1)
    assert folder(whole).read().train.images.shape[1:] == (8, 8, 1)
    assert folder(whole, colour="rgb").read().train.images.shape[1:] == (8, 8, 3)
    fill(whole, "dog/dog7.png")
    assert folder(whole).channels == 3
    assert folder(whole, colour="grey").channels == 1


def test_an_image_that_cannot_be_read_is_named_by_decoding_not_by_the_look_at_sizes(whole):
    (whole / "cat" / "cat3.png").write_bytes(b"")
    refused(folder(whole), whole / "cat" / "cat3.png", "cannot be decoded")
    found = list(folder(whole).findings())
    assert [(f.kind, f.where) for f in found] == [("undecodable", str(whole / "cat" / "cat3.png"))]


# What lies there besides


def test_hidden_files_are_left_out_without_a_word(split):
    fill(split, "train/.cat/1.png", "train/cat/.1.png", ".cache/1.png", "train/__MACOSX/1.png", "train/cat/.thumbs/1.png")
    (split / "train" / "Thumbs.db").touch()
    data = folder(split).read()
    assert (len(data.train), data.classes, data.notes) == (3, ("cat", "dog"), ())


@pytest.mark.parametrize("name", ["train/cat/notes.txt", "train/dog/1.heic", "test/loose.png"])
def test_files_that_are_not_used_are_counted(split, name):
    (split / name).write_bytes((split / "train" / "cat" / "1.png").read_bytes())
    data = folder(split).read()
    assert (len(data.train), len(data.test)) == (3, 2)
    (note,) = data.notes
    assert "1 files are not used" in note
    assert str(split / name) in note


def test_links_are_followed(split, tmp_path_factory):
    elsewhere = fill(tmp_path_factory.mktemp("elsewhere"), "birds/1.png", "2.png")
    for part in ("train", "test"):
        (split / part / "bird").symlink_to(elsewhere / "birds", target_is_directory=True)
    (split / "train" / "dog" / "link.png").symlink_to(elsewhere / "2.png")
    data = folder(split).read()
    assert data.classes == ("bird", "cat", "dog")
    assert data.train.labels.tolist() == [0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("link", "target"),
    [("train/cat/up", "train"), ("train/cat/up", "."), ("train/cat/inner/up", "train/cat"), ("train/up", "."), ("up", ".")],
)
def test_a_link_to_a_folder_above_would_mix_the_classes_and_is_not_followed(split, link, target):
    fill(split, "train/cat/inner/9.png")
    (split / link).symlink_to(split / target, target_is_directory=True)
    data = folder(split).read()
    assert data.classes == ("cat", "dog")
    assert data.train.labels.tolist() == [0, 0, 0, 1]
    assert data.notes == (f"1 links are not followed, since each leads to a folder above it ({split / link})",)
    assert [(f.kind, f.where) for f in folder(split).findings()] == [("link not followed", str(split / link))]


# The same image on both sides


def test_test_images_with_the_pixels_of_training_images_are_counted(whole):
    held_out = {path.name for path in held_out_of(sorted((whole / "cat").iterdir()), whole, 20.0)}
    (tested, also_tested), trained = sorted(held_out), next(f"cat{k}.png" for k in range(10) if f"cat{k}.png" not in held_out)
    (whole / "cat" / tested).write_bytes((whole / "cat" / trained).read_bytes())
    (note,) = folder(whole).read().notes
    assert note.startswith("1 of 4 test images have the exact pixels of a training image, 0 of them under another label")
    trained = next(path for path in sorted((whole / "dog").iterdir()) if f"dog/{path.name}" in folder(whole).read().train.names)
    (whole / "cat" / also_tested).write_bytes(trained.read_bytes())
    (note,) = folder(whole).read().notes
    assert note.startswith("2 of 4 test images have the exact pixels of a training image, 1 of them under another label")
    assert "data check folder" in note


# Bad input


def test_no_root_says_how_to_give_one(tmp_path):
    refused(folder(None), "--data-root", "train/CLASS/*")
    refused(folder(tmp_path / "gone"), "there is no folder", "gone")
    (tmp_path / "file").touch()
    refused(folder(tmp_path / "file"), "there is no folder")
    refusal(lambda: kinds(folder(None)), "--data-root")


def test_fewer_than_two_classes_are_refused(tmp_path):
    refused(folder(tmp_path), tmp_path, "0 classes")
    refused(folder(fill(tmp_path, "cat/1.png")), "1 classes", "a folder for each")


def test_loose_images_alone_are_refused(tmp_path):
    refused(folder(fill(tmp_path, "1.png", "2.png")), "0 classes; wanted at least two")


@pytest.mark.parametrize("part", ["train", "test"])
def test_half_a_split_is_refused(split, part):
    (split / part).rename(split / "elsewhere")
    refused(folder(split), "/CLASS and no other split", "wanted train and test")


def test_two_folders_for_one_split_are_refused(split):
    fill(split, "Train/cat/9.png")
    refused(folder(split), "both Train and train")


def test_classes_that_differ_in_case_alone_are_refused(split):
    fill(split, "test/Cat/9.png")
    refused(folder(split), "'Cat' and 'cat' differ in case alone")


@pytest.mark.parametrize("name", ["test/bird/1.png", "train/bird/.hidden.png", "train/bird/notes.txt", "train/bird/inner/"])
def test_a_class_without_training_image_is_refused(split, name):
    if name.endswith("/"):
        (split / name).mkdir(parents=True)
    else:
        fill(split, f"{name}.png")
        (split / f"{name}.png").rename(split / name)
    refused(folder(split), "the class 'bird' has no training image")
    assert "class without image" in kinds(folder(split))


def test_a_folder_without_images_is_no_class(whole):
    (whole / "docs").mkdir()
    refused(folder(whole), whole / "docs", "there is no image in it", "a folder for each class, and no other")


def test_a_link_that_leads_nowhere_is_named(split):
    (split / "train" / "cat" / "9.png").symlink_to(split / "gone.png")
    refused(folder(split), "there is no image", split / "train" / "cat" / "9.png")
    assert kinds(folder(split)) == ["label without image"]


def test_a_pipe_is_no_image_and_is_not_waited_for(whole):
    os.mkfifo(whole / "cat" / "p.png")
    refused(folder(whole), f"{whole / 'cat' / 'p.png'}: it is no file")
    assert [(f.kind, f.where) for f in folder(whole).findings()] == [("not a file", str(whole / "cat" / "p.png"))]


def test_one_image_a_class_leaves_none_for_the_test(tmp_path):
    refused(folder(fill(tmp_path, "cat/1.png", "dog/2.png")), "there is no test image")
    assert kinds(folder(tmp_path)) == ["split without image"]


def test_a_class_with_a_control_character_is_refused(split):
    fill(split, "train/do\ng/1.png")
    refused(folder(split), r"the class 'do\ng' has a control character")


@pytest.mark.parametrize("name", ["👩\u200d🔬", "no\u00a0break", "<script>", "50%_off", "=1+1", "a b"])
def test_a_class_of_any_other_name_can_be_trained_on(whole, call, tmp_path_factory, name):
    (whole / "cat").rename(whole / name)
    out = tmp_path_factory.mktemp("out") / "o"
    words = ("--methods", "ce", "--noise", "20", "--dry-run", "--out", out)
    assert call("run", "--dataset", "folder", "--data-root", whole, *words)[0] == 0


def test_what_would_be_refused_is_refused_though_a_cache_is_there(split, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path_factory.mktemp("cache")))
    prepare(folder(split))
    (split / "train" / "emu").mkdir()
    refusal(lambda: prepare(folder(split)), "the class 'emu' has no training image")
    (split / "train" / "emu").rmdir()
    prepare(folder(split))
    (split / "train" / "cat" / "dead.png").symlink_to(split / "gone.png")
    refusal(lambda: prepare(folder(split)), "there is no image", "dead.png")


def test_an_image_of_a_hundred_million_pixels_is_read_without_a_word(whole):
    """In a process of its own: Python shows a warning by rules that pytest changes."""
    Image.new("1", (10_000, 10_000)).save(whole / "cat" / "huge.png")
    code = f"""
from pathlib import Path
from benchmark.datasets.folder import Folder
mine = Folder(Folder.Config(), Path({str(whole)!r}))
assert (len(mine.read().train), list(mine.findings())) == (17, [])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr == ""


def test_findings_across_the_split(split):
    save(split / "test" / "dog" / "6.png", crc32(b"train/cat/1.png"))
    (split / "train" / "dog" / "notes.txt").touch()
    assert kinds(folder(split)) == ["duplicate across splits", "no image"]
