"""Noise: its laws, its artefact, and the files that people bring."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.contract import BadInput
from benchmark.noise import FILE, Header, frozen, make, read_artefact, read_labels, takes_rate

SHA = "0" * 64


def made(kind="symmetric", rate=0.3, seed=0, reference=None, classes=7, **more):
    reference = np.arange(3000) % classes if reference is None else reference
    about = {"dataset": "d", "dataset_sha256": SHA, "num_classes": classes, "human_labels": {}}
    return make(kind, rate, seed, reference=reference, **about, **more)


@given(rate=st.floats(0, 1), seed=st.integers(0, 2**31), classes=st.integers(2, 10))
def test_the_realised_rate_is_a_binomials(rate, seed, classes):
    for kind, law in (("symmetric", rate), ("symmetric-inclusive", rate * (1 - 1 / classes))):
        noise = made(kind, rate, seed, classes=classes)
        assert abs(noise.realised - law) <= 6 * np.sqrt(law * (1 - law) / 3000) + 1e-9
        assert noise.given.min() >= 0
        assert noise.given.max() < classes


def test_symmetric_is_uniform_over_the_other_classes():
    noise = made(rate=1.0, reference=np.zeros(60_000, dtype=np.int64))
    assert noise.realised == 1
    shares = np.bincount(noise.given, minlength=7) / 60_000
    assert shares[0] == 0
    np.testing.assert_allclose(shares[1:], 1 / 6, atol=0.01)


def test_the_inclusive_kind_may_draw_the_true_class_again():
    assert made("symmetric-inclusive", 1.0).realised == pytest.approx(6 / 7, abs=0.03)


def test_rate_zero_changes_nothing_and_a_seed_everything():
    assert made(rate=0.0).realised == 0
    assert made(seed=1).sha256 == made(seed=1).sha256
    assert made(seed=1).sha256 != made(seed=2).sha256


def test_the_hash_stays_what_it_was():
    """Two labs exchange artefacts by this name: it must not change with a version."""
    noise = made(rate=0.5, seed=3, reference=np.arange(8) % 4, classes=4)
    assert noise.given.tolist() == GOLDEN_LABELS
    assert noise.sha256 == GOLDEN_SHA256


GOLDEN_LABELS = [0, 1, 2, 3, 0, 1, 1, 3]
GOLDEN_SHA256 = "ffb52c576888c5bcc992c96cb22c2716972c7527da9b967a376a6c1effac1011"


def test_the_transition_matrix_counts_what_happened():
    reference, given_ = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    header = Header(kind="k", rate=None, seed=None, dataset="d", dataset_sha256=SHA, num_classes=3)
    noise = frozen(header, reference, given_)
    assert noise.transition.tolist() == [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]]  # a class that does not occur stays itself
    assert noise.realised == 0.25


def test_an_artefact_comes_back_as_it_was_and_tampering_is_noticed(tmp_path: Path):
    noise = made()
    file = tmp_path / "n.npz"
    file.write_bytes(noise.to_bytes())
    header, labels = read_artefact(file)
    assert header == noise.header
    assert np.array_equal(labels, noise.given)
    assert np.array_equal(read_labels(file, 3000, 7, SHA), noise.given)
    with pytest.raises(BadInput, match="other data"):
        read_labels(file, 3000, 7, "1" * 64)
    with np.load(file) as content:
        arrays = dict(content)
    arrays["given"] = (arrays["given"] + 1) % 7
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


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0\n1\n", "it has 2 labels"),
        ("0 1 7", "label 7 in place 3"),
        ("0 1 -1", "label -1"),
        ("0 1 x", "one whole number a line"),
    ],
)
def test_label_files_that_do_not_fit_say_why(tmp_path: Path, text: str, wanted: str):
    file = tmp_path / "l.txt"
    file.write_text(text)
    with pytest.raises(BadInput, match=wanted):
        read_labels(file, 3, 7, SHA)


def test_a_text_file_is_a_kind_named_after_it(tmp_path: Path):
    file = tmp_path / "theirs.txt"
    file.write_text("\n".join("0" * 5))
    noise = made(FILE, None, reference=np.arange(5), file=file)
    assert noise.header.kind == "file:theirs"
    assert noise.realised == 0.8


def test_which_kinds_take_a_rate():
    assert [takes_rate(k) for k in ("symmetric", "symmetric-inclusive", "human", "human-worst", "file")] == [True] * 2 + [
        False
    ] * 3
    with pytest.raises(BadInput, match="did you mean 'symmetric'"):
        takes_rate("symetric")


@given(rate=st.floats(0, 1), seed=st.integers(0, 2**31), kind=st.sampled_from(["symmetric", "symmetric-inclusive"]))
def test_the_transition_matrix_is_of_the_labels_that_were_given(rate, seed, kind):
    reference = np.arange(300) % 5
    noise = made(kind, rate, seed, reference=reference, classes=5)
    np.testing.assert_allclose(noise.transition.sum(axis=1), 1)
    for k in range(5):
        np.testing.assert_allclose(noise.transition[k], np.bincount(noise.given[reference == k], minlength=5) / 60)
    assert noise.realised == pytest.approx(1 - np.trace(noise.transition) / 5)


def test_a_header_that_was_changed_is_noticed(tmp_path: Path):
    """Not only the labels: an artefact that claims another rate is not what was made."""
    import json

    file = tmp_path / "n.npz"
    file.write_bytes(made().to_bytes())
    with np.load(file) as content:
        arrays = dict(content)
    header = json.loads(arrays["header"].tobytes())
    for change, wanted in (({"rate": 0.1}, "changed or is damaged"), ({"extra": 1}, "damaged")):
        arrays["header"] = np.frombuffer(json.dumps(header | change).encode(), np.uint8)
        np.savez(file, **arrays)
        with pytest.raises(BadInput, match=wanted):
            read_artefact(file)


def test_empty_lines_do_not_count_and_an_empty_file_is_too_short(tmp_path: Path):
    file = tmp_path / "l.txt"
    file.write_text("0\n\n1\n\n\n6\n")
    assert read_labels(file, 3, 7, SHA).tolist() == [0, 1, 6]
    file.write_text("\n")
    with pytest.raises(BadInput, match="it has 0 labels"):
        read_labels(file, 3, 7, SHA)


def test_human_labels_that_a_dataset_lacks_are_named():
    with pytest.raises(BadInput, match="d has no human labels of the kind 'human'; none lie"):
        made("human", None)


def test_a_number_is_written_in_digits(tmp_path: Path):
    (tmp_path / "l.txt").write_text("1_0\n2\n")
    with pytest.raises(BadInput, match="one whole number a line"):
        read_labels(tmp_path / "l.txt", 2, 20, SHA)
