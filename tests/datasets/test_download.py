"""Files from where they are published, on a server of the test's own that fails in every way that servers do."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmark.contract import BadInput
from benchmark.datasets import _download
from benchmark.datasets._download import Remote, fetch, fetch_what_can_be_done_without, unpack_first
from benchmark.datasets.cifar10 import CIFAR10
from benchmark.datasets.cifar100 import CIFAR100
from benchmark.datasets.ferplus import PUBLISHED_VOTES

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT in the manner that the path asks for, and keeps what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []

    def url(self, manner: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{manner}/file.bin"

    def ranges(self, manner: str) -> list[str | None]:
        return [given for asked, given in self.asked if asked == manner]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        manner, wanted = self.path.split("/")[1], self.headers.get("Range")
        tries = len(self.server.ranges(manner))
        self.server.asked.append((manner, wanted))
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if manner == "slow":
            time.sleep(2)
        if manner == "gone":
            self.send_error(404)
        elif manner == "rude":
            self.send_error(404, "\x1b]0;mine\x07")
        elif manner == "ill":
            self.send_error(503)
        elif manner == "loop":
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
        elif manner == "ignores-range":
            self.answer(200, CONTENT, len(CONTENT))
        elif manner == "wrong-range":
            self.answer(206, CONTENT, len(CONTENT), 0) if wanted else self.answer(200, CONTENT, len(CONTENT))
        elif manner == "other":
            self.answer(200, b"not what was published", 22)
        elif manner == "unsized":
            self.answer(200, CONTENT, None)
        elif start >= len(CONTENT):
            self.send_error(416)
        elif manner == "cut" and tries < 2:  # a third, then two thirds, then all of it
            self.answer(206 if wanted else 200, CONTENT[start : (tries + 1) * len(CONTENT) // 3], len(CONTENT) - start, start)
        elif manner == "cut-always":
            self.answer(206 if wanted else 200, CONTENT[start : start + 10], len(CONTENT) - start, start)
        else:
            self.answer(206 if wanted else 200, CONTENT[start:], len(CONTENT) - start, start)

    def answer(self, status: int, body: bytes, length: int | None, start: int = 0) -> None:
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def remote(server: Server, *manners: str, sha256: str = SHA256) -> Remote:
    return Remote("below/file.bin", tuple(server.url(manner) for manner in manners), sha256)


def left(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize("manner", ["good", "unsized", "cut", "ignores-range"])
def test_a_file_comes_whole_whatever_happens_on_the_way(server: Server, tmp_path: Path, manner: str):
    assert fetch(remote(server, manner), tmp_path).read_bytes() == CONTENT
    assert left(tmp_path) == ["below/file.bin"]


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path):
    for _ in range(2):
        fetch(remote(server, "good"), tmp_path)
    assert len(server.asked) == 1


def test_a_file_that_was_cut_off_goes_on_where_it_was(server: Server, tmp_path: Path):
    fetch(remote(server, "cut"), tmp_path)
    third = len(CONTENT) // 3
    assert server.ranges("cut") == [None, f"bytes={third}-", f"bytes={2 * third}-"]


def test_and_so_it_does_when_the_command_is_given_again_though_the_mirror_be_another(server: Server, tmp_path: Path):
    with pytest.raises(BadInput, match=r"cut off after 30 of 10,240 bytes"):
        fetch(remote(server, "cut-always"), tmp_path)
    assert left(tmp_path) == ["below/file.bin.part"]
    assert fetch(remote(server, "gone", "good"), tmp_path).read_bytes() == CONTENT
    assert server.ranges("good") == ["bytes=30-"]
    assert left(tmp_path) == ["below/file.bin"]


@pytest.mark.parametrize("manner", ["ignores-range", "wrong-range", "good"])
@pytest.mark.parametrize("part", [CONTENT[:100], b"of something else", CONTENT + b"and more", CONTENT], ids=len)
def test_an_unfinished_file_is_believed_only_with_the_right_digest(server: Server, tmp_path: Path, manner: str, part: bytes):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file.bin.part").write_bytes(part)
    assert fetch(remote(server, manner), tmp_path).read_bytes() == CONTENT
    assert left(tmp_path) == ["below/file.bin"]
    assert (part == CONTENT) == (not server.asked)


@pytest.mark.parametrize("first", ["gone", "ill", "loop", "other"])
def test_the_next_mirror_is_asked_where_one_fails(server: Server, tmp_path: Path, first: str):
    assert fetch(remote(server, first, "good"), tmp_path).read_bytes() == CONTENT
    assert server.ranges("good") == [None]


def test_a_mirror_that_nobody_answers_at_is_no_harm(server: Server, tmp_path: Path):
    nobody = Remote("file.bin", ("http://127.0.0.1:9/file.bin", server.url("good")), SHA256)
    assert fetch(nobody, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("manner", ["good", "unsized"])
def test_an_answer_without_end_is_not_kept(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manner: str):
    monkeypatch.setattr(_download, "LARGEST", 5_000)
    with pytest.raises(BadInput, match=r"more came than 5,000 bytes"):
        fetch(remote(server, manner), tmp_path)
    assert left(tmp_path) == []


def test_what_a_server_says_is_told_in_one_printable_line(server: Server, tmp_path: Path):
    with pytest.raises(BadInput) as refusal:
        fetch(remote(server, "rude"), tmp_path)
    assert f"{server.url('rude')}: 404 \\x1b]0;mine\\x07" in str(refusal.value)


def test_where_none_has_it_each_says_why_and_nothing_is_left(server: Server, tmp_path: Path):
    with pytest.raises(BadInput) as refusal:
        fetch(remote(server, "gone", "ill", "other"), tmp_path)
    message = str(refusal.value)
    assert f"file.bin could not be fetched into {tmp_path / 'below'}" in message
    assert f"{server.url('gone')}: 404 Not Found" in message
    assert f"{server.url('ill')}: 503 Service Unavailable" in message
    assert f"{server.url('other')}: it is not the published file (sha256 {SHA256})" in message
    assert left(tmp_path) == []
    assert len(server.ranges("gone")) == 1
    assert len(server.ranges("ill")) == _download.ATTEMPTS


def test_a_folder_that_cannot_be_written_is_named(server: Server, tmp_path: Path):
    (tmp_path / "below").write_text("in the way")
    with pytest.raises(BadInput, match="below"):
        fetch(remote(server, "good"), tmp_path)


def test_two_processes_fetch_a_file_once(server: Server, tmp_path: Path):
    program = (
        "from pathlib import Path; from benchmark.datasets._download import Remote, fetch; "
        f"fetch(Remote('file.bin', ({server.url('slow')!r},), {SHA256!r}), Path({str(tmp_path)!r}))"
    )
    both = [subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert left(tmp_path) == ["file.bin"]
    assert len(server.asked) == 1


def test_what_can_be_done_without_is_told_and_no_error(server: Server, tmp_path: Path):
    wanted = [remote(server, "gone"), Remote("file2.bin", (server.url("good"),), SHA256)]
    (line,) = fetch_what_can_be_done_without(wanted, tmp_path)
    assert line.startswith("going on without it: file.bin could not be fetched")
    assert left(tmp_path) == ["file2.bin"]


def archive(names: list[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
    return buffer.getvalue()


def packed(name: str, content: bytes) -> Remote:
    return Remote(name, ("http://127.0.0.1:9/nobody",), hashlib.sha256(content).hexdigest())


def test_an_archive_that_the_user_has_is_unpacked_and_stays(tmp_path: Path):
    content = archive(["images/a", "images/b"])
    (tmp_path / "second.tar.gz").write_bytes(content)
    unpack_first((packed("first.tar.gz", b""), packed("second.tar.gz", content)), tmp_path)
    assert left(tmp_path) == ["images/a", "images/b", "second.tar.gz"]


def test_one_that_was_fetched_is_removed_when_it_is_unpacked(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    content = archive(["images/a"])
    monkeypatch.setitem(Handler.do_GET.__globals__, "CONTENT", content)
    unpack_first((Remote("a.tar.gz", (server.url("good"),), hashlib.sha256(content).hexdigest()),), tmp_path)
    assert left(tmp_path) == ["images/a"]


@pytest.mark.parametrize(
    ("content", "digest_of", "wanted"),
    [
        (archive(["images/a"]), b"another", "wanted that of the published archive"),
        (archive(["../outside"]), None, "would lie outside"),
        (archive(["images/a"])[:60], None, "cannot be unpacked|neither a zip nor a tar"),
    ],
    ids=["another", "leads out", "truncated"],
)
def test_an_archive_that_is_not_as_published_leaves_nothing(tmp_path: Path, content: bytes, digest_of: bytes, wanted: str):
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.tar.gz").write_bytes(content)
    with pytest.raises(BadInput, match=wanted):
        unpack_first((packed("a.tar.gz", content if digest_of is None else digest_of),), root)
    assert left(tmp_path) == ["root/a.tar.gz"]


@pytest.mark.realdata
@pytest.mark.parametrize("of", [*CIFAR10.people, *CIFAR100.people, PUBLISHED_VOTES], ids=lambda of: of.name)
def test_the_digests_are_those_of_the_published_files(of: Remote):
    file = Path(os.environ.get("BENCHMARK_DATA", "nowhere")) / of.path
    if not file.is_file():
        pytest.skip(f"there is no {of.path} below BENCHMARK_DATA")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == of.sha256
