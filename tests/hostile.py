"""Fuzzing: damaged content, commands called on it in this process, and a watch on what they touch."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from benchmark.cache import cache_root
from benchmark.contract import BadInput
from benchmark.contract.text import has_controls

T = TypeVar("T")
SLOWEST = 60
"""Seconds of a case, on a machine that others use: what takes them hangs."""
MANY = 100
"""Cases of which a share can be told."""
LARGEST = 6 * 2**30
"""Bytes that a case may take beside what the process has."""


def cases(quick: int, slow: int) -> pytest.MarkDecorator:
    """How many cases the quick suite tries, the same each time, and how many the slow one, other ones each time."""
    return pytest.mark.parametrize("examples", [quick, pytest.param(slow, marks=pytest.mark.slow)])


def hold(case: Callable[..., str], examples: int, deep: float, **drawn: SearchStrategy[Any]) -> None:
    """Tries a case, which raises where anything is wrong, and else says how far it came.

    `deep`: the least share of cases for which that has to begin with `deep`, one at least. What all refuse at the door
    tests the door alone.
    """
    reached: Counter[str] = Counter()

    @settings(
        max_examples=examples,
        derandomize=examples < MANY,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(**drawn)
    def tried(**given: Any) -> None:
        told = case(**given)
        event(told)
        reached[told] += 1

    tried()
    count, came = reached.total(), sum(number for told, number in reached.items() if told.startswith("deep"))
    print(f"{count} cases, {came / count:.0%} deep: {dict(reached.most_common())}")
    assert count >= examples
    assert came >= (deep * count if examples >= MANY else 1), f"of {count} cases {came} came far: {reached}"


# Content

FAULTS = ("flip", "flip", "flip", "byte", "number", "cut", "lose", "repeat", "insert")
NUMBERS = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)
FRACTIONS = (0.5, -0.0, 1e308, 5e-324, float("nan"), float("inf"))
NASTY = (
    *("", " ", ".", "..", "/", "../../outside", "/etc/passwd", "a/b", "a\\b", "C:\\x", "~", "a" * 300, "x" * 20_000),
    *("\x00", "\x1b[2J", "a\nb", "\x9b31m", "\u202e", "\u2028", "\ud800", "👩\u200d🔬", "表情", "٣"),
    *("<script>alert(1)</script>", "50%_off", "=1+1", "@x", "{{z}}", "'", '"', "${x}", "`id`", "$(id)", "--out", "-1"),
    *("1e999", "nan", "inf", "0x1F", "1_000", "true", "null", "9" * 5000),
)
"""Names and values that somebody will give."""

texts = st.sampled_from(NASTY) | st.text(max_size=12)
numbers = st.sampled_from((*NUMBERS, *(-n for n in NUMBERS), *FRACTIONS)) | st.integers(-(2**63), 2**63 - 1)
values = st.recursive(
    texts | numbers | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
"""Anything that a file of settings or of plain data may hold."""


class Damaged(bytes):
    """Content that says what is wrong with it, where all of it would be too long to be read."""

    faults: Sequence[str]

    def __new__(cls, content: bytes | bytearray, faults: Sequence[str]) -> Damaged:
        made = super().__new__(cls, content)
        made.faults = faults
        return made

    def __repr__(self) -> str:
        return bytes(self).__repr__() if len(self) < 2_000 else f"<{len(self)} bytes: {', '.join(self.faults)}>"


@st.composite
def damaged(draw: DrawFn, content: bytes, head: int = 64, tail: int = 0, most: int = 3) -> Damaged:
    """Content with up to `most` faults, half of them in its first `head` and last `tail` bytes, where formats describe it."""
    spoilt, faults = bytearray(content), []
    for _ in range(draw(st.integers(1, most))):
        if not spoilt:
            break
        place = draw(st.integers(0, len(spoilt) - 1))
        if draw(st.booleans()):
            place = draw(st.integers(0, min(head + tail, len(spoilt)) - 1))
            place = place if place < head else max(0, len(spoilt) - 1 - (place - head))
        fault = draw(st.sampled_from(FAULTS))
        faults.append(f"{fault} at {place}")
        span = draw(st.integers(1, 16))
        if fault == "flip":
            spoilt[place] ^= 1 << draw(st.integers(0, 7))
        elif fault == "byte":
            spoilt[place] = draw(st.integers(0, 255))
        elif fault == "cut":
            del spoilt[place:]
        elif fault == "lose":
            del spoilt[place : place + span]
        elif fault == "repeat":
            spoilt[place:place] = spoilt[place : place + span] * draw(st.sampled_from((1, 2, 100)))
        elif fault == "insert":
            spoilt[place:place] = draw(st.binary(min_size=1, max_size=16))
        else:
            size = draw(st.sampled_from((1, 2, 4, 8)))
            number = draw(st.sampled_from(NUMBERS)).to_bytes(8, "little")[:size]
            spoilt[place : place + size] = number if draw(st.booleans()) else number[::-1]
    return Damaged(spoilt, faults)


@st.composite
def misspelt(draw: DrawFn, text: str, most: int = 3) -> str:
    """Text with up to `most` faults, mostly of one letter or digit for another, which lets it pass for its format."""
    for _ in range(draw(st.integers(1, most))):
        if draw(st.integers(0, 3)):
            place = draw(st.sampled_from([k for k, character in enumerate(text) if character.isalnum()] or [0]))
            text = text[:place] + draw(st.sampled_from("0123456789aeinrstx-")) + text[place + 1 :]
        else:
            place = draw(st.integers(0, len(text)))
            new = draw(st.sampled_from(["", *"0-.,;'\"[]{}=#\\/\t\r\n\x00\x1b\ufeffé"]) | texts)
            text = text[:place] + new + text[place + draw(st.integers(0, 2)) :]
    return text


@st.composite
def spoilt(draw: DrawFn, data: Any, most: int = 2) -> Any:
    """Plain data with up to `most` of its parts replaced, left out, doubled or renamed, wherever they stand."""
    for _ in range(draw(st.integers(1, most))):
        data = draw(_spoilt_once(data))
    return data


@st.composite
def _spoilt_once(draw: DrawFn, data: Any) -> Any:
    if not (isinstance(data, dict | list) and data and draw(st.integers(0, 9))):
        alike = {str: texts, int: numbers, float: numbers}.get(type(data), values)
        return draw(alike if draw(st.integers(0, 2)) else values)  # of its own type, it gets further
    if isinstance(data, list):
        place = draw(st.integers(0, len(data) - 1))
        fault = draw(st.sampled_from(("into", "into", "into", "lose", "repeat")))
        if fault == "lose":
            return data[:place] + data[place + 1 :]
        if fault == "repeat":
            return data[: place + 1] * draw(st.sampled_from((2, 50))) + data[place + 1 :]
        return [*data[:place], draw(_spoilt_once(data[place])), *data[place + 1 :]]
    name = draw(st.sampled_from(sorted(data, key=repr)))
    fault = draw(st.sampled_from(("into", "into", "into", "into", "lose", "rename", "add")))
    if fault == "lose":
        return {other: value for other, value in data.items() if other != name}
    if fault == "rename":
        return {(draw(texts) if other == name else other): value for other, value in data.items()}
    if fault == "add":
        return {**data, draw(texts): draw(values)}
    return {**data, name: draw(_spoilt_once(data[name]))}


@st.composite
def arrays_like(draw: DrawFn, array: np.ndarray) -> np.ndarray:
    """An array of other values, types or shapes."""
    array = array.copy()
    fault = draw(st.sampled_from(("value", "swap", "type", "shape", "cut", "empty")))
    if fault == "type":
        return array.astype(draw(st.sampled_from(("f4", "c8", "U3", "S2", "?", "u1", ">i4", "M8[s]", "V3", "f8"))))
    if fault == "shape":
        return array.reshape(draw(st.sampled_from(((-1, 1), (1, -1), (-1,)))))
    if fault == "cut":
        return array[: draw(st.integers(0, max(0, len(array) - 1)))]
    if fault == "empty":
        return np.zeros(draw(st.sampled_from(((), (0,), (0, 0), (3, 0)))), array.dtype)
    places = [draw(st.integers(0, array.size - 1)) for _ in range(2)]
    if fault == "swap":
        array.flat[places] = array.flat[places[::-1]]
    else:
        extremes = (
            (-1, 2**31, 2**40, 2**62) if array.dtype.kind == "i" else (*FRACTIONS, -1) if array.dtype.kind == "f" else (1,)
        )
        with np.errstate(over="ignore"):
            array.flat[places[0]] = draw(st.sampled_from(extremes))
    return array


# What comes of it


def outcome(reading: Callable[[], T]) -> tuple[T | None, str]:
    """What is read, or in one line why it is refused."""
    try:
        return reading(), ""
    except BadInput as error:
        message = str(error)
    assert message
    assert "\n" not in message
    return None, message


class Hangs(BaseException):
    """A case took longer than any should."""


class Watch:
    """What this process writes, starts, asks of a network or unpickles while it is watched, as Python's audit events tell."""

    WRITES = frozenset(
        f"os.{name}"
        for name in ("mkdir", "rename", "remove", "rmdir", "link", "symlink", "truncate", "chmod", "chown", "utime")
    )
    NEVER = (
        *("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.startfile", "webbrowser."),
        *("socket.connect", "socket.getaddrinfo", "urllib.", "ftplib.", "pickle.find_class"),
    )
    WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    UNNAMED = getattr(os, "O_TMPFILE", -1)  #: a file in no folder, by which one is asked whether it can be written
    OF_THE_SYSTEM = ("/dev/null", "/proc/self/")

    def __init__(self) -> None:
        self.allowed: Sequence[str] | None = None  #: folders that may be written to; None: nobody watches
        self.seen: list[str] = []
        sys.addaudithook(self._hook)  # for as long as the process lives

    def _hook(self, name: str, given: tuple[Any, ...]) -> None:
        if self.allowed is None:
            return
        if name.startswith(self.NEVER):
            self.seen.append(f"{name} {given[:2]!r:.200}")
        elif name == "open":
            path, _, flags = given
            if isinstance(path, str | bytes) and flags & self.WRITING and flags & self.UNNAMED != self.UNNAMED:
                self._written(name, path)
        elif name in self.WRITES and not (name in ("os.remove", "os.rmdir") and given[1] != -1):  # what rmtree goes down by
            for path in given[: 2 if name in ("os.rename", "os.link") else 1]:
                if isinstance(path, str | bytes | os.PathLike):
                    self._written(name, os.fspath(path))

    def _written(self, name: str, path: str | bytes) -> None:
        assert self.allowed is not None
        place = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - pathlib would follow links
        allowed = any(place == folder or place.startswith(folder + os.sep) for folder in self.allowed)
        if not allowed and not place.startswith(self.OF_THE_SYSTEM):
            self.seen.append(f"{name} {place}")


