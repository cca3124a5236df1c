"""CIFAR-100: both layouts, its human labels, its superclasses, and every file that is not what it should be."""

import hashlib
import os
import pickle
from pathlib import Path

import cifar
import numpy as np
import pytest
import torch
from refusal import refusal

from benchmark.contract import BadInput
from benchmark.datasets._pickle import load_arrays
from benchmark.datasets.cifar100 import CIFAR100, CLASSES, COARSE, SUPERCLASSES

COUNTS = TRAIN, TEST = 12, 5  # images, where the official files have 50,000 and 10,000


@pytest.fixture(autouse=True)
def _small_files(monkeypatch):
    monkeypatch.setattr(CIFAR100, "counts", COUNTS)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (sum(COUNTS), 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def labels():
    return np.arange(sum(COUNTS)) * 37 % 100


@pytest.fixture
def root(tmp_path, images, labels):
    """A data root with the binary layout and CIFAR-100N."""
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    rows = np.concatenate([np.stack([COARSE[labels], labels], axis=1).astype(np.uint8), planes], axis=1)
    (folder / "train.bin").write_bytes(rows[:TRAIN].tobytes())
    (folder / "test.bin").write_bytes(rows[TRAIN:].tobytes())
    (folder / "fine_label_names.txt").write_text("\n".join(CLASSES) + "\n")
    (folder / "coarse_label_names.txt").write_text("\n".join(SUPERCLASSES) + "\n")
    save_cifar100n(tmp_path, labels)
    return tmp_path


def save_cifar100n(root, labels, **changes):
    (root / "cifar-n").mkdir(exist_ok=True)
    clean = labels[:TRAIN]
    lists = {f"{name}_coarse_label": COARSE[clean].tolist() for name in ("clean", "noisy")}  # as in the real file
    content = {"clean_label": clean, "noisy_label": (clean + 1) % 100} | lists | changes
    kept = {name: value for name, value in content.items() if value is not None}
    torch.save(kept, root / "cifar-n" / "CIFAR-100_human.pt")


def cifar100(root):
    return CIFAR100(CIFAR100.Config(), root)


def refused(root, *words):
    return refusal(lambda: cifar100(root).read(), *words)


# What is read


def test_the_binary_layout_reads_back(root, images, labels):
    data = cifar100(root).read()
    assert np.array_equal(data.train.images, images[:TRAIN])
    assert np.array_equal(data.test.images, images[TRAIN:])
    assert np.array_equal(data.train.labels, labels[:TRAIN])
    assert np.array_equal(data.test.labels, labels[TRAIN:])
    assert data.train.images.dtype == np.uint8
    assert data.train.labels.dtype == np.int64
    assert data.train.images.flags.c_contiguous
    assert data.classes == CLASSES


def test_human_labels_read_back_where_they_are(root, labels):
    data = cifar100(root).read()
    assert set(data.human_labels) == {"human"}
    assert np.array_equal(data.human_labels["human"], (labels[:TRAIN] + 1) % 100)
    (root / "cifar-n" / "CIFAR-100_human.pt").unlink()
    assert cifar100(root).read().human_labels == {}


def test_sources_are_exactly_the_files_that_lie_there(root):
    assert set(cifar100(root).sources()) == {file for file in root.rglob("*") if file.is_file()}


def test_each_class_is_mistaken_for_the_next_of_its_superclass_in_a_circle(root):
    mistakes = cifar100(root).read().mistakes["asymmetric"]
    assert np.array_equal(mistakes.sum(axis=1), np.ones(100))
    assert np.array_equal(mistakes.sum(axis=0), np.ones(100))
    after = dict(zip(CLASSES, (CLASSES[k] for k in mistakes.argmax(axis=1)), strict=True))
    for start, circle in (("beaver", ["dolphin", "otter", "seal", "whale"]), ("apple", ["mushroom", "orange", "pear"])):
        name = start
        for wanted in circle:
            name = after[name]
            assert name == wanted
    assert after["whale"] == "beaver"
    assert after["sweet_pepper"] == "apple"
    assert np.array_equal(COARSE[mistakes.argmax(axis=1)], COARSE)


def test_there_are_twenty_superclasses_of_five_classes_each_in_the_order_of_the_labels():
    assert len(CLASSES) == len(set(CLASSES)) == 100
    assert np.bincount(COARSE).tolist() == [5] * 20
    assert all(list(names) == sorted(names) for names in SUPERCLASSES.values())
    assert COARSE[:10].tolist() == [4, 1, 14, 8, 0, 6, 7, 7, 18, 3]  # as CIFAR-100's users have it from its files


# The python layout


@pytest.fixture
def python_root(tmp_path, monkeypatch, images, labels):
    """A data root with the python layout, and torchvision told the md5 of its small files."""
    from torchvision.datasets import CIFAR100 as Official  # noqa: N811

    def save(name, content):
        (tmp_path / Official.base_folder).mkdir(exist_ok=True)
        data = pickle.dumps(content)
        (tmp_path / Official.base_folder / name).write_bytes(data)
        return [name, hashlib.md5(data).hexdigest()]

    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    both = zip(np.split(planes, [TRAIN]), np.split(labels, [TRAIN]), strict=True)
    train, test = ({"data": x, "fine_labels": y.tolist(), "coarse_labels": COARSE[y].tolist()} for x, y in both)
    monkeypatch.setattr(Official, "train_list", [save("train", train)])
    monkeypatch.setattr(Official, "test_list", [save("test", test)])
    _, md5 = save("meta", {"fine_label_names": list(CLASSES)})
    monkeypatch.setattr(Official, "meta", {"filename": "meta", "key": "fine_label_names", "md5": md5})
    return tmp_path


def test_the_python_layout_reads_back(python_root, images, labels):
    save_cifar100n(python_root, labels)
    data = cifar100(python_root).read()
    assert np.array_equal(data.train.images, images[:TRAIN])
    assert np.array_equal(data.test.images, images[TRAIN:])
    assert np.array_equal(data.train.labels, labels[:TRAIN])
    assert np.array_equal(data.test.labels, labels[TRAIN:])
    assert np.array_equal(data.human_labels["human"], (labels[:TRAIN] + 1) % 100)
    assert set(cifar100(python_root).sources()) == {file for file in python_root.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", ["train", "test", "meta"])
def test_a_python_file_that_is_damaged_or_missing_is_named(python_root, name):
    file = python_root / "cifar-100-python" / name
    file.write_bytes(file.read_bytes()[:-1])
    refused(python_root, file, "md5")
    assert [(f.kind, f.where) for f in cifar100(python_root).findings()] == [("damaged", str(file))]
    file.unlink()
    refused(python_root, file, "missing", "cifar-100-python.tar.gz")


def test_an_archive_below_the_data_root_is_unpacked_and_what_people_said_is_fetched(root, tmp_path_factory, monkeypatch):
    cifar.brings_what_it_can(CIFAR100, root, tmp_path_factory.mktemp("root"), monkeypatch)


def test_no_archive_and_no_mirror_end_in_one_line(tmp_path, monkeypatch):
    cifar.says_why_it_cannot(CIFAR100, tmp_path, monkeypatch)


# Bad input


def test_neither_layout_says_what_to_get_and_where_to_put_it(tmp_path):
    refused(tmp_path, "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", tmp_path, "data prepare cifar100")
    refused(None, "--data-root", "BENCHMARK_DATA", "cifar-100-binary.tar.gz")


@pytest.mark.parametrize("name", ["train.bin", "test.bin", "fine_label_names.txt", "coarse_label_names.txt"])
def test_a_missing_binary_file_is_named(root, name):
    (root / "cifar-100-binary" / name).unlink()
    refused(root, root / "cifar-100-binary" / name, "missing")


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b[:-3074], lambda b: b + b, lambda b: b""])
def test_a_binary_file_of_another_size_is_refused(root, change):
    file = root / "cifar-100-binary" / "train.bin"
    file.write_bytes(change(file.read_bytes()))
    refused(root, file, f"wanted {TRAIN * 3074} bytes", f"found {file.stat().st_size}")


