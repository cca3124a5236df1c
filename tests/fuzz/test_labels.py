"""Noise files: damaged artefacts, lists and matrices are refused in one line, or say what they said before."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from hostile import Sandbox, arrays_like, cases, damaged, hold, misspelt, outcome, spoilt
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from benchmark.noise import Header, Noise, Outside, frozen, read_artefact

N = 96
REFERENCE = np.arange(N) % 3
HEADER = Header(kind="symmetric", rate=0.2, seed=0, dataset="tiny", dataset_sha256="0" * 64, classes=("a", "b", "c"))
NOISE = frozen(HEADER, REFERENCE, np.where(np.arange(N) % 5, REFERENCE, (REFERENCE + 1) % 3))
OTHERS = Outside(np.array([1, 5]), np.array([7, 2]))
OPEN_SET = frozen(HEADER.model_copy(update={"source_sha256": "1" * 64}), REFERENCE, REFERENCE, OTHERS)


def packed(header: str, arrays: dict[str, np.ndarray], *, compressed: bool) -> bytes:
    buffer = io.BytesIO()
    words = np.frombuffer(header.encode("utf-8", "surrogatepass"), np.uint8)
    (np.savez_compressed if compressed else np.savez)(buffer, header=words, **arrays)
    return buffer.getvalue()


def unpacked(noise: Noise) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with np.load(io.BytesIO(noise.to_bytes())) as stored:
        arrays = {name: stored[name] for name in stored}
    return json.loads(arrays.pop("header").tobytes()), arrays


@st.composite
def artefacts(draw: DrawFn) -> bytes:
    """An artefact with damaged bytes; or whole, with a header or arrays that cannot be, mostly with the right hash of them."""
    words, arrays = unpacked(draw(st.sampled_from((NOISE, OPEN_SET))))
    compressed = draw(st.booleans())
    if draw(st.integers(0, 3)) == 0:
        return draw(damaged(packed(json.dumps(words), arrays, compressed=compressed), head=200, tail=300))
    if draw(st.booleans()):
        words = draw(spoilt(words, most=1))
    else:
        name = draw(st.sampled_from(sorted(arrays)))
        arrays[name] = draw(arrays_like(arrays[name]))
    with suppress(Exception), warnings.catch_warnings(action="ignore"):  # what has no hash is refused before it is asked for
        header = Header(**{name: value for name, value in words.items() if name != "sha256"})
        outside = Outside(arrays["replaced"], arrays["source"]) if "source" in arrays else None
        words = {**words, "sha256": Noise(header, arrays["given"], arrays["counts"], outside).sha256}
    text = json.dumps(words)
    return packed(text if draw(st.integers(0, 9)) else draw(misspelt(text)), arrays, compressed=compressed)


@cases(30, 600)
def test_artefacts(tmp_path: Path, examples: int):
    """What is read is sound, and what is damaged is not read: no damage goes unseen but for one that has a hash of its own."""

    def case(content: bytes) -> str:
        with Sandbox.below(tmp_path) as sandbox:
            file = sandbox.file("n.npz", content)
            noise, _ = outcome(lambda: read_artefact(file))
            answer = sandbox.call("noise", "show", file)
            assert (answer.status == 0) == (noise is not None)
            if noise is None:
                return "refused" if "or it is damaged" in answer.err else "deep: refused by its content"
            assert 0 <= noise.given.min(initial=0) <= noise.given.max(initial=0) < len(noise.header.classes)
            assert 0 <= noise.realised <= 1
            return "deep: the same" if noise.sha256 in (NOISE.sha256, OPEN_SET.sha256) else "deep: another"

    hold(case, examples, deep=0.2, content=artefacts())


@st.composite
def flipped(draw: DrawFn) -> bytes:
    """An artefact with one fault, mostly in what its zip holds, with the right checksum."""
    content = NOISE.to_bytes()
    if draw(st.integers(0, 3)) == 0:
        return draw(damaged(content, tail=300, most=1))
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        spoilt = draw(st.sampled_from(old.namelist()))
        for member in old.namelist():
            part = old.read(member)
            if member == spoilt == "header.npy" and draw(st.booleans()):  # mostly JSON still, which says something else
                start = part.index(b'{"')
                part = part[:start] + draw(misspelt(part[start:].decode(), most=1)).encode("utf-8", "surrogatepass")
            elif member == spoilt:
                part = bytes(draw(damaged(part, head=0, tail=200, most=1)))
            new.writestr(member, part)
    return buffer.getvalue()


@cases(20, 500)
def test_no_flipped_byte_of_an_artefact_goes_unseen(tmp_path: Path, examples: int):
    def case(content: bytes) -> str:
        with Sandbox.below(tmp_path) as sandbox:
            file = sandbox.file("n.npz", content)
            noise, refusal = outcome(lambda: read_artefact(file))
            assert noise is None or noise.sha256 == NOISE.sha256
            assert noise is None or np.array_equal(noise.given, NOISE.given)
            return "deep: the same" if noise else "refused" if "or it is damaged" in refusal else "deep: refused by its content"

    hold(case, examples, deep=0.1, content=flipped())


LISTS = (
    "".join(f"{k % 3}\n" for k in range(N)),
    " ".join(str(k % 3) for k in range(N)),
    "".join(f"train_{k:05}.jpg {1 + k % 3}\n" for k in range(N)),
    "".join(f"/data/train_{k:05}_aligned.jpg {k % 3}\n" for k in range(N)),
)
MATRIX = "0.8,0.1,0.1\n0.2,0.7,0.1\n0,0,1\n"


@st.composite
def texts(draw: DrawFn) -> tuple[str, bytes | str]:
    """A kind of noise that is read from text, and the text."""
    kind = draw(st.sampled_from(("file", "file", "confusion")))
    text = MATRIX if kind == "confusion" else draw(st.sampled_from(LISTS))
    return kind, draw(st.just(text) | misspelt(text, most=1) | misspelt(text) | damaged(text.encode()))


@cases(20, 400)
def test_lists_and_matrices(tmp_path: Path, tiny_plugin: Path, examples: int):
    common = ("--plugin", tiny_plugin, "--dataset", "tiny", "--methods", "ce", "--dry-run", "--json")

    def case(given: tuple[str, bytes | str]) -> str:
        kind, content = given
        with Sandbox.below(tmp_path) as sandbox:
            file = sandbox.file("l.csv" if kind == "confusion" else "l.txt", content)
            answer = sandbox.call("run", "--noise-kind", kind, "--noise-file", file, "--out", sandbox.out, *common)
            assert not sandbox.out.exists()
            return "deep: planned" if answer.status == 0 else "refused"

    hold(case, examples, deep=0.1, given=texts())


@cases(4, 100)
def test_lists_become_artefacts_that_say_the_same(tmp_path: Path, tiny_plugin: Path, examples: int):
    def case(text: str) -> str:
        with Sandbox.below(tmp_path) as sandbox:
            sandbox.out.mkdir()
            file, target = sandbox.file("l.txt", text), sandbox.out / "n.npz"
            answer = sandbox.call("noise", "import", file, "--dataset", "tiny", "--plugin", tiny_plugin, "--out", target)
            assert (answer.status == 0) == target.exists()
            if answer.status:
                return "refused"
            assert read_artefact(target).given.tolist() == [int(word) for word in text.removeprefix("\ufeff").split()]
            return "deep: imported"

    hold(case, examples, deep=0.1, text=st.just(LISTS[0]) | misspelt(LISTS[0], most=1) | misspelt(LISTS[1], most=1))
