"""Tiny ImageNet: its layout, and every file that is not what it should be."""

import shutil

import numpy as np
import pytest
from mirror import mirror, sha256
from PIL import Image
from refusal import refusal

from benchmark.contract import NoOptions
from benchmark.datasets._download import Remote
from benchmark.datasets.tiny_imagenet import TinyImageNet

WNIDS = ["n03444034", "n01443537", "n02124075"]  # not in order, as in the official file
WORDS = {"n01443537": "goldfish, Carassius auratus", "n02124075": "Egyptian cat", "n03444034": "go-kart", "n00001740": "entity"}
PER_CLASS = 12, 2


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(TinyImageNet, "num_classes", len(WNIDS))
    monkeypatch.setattr(TinyImageNet, "per_class", PER_CLASS)


def paint(path, seed, mode="RGB", side=64):
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = tuple(int(value) for value in np.random.default_rng(seed).integers(0, 256, 3))
    picture = Image.new("RGB", (side, side), colour)
    picture.paste((0, 0, 0), (0, 0, seed % 50 + 8, seed // 2 % 50 + 8))
    picture.convert(mode).save(path, "JPEG")


@pytest.fixture
def folder(tmp_path):
    """tiny-imagenet-200 with three classes."""
    folder = tmp_path / "tiny-imagenet-200"
    seed = 0
    for wnid in WNIDS:
        for k in range(PER_CLASS[0]):
            paint(folder / "train" / wnid / "images" / f"{wnid}_{k}.JPEG", seed := seed + 1, "L" if k == 3 else "RGB")
        (folder / "train" / wnid / f"{wnid}_boxes.txt").write_text(f"{wnid}_0.JPEG\t0\t10\t63\t58\n")
    lines = []
    for k, wnid in enumerate(WNIDS * PER_CLASS[1]):
        paint(folder / "val" / "images" / f"val_{k}.JPEG", seed := seed + 1)
        lines.append(f"val_{k}.JPEG\t{wnid}\t0\t32\t44\t62\n")
    paint(folder / "test" / "images" / "test_0.JPEG", seed + 1)
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    (folder / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    (folder / "words.txt").write_text("".join(f"{wnid}\t{words}\n" for wnid, words in WORDS.items()))
    return folder


def tiny(root):
    return TinyImageNet(NoOptions(), root)


def refused(root, *words):
    return refusal(lambda: tiny(root).read(), *words)


def found(root):
    return [(finding.kind, finding.where) for finding in tiny(root).findings()]


# What is read


def test_the_layout_reads_back(tmp_path, folder):
    data = tiny(tmp_path).read()
    assert data.classes == ("goldfish", "Egyptian cat", "go-kart")
    assert data.train.images.shape == (36, 64, 64, 3)
    assert data.test.images.shape == (6, 64, 64, 3)
    assert data.train.labels.tolist() == [0] * 12 + [1] * 12 + [2] * 12
    assert data.test.labels.tolist() == [2, 0, 1, 2, 0, 1]
    places = [f"tiny-imagenet-200/train/n01443537/images/n01443537_{k}.JPEG" for k in (0, 1, 10)]
    assert data.train.names[:3].tolist() == places
    assert data.test.names.tolist() == [f"tiny-imagenet-200/val/images/val_{k}.JPEG" for k in range(6)]
    for split in (data.train, data.test):
        with Image.open(tmp_path / str(split.names[0])) as picture:
            assert np.array_equal(split.images[0], np.asarray(picture))


def test_training_images_are_in_the_order_of_torchvisions_image_folder(tmp_path, folder):
    from torchvision.datasets import ImageFolder

    theirs, ours = ImageFolder(folder / "train"), tiny(tmp_path).read().train
    assert [path.removeprefix(f"{tmp_path}/") for path, _ in theirs.samples] == ours.names.tolist()
    assert theirs.targets == ours.labels.tolist()


def test_grey_images_are_read_as_colour(tmp_path, folder):
    train = tiny(tmp_path).read().train
    (k,) = np.flatnonzero(np.char.endswith(train.names, "/n01443537_3.JPEG"))
    assert (train.images[k] == train.images[k][..., :1]).all()


def test_sources_are_the_lists_and_all_images_that_are_read(tmp_path, folder):
    unread = {path for path in folder.rglob("*") if path.name.endswith("_boxes.txt") or path.name == "test_0.JPEG"}
    assert set(tiny(tmp_path).sources()) == {path for path in folder.rglob("*") if path.is_file()} - unread


def test_a_sound_set_has_no_findings(tmp_path, folder):
    assert found(tmp_path) == []


# Bad input


def test_without_the_folder_it_says_what_to_get(tmp_path):
    refused(tmp_path, tmp_path / "tiny-imagenet-200" / "wnids.txt", "missing", "tiny-imagenet-200.zip", "unzip")
    refused(None, "--data-root", "BENCHMARK_DATA", "tiny-imagenet-200.zip")
    refusal(lambda: found(None), "--data-root")
    refusal(lambda: found(tmp_path), "wnids.txt", "missing")


@pytest.mark.parametrize("name", ["wnids.txt", "words.txt", "val/val_annotations.txt"])
def test_a_missing_list_is_named(tmp_path, folder, name):
    (folder / name).unlink()
    refused(tmp_path, folder / name, "missing")
    assert found(tmp_path) == [("unreadable", "tiny-imagenet")]


@pytest.mark.parametrize("name", ["wnids.txt", "words.txt", "val/val_annotations.txt"])
def test_a_list_that_is_no_text_is_named(tmp_path, folder, name):
    (folder / name).write_bytes(b"\xff\xd8\xff\xe0")
    refused(tmp_path, folder / name, "it is no text in UTF-8")


def test_ids_that_are_too_few_or_have_no_name_are_refused(tmp_path, folder):
    (folder / "words.txt").write_text("n01443537\tgoldfish\n")
    refused(tmp_path, folder / "words.txt", "n02124075", "truncated")
    (folder / "wnids.txt").write_text("n01443537\n")
    refused(tmp_path, folder / "wnids.txt", "wanted 3 ids", "found 1")


@pytest.mark.parametrize("name", ["../../elsewhere", "/etc", "n0144353", "n01443537/.."])
def test_ids_that_are_none_name_no_folder(tmp_path, folder, name):
    (folder / "wnids.txt").write_text("\n".join([*WNIDS[:2], name]))
    refused(tmp_path, folder / "wnids.txt", f"'{name}' in it is no id of WordNet")


@pytest.mark.parametrize("name", ["..", "../images/val_0.JPEG", "/etc/passwd", "val_0.JPEG/.."])
def test_names_that_are_none_name_no_image(tmp_path, folder, name):
    lines = (folder / "val" / "val_annotations.txt").read_text().splitlines()
    (folder / "val" / "val_annotations.txt").write_text("\n".join([f"{name}\t{WNIDS[0]}\t0\t0\t1\t1", *lines[1:]]))
    refused(tmp_path, "val_annotations.txt, line 1", "wanted an image's name")


def test_a_class_with_a_missing_image_is_refused_and_found(tmp_path, folder):
    images = folder / "train" / "n02124075" / "images"
    (images / "n02124075_5.JPEG").unlink()
    refused(tmp_path, images, "wanted 12 images, found 11")
    assert found(tmp_path) == [("wrong count", str(images))]


def test_a_class_without_a_folder_is_refused_and_found(tmp_path, folder):
    (folder / "train" / "n02124075").rename(folder / "train" / "cat")
    images = folder / "train" / "n02124075" / "images"
    refused(tmp_path, images, "wanted 12 images, found 0")
    assert found(tmp_path) == [("wrong count", str(images)), ("class without image", "Egyptian cat")]


def test_annotations_that_are_cut_are_refused(tmp_path, folder):
    file = folder / "val" / "val_annotations.txt"
    whole = file.read_text()
    file.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    refused(tmp_path, file, "wanted 6 lines, found 5")
    assert found(tmp_path) == [("wrong count", str(file)), ("image without label", str(folder / "val/images/val_5.JPEG"))]
    file.write_text(whole[: whole.rindex("val_5") + 3])
    refused(tmp_path, f"{file}, line 6", "truncated")


def test_an_annotation_of_another_class_or_image_is_refused_and_found(tmp_path, folder):
    file = folder / "val" / "val_annotations.txt"
    whole = file.read_text()
    file.write_text(whole.replace("val_0.JPEG\tn03444034", "val_0.JPEG\tn00001740"))
    refused(tmp_path, f"{file}, line 1", "none of the 3 classes")
    assert found(tmp_path) == [("label out of range", f"{file}, line 1")]
    file.write_text(whole.replace("val_0.JPEG", "val_99.JPEG"))
    refused(tmp_path, f"{file}, line 1", folder / "val/images/val_99.JPEG")
    assert ("label without image", f"{file}, line 1") in found(tmp_path)
    file.write_text(whole.replace("val_0.JPEG", "../../words.txt"))
    refused(tmp_path, f"{file}, line 1", "wanted an image's name")


def test_an_image_that_is_truncated_or_of_another_size_is_found(tmp_path, folder):
    images = folder / "train" / "n01443537" / "images"
    paint(images / "n01443537_1.JPEG", 99, side=32)
    assert found(tmp_path) == [("wrong size", str(images / "n01443537_1.JPEG"))]
    file = folder / "val" / "images" / "val_2.JPEG"
    file.write_bytes(file.read_bytes()[:300])
    refused(tmp_path, file, "cannot be decoded")
    assert ("undecodable", str(file)) in found(tmp_path)


def test_an_image_that_is_there_twice_is_found(tmp_path, folder):
    twin = folder / "train" / "n01443537" / "images" / "n01443537_1.JPEG"
    (folder / "val" / "images" / "val_2.JPEG").write_bytes(twin.read_bytes())
    assert found(tmp_path) == [("duplicate across splits", str(twin))]


def test_the_archive_is_fetched_and_unpacked_where_there_is_none(folder, tmp_path_factory, monkeypatch):
    published, root = tmp_path_factory.mktemp("published"), tmp_path_factory.mktemp("root")
    shutil.make_archive(str(published / "tiny"), "zip", folder.parent, folder.name)
    with mirror(published) as address:
        archive = Remote("tiny.zip", (f"{address}/tiny.zip",), sha256(published / "tiny.zip"))
        monkeypatch.setattr("benchmark.datasets.tiny_imagenet.ARCHIVE", archive)
        assert tiny(root).download() == []
        assert tiny(root).download() == []
    assert [path.name for path in root.iterdir()] == ["tiny-imagenet-200"]
    assert len(tiny(root).read().train) == PER_CLASS[0] * len(WNIDS)
