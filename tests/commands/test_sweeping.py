"""What a sweep does when somebody wants it to end."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from benchmark.commands.sweeping import Signalled, _signals

ASKED = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@pytest.fixture(params=ASKED, ids=lambda number: signal.Signals(number).name)
def number(request: pytest.FixtureRequest) -> Iterator[int]:
    before = signal.signal(request.param, signal.SIG_DFL)  # the tests themselves may have been begun by nohup
    yield request.param
    signal.signal(request.param, before)


def test_a_signal_that_asks_to_end_is_taken_as_ctrl_c_is(number: int) -> None:
    with pytest.raises(KeyboardInterrupt) as error, _signals():
        signal.raise_signal(number)
    assert isinstance(error.value, Signalled)
    assert error.value.status == 128 + number


def test_one_that_nohup_had_the_command_ignore_stays_ignored(number: int) -> None:
    signal.signal(number, signal.SIG_IGN)
    with _signals():
        signal.raise_signal(number)
    assert signal.getsignal(number) == signal.SIG_IGN


def test_what_was_asked_for_before_is_asked_for_again_afterwards(number: int) -> None:
    signal.signal(number, handler := lambda *_: None)
    with _signals():
        assert signal.getsignal(number) != handler
    assert signal.getsignal(number) == handler
