"""What CIFAR-10 and CIFAR-100 do alike when their files are brought."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from mirror import mirror, sha256

from benchmark.contract import BadInput, NoOptions
from benchmark.datasets._cifar import CIFARDataset
from benchmark.datasets._download import Remote


def brings_what_it_can(of: type[CIFARDataset], root: Path, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive below the data root `empty` is unpacked, and what people said is fetched; both are of the set in `root`."""
    packed, human = empty / f"{of.binary}.tar.gz", of.people[0].path
    published = root / "published"
    published.mkdir()
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(root / of.binary, of.binary)
    (root / human).rename(published / "human.pt")
    archive = Remote(packed.name, ("http://127.0.0.1:9",), sha256(packed))
    monkeypatch.setattr(of, "archives", (of.archives[1], archive))
    with mirror(published) as address:
        digest = sha256(published / "human.pt")
        people = Remote(human, (f"{address}/human.pt",), digest), Remote("other", (f"{address}/other",), digest)
        monkeypatch.setattr(of, "people", people)
        (line,) = of(NoOptions(), empty).download()
    assert line.startswith("going on without it: other could not be fetched")
    assert of(NoOptions(), empty).read().human_labels
    assert not list(of(NoOptions(), empty).findings())


def says_why_it_cannot(of: type[CIFARDataset], root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No archive and no mirror end in one line, and nothing is left."""
    nobody = Remote(of.archives[1].path, ("http://127.0.0.1:9/a.tar.gz",), "0")
    monkeypatch.setattr(of, "archives", (nobody, nobody))
    with pytest.raises(BadInput, match=rf"{nobody.path} could not be fetched into .*; http://127.0.0.1:9/a.tar.gz: "):
        of(NoOptions(), root).download()
    assert not list(root.iterdir())
