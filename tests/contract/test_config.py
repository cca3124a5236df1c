"""Options of plugins: from the text of a command line to what their dataclasses say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from benchmark.contract import BadInput
from benchmark.contract.config import checked_options


@dataclass(frozen=True)
class Options:
    beta: float = 0.7
    classes: int = 7
    rule: Literal["majority", "argmax"] = "majority"
    keep: bool = False


def test_options_given_as_text_become_what_they_are():
    assert checked_options("x", Options, {"beta": "0.5", "classes": "8", "rule": "argmax", "keep": "true"}) == Options(
        0.5, 8, "argmax", True
    )


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"betta": 1}, "did you mean 'beta'"),
        ({"classes": "many"}, "x.classes: got 'many'"),
        ({"rule": "vote"}, "x.rule: got 'vote'"),
    ],
)
def test_options_that_cannot_be_are_refused(given, wanted):
    with pytest.raises(BadInput, match=wanted):
        checked_options("x", Options, given)