@pytest.mark.parametrize(
    ("byte", "value", "words"),
    [(1, 100, ["fine label 100 in record 3", "0 to 99"]), (0, 20, ["coarse label 20 in record 3"]), (0, 0, ["coarse label 0"])],
)
def test_labels_out_of_range_and_those_that_do_not_belong_together_are_named(root, byte, value, words):
    file = root / "cifar-100-binary" / "test.bin"
    content = bytearray(file.read_bytes())
    content[2 * 3074 + byte] = value
    file.write_bytes(content)
    refused(root, file, *words)


@pytest.mark.parametrize("name", ["fine_label_names.txt", "coarse_label_names.txt"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda names: [*names[:3], "cat", *names[4:]], ["as name 4, found 'cat'"]),
        (lambda names: names[:-1], ["is the file truncated"]),
        (lambda names: [], ["found 0"]),
    ],
)
def test_other_names_are_refused(root, name, change, words):
    file = root / "cifar-100-binary" / name
    file.write_text("\n".join(change(file.read_text().split())))
    refused(root, file, *words)


def test_human_labels_that_are_not_for_these_images_are_refused(root, labels):
    clean = labels[:TRAIN]
    save_cifar100n(root, labels, clean_label=np.roll(clean, 1))
    refused(root, "CIFAR-100_human.pt", "clean_label", "order")
    save_cifar100n(root, labels, noisy_label=None)
    refused(root, "CIFAR-100_human.pt", "wanted an array 'noisy_label'")
    save_cifar100n(root, labels, noisy_label=clean[:3])
    refused(root, "CIFAR-100_human.pt", "noisy_label", "(3,)", TRAIN)
    save_cifar100n(root, labels, noisy_label=clean + 100)
    refused(root, "CIFAR-100_human.pt", "noisy_label 100 in record 1", "0 to 99")
    file = root / "cifar-n" / "CIFAR-100_human.pt"
    file.write_bytes(file.read_bytes()[:-50])
    refused(root, "CIFAR-100_human.pt", "torch.save")


