"""Text from outside: what can be shown, and what nothing takes for more than text."""

from __future__ import annotations

import pytest

from benchmark.contract.text import MOST, cut, has_controls, no_formula, no_tags, one_line, printable, written

SEEN = ["plain", "écriture 表情", "👩\u200d🔬", "no\u00a0break", "Größe", "שלום"]
OBEYED = ["\x1b[2J", "a\nb", "a\rb", "\x9b31m", "a\u202eb", "a\u2028b", "half \ud800", "\x07", "\x00", "\x7f"]


@pytest.mark.parametrize("text", SEEN)
def test_names_in_any_script_stay_as_they_are(text):
    assert (has_controls(text), printable(text)) == (False, text)


@pytest.mark.parametrize("text", OBEYED)
def test_what_a_terminal_obeys_is_written_out(text):
    assert has_controls(text)
    shown = printable(text)
    assert not has_controls(shown)
    assert "\\" in shown
    shown.encode()


def test_ends_of_lines_may_be_kept():
    assert printable("a\tb\nc\x1b", keep="\t\n") == "a\tb\nc\\x1b"
    assert one_line(" a\n\n b\x1b\r") == "a b\\x1b"


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("a'b", '"a\'b"'), (3, "3"), (10**5000, "a int"), (Rude(), "a Rude"), ([1] * 1000, "[1, 1"), ("x" * 1000, "'xxx")],
    ids=["quotes", "number", "huge", "rude", "long list", "long text"],
)
def test_any_value_can_stand_in_a_message(value, wanted):
    assert written(value).startswith(wanted)
    assert len(written(value)) <= MOST + 1
    assert cut("short") == "short"


@pytest.mark.parametrize("cell", ["=1+1", "+cmd|' /C calc'!A0", "-1+cmd", "@SUM(A1)", "\t=1", "\r=1", "=", "-", "-1.2 to =x"])
def test_no_cell_of_a_table_is_a_formula(cell):
    assert no_formula(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-1.25", "+0.40", "-0.30 to 1.20", "-3.1e-05", "+1.20 *", "ce", "# a = b", "", -1.5, None, 7])
def test_numbers_and_names_stay_as_they_are(cell):
    assert no_formula(cell) == cell


def test_no_tag_gets_into_markdown_and_p_values_stay():
    assert no_tags("<script>a</script> <!-- x --> < 0.001, a<3") == "\\<script>a\\</script> \\<!-- x --> < 0.001, a<3"
