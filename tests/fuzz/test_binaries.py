"""Archives, pickles, arrays and weights: nothing lies elsewhere, nothing is run, and what is read is what it should be."""

from __future__ import annotations

import gzip
import io
import pickle
import re
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from dlib_file import dat
from hostile import NASTY, NUMBERS, Sandbox, cases, damaged, hold, outcome
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from safetensors.torch import save

from benchmark.datasets._archives import unpack
from benchmark.datasets._cifar import read_cifar_n
from benchmark.datasets._idx import read_idx
from benchmark.datasets.cifar10 import read_cifar10h
from benchmark.train.backbones import build_backbone
from benchmark.train.dlib import DlibResNet, read_dat
from benchmark.train.pretrained import fill, read_weights

# Archives

MEMBERS = {"set/a.txt": b"a" * 100, "set/inner/b.txt": bytes(range(256)) * 4, "c.txt": b""}
SPECIAL = {tarfile.SYMTYPE: 0o120777, tarfile.FIFOTYPE: 0o010644, tarfile.CHRTYPE: 0o020644}
"""Kinds of members that are no files, and what a zip notes of them."""
KINDS = (*SPECIAL, tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.GNUTYPE_SPARSE)
STRANGE = (*NASTY, "set/../../out.txt", "a/../b", "set/a.txt/b", "/abs", "..\\x", "C:/x", "set", "c.txt")


@st.composite
def archives(draw: DrawFn) -> bytes:
    """A zip or a tar, packed in any way: sound, with damaged bytes, or with a member that has a strange name, kind or size."""
    name, kind, size = "set/d.txt", tarfile.REGTYPE, None
    fault = draw(st.sampled_from(("none", "bytes", "bytes", "name", "name", "kind", "size")))
    if fault == "name":
        name = draw(st.sampled_from(STRANGE))
    elif fault == "kind":
        kind = draw(st.sampled_from(KINDS))
    elif fault == "size":
        size = draw(st.sampled_from([n for n in NUMBERS if n < 2**62]))
    packing = draw(st.sampled_from(("zip", "zip", "", "gz", "bz2", "xz")))
    content = _zip(name, kind, size) if packing == "zip" else _tar(name, kind, size, packing)
    return draw(damaged(content, head=560, tail=300)) if fault == "bytes" else content