@pytest.mark.parametrize("value", [["1"], [1.5], [True], [None], [2**70]])
def test_a_list_of_anything_but_whole_numbers_is_refused(tmp_path, value):
    torch.save({"a": value}, tmp_path / "labels.pt")
    with pytest.raises(BadInput, match=r"labels\.pt"):
        load_arrays(tmp_path / "labels.pt")


# What is found


def test_a_sound_set_has_no_findings(root):
    assert list(cifar100(root).findings()) == []


def test_every_damaged_and_missing_file_is_found(root):
    folder = root / "cifar-100-binary"
    (folder / "test.bin").unlink()
    (folder / "train.bin").write_bytes(b"")
    (folder / "coarse_label_names.txt").write_text("fish\n")
    found = {f.where: (f.kind, f.detail) for f in cifar100(root).findings()}
    assert {where: kind for where, (kind, _) in found.items()} == {
        str(folder / "train.bin"): "damaged",
        str(folder / "test.bin"): "missing",
        str(folder / "coarse_label_names.txt"): "damaged",
    }
    assert found[str(folder / "train.bin")][1].startswith("wanted")


def test_human_labels_that_cannot_be_used_and_images_that_are_there_twice_are_found(root, labels):
    file = root / "cifar-100-binary" / "test.bin"
    train = (root / "cifar-100-binary" / "train.bin").read_bytes()
    file.write_bytes(train[:3074] + file.read_bytes()[3074:])
    assert [f.kind for f in cifar100(root).findings()] == ["duplicate across splits"]
    save_cifar100n(root, labels, noisy_label=None)
    assert [f.kind for f in cifar100(root).findings()] == ["unreadable"]


def test_what_is_not_there_at_all_is_no_finding(tmp_path):
    refusal(lambda: list(cifar100(None).findings()), "--data-root")
    refusal(lambda: list(cifar100(tmp_path / "elsewhere").findings()), "there is no folder")


# The real thing


@pytest.fixture(scope="module")
def real_labels():
    root = os.environ.get("BENCHMARK_DATA")
    if not root:
        pytest.skip("BENCHMARK_DATA is not set")
    file = Path(root) / "cifar-n" / "CIFAR-100_human.pt"
    if not file.is_file():
        pytest.skip(f"there is no cifar-n/CIFAR-100_human.pt below BENCHMARK_DATA={root}")
    return load_arrays(file)


@pytest.mark.realdata
def test_real_flip_rate_is_that_of_cifar_100n(real_labels):
    clean, noisy = real_labels["clean_label"], real_labels["noisy_label"]
    assert np.bincount(clean).tolist() == [500] * 100
    assert 100 * np.mean(noisy != clean) == pytest.approx(40.20, abs=0.005 + 1e-9)


@pytest.mark.realdata
def test_the_superclasses_are_those_of_the_real_coarse_labels(real_labels):
    for name in ("clean", "noisy"):
        assert np.array_equal(COARSE[real_labels[f"{name}_label"]], real_labels[f"{name}_coarse_label"])
