"""CIFAR-10: both layouts, its human labels, and every file that is not what it should be."""

import hashlib
import os
import pickle
import zipfile
from pathlib import Path

import cifar
import numpy as np
import pytest
import torch
from refusal import refusal

from benchmark.contract import BadInput
from benchmark.datasets._pickle import load_arrays
from benchmark.datasets.cifar10 import CIFAR10, CLASSES, HUMAN

RECORDS = 4  # per file, where the official files have 10,000
TRAIN, TEST = slice(0, 5 * RECORDS), slice(5 * RECORDS, 6 * RECORDS)


@pytest.fixture(autouse=True)
def _small_files(monkeypatch, request):
    if "realdata" not in request.keywords:
        monkeypatch.setattr(CIFAR10, "records_per_file", RECORDS)
        monkeypatch.setattr(CIFAR10, "binary_md5s", {})


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (6 * RECORDS, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def labels():
    return np.arange(6 * RECORDS) * 7 % 10


@pytest.fixture
def root(tmp_path, images, labels):
    """A data root with the binary layout, CIFAR-10N and CIFAR-10H."""
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    rows = np.concatenate([labels[:, None].astype(np.uint8), planes], axis=1).reshape(6, -1)
    for row, name in zip(rows, [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"], strict=True):
        (folder / f"{name}.bin").write_bytes(row.tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n\n")
    save_cifar10n(
        tmp_path, {"clean_label": labels[TRAIN]} | {n: (labels[TRAIN] + k) % 10 for k, n in enumerate(HUMAN.values())}
    )
    save_cifar10h(tmp_path, 40 * np.eye(10, dtype=np.int64)[labels[TEST]] + 1)
    return tmp_path


def save_cifar10n(root, content):
    (root / "cifar-n").mkdir(exist_ok=True)
    torch.save(content, root / "cifar-n" / "CIFAR-10_human.pt")


def save_cifar10h(root, votes):
    (root / "cifar-10h").mkdir(exist_ok=True)
    np.save(root / "cifar-10h" / "cifar10h-counts.npy", votes)


def cifar10(root):
    return CIFAR10(CIFAR10.Config(), root)


def refused(root, *words):
    return refusal(lambda: cifar10(root).read(), *words)


# What is read


def test_the_binary_layout_reads_back(root, images, labels):
    data = cifar10(root).read()
    assert np.array_equal(data.train.images, images[TRAIN])
    assert np.array_equal(data.test.images, images[TEST])
    assert np.array_equal(data.train.labels, labels[TRAIN])
    assert np.array_equal(data.test.labels, labels[TEST])
    assert data.train.images.dtype == np.uint8
    assert data.train.labels.dtype == np.int64
    assert data.classes == CLASSES


def test_human_labels_and_votes_read_back(root, labels):
    data = cifar10(root).read()
    assert set(data.human_labels) == {f"human-{kind}" for kind in ("aggregate", "random1", "random2", "random3", "worst")}
    for k, kind in enumerate(HUMAN):
        assert np.array_equal(data.human_labels[kind], (labels[TRAIN] + k) % 10)
        assert data.human_labels[kind].dtype == np.int64
    assert np.array_equal(data.test.votes, 40 * np.eye(10)[labels[TEST]] + 1)
    assert data.train.votes is None


def test_without_the_optional_files_there_are_no_human_labels(root):
    assert len(cifar10(root).sources()) == 9
    (root / "cifar-n" / "CIFAR-10_human.pt").unlink()
    (root / "cifar-10h" / "cifar10h-counts.npy").unlink()
    data = cifar10(root).read()
    assert data.human_labels == {}
    assert data.test.votes is None
    assert len(cifar10(root).sources()) == 7


def test_sources_are_exactly_the_files_that_lie_there(root):
    assert set(cifar10(root).sources()) == {file for file in root.rglob("*") if file.is_file()}


# The python layout


@pytest.fixture
def python_root(tmp_path, monkeypatch, images, labels):
    """A data root with the python layout, and torchvision told the md5 of its small files."""
    from torchvision.datasets import CIFAR10 as Official  # noqa: N811

    def save(name, content):
        (tmp_path / Official.base_folder).mkdir(exist_ok=True)
        data = pickle.dumps(content)
        (tmp_path / Official.base_folder / name).write_bytes(data)
        return [name, hashlib.md5(data).hexdigest()]

    planes = images.transpose(0, 3, 1, 2).reshape(6, RECORDS, -1)
    batches = [{"data": x, "labels": y.tolist()} for x, y in zip(planes, labels.reshape(6, -1), strict=True)]
    monkeypatch.setattr(Official, "train_list", [save(f"data_batch_{k}", b) for k, b in enumerate(batches[:5], 1)])
    monkeypatch.setattr(Official, "test_list", [save("test_batch", batches[5])])
    _, md5 = save("batches.meta", {"label_names": list(CLASSES)})
    monkeypatch.setattr(Official, "meta", {"filename": "batches.meta", "key": "label_names", "md5": md5})
    return tmp_path


def test_the_python_layout_reads_back(python_root, images, labels):
    data = cifar10(python_root).read()
    assert np.array_equal(data.train.images, images[TRAIN])
    assert np.array_equal(data.test.images, images[TEST])
    assert np.array_equal(data.train.labels, labels[TRAIN])
    assert np.array_equal(data.test.labels, labels[TEST])
    assert data.train.images.flags.c_contiguous
    assert set(cifar10(python_root).sources()) == {file for file in python_root.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_damaged_python_file_is_refused_before_it_is_unpickled(python_root, name):
    file = python_root / "cifar-10-batches-py" / name
    file.write_bytes(file.read_bytes()[:-1])
    refused(python_root, file, "md5")


def test_a_missing_python_file_is_named(python_root):
    file = python_root / "cifar-10-batches-py" / "test_batch"
    file.unlink()
    refused(python_root, file, "missing")


def test_an_archive_below_the_data_root_is_unpacked_and_what_people_said_is_fetched(root, tmp_path_factory, monkeypatch):
    cifar.brings_what_it_can(CIFAR10, root, tmp_path_factory.mktemp("root"), monkeypatch)


def test_no_archive_and_no_mirror_end_in_one_line(tmp_path, monkeypatch):
    cifar.says_why_it_cannot(CIFAR10, tmp_path, monkeypatch)


# Bad input


def test_neither_layout_says_what_to_get_and_where_to_put_it(tmp_path):
    refused(tmp_path, "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", tmp_path, "data prepare cifar10")


def test_no_data_root_says_how_to_give_one():
    refused(None, "--data-root", "BENCHMARK_DATA")


@pytest.mark.parametrize("name", ["data_batch_4.bin", "test_batch.bin", "batches.meta.txt"])
def test_a_missing_binary_file_is_named(root, name):
    (root / "cifar-10-batches-bin" / name).unlink()
    refused(root, root / "cifar-10-batches-bin" / name, "missing")


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b[:-3073], lambda b: b + b, lambda b: b""])
def test_a_binary_file_of_another_size_is_refused(root, change):
    file = root / "cifar-10-batches-bin" / "data_batch_2.bin"
    file.write_bytes(change(file.read_bytes()))
    refused(root, file, f"wanted {RECORDS * 3073} bytes", f"found {file.stat().st_size}")


def test_a_binary_label_out_of_range_is_named(root):
    file = root / "cifar-10-batches-bin" / "test_batch.bin"
    content = bytearray(file.read_bytes())
    content[2 * 3073] = 10
    file.write_bytes(content)
    refused(root, file, "label 10 in record 3", "0 to 9")


def test_other_class_names_are_refused(root):
    file = root / "cifar-10-batches-bin" / "batches.meta.txt"
    file.write_text("apple\naquarium_fish\n")
    refused(root, file, "wanted 'airplane' as name 1", "found 'apple'")


def noise_file(labels, **changes):
    return {"clean_label": labels[TRAIN]} | dict.fromkeys(HUMAN.values(), labels[TRAIN]) | changes


def test_human_labels_for_another_order_of_images_are_refused(root, labels):
    save_cifar10n(root, noise_file(labels, clean_label=np.roll(labels[TRAIN], 1)))
    refused(root, "CIFAR-10_human.pt", "clean_label", "order")


def test_human_labels_missing_short_or_out_of_range_are_refused(root, labels):
    content = noise_file(labels)
    del content["worse_label"]
    save_cifar10n(root, content)
    refused(root, "CIFAR-10_human.pt", "worse_label")
    save_cifar10n(root, noise_file(labels, random_label2=labels[:3]))
    refused(root, "CIFAR-10_human.pt", "random_label2", "(3,)", len(labels[TRAIN]))
    save_cifar10n(root, noise_file(labels, aggre_label=labels[TRAIN] + 1))
    refused(root, "CIFAR-10_human.pt", "aggre_label 10 in record", "0 to 9")


@pytest.mark.parametrize(
    "votes",
    [np.ones((RECORDS - 1, 10), int), np.ones((RECORDS, 9), int), np.ones((RECORDS, 10)), -np.ones((RECORDS, 10), int)],
    ids=["short", "narrow", "fractions", "negative"],
)
def test_votes_that_are_no_counts_for_these_images_are_refused(root, votes):
    save_cifar10h(root, votes)
    refused(root, "cifar10h-counts.npy", f"({RECORDS}, 10)", votes.shape)


def test_votes_for_another_order_of_images_are_refused(root, labels):
    save_cifar10h(root, np.eye(10, dtype=np.int64)[(labels[TEST] + 1) % 10])
    refused(root, "cifar10h-counts.npy", "order")


def test_votes_that_are_truncated_or_pickled_are_refused(root):
    file = root / "cifar-10h" / "cifar10h-counts.npy"
    file.write_bytes(file.read_bytes()[:-8])
    refused(root, file)
    file.write_bytes(b"")
    refused(root, file)
    np.save(file, np.array([Exploit(root / "ran")], dtype=object), allow_pickle=True)
    refused(root, file)
    for shape in ((10**15, 10), (10**30,), (-1, 10)):
        with file.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, {"descr": "<i8", "fortran_order": False, "shape": shape})
        refused(root, file)
    assert not (root / "ran").exists()


# What is found


def test_a_sound_set_has_no_findings(root):
    assert list(cifar10(root).findings()) == []


def test_every_missing_and_damaged_file_is_found(root):
    folder = root / "cifar-10-batches-bin"
    (folder / "data_batch_1.bin").unlink()
    (folder / "data_batch_4.bin").unlink()
    (folder / "test_batch.bin").write_bytes(b"")
    found = {finding.where: finding.kind for finding in cifar10(root).findings()}
    names = {"data_batch_1.bin": "missing", "data_batch_4.bin": "missing", "test_batch.bin": "damaged"}
    assert found == {str(folder / name): kind for name, kind in names.items()}


def test_a_binary_file_with_other_pixels_and_labels_is_found(root, monkeypatch):
    """Of the right size, and with labels that can be: only its md5 tells."""
    file = root / "cifar-10-batches-bin" / "data_batch_1.bin"
    monkeypatch.setattr(
        CIFAR10, "binary_md5s", {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in file.parent.glob("*.bin")}
    )
    assert not list(cifar10(root).findings())
    file.write_bytes(bytes([7]) + bytes(RECORDS * 3073 - 1))
    (finding,) = cifar10(root).findings()
    assert (finding.kind, finding.where) == ("other content", str(file))
    assert finding.detail.startswith(f"wanted md5 {CIFAR10.binary_md5s[file.name]}")


def test_none_of_the_files_is_no_finding(tmp_path):
    refusal(lambda: list(cifar10(None).findings()), "--data-root")
    refusal(lambda: list(cifar10(tmp_path).findings()), "data_batch_1.bin is missing", "data prepare cifar10")


def test_a_damaged_python_file_is_found(python_root):
    file = python_root / "cifar-10-batches-py" / "data_batch_3"
    file.write_bytes(b"")
    assert [(finding.kind, finding.where) for finding in cifar10(python_root).findings()] == [("damaged", str(file))]


def test_images_that_are_there_twice_are_found(root):
    twin = (root / "cifar-10-batches-bin" / "data_batch_2.bin").read_bytes()[:3073]
    file = root / "cifar-10-batches-bin" / "test_batch.bin"
    file.write_bytes(twin + file.read_bytes()[3073:])
    (root / "cifar-10h" / "cifar10h-counts.npy").unlink()
    (finding,) = cifar10(root).findings()
    assert (finding.kind, finding.where) == ("duplicate across splits", "train image 5")
    assert finding.detail.startswith("the same pixels as test image 1")


# Pickles


class Exploit:
    """Pickled, this is a call of os.system."""

    def __init__(self, evidence: Path):
        self.evidence = evidence

    def __reduce__(self):
        return os.system, (f"touch '{self.evidence}'",)


def test_the_exploit_would_work_on_a_plain_unpickler(tmp_path):
    pickle.loads(pickle.dumps(Exploit(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_calls_os_system_is_refused_and_nothing_runs(root, protocol):
    with zipfile.ZipFile(root / "cifar-n" / "CIFAR-10_human.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"clean_label": Exploit(root / "ran")}, protocol))
    refused(root, "CIFAR-10_human.pt", f"{os.system.__module__}.system", "no array needs")
    assert not (root / "ran").exists()


@pytest.mark.parametrize("name", ["eval", "getattr", "__import__"])
def test_builtins_are_refused_too(tmp_path, name):
    file = tmp_path / "labels.pt"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"cbuiltins\n" + name.encode() + b"\n(V1+1\ntR.")
    with pytest.raises(BadInput, match=f"builtins.{name}"):
        load_arrays(file)


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_arrays_pickled_under_numpy_1_and_2_are_read(tmp_path, module):
    saved = pickle.dumps({"a": np.arange(6, dtype=">i2").reshape(2, 3), "b": np.asfortranarray(np.eye(3, dtype=np.uint8))}, 2)
    saved = saved.replace(b"numpy._core.multiarray", module.encode()).replace(b"numpy.core.multiarray", module.encode())
    with zipfile.ZipFile(tmp_path / "labels.pt", "w") as archive:
        archive.writestr("archive/data.pkl", saved)
    arrays = load_arrays(tmp_path / "labels.pt")
    assert np.array_equal(arrays["a"], [[0, 1, 2], [3, 4, 5]])
    assert np.array_equal(arrays["b"], np.eye(3))


@pytest.mark.parametrize(
    "content",
    [{"a": np.array(["x"])}, {"a": np.array([None])}, {"a": np.array([0.5])}, {"a": 3}, [1, 2], {"a": torch.ones(2)}],
    ids=["text", "objects", "fractions", "no array", "no dictionary", "tensor"],
)
def test_whatever_is_no_dictionary_of_integer_arrays_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "labels.pt")
    with pytest.raises(BadInput, match=r"labels\.pt"):
        load_arrays(tmp_path / "labels.pt")


def test_a_file_cut_anywhere_is_refused(root):
    file = root / "cifar-n" / "CIFAR-10_human.pt"
    whole = file.read_bytes()
    for size in range(0, len(whole) - 1, 97):
        file.write_bytes(whole[:size])
        with pytest.raises(BadInput, match="CIFAR-10_human"):
            load_arrays(file)


def test_a_pickle_cut_anywhere_is_refused(tmp_path):
    whole = pickle.dumps({"a": np.arange(3)}, 2)
    for size in range(len(whole)):
        with zipfile.ZipFile(tmp_path / "labels.pt", "w") as archive:
            archive.writestr("archive/data.pkl", whole[:size])
        with pytest.raises(BadInput):
            load_arrays(tmp_path / "labels.pt")


def test_places_beyond_the_pickle_are_refused_before_room_is_made_for_them(tmp_path):
    """One flipped byte makes `r`, and four bytes behind it a place, of which Python makes a table: 34 GB of it."""
    whole = pickle.dumps({"a": np.arange(3)}, 2)
    spoilt = whole.replace(b"q\x00", b"r\xff\xff\xff\x7f", 1)
    with zipfile.ZipFile(tmp_path / "labels.pt", "w") as archive:
        archive.writestr("archive/data.pkl", spoilt)
    with pytest.raises(BadInput, match="a place number 2147483647"):
        load_arrays(tmp_path / "labels.pt")


def test_a_pickle_that_would_fill_the_memory_is_refused_packed(tmp_path):
    with zipfile.ZipFile(tmp_path / "labels.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2**26 + 1))
    with pytest.raises(BadInput, match="larger than 67,108,864 bytes"):
        load_arrays(tmp_path / "labels.pt")


# The real thing


@pytest.fixture(scope="module")
def real():
    root = os.environ.get("BENCHMARK_DATA")
    if not root:
        pytest.skip("BENCHMARK_DATA is not set")
    for part in ("cifar-10-batches-bin", "cifar-n", "cifar-10h"):
        if not (Path(root) / part).is_dir():
            pytest.skip(f"there is no {part} below BENCHMARK_DATA={root}")
    return cifar10(Path(root)).read()


@pytest.mark.realdata
def test_real_counts(real):
    assert real.train.images.shape == (50_000, 32, 32, 3)
    assert real.test.images.shape == (10_000, 32, 32, 3)
    assert np.bincount(real.train.labels).tolist() == [5000] * 10
    assert np.bincount(real.test.labels).tolist() == [1000] * 10


@pytest.mark.realdata
def test_real_files_are_the_published_ones(real):
    assert not list(cifar10(Path(os.environ["BENCHMARK_DATA"])).findings())


@pytest.mark.realdata
def test_real_channel_means_are_the_published_ones(real):
    assert real.train.images.mean(axis=(0, 1, 2)) / 255 == pytest.approx([0.4914, 0.4822, 0.4465], abs=5e-5)


@pytest.mark.realdata
def test_real_flip_rates_are_those_of_cifar_10n(real):
    rates = {kind: 100 * np.mean(given != real.train.labels) for kind, given in real.human_labels.items()}
    published = {"human-aggregate": 9.01, "human-random1": 17.23, "human-random2": 18.12, "human-random3": 17.64}
    assert rates == pytest.approx(published | {"human-worst": 40.21}, abs=0.005 + 1e-9)


@pytest.mark.realdata
def test_real_votes_agree_with_the_labels(real):
    assert 47 <= real.test.votes.sum(axis=1).min() <= real.test.votes.sum(axis=1).max() <= 63
    assert np.mean(real.test.votes.argmax(axis=1) == real.test.labels) > 0.98


@pytest.mark.realdata
def test_real_images_have_no_exact_duplicates(real):
    images = [image.tobytes() for split in (real.train, real.test) for image in split.images]
    assert len(set(images)) == 60_000