def _tar(name: str, kind: bytes, size: int | None, packing: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{packing}", errors="surrogateescape") as tar:
        for other, content in MEMBERS.items():
            info = tarfile.TarInfo(other)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        info = tarfile.TarInfo(name.replace("\ud800", "\udcff"))
        info.type, info.linkname = kind, "../../outside.txt"
        tar.addfile(info)
        if size is not None:
            info.size = size
            tar.fileobj.write(info.tobuf(tarfile.GNU_FORMAT))
    return buffer.getvalue()


def _zip(name: str, kind: bytes, size: int | None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for other, content in MEMBERS.items():
            archive.writestr(other, content)
        info = zipfile.ZipInfo(name.replace("\ud800", "?") or "x")
        info.create_system, info.external_attr = 3, SPECIAL.get(kind, 0o100644) << 16
        archive.writestr(info, b"../../outside.txt")
        if size is not None:
            archive.infolist()[-1].file_size = min(size, 2**32 - 2)
    return buffer.getvalue()


@cases(30, 600)
def test_archives(tmp_path: Path, examples: int):
    """All or nothing, and that within the folder: plain files and folders alone."""

    def case(content: bytes) -> str:
        with Sandbox.below(tmp_path) as sandbox:
            file = sandbox.file("archive", content)
            with sandbox.watched():
                new, refusal = outcome(lambda: unpack(file, sandbox.out))
            if new is None:
                assert not sandbox.out.exists() or not list(sandbox.out.iterdir())
                return "deep: refused for a member" if "in it " in refusal or "it needs" in refusal else "refused"
            assert sorted(new) == sorted(sandbox.out.iterdir())
            for path in sandbox.out.rglob("*"):
                assert not path.is_symlink()
                assert path.is_dir() or path.is_file()
            return "deep: unpacked"

    hold(case, examples, deep=0.15, content=archives())


# Pickles and arrays

LABELS = np.arange(20) * 7 % 10
PEOPLE = {"clean_label": LABELS, "worse_label": (LABELS + 1) % 10, "noisy_label": [int(x) for x in LABELS]}


@st.composite
def pickles(draw: DrawFn) -> bytes:
    """What torch.save makes of CIFAR-N's labels, with a damaged pickle in it, mostly with the right checksum."""
    whole = pickle.dumps(PEOPLE, draw(st.sampled_from((2, 2, 3, 4, 5))))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", bytes(draw(damaged(whole, head=200, most=1) | damaged(whole, head=40, most=2))))
    return buffer.getvalue() if draw(st.integers(0, 5)) else draw(damaged(buffer.getvalue(), tail=100))


@cases(30, 1000)
def test_pickles_of_labels(tmp_path: Path, examples: int):
    """Labels of these images, or a refusal; of what a pickle names, nothing is looked up."""

    def case(content: bytes) -> str:
        with Sandbox.below(tmp_path) as sandbox:
            file = sandbox.file("CIFAR-10_human.pt", content)
            with sandbox.watched():
                found, refusal = outcome(lambda: read_cifar_n(file, LABELS, {"human-worse": "worse_label"}, 10))
            if found is None:
                return "refused" if "wanted a dictionary" in refusal else "deep: other labels"
            (labels,) = found.values()
            assert (labels.dtype, labels.shape) == (np.int64, LABELS.shape)
            assert 0 <= labels.min() <= labels.max() < 10
            return "deep: read"

    hold(case, examples, deep=0.05, content=pickles())


def arrays() -> dict[str, bytes]:
    votes, idx = io.BytesIO(), bytes((0, 0, 8, 3)) + b"".join(n.to_bytes(4, "big") for n in (5, 4, 4)) + bytes(range(80))
    np.save(votes, 40 * np.eye(10, dtype=np.int64)[LABELS] + 1)
    return {"votes.npy": votes.getvalue(), "a.idx": idx, "a.gz": gzip.compress(idx, mtime=0)}


ARRAYS = arrays()


@cases(24, 600)
def test_arrays(tmp_path: Path, examples: int):
    def case(given: tuple[str, bytes]) -> str:
        name, content = given
        votes = name == "votes.npy"
        with Sandbox.below(tmp_path) as sandbox:
            file = sandbox.file(name, content)
            with sandbox.watched():
                found, refusal = outcome(lambda: read_cifar10h(file, LABELS) if votes else read_idx(file, (5, 4, 4)))
            if found is None:
                return "deep: refused" if "found" in refusal or "order" in refusal else "refused"
            assert found.shape == ((20, 10) if votes else (5, 4, 4))
            return "deep: read"

    drawn = st.sampled_from(sorted(ARRAYS)).flatmap(lambda name: st.tuples(st.just(name), damaged(ARRAYS[name], most=2)))
    hold(case, examples, deep=0.2, given=drawn)


# Weights


def weights() -> dict[str, bytes]:
    torch.manual_seed(0)
    state = {name: tensor.contiguous() for name, tensor in network().state_dict().items()}
    saved, legacy = io.BytesIO(), io.BytesIO()
    torch.save({"state_dict": state, "epoch": 3}, saved)
    torch.save(state, legacy, _use_new_zipfile_serialization=False)
    return {"w.safetensors": save(state), "w.pth": saved.getvalue(), "w.pt": legacy.getvalue()}


def network() -> torch.nn.Module:
    return build_backbone("small", (1, 16, 16), "fp32").named_as_published


FILES = weights()


@st.composite
def weight_files(draw: DrawFn) -> tuple[str, bytes]:
    """Weights with damage where the tensors are described, and of the zip also in its pickle."""
    name = draw(st.sampled_from(sorted(FILES)))
    if name == "w.pth" and draw(st.booleans()):
        return name, _with_pickle(FILES[name], lambda old: bytes(draw(damaged(old, head=400, most=2))))
    return name, draw(damaged(FILES[name], head=2_000, most=2))


def _with_pickle(content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A torch file whose pickle is another, with the right checksum."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for member in old.namelist():
            part = old.read(member)
            new.writestr(member, change(part) if member.endswith("data.pkl") else part)
    return buffer.getvalue()


@cases(80, 500)  # torch's old format holds addresses, so that the same damage strikes elsewhere each time
def test_pretrained_weights(tmp_path: Path, examples: int):
    def case(given: tuple[str, bytes]) -> str:
        name, content = given
        with Sandbox.below(tmp_path) as sandbox:
            file = sandbox.file(name, content)
            with sandbox.watched(), warnings.catch_warnings(action="error"):
                found, refusal = outcome(lambda: read_weights(file))
                if found is None:
                    assert refusal.startswith("--pretrained")
                    assert "Warning" not in refusal
                    return "refused"
                filled, _ = outcome(lambda: fill(network(), found, name))
            return "deep: does not fit" if filled is None else "deep: fills"

    hold(case, examples, deep=0.05, given=weight_files())


@st.composite
def dats(draw: DrawFn, whole: bytes) -> bytes:
    """dlib's file with damage anywhere, or where one of its layers is described."""
    if draw(st.booleans()):
        return draw(damaged(whole, head=3_000))
    start, end = draw(st.sampled_from([(found.start(), found.end() + 12) for found in re.finditer(b"con_4|affine_", whole)]))
    return whole[:start] + draw(damaged(whole[start:end], most=1)) + whole[end:]


@cases(4, 100)
def test_dlibs_weights(examples: int):
    torch.manual_seed(0)
    network = DlibResNet()
    whole, shapes = dat(network), {name: tensor.shape for name, tensor in network.state_dict().items()}

    def case(content: bytes) -> str:
        try:
            tensors = read_dat(content)
        except (ValueError, IndexError):  # what is caught where they are loaded
            return "refused"
        assert {name: tensor.shape for name, tensor in tensors.items()} == shapes
        return "deep: read"

    hold(case, examples, deep=0.1, content=dats(whole))