_WATCH = Watch()


@dataclass(frozen=True)
class Answer:
    """What became of a command."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Sandbox:
    """A folder in which a case has its input, and an output folder within, the only place that it may write to."""

    root: Path

    @classmethod
    @contextlib.contextmanager
    def below(cls, folder: Path) -> Iterator[Sandbox]:
        """A new one, in which commands work; nothing is left of it."""
        with tempfile.TemporaryDirectory(dir=folder) as root:
            before = Path.cwd()
            (Path(root) / "to").mkdir()
            os.chdir(root)
            try:
                yield cls(Path(root))
            finally:
                os.chdir(before)

    @property
    def out(self) -> Path:
        """Where commands write."""
        return self.root / "to" / "out"

    def file(self, name: str, content: bytes | str) -> Path:
        """A file of input."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
        return path

    def call(self, *words: object) -> Answer:
        """What a command answers; raises for whatever no command may do, whatever it was given."""
        out, err = io.StringIO(), io.StringIO()
        argv, sys.argv = sys.argv, ["benchmark", *map(str, words)]
        try:
            with self.watched(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warned():
                from benchmark import cli

                with pytest.raises(SystemExit) as ended:
                    cli.main()
        finally:
            sys.argv = argv
        answer = Answer(int(ended.value.code or 0), out.getvalue(), err.getvalue())
        check(answer)
        return answer

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Raises where what happens within hangs, fills the memory, or touches anything but the output folder."""
        before, started = self._elsewhere(), time.monotonic()
        _WATCH.seen.clear()
        with _at_most(SLOWEST), _no_more_memory():
            _WATCH.allowed = [str(self.out.parent), str(cache_root())]  # a folder above is asked whether it can be written
            try:
                yield
            finally:
                _WATCH.allowed = None
        touched = [seen for seen in _WATCH.seen if not self._is_temporary(seen)]
        assert not touched, f"touched: {touched}"
        assert self._elsewhere() == before, "something beside the output folder has changed"
        assert time.monotonic() - started < SLOWEST

    def _is_temporary(self, seen: str) -> bool:
        """Whether what was written lies in the folder for temporary files, but for the tests' own part of it."""
        place = Path(seen.partition(" ")[2])
        return place.is_relative_to(tempfile.gettempdir()) and not place.is_relative_to(self.root.parents[2])

    def _elsewhere(self) -> dict[str, bytes | None]:
        """All that lies beside the output folder."""
        found: dict[str, bytes | None] = {}
        for folder, _, names in os.walk(self.root):
            if not Path(folder).is_relative_to(self.out):
                found[folder] = None
                paths = [Path(folder, name) for name in names]
                found |= {str(path): path.read_bytes() if path.is_file() else None for path in paths}
        return found


@contextlib.contextmanager
def warned() -> Iterator[None]:
    """Raises where a user would have been warned by Python, which pytest keeps from being seen."""
    with warnings.catch_warnings(record=True) as told:
        warnings.resetwarnings()
        for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)  # as Python does
        yield
    assert not told, [str(warning) for warning in told]


def check(answer: Answer) -> None:
    """Raises for an answer that is none: another status, a traceback, more than a line of what is wrong, an escape."""
    assert answer.status in (0, 1, 2), answer
    assert "Traceback (" not in answer.err, answer.err
    assert not has_controls((answer.out + answer.err).replace("\n", "").replace("\t", "")), answer
    wrong = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert len(wrong) == (answer.status == 2), answer
    assert not wrong or wrong[0] == answer.err.splitlines()[-1], answer.err
    assert not wrong or len(wrong[0]) < 3_000, answer.err


@contextlib.contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def late(*_: object) -> None:
        raise Hangs(f"after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _no_more_memory() -> Iterator[None]:
    """Whatever asks for more than `LARGEST` gets a MemoryError, before the machine is full."""
    import resource

    try:
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:  # not Linux, where the limit would have no effect either
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + LARGEST, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
