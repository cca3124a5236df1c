"""A folder that somebody has laid traps in gives findings: no traceback, no wait, and nothing outside it is read or touched."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from folders import Folder

from benchmark.doctor import repair
from benchmark.doctor.tree import Tree, Unreadable
from benchmark.store.manifest import LARGE, MANIFEST, SMALL

FILES = (*SMALL, *LARGE, MANIFEST)
DEEP = "[" * 50_000 + "]" * 50_000
ANEW = "written anew: the tables, as `table` writes them without --baseline and --against"
NONSENSE = {
    "nothing": "",
    "a list": "[]",
    "a number": "3",
    "text": '"text"',
    "null": "null",
    "no fields": "{}",
    "wrong types": '{"spec": 3, "inputs": [], "files": "all", "acc_last": {}, "key": null}',
    "a nest": DEEP,
    "a nest in a field": '{"options": ' + DEEP + "}",
    "digits": '{"acc_last": ' + "9" * 5000 + ', "train_seconds": 1, "seed": ' + "9" * 5000 + "}",
    "infinity": '{"acc_last": Infinity, "train_seconds": NaN}',
    "bytes": b"\xff\xfe\x00\x00",
    "zeros": b"\x00" * 100,
    "half a surrogate": '{"error": "\\ud800", "noise_sha256": "\\ud800"}',
    "an archive": b"PK\x03\x04" + b"\x00" * 50,
    "one long line": "a," * 200_000,
    "lines": "epoch,epochs,stage,test_accuracy\n" + "1,1e300,0,nan\n" * 3,
}


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_in_any_file_is_a_finding(folder: Folder, what: str):
    """Also where the manifest vouches for it."""
    for place in ("grid.json", "sweep.toml", "results.csv", folder.noise):
        whole = folder.path(place).read_bytes()
        folder.write(place, NONSENSE[what])
        assert folder.examined().wrong, place
        folder.write(place, whole)
    for name in FILES:
        whole, manifest = (folder.path(folder.a, n).read_bytes() for n in (name, MANIFEST))
        folder.write(f"{folder.a}/{name}", NONSENSE[what])
        assert {f.where for f in folder.examined().wrong} == {folder.a}
        if name not in (MANIFEST, "features.npz"):  # of features nothing but the hash is known
            folder.vouch(folder.a)
            assert folder.a in {f.where for f in folder.examined().wrong}, name
        folder.write(f"{folder.a}/{name}", whole)
        folder.write(f"{folder.a}/{MANIFEST}", manifest)
    assert folder.examined().wrong == []


WRONG_GRIDS: dict[str, Callable[[list], object]] = {
    "a key with a line break": lambda g: g[0].update(key="a\nb"),
    "a key that leads out": lambda g: g[0].update(key="../../outside"),
    "a key from the root": lambda g: g[0].update(key="/etc"),
    "a number for a spec": lambda g: g[0].update(spec=3),
    "lists of lists": lambda g: g[0]["spec"]["options"].update(x=[[[[{}]]]]),
    "endless digits": lambda g: g[0]["spec"]["dataset"]["options"].update(x=10**4000),
    "a path for labels": lambda g: g[0].update(noise_sha256="../../../x"),
    "a line that is none": lambda g: g.append(None),
}


@pytest.mark.parametrize("what", WRONG_GRIDS)
def test_a_grid_of_traps_is_a_finding_and_nothing_is_repaired_by_it(folder: Folder, what: str):
    folder.edit("grid.json", WRONG_GRIDS[what])
    folder.write("results.csv", "a\n")
    outside = folder.root.parent / "outside"
    shutil.copytree(folder.path(folder.b), outside)
    before = {path: path.read_bytes() for path in (*outside.iterdir(), *folder.root.rglob("*")) if path.is_file()}
    found = folder.examined()
    assert "grid.json" in {f.where for f in found.wrong}
    repair(found)
    after = {path: path.read_bytes() for path in (*outside.iterdir(), *folder.root.rglob("*")) if path.is_file()}
    assert after == before


def test_sweeps_of_traps_are_a_finding(folder: Folder):
    for entry in (
        "dataset = 3\nmethods = 3\nseeds = 3",
        'dataset = "tiny"\nmethods = ["ce"]\nseeds = [0]\nnoise = [' + "9" * 400 + "]",
        'dataset = "tiny"\nmethods = ["ce"]\nseeds = [0]\nnoise = ["a"]\noptions = 3\nbackbone = []\nrecipe = {}',
        'noise_kind = ["file"]\nnoise_files = [[3]]\nimbalance = "a"',
    ):
        folder.write("sweep.toml", f"[[sweep]]\n{entry}\n")
        assert [(f.kind, f.where) for f in folder.examined().wrong] == [("damaged", "sweep.toml")]


# ------------------------------------------------- links, pipes and folders in the place of files


@pytest.fixture
def outside(folder: Folder) -> Path:
    """What links lead to: a copy of the folder, whose files nobody may touch."""
    return Path(shutil.copytree(folder.root, folder.root.parent / "outside"))


def places(folder: Folder) -> list[str]:
    return ["grid.json", "sweep.toml", "results.csv", folder.noise, *(f"{folder.a}/{name}" for name in FILES)]


def untouched(outside: Path, before: dict[Path, tuple[bytes, int]]) -> bool:
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in outside.rglob("*") if path.is_file()} == before


def test_no_link_to_a_file_is_followed_and_none_removed(folder: Folder, outside: Path):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in outside.rglob("*") if path.is_file()}
    folder.write(f"{folder.b}/checkpoint.pt", "")
    for place in places(folder):
        target = outside / place
        kept = folder.path(place).read_bytes()
        folder.path(place).unlink()
        folder.path(place).symlink_to(target)  # whose content is right: it is not looked at
        found = folder.examined()
        assert any(f.kind == "unverified" and "a link" in f.what for f in found.wrong), place
        assert not any(f.deletes for f in found.findings if f.kind != "leftover"), place
        repair(found)
        assert folder.path(place).is_symlink(), place
        assert untouched(outside, before), place
        folder.path(place).unlink()
        folder.write(place, kept)
    assert folder.findings() == []


@pytest.mark.parametrize("name", ["runs", "noise", "run", "figures"])
def test_no_link_to_a_folder_is_followed(folder: Folder, outside: Path, name: str):
    (outside / "figures").mkdir()
    for place in (
        f"{folder.a}/.spec.json-part-ab12_xyz",
        "noise/." + "0" * 64 + ".npz-part-ab12_xyz",
        "figures/.a.svg-part-ab12_xyz",
    ):
        (outside / place).write_text("")
        os.utime(outside / place, (0, 0))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in outside.rglob("*") if path.is_file()}
    place = folder.a if name == "run" else name
    shutil.rmtree(folder.path(place), ignore_errors=True)
    folder.path(place).symlink_to(outside / place, target_is_directory=True)
    folder.write("results.csv", "a\n")
    found = folder.examined()
    assert [f.deletes for f in found.findings] == [()] * len(found.findings)
    assert place in {f.where for f in found.wrong} or name == "figures"
    now, _ = repair(found)
    assert untouched(outside, before)
    assert bool(now.of("stale")) == (name in ("runs", "run"))  # tables are made of what lies below these


def test_a_table_that_is_a_link_is_replaced_and_not_written_through(folder: Folder, outside: Path):
    folder.path("table.md").unlink()
    folder.path("table.md").symlink_to(outside / "sweep.toml")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in outside.rglob("*") if path.is_file()}
    folder.write("results.csv", "a\n")
    now, said = repair(folder.examined())
    assert (now.wrong, said) == ([], [ANEW])
    assert untouched(outside, before)
    assert not folder.path("table.md").is_symlink()


def test_links_in_the_place_of_leftovers_and_locks_are_no_business_of_a_repair(folder: Folder, outside: Path):
    names = ("checkpoint.pt", "lock.json", ".spec.json-part-ab12_xyz")
    os.utime(outside / "grid.json", (0, 0))
    for name in names:
        folder.path(folder.a, name).symlink_to(outside / "grid.json")
    found = folder.examined()
    assert [f.deletes for f in found.findings] == [()] * len(found.findings)
    repair(found)
    assert all(folder.path(folder.a, name).is_symlink() for name in names)


@pytest.mark.parametrize("what", ["link", "pipe", "folder"])
def test_a_lock_that_is_no_file_keeps_a_repair_off_the_run(folder: Folder, outside: Path, what: str):
    folder.flip(f"{folder.a}/metrics.json")
    lock = folder.path(folder.a, "lock.json")
    if what == "link":
        lock.symlink_to(outside / "grid.json")
    else:
        (os.mkfifo if what == "pipe" else os.mkdir)(lock)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in outside.rglob("*") if path.is_file()}
    found = folder.examined()
    now, said = repair(found)
    assert now.of("damaged") == found.of("damaged")
    assert said[0].endswith("links are not followed" if what == "link" else "it is no plain file")
    assert untouched(outside, before)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_pipes_and_folders_are_not_waited_for(folder: Folder, make: Callable[[Path], None]):
    for place in places(folder):
        kept = folder.path(place).read_bytes()
        folder.path(place).unlink()
        make(folder.path(place))
        found = folder.examined()
        assert any("it is no plain file" in f.what for f in found.wrong), place
        repair(found)
        folder.path(place).rmdir() if folder.path(place).is_dir() else folder.path(place).unlink()
        folder.write(place, kept)
    assert folder.findings() == []


def test_what_was_exchanged_for_a_link_after_it_was_examined_is_not_deleted(folder: Folder, outside: Path):
    folder.flip(f"{folder.a}/metrics.json")
    found = folder.examined()
    shutil.rmtree(folder.path(folder.a))
    folder.path(folder.a).symlink_to(outside / folder.a, target_is_directory=True)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in outside.rglob("*") if path.is_file()}
    now, said = repair(found)
    assert now.of("damaged") == found.of("damaged")
    assert "it is a link" in said[0]
    assert untouched(outside, before)


# ------------------------------------------------- names, rights and sizes


@pytest.mark.parametrize("name", [b"a\nb", b"\x1b[2J", b"\xff\xfe", b"-rf", "ключ".encode(), b"a" * 200])
def test_names_are_told_as_they_are(folder: Folder, name: bytes):
    root = os.fsencode(folder.root)
    os.mkdir(os.path.join(root, b"runs", name))  # noqa: PTH102, PTH118 - a name that is no text
    for place in (b"noise", os.fsencode(folder.a)):
        with open(os.path.join(root, place, name), "wb"):  # noqa: PTH123, PTH118
            pass
    found = folder.examined()
    assert [f.kind for f in found.findings] == ["orphan"] * 3
    assert len(found.commands()) == (0 if b"\n" in name or b"\x1b" in name or b"\xff" in name else 1)


def test_what_may_not_be_read_is_not_called_damaged(folder: Folder, monkeypatch: pytest.MonkeyPatch):
    opened, scanned = os.open, os.scandir

    def denied(path: object, *given: object, **more: object) -> int:
        if str(path).endswith(f"{folder.keys[0]}/metrics.json"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *given, **more)

    def hidden(path: object) -> object:
        if str(path).endswith(folder.keys[1]):
            raise PermissionError(13, "Permission denied")
        return scanned(path)

    monkeypatch.setattr(os, "open", denied)
    monkeypatch.setattr(os, "scandir", hidden)
    wrong = folder.examined().wrong
    assert [(f.kind, f.where, f.what, f.deletes) for f in wrong] == [
        ("unverified", folder.a, "metrics.json: it cannot be read (Permission denied)", ()),
        ("unverified", folder.b, "it cannot be read (Permission denied)", ()),
    ]


def test_a_file_larger_than_any_is_not_read_whole(folder: Folder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("benchmark.doctor.tree.MOST", 100)
    with pytest.raises(Unreadable, match="more than any that the suite writes"):
        Tree(folder.root).plain("grid.json")
    assert {f.where for f in folder.examined().wrong} >= {"grid.json", "sweep.toml", folder.noise}


def test_no_change_of_a_few_bytes_ends_in_a_traceback(folder: Folder):
    """Wherever it hits, in whichever files at once, also in those that a manifest vouches for."""
    rng = np.random.default_rng(7)
    everything = [place for place in folder.files() if not place.endswith(".safetensors")]
    whole = folder.files()
    for _ in range(60):
        hit = [str(place) for place in rng.choice(everything, size=rng.integers(1, 4), replace=False)]
        for place in hit:
            content = bytearray(whole[place])
            for at in rng.integers(0, len(content), size=rng.integers(1, 9)):
                content[at] = rng.integers(0, 256)
            folder.write(place, bytes(content[: rng.integers(1, len(content) + 1)]))
        if rng.random() < 0.5 and not any(MANIFEST in place for place in hit):
            for run in (folder.a, folder.b, folder.c):
                folder.vouch(run)
        found = folder.examined()
        json.dumps(found.commands() | {"summary": found.summary()})
        for place in (*hit, *(f"{run}/{MANIFEST}" for run in (folder.a, folder.b, folder.c))):
            folder.write(place, whole[place])
    assert folder.findings() == []
