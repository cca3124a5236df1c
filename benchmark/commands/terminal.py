"""What commands print: text for people and programs, in which no name or message from outside can steer a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import TextIOBase
from typing import TextIO

from ..contract.text import printable


def tell(line: str) -> None:
    """A line on standard error."""
    print(printable(line), file=sys.stderr)


@contextmanager
def plain_output() -> Iterator[None]:
    """Whatever is printed on standard output within is printable, but for tabs and the ends of lines.

    Standard error is not of this: progress bars and live tables steer the terminal from there.
    """
    with redirect_stdout(_Plain(sys.stdout)):
        yield


class _Plain(TextIOBase):
    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(printable(text, keep="\t\n"))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's own."""
        return self._stream.encoding
