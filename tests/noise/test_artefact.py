"""The artefact: what two labs exchange comes back as it was, or is refused."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from benchmark.contract import BadInput
from benchmark.noise import OUTSIDE, Header, Noise, Outside, frozen, judged_by, read_artefact
from benchmark.noise.laws import RATED, Known
from benchmark.streams import numpy_stream

SHA = "0" * 64
CLASSES = tuple("abcdefg")


def header(**changes) -> Header:
    about = {"kind": "symmetric", "rate": 0.3, "seed": 0, "dataset": "d", "dataset_sha256": SHA, "classes": CLASSES}
    return Header(**{**about, **changes})


def made(outside: Outside | None = None, **changes) -> Noise:
    reference = np.arange(3000) % 7
    given = RATED["symmetric"](Known(reference, 7), 0.3, numpy_stream(0, "noise/symmetric"))
    return frozen(header(**changes), reference, given, outside)


def test_the_hash_stays_what_it_was():
    """Two labs exchange artefacts by this name: it must not change with a version."""
    reference = np.arange(8) % 4
    given = RATED["symmetric"](Known(reference, 4), 0.5, numpy_stream(3, "noise/symmetric"))
    noise = frozen(header(rate=0.5, seed=3, classes=CLASSES[:4]), reference, given)
    assert noise.given.tolist() == [0, 1, 2, 3, 0, 1, 1, 3]
    assert noise.sha256 == "954fa7acac992e78c042597e8488d9103add43b67c0f9cad40b1501fe4aee0a6"


def test_the_transition_matrix_counts_what_happened():
    noise = frozen(header(classes=CLASSES[:3]), np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
    assert noise.transition.tolist() == [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]]  # a class that does not occur stays itself
    assert noise.realised == 0.25


def test_an_image_from_outside_is_wrong_whatever_its_label_and_in_no_row_of_the_matrix():
    reference, outside = np.array([0, 0, 1, 1]), Outside(np.array([1, 2]), np.array([7, 9]))
    assert judged_by(reference, outside).tolist() == [0, OUTSIDE, OUTSIDE, 1]
    assert reference.tolist() == [0, 0, 1, 1]
    noise = frozen(header(classes=CLASSES[:2]), reference, reference, outside)
    assert noise.realised == 0.5
    assert noise.transition.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("outside", [None, Outside(np.array([1, 5]), np.array([0, 3]))])
def test_an_artefact_comes_back_as_it_was(tmp_path: Path, outside: Outside | None):
    noise = made(outside, source_sha256=SHA if outside else None)
    (tmp_path / "n.npz").write_bytes(noise.to_bytes())
    back = read_artefact(tmp_path / "n.npz")
    about, given, replaced = back.header, back.given, back.outside
    assert about == noise.header
    assert np.array_equal(given, noise.given)
    assert (replaced is None) == (outside is None)
    if replaced and outside:
        assert (replaced.replaced.tolist(), replaced.source.tolist()) == ([1, 5], [0, 3])


def changed(file: Path, **arrays: np.ndarray) -> Path:
    """The artefact with other arrays, and no word of it."""
    with np.load(file) as content:
        kept = dict(content)
    np.savez(file, **(kept | arrays))
    return file


@pytest.mark.parametrize("array", ["given", "counts", "replaced", "source"])
def test_tampering_is_noticed(tmp_path: Path, array: str):
    file, noise = tmp_path / "n.npz", made(Outside(np.array([1, 5]), np.array([0, 3])))
    file.write_bytes(noise.to_bytes())
    kept = {"given": noise.given, "counts": noise.counts, "replaced": np.array([1, 5]), "source": np.array([0, 3])}
    others = {"given": noise.given[[1, 0, *range(2, 3000)]], "counts": noise.counts[::-1], "replaced": np.array([1, 12])}
    with pytest.raises(BadInput, match=r"changed or is damaged|do not belong together"):
        read_artefact(changed(file, **{array: others.get(array, kept[array] + 1)}))


@pytest.mark.parametrize(
    "arrays",
    [
        {"given": np.full(3000, 7)},
        {"given": np.full(3000, -1)},
        {"given": np.zeros((3000, 1), np.int64)},
        {"given": np.zeros(3000, np.int64)},
        {"counts": np.eye(6, dtype=np.int64)},
        {"replaced": np.array([5, 1]), "source": np.array([0, 3])},
        {"replaced": np.array([1, 3000]), "source": np.array([0, 3])},
        {"replaced": np.array([1]), "source": np.array([0, 3])},
        {"replaced": np.array([1]), "source": np.array([-1])},
    ],
)
def test_labels_that_cannot_be_are_refused_though_their_hash_be_right(tmp_path: Path, arrays: dict[str, np.ndarray]):
    noise = made()
    outside = Outside(arrays["replaced"], arrays["source"]) if "source" in arrays else None
    forged = Noise(noise.header, arrays.get("given", noise.given), arrays.get("counts", noise.counts), outside)
    (tmp_path / "n.npz").write_bytes(forged.to_bytes())
    with pytest.raises(BadInput, match=r"do not belong together$|damaged$"):
        read_artefact(tmp_path / "n.npz")


@pytest.mark.parametrize("keep", [0, 1, 100, 2000])
def test_a_truncated_artefact_is_refused(tmp_path: Path, keep: int):
    file = tmp_path / "n.npz"
    file.write_bytes(made().to_bytes()[:keep])
    with pytest.raises(BadInput, match="damaged"):
        read_artefact(file)


def test_a_header_that_was_changed_is_noticed(tmp_path: Path):
    """Not only the labels: an artefact that claims another rate is not what was made."""
    file = tmp_path / "n.npz"
    file.write_bytes(made().to_bytes())
    with np.load(file) as content:
        arrays = dict(content)
    words = json.loads(arrays["header"].tobytes())
    for change, wanted in (
        ({"rate": 0.1}, "changed or is damaged"),
        ({"rate": 1.1}, "damaged"),
        ({"extra": 1}, "damaged"),
        ({"kind": "\x1b[2J"}, "damaged"),
        ({"classes": ["a"]}, "damaged"),
    ):
        arrays["header"] = np.frombuffer(json.dumps(words | change).encode(), np.uint8)
        np.savez(file, **arrays)
        with pytest.raises(BadInput, match=wanted):
            read_artefact(file)


@pytest.mark.parametrize("kind", [np.float64, np.complex128, "U5", bool, "M8[s]"])
def test_only_whole_numbers_are_labels(tmp_path: Path, kind: type):
    file = tmp_path / "n.npz"
    file.write_bytes(made().to_bytes())
    changed(file, given=np.zeros(3000, kind))
    with warnings.catch_warnings(action="error"), pytest.raises(BadInput, match="damaged"):
        read_artefact(file)


def test_labels_that_would_fill_the_memory_are_refused_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A thousandth of what they are: 300 kB took 5.5 GB."""
    monkeypatch.setattr("benchmark.npz.read_npz.__defaults__", (100_000, None))
    file = tmp_path / "n.npz"
    file.write_bytes(made().to_bytes())
    read_artefact(file)
    with np.load(file) as content:
        np.savez_compressed(file, **{**content, "given": np.zeros(200_000, np.uint8)})
    with pytest.raises(BadInput, match="damaged"):
        read_artefact(file)


@pytest.mark.parametrize("name", ["👩\u200d🔬", "no\u00a0break", "表情"])
def test_classes_in_any_script_can_be_frozen(tmp_path: Path, name: str):
    noise = frozen(made().header.model_copy(update={"classes": ("a", name)}), np.zeros(3, np.int64), np.ones(3, np.int64))
    (tmp_path / "n.npz").write_bytes(noise.to_bytes())
    assert read_artefact(tmp_path / "n.npz").header.classes == ("a", name)
