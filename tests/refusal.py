"""How a dataset is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmark.contract import BadInput


def refusal(reading: Callable[[], object], *words: object) -> str:
    """The message with which what is read is refused: one line, with all the words in it."""
    with pytest.raises(BadInput) as error:
        reading()
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert str(word) in message
    return message
