"""Processes that do runs, one at a time each: what ends one, or hangs in it, harms the run that it is at and no other.

joblib's own pools begin anew as a whole when one of their processes dies, and end processes that have grown, as trainings do.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import IO, Any, TypeVar

from ..contract.errors import told

T = TypeVar("T")

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""What the libraries of linear algebra ask, when they are loaded, for how many threads they may begin."""
LOOK = 0.2
"""Seconds between two looks at whether a process that has not answered is still there."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
BEGIN = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; their master ends them
sys.path[:] = {path!r}
from {module} import serve
serve()
"""


class Died(Exception):
    """The process has ended, and did not say why."""


class TookTooLong(Exception):
    """The process was ended, because it had not answered in time."""


class Slot:
    """A process of its own, begun when it is first needed and again whenever it has died."""

    def __init__(self, threads: int, gpu: str | None, code: str):
        """`gpu`: the only one that the process sees, as CUDA_VISIBLE_DEVICES names it; `code`: of what it has loaded."""
        self.threads, self.gpu, self.code = threads, gpu, code
        self.closed = False  #: for good: a thread that is about to begin its process must not outlive the sweep's end
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None

    def do(self, function: Callable[..., T], *arguments: Any, timeout: float | None = None) -> T:
        """What a function gives, called in the process. Raises what that does, Died, or TookTooLong after `timeout` seconds."""
        process = self._begun()
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout or 0, stop)
        try:
            if timeout is not None:
                timer.start()
            assert process.stdin is not None
            _send(process.stdin, (function, arguments))
            result, error = self._answer(process)
        except Died:
            self.end()
            if late.is_set():
                raise TookTooLong from None
            raise
        except OSError:  # it died before it was asked
            self.end()
            raise Died from None
        finally:
            timer.cancel()
            if timer.is_alive():
                timer.join()
            if late.is_set():  # also in the moment after the answer
                self.end()
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def _begun(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:  # it has died since it last answered
            self.end()
        if self._process is None:
            environment = dict.fromkeys(THREADS, str(self.threads)) | ({} if self.gpu is None else {VISIBLE: self.gpu})
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", BEGIN.format(path=sys.path, module=__name__)],
                    env=os.environ | environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            except OSError:  # no memory for another process
                raise Died from None
            if self.closed:
                self.end()
                raise Died
            try:
                self._answer(self._process)  # when it is ready: what it takes to begin is not a run's
            except Died:
                self.end()
                raise
        return self._process

    def _answer(self, process: subprocess.Popen[bytes]) -> tuple[Any, BaseException | None]:
        """Not read by whoever waits: what a plugin has forked holds the pipe open when its process is no more."""
        heard: SimpleQueue[tuple[Any, BaseException | None] | None] = SimpleQueue()

        def listen(pipe: IO[bytes]) -> None:
            try:
                heard.put(_receive(pipe))
            except (EOFError, OSError, ValueError):  # the pipe ends, or is closed by `end`
                heard.put(None)

        self._listener = threading.Thread(target=listen, args=(process.stdout,), daemon=True)
        self._listener.start()
        answer, ended = None, False
        while not ended:
            ended = process.poll() is not None  # what it said before is heard below
            with contextlib.suppress(Empty):
                answer = heard.get(timeout=LOOK)
                break
        if answer is None:
            raise Died
        return answer

    def end(self) -> None:
        """Ends the process, whatever it is at."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            if self._listener is not None:
                self._listener.join(LOOK)
                if self._listener.is_alive():  # to close what it reads would be to wait for it
                    process.stdout = None
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


class Slots:
    """All of a process's slots; those that are free wait for the next run, or the next sweep."""

    def __init__(self) -> None:
        self._free: list[Slot] = []
        self._busy: list[Slot] = []
        self._over = False  # so that threads that have not heard of it yet begin nothing more
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, threads: int, device: str, code: str) -> Iterator[Slot]:
        """A free slot of so many threads, on the device of its kind that has the fewest busy ones.

        Processes that have loaded other code than this are ended: Python does not load changed modules anew. Raises Died after
        `end`, until `begin`.
        """
        with self._lock:
            if self._over:
                raise Died
            gpu = _least_busy(gpus(), [slot.gpu for slot in self._busy]) if device == "cuda" else None
            for slot in [slot for slot in self._free if slot.code != code]:
                slot.end()
                self._free.remove(slot)
            fits = (slot for slot in self._free if (slot.threads, slot.gpu) == (threads, gpu))
            slot = next(fits, None) or Slot(threads, gpu, code)
            if slot in self._free:
                self._free.remove(slot)
            self._busy.append(slot)
        try:
            yield slot
        finally:
            with self._lock:
                self._busy.remove(slot)
                if not slot.closed:
                    self._free.append(slot)

    def begin(self) -> None:
        """What follows is another sweep's."""
        self._over = False

    def end(self) -> None:
        """Ends all processes, whatever they are at, and lets none of their slots begin another one.

        What they write is whole at any moment.
        """
        with self._lock:
            self._over = True
            slots = [*self._busy, *self._free]
            self._free.clear()
        for slot in slots:
            slot.closed = True
            slot.end()


SLOTS = Slots()
"""Of this process."""


def gpus() -> list[str]:
    """The GPUs of this machine that may be used, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get(VISIBLE)
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def _least_busy(names: list[str], busy: list[str | None]) -> str | None:
    counts = Counter(busy)
    return min(names, key=lambda name: counts[name], default=None)


def serve() -> None:
    """What a slot's process does: calls the functions that it is sent, until its master is gone."""
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a plugin prints must not come between the answers, nor between the rows of --json
    master = os.getppid()
    threading.Thread(target=_end_without, args=(master,), daemon=True).start()
    from . import execute  # noqa: F401  # which takes seconds

    answer: tuple[Any, BaseException | None] = None, None
    while True:
        try:
            _send(answers, answer)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            _send(answers, (None, RuntimeError(told(answer[1] or error))))
        try:
            function, arguments = _receive(asked)
            answer = function(*arguments), None
        except EOFError:
            return
        except BaseException as error:
            answer = None, error


def _send(pipe: IO[bytes], what: Any) -> None:
    content = pickle.dumps(what)
    pipe.write(len(content).to_bytes(8, "big") + content)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    size = pipe.read(8)
    content = pipe.read(int.from_bytes(size, "big"))
    if len(size) < 8 or len(content) < int.from_bytes(size, "big"):
        raise EOFError
    return pickle.loads(content)


def _end_without(master: int) -> None:
    while os.getppid() == master:
        time.sleep(0.2)
    os._exit(1)
