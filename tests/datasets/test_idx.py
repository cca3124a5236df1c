"""MNIST and Fashion-MNIST: their places, packed and unpacked, and every idx file that is not what it should be."""

import gzip

import numpy as np
import pytest
from mirror import mirror, sha256
from refusal import refusal

from benchmark.contract import BadInput
from benchmark.datasets._idx import FILES, IdxDataset
from benchmark.datasets.fashion_mnist import FashionMNIST
from benchmark.datasets.mnist import MNIST

COUNTS = TRAIN, TEST = 20, 10  # images, where the official files have 60,000 and 10,000
TORCHVISION = {MNIST: "MNIST/raw", FashionMNIST: "FashionMNIST/raw"}
SHORT = {MNIST: "mnist", FashionMNIST: "fashion-mnist"}


@pytest.fixture(autouse=True)
def _small_files(monkeypatch):
    monkeypatch.setattr(IdxDataset, "counts", COUNTS)


@pytest.fixture(params=[MNIST, FashionMNIST], ids=["mnist", "fashion-mnist"])
def kind(request):
    return request.param


@pytest.fixture
def arrays():
    """What the four files hold."""
    rng = np.random.default_rng(0)
    return [
        array
        for count in COUNTS
        for array in (rng.integers(0, 256, (count, 28, 28), dtype=np.uint8), np.arange(count, dtype=np.uint8) * 7 % 10)
    ]


def idx(array, magic=None):
    """A file's content: a magic number, the dimensions, the values."""
    start = bytes((0, 0, 8, array.ndim)) if magic is None else magic
    return start + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


def write(folder, arrays, packed=()):
    folder.mkdir(parents=True)
    for name, array in zip(FILES, arrays, strict=True):
        if name in packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (folder / name).write_bytes(idx(array))
    return folder


@pytest.fixture
def folder(tmp_path, arrays):
    return write(tmp_path / "MNIST" / "raw", arrays)


def dataset(kind, root):
    return kind(kind.Config(), root)


def refused(kind, root, *words):
    return refusal(lambda: dataset(kind, root).read(), *words)


# What is read


@pytest.mark.parametrize("place", [TORCHVISION, SHORT], ids=["torchvision's place", "a short place"])
@pytest.mark.parametrize("packed", [(), FILES, FILES[1:3]], ids=["unpacked", "packed", "mixed"])
def test_the_files_read_back(tmp_path, arrays, kind, place, packed):
    folder = write(tmp_path / place[kind], arrays, packed)
    data = dataset(kind, tmp_path).read()
    for split, images, labels in ((data.train, *arrays[:2]), (data.test, *arrays[2:])):
        assert np.array_equal(split.images, images[..., None])
        assert np.array_equal(split.labels, labels)
        assert split.images.dtype == np.uint8
        assert split.labels.dtype == np.int64
    assert len(data.classes) == 10
    assert set(dataset(kind, tmp_path).sources()) == set(folder.iterdir())
    assert list(dataset(kind, tmp_path).findings()) == []


def test_an_unpacked_file_goes_before_a_packed_one_and_the_fuller_folder_before_the_other(tmp_path, arrays, folder):
    (folder / f"{FILES[0]}.gz").write_bytes(b"")
    write(tmp_path / "mnist", arrays)
    (tmp_path / "mnist" / FILES[3]).unlink()
    assert dataset(MNIST, tmp_path).sources() == [folder / name for name in FILES]
    (folder / FILES[1]).unlink()
    (folder / FILES[2]).unlink()
    refused(MNIST, tmp_path, tmp_path / "mnist" / FILES[3])


def test_a_mirrored_digit_is_another_and_a_mirrored_shoe_a_shoe():
    assert not MNIST.flip_keeps_label
    assert FashionMNIST.flip_keeps_label


def test_the_map_of_mistakes_is_patrinis_for_mnist_and_there_is_none_for_fashion_mnist(tmp_path, arrays, folder):
    matrix = dataset(MNIST, tmp_path).read().mistakes["asymmetric"]
    assert {(int(a), int(b)) for a, b in np.argwhere(matrix)} == {(2, 7), (3, 8), (5, 6), (6, 5), (7, 1)}
    assert set(matrix[matrix > 0]) == {1.0}
    write(tmp_path / "fashion-mnist", arrays)
    assert dataset(FashionMNIST, tmp_path).read().mistakes == {}


def test_the_classes_are_torchvisions():
    from torchvision import datasets as official

    assert list(FashionMNIST.classes) == official.FashionMNIST.classes
    assert [name.split(" - ")[0] for name in official.MNIST.classes] == list(MNIST.classes)


def test_torchvision_reads_the_same_from_the_same_place(tmp_path, arrays, folder):
    from torchvision import datasets as official

    theirs = official.MNIST(tmp_path, train=False)
    ours = dataset(MNIST, tmp_path).read().test
    assert np.array_equal(theirs.data.numpy()[..., None], ours.images)
    assert np.array_equal(theirs.targets.numpy(), ours.labels)


