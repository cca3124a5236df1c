"""TOML from anyone: what any sweep says is read, what would cost time, memory or a traceback is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from benchmark import toml
from benchmark.contract import BadInput

SCRIPTS = sorted(Path(__file__).parents[1].glob("scripts/*.toml"))


@pytest.mark.parametrize("file", SCRIPTS, ids=[file.stem for file in SCRIPTS])
def test_the_sweeps_that_are_shipped_are_within_the_limits(file: Path):
    assert toml.parsed(file.read_text(encoding="utf-8")) == tomllib.loads(file.read_text(encoding="utf-8"))


def test_ten_thousand_seeds_are():
    seeds = list(range(10_000))
    assert toml.parsed(f"seeds = {seeds}")["seeds"] == seeds


@pytest.mark.parametrize("part", ["a", '"a b"', "'a.b'", '"a\\".b"', '"\\\\"', "a-1"])
def test_keys_of_many_parts_are_refused_however_they_are_quoted(part: str):
    """To read such a key takes tomllib the square of its parts: these would take hours."""
    for text in (
        ".".join([part] * 100_000) + " = 1",
        "[" + " . ".join([part] * 50) + "]",
        "a = {" + ".".join([part] * 40) + "=1}",
    ):
        with pytest.raises(BadInput, match="a key in it has more than 32 parts"):
            toml.parsed(text)
    assert toml.parsed(".".join([part] * 20) + " = 1")


def test_long_words_and_lists_of_fractions_are_no_deep_keys():
    assert toml.parsed("a = '" + "x" * 500_000 + "'\nb = [" + "0.1, " * 50_000 + "]")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a = " + "9" * 5000, "it is not TOML"),
        ("a = 0x" + "f" * 5000, "more than 64 bits"),
        ("a = [{b = [9223372036854775808]}]", "more than 64 bits"),
        ("a = " + "[" * 20_000, "it is not TOML"),
        ("a = 1\n" * 200_000, "larger than 1,048,576 bytes"),
        ("a = '" + "é" * 600_000 + "'", "larger than"),
        ("a = 2024-13-45", "it is not TOML"),
        ("a = 1\na = 2", "it is not TOML"),
    ],
    ids=["digits", "hexadecimal", "deep inside", "brackets", "bytes", "bytes of text", "date", "twice"],
)
def test_what_is_beyond_the_limits_is_refused_in_one_line(text: str, wanted: str):
    with pytest.raises(BadInput, match=wanted) as error:
        toml.parsed(text)
    assert "\n" not in str(error.value)


def test_the_largest_and_smallest_integers_of_toml_are_read():
    assert toml.parsed("a = [9223372036854775807, -9223372036854775808]")["a"] == [2**63 - 1, -(2**63)]


def test_a_file_larger_than_the_limit_is_not_read_whole(tmp_path: Path):
    with (tmp_path / "s.toml").open("wb") as file:
        file.truncate(2**40)  # a hole: a terabyte that takes no room on the disk
    with pytest.raises(BadInput, match=r"--config .*s.toml: it is larger than 1,048,576 bytes"):
        toml.read("--config", tmp_path / "s.toml")
