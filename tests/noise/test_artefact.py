"""The artefact: what two labs exchange comes back as it was, or is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from benchmark.contract import BadInput
from benchmark.noise import OUTSIDE, Header, Noise, Outside, frozen, judged_by, read_artefact
from benchmark.noise.laws import RATED, Known
from benchmark.streams import numpy_stream

SHA = "0" * 64


def header(**changes) -> Header:
    about = {"kind": "symmetric", "rate": 0.3, "seed": 0, "dataset": "d", "dataset_sha256": SHA, "num_classes": 7}
    return Header(**{**about, **changes})


def made(outside: Outside | None = None, **changes) -> Noise:
    reference = np.arange(3000) % 7
    given = RATED["symmetric"](Known(reference, 7), 0.3, numpy_stream(0, "noise/symmetric"))
    return frozen(header(**changes), reference, given, outside)


def test_the_hash_stays_what_it_was():
    """Two labs exchange artefacts by this name: it must not change with a version."""
    reference = np.arange(8) % 4
    given = RATED["symmetric"](Known(reference, 4), 0.5, numpy_stream(3, "noise/symmetric"))
    noise = frozen(header(rate=0.5, seed=3, num_classes=4), reference, given)
    assert noise.given.tolist() == [0, 1, 2, 3, 0, 1, 1, 3]
    assert noise.sha256 == "ffb52c576888c5bcc992c96cb22c2716972c7527da9b967a376a6c1effac1011"


def test_the_transition_matrix_counts_what_happened():
    noise = frozen(header(num_classes=3), np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
    assert noise.transition.tolist() == [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]]  # a class that does not occur stays itself
    assert noise.realised == 0.25


def test_an_image_from_outside_is_wrong_whatever_its_label_and_in_no_row_of_the_matrix():
    reference, outside = np.array([0, 0, 1, 1]), Outside(np.array([1, 2]), np.array([7, 9]))
    assert judged_by(reference, outside).tolist() == [0, OUTSIDE, OUTSIDE, 1]
    assert reference.tolist() == [0, 0, 1, 1]
    noise = frozen(header(num_classes=2), reference, reference, outside)
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


@pytest.mark.parametrize("array", ["given", "replaced", "source"])
def test_tampering_is_noticed(tmp_path: Path, array: str):
    file = tmp_path / "n.npz"
    file.write_bytes(made(Outside(np.array([1, 5]), np.array([0, 3]))).to_bytes())
    with np.load(file) as content:
        arrays = dict(content)
    arrays[array] = arrays[array] + 1
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    file.write_bytes(buffer.getvalue())
    with pytest.raises(BadInput, match="changed or is damaged"):
        read_artefact(file)


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
    for change, wanted in (({"rate": 0.1}, "changed or is damaged"), ({"extra": 1}, "damaged")):
        arrays["header"] = np.frombuffer(json.dumps(words | change).encode(), np.uint8)
        np.savez(file, **arrays)
        with pytest.raises(BadInput, match=wanted):
            read_artefact(file)