def test_what_is_missing_is_fetched_packed_from_the_first_mirror_that_has_it(tmp_path, monkeypatch, arrays, kind):
    published, root = tmp_path / "published", tmp_path / "root"
    write(published, arrays, packed=FILES)
    packed = [published / f"{name}.gz" for name in FILES]
    write(root / SHORT[kind], arrays, packed=())
    (root / SHORT[kind] / FILES[1]).unlink()
    monkeypatch.setattr(kind, "sha256s", tuple(map(sha256, packed)))
    with mirror(published) as address:
        monkeypatch.setattr(kind, "mirrors", (f"{address}/nowhere", address))
        assert dataset(kind, root).download() == []
    assert (root / SHORT[kind] / f"{FILES[1]}.gz").read_bytes() == packed[1].read_bytes()
    assert len(list((root / SHORT[kind]).iterdir())) == 4
    assert len(dataset(kind, root).read().train) == TRAIN


def test_a_file_that_no_mirror_has_is_named_with_the_reason(tmp_path, monkeypatch, kind):
    (tmp_path / "empty").mkdir()
    with mirror(tmp_path / "empty") as address:
        monkeypatch.setattr(kind, "mirrors", (address,))
        with pytest.raises(BadInput, match=rf"{FILES[0]}.gz could not be fetched into .*{TORCHVISION[kind]}; .*: 404"):
            dataset(kind, tmp_path).download()


# Bad input


def test_without_files_it_says_what_to_put_where(tmp_path, kind):
    refused(kind, tmp_path, tmp_path / TORCHVISION[kind] / FILES[0], "missing", TORCHVISION[kind], SHORT[kind])
    refused(kind, None, "--data-root", "BENCHMARK_DATA", FILES[3])


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(tmp_path, folder, name):
    (folder / name).unlink()
    refused(MNIST, tmp_path, folder / name, "missing")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b[:17], lambda b: b + b"\0"], ids=["short", "head", "long"])
def test_a_file_of_another_length_is_refused(tmp_path, folder, name, change):
    file = folder / name
    file.write_bytes(change(file.read_bytes()))
    refused(MNIST, tmp_path, file, "truncated, or another file")


@pytest.mark.parametrize("magic", [b"\0\0\x08\x01", b"\0\0\x0d\x03", b"PK\3\4", b"\x1f\x8b\x08\0"])
def test_a_wrong_magic_number_is_refused(tmp_path, arrays, folder, magic):
    (folder / FILES[0]).write_bytes(idx(arrays[0], magic))
    refused(MNIST, tmp_path, folder / FILES[0], f"found 0x{magic.hex()}", "wanted the magic number 0x00000803")


def test_an_empty_file_and_a_header_that_is_cut_are_refused(tmp_path, folder):
    for size in (0, 3, 4, 9):
        (folder / FILES[2]).write_bytes(b"\0\0\x08\x03\0\0\0\x0a\0"[:size])
        refused(MNIST, tmp_path, folder / FILES[2])


@pytest.mark.parametrize(
    ("k", "change", "words"),
    [
        (0, lambda a: a[:-1], ["wanted 20 × 28 × 28", "found 19 × 28 × 28"]),
        (0, lambda a: a[:, :-1], ["found 20 × 27 × 28"]),
        (3, lambda a: a[:-2], ["wanted 10 values", "found 8"]),
        (2, lambda a: np.concatenate([a, a]), ["found 20 × 28 × 28"]),
    ],
)
def test_a_wrong_count_or_size_is_refused(tmp_path, arrays, folder, k, change, words):
    (folder / FILES[k]).write_bytes(idx(change(arrays[k])))
    refused(MNIST, tmp_path, folder / FILES[k], *words)


def test_a_label_out_of_range_is_named(tmp_path, arrays, folder):
    arrays[3][4] = 10
    (folder / FILES[3]).write_bytes(idx(arrays[3]))
    refused(MNIST, tmp_path, folder / FILES[3], "label 10 of image 5", "0 to 9")


@pytest.mark.parametrize(
    "change", [lambda b: b[:-9], lambda b: b[:30], lambda b: b"", lambda b: b[:-8] + bytes(8), lambda b: b"x" * 99]
)
def test_a_packed_file_that_is_damaged_is_refused(tmp_path, arrays, change):
    folder = write(tmp_path / "mnist", arrays, FILES)
    file = folder / f"{FILES[0]}.gz"
    file.write_bytes(change(file.read_bytes()))
    refused(MNIST, tmp_path, file)


# What is found


def test_every_damaged_and_missing_file_is_found(tmp_path, arrays, folder):
    (folder / FILES[0]).unlink()
    (folder / FILES[2]).write_bytes(b"")
    arrays[3][4] = 10
    (folder / FILES[3]).write_bytes(idx(arrays[3]))
    found = {finding.where: finding for finding in dataset(MNIST, tmp_path).findings()}
    kinds = {where: finding.kind for where, finding in found.items()}
    assert kinds == {str(folder / FILES[k]): kind for k, kind in ((0, "missing"), (2, "damaged"), (3, "damaged"))}
    assert found[str(folder / FILES[3])].detail.startswith("label 10")
    refusal(lambda: list(dataset(MNIST, None).findings()), "--data-root")
    refusal(lambda: list(dataset(MNIST, tmp_path / "MNIST").findings()), FILES[0], "is missing")


def test_images_that_are_there_twice_are_found(tmp_path, arrays):
    arrays[2][3] = arrays[0][5]
    arrays[0][1] = arrays[0][0]
    write(tmp_path / "mnist", arrays)
    assert {finding.kind for finding in dataset(MNIST, tmp_path).findings()} == {"duplicate", "duplicate across splits"}
