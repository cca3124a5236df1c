"""Noise by the name of its kind: what each needs, what it makes, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.contract import BadInput
from benchmark.noise import CONFUSION, FILE, OUTSIDE, Facts, Noise, judged_by, listed, make, takes_rate

SHA = "0" * 64
LABELS = np.arange(3000) % 7
FACTS = Facts("d", SHA, LABELS, tuple("abcdefg"))


def made(kind: str = "symmetric", rate: float | None = 0.3, seed: int = 0, **more) -> Noise:
    return make(kind, rate, seed, replace(FACTS, **more))[0]


def test_rate_zero_changes_nothing_and_a_seed_everything():
    assert made(rate=0.0).realised == 0
    assert made(seed=1).sha256 == made(seed=1).sha256
    assert made(seed=1).sha256 != made(seed=2).sha256


def test_kinds_draw_from_streams_of_their_own():
    flips = [made(kind).given != LABELS for kind in ("symmetric", "pairflip")]
    assert not np.array_equal(*flips)


def test_which_kinds_take_a_rate():
    rated = ("symmetric", "symmetric-inclusive", "pairflip-exact", "asymmetric", "asymmetric-exact", "instance", "open-set:x")
    assert all(takes_rate(kind) for kind in rated)
    assert not any(takes_rate(kind) for kind in ("human", "human-worst", "file", "votes", "confusion"))
    with pytest.raises(BadInput, match="did you mean 'symmetric'"):
        takes_rate("symetric")
    for kind in ("open-set", "open-set:"):
        with pytest.raises(BadInput, match="open-set"):
            takes_rate(kind)


def test_every_kind_is_listed():
    assert {"symmetric", "pairflip", "asymmetric", "instance", "votes", "confusion", "human", "file"} <= listed().keys()
    assert all(listed().values())


@given(rate=st.floats(0, 1), seed=st.integers(0, 2**31), kind=st.sampled_from(["symmetric", "symmetric-inclusive", "pairflip"]))
def test_the_transition_matrix_is_of_the_labels_that_were_given(rate, seed, kind):
    noise = made(kind, rate, seed)
    np.testing.assert_allclose(noise.transition.sum(axis=1), 1)
    for k in range(7):
        counts = np.bincount(noise.given[k == LABELS], minlength=7)
        np.testing.assert_allclose(noise.transition[k], counts / counts.sum())


def test_a_datasets_map_of_mistakes_is_used_by_its_name():
    maps = {"asymmetric": np.eye(7)[(np.arange(7) + 2) % 7], "asymmetric-theirs": np.eye(7)[(np.arange(7) + 3) % 7]}
    for kind, step in (("asymmetric", 2), ("asymmetric-theirs", 3), ("asymmetric-theirs-exact", 3)):
        assert np.array_equal(made(kind, 1.0, mistakes=maps).given, (LABELS + step) % 7)
    with pytest.raises(BadInput, match="no map of mistakes called 'asymmetric-mine'; it has asymmetric, asymmetric-theirs"):
        made("asymmetric-mine", 0.2, mistakes=maps)
    with pytest.raises(BadInput, match="it has none"):
        made("asymmetric", 0.2)


def test_what_a_dataset_lacks_is_named():
    with pytest.raises(BadInput, match="d has no human labels of the kind 'human'; none lie"):
        made("human", None)
    with pytest.raises(BadInput, match="needs votes"):
        made("votes", None)


def test_a_text_file_is_a_kind_named_after_it_and_an_artefact_by_its_first_digits(tmp_path: Path):
    text = tmp_path / "theirs.txt"
    text.write_text("0\n" * 3000)
    noise = made(FILE, None, file=text)
    assert (noise.header.kind, noise.header.seed) == ("file:theirs", None)
    assert noise.realised == pytest.approx(6 / 7, abs=1e-3)
    frozen = made()
    artefact = tmp_path / f"{frozen.sha256}.npz"
    artefact.write_bytes(frozen.to_bytes())
    again = made(FILE, None, file=artefact)
    assert again.header.kind == f"file:{frozen.sha256[:12]}"
    assert np.array_equal(again.given, frozen.given)
    with pytest.raises(BadInput, match="other data"):
        made(FILE, None, file=artefact, dataset_sha256="1" * 64)
    with pytest.raises(BadInput, match="other data, 3000 training images of d; these are 7 of d"):
        made(FILE, None, file=artefact, labels=np.arange(7))


def test_a_matrix_from_a_file_may_be_of_counts(tmp_path: Path):
    file = tmp_path / "m.csv"
    file.write_text("\n".join(",".join(str(v) for v in row) for row in (np.eye(7, dtype=int) * 3 + np.eye(7, k=1, dtype=int))))
    noise = made(CONFUSION, None, file=file)
    assert noise.header.kind == "confusion:m"
    np.testing.assert_allclose(noise.transition.diagonal(), [0.75] * 6 + [1.0], atol=0.1)
    assert made(CONFUSION, None, 1, file=file).sha256 != noise.sha256


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1,0\n0,1\n", "wanted a matrix of 7 x 7"),
        ("", "wanted a matrix of 7 x 7"),
        ("a,b\n", "wanted a CSV of numbers"),
        ("\n".join([",".join("0" * 7)] * 7), "in each at least one above"),
        ("\n".join([",".join(["-1"] + ["1"] * 6)] * 7), "numbers from 0"),
        ("\n".join([",".join(["nan"] + ["1"] * 6)] * 7), "numbers from 0"),
        ("\n".join([",".join(["1e308"] * 7)] * 7), "numbers from 0 to 1e\\+15"),
        ("\n".join([",".join(["inf"] + ["1"] * 6)] * 7), "numbers from 0"),
    ],
)
def test_a_matrix_that_is_none_is_refused(tmp_path: Path, text: str, wanted: str):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(BadInput, match=wanted):
        made(CONFUSION, None, file=tmp_path / "m.csv")


def test_an_open_set_keeps_the_labels_and_replaces_images():
    noise = made("open-set:others", 0.4, source_count=2000, source_sha256="1" * 64)
    assert np.array_equal(noise.given, LABELS)
    assert noise.outside is not None
    assert len(noise.outside.replaced) == len(set(noise.outside.source.tolist())) == round(noise.realised * 3000)
    assert noise.realised == pytest.approx(0.4, abs=0.05)
    assert np.mean(judged_by(LABELS, noise.outside) == OUTSIDE) == noise.realised
    assert noise.header.source_sha256 == "1" * 64
    with pytest.raises(BadInput, match="others has 10 for it"):
        made("open-set:others", 0.4, source_count=10, source_sha256="1" * 64)
