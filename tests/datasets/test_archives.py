"""Archives: what is unpacked, and that nothing of a bad one is left anywhere."""

import gzip
import io
import shutil
import stat
import tarfile
import zipfile
from collections import namedtuple

import pytest

from benchmark.contract import BadInput
from benchmark.datasets import _archives
from benchmark.datasets._archives import leads_out, unpack

FILES = {"set/a.txt": b"a", "set/inner/b.txt": b"b" * 5000, "Größe 大小 حجم 🙂.txt": b"c"}


def make_zip(path, files=FILES, **attributes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.writestr(info, content)
    return path


def make_tar(path, files=FILES, mode="w", **attributes):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return path


MAKERS = {
    "zip": make_zip,
    "tar": make_tar,
    "tar.gz": lambda path, files=FILES, **a: make_tar(path, files, "w:gz", **a),
    "tar.xz": lambda path, files=FILES, **a: make_tar(path, files, "w:xz", **a),
    "tar.bz2": lambda path, files=FILES, **a: make_tar(path, files, "w:bz2", **a),
}
each = pytest.mark.parametrize("kind", MAKERS)


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def refused(archive, into, *words):
    """The archive is refused with one line that has all the words in it, and nothing but the archive lies anywhere."""
    before = everything(archive.parent)
    with pytest.raises(BadInput) as error:
        unpack(archive, into)
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert str(word) in message
    assert [name for name in everything(archive.parent) if name != into.name] == [n for n in before if n != into.name]


@each
def test_what_is_packed_is_unpacked(tmp_path, kind):
    archive = MAKERS[kind](tmp_path / f"archive.{kind}")
    new = unpack(archive, tmp_path / "data")
    assert new == [tmp_path / "data" / "Größe 大小 حجم 🙂.txt", tmp_path / "data" / "set"]
    for name, content in FILES.items():
        assert (tmp_path / "data" / name).read_bytes() == content
    assert len(everything(tmp_path / "data")) == 5


@each
@pytest.mark.parametrize(
    "name",
    ["/tmp/evil", "../evil", "set/../../evil", "C:\\evil", "\\evil", "..\\evil", "set\\..\\evil", "//host/share/evil"],
)
def test_a_name_that_leads_out_is_refused(tmp_path, kind, name):
    archive = MAKERS[kind](tmp_path / f"archive.{kind}", {"set/a.txt": b"a", name: b"evil"})
    refused(archive, tmp_path / "data", archive, "evil", "outside")


@pytest.mark.parametrize("target", ["a.txt", "/etc/passwd", "../../x"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_of_a_tar_are_refused(tmp_path, kind, target):
    archive = make_tar(tmp_path / "archive.tar", {"set/link": b""}, type=kind, linkname=target)
    refused(archive, tmp_path / "data", archive, "set/link", "link or a device")


def test_links_of_a_zip_are_refused(tmp_path):
    mode = (stat.S_IFLNK | 0o777) << 16
    archive = make_zip(tmp_path / "archive.zip", {"set/link": b"/etc/passwd"}, create_system=3, external_attr=mode)
    refused(archive, tmp_path / "data", archive, "set/link", "link or a device")


def test_a_link_and_a_file_below_it_write_nothing_elsewhere(tmp_path):
    (tmp_path / "victim").mkdir()
    with tarfile.open(tmp_path / "archive.tar", "w") as archive:
        link = tarfile.TarInfo("door")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "victim")
        archive.addfile(link)
        through = tarfile.TarInfo("door/evil")
        through.size = 4
        archive.addfile(through, io.BytesIO(b"evil"))
    refused(tmp_path / "archive.tar", tmp_path / "data", "door")
    assert not list((tmp_path / "victim").iterdir())


@each
def test_an_archive_cut_off_leaves_nothing(tmp_path, kind):
    files = {f"set/{k}.bin": bytes(range(256)) * 40 for k in range(3)}
    archive = MAKERS[kind](tmp_path / f"archive.{kind}", files)
    content = archive.read_bytes()
    for part in (0.5, 0.05):
        archive.write_bytes(content[: int(len(content) * part)])
        refused(archive, tmp_path / "data", archive)


def test_a_damaged_member_leaves_nothing(tmp_path):
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as zipped:
        zipped.writestr("good.txt", b"good")
        zipped.writestr("bad.txt", b"x" * 1000)
    archive.write_bytes(archive.read_bytes().replace(b"x" * 1000, b"y" * 1000))
    refused(archive, tmp_path / "data", "CRC", "bad.txt")


def test_an_encrypted_zip_is_refused(tmp_path):
    archive = make_zip(tmp_path / "archive.zip", {"a.txt": b"a" * 50})
    content = bytearray(archive.read_bytes())
    content[6] |= 1  # of the member's own header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # of the list at the end
    archive.write_bytes(content)
    refused(archive, tmp_path / "data", "encrypted")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04", b"\x1f\x8b"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "archive.zip").write_bytes(content)
    refused(tmp_path / "archive.zip", tmp_path / "data", tmp_path / "archive.zip")


def test_a_missing_archive_is_refused(tmp_path):
    refused(tmp_path / "archive.zip", tmp_path / "data", "archive.zip is missing")


def test_what_is_there_is_not_replaced(tmp_path):
    (tmp_path / "data" / "set").mkdir(parents=True)
    (tmp_path / "data" / "set" / "mine.txt").write_text("mine")
    refused(make_zip(tmp_path / "archive.zip"), tmp_path / "data", tmp_path / "data" / "set", "there already")
    assert everything(tmp_path / "data") == ["set", "set/mine.txt"]


def test_more_than_the_disk_holds_is_refused(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10_000, 9_000, 1_000))
    refused(make_zip(tmp_path / "archive.zip"), tmp_path / "data", "5,001 bytes or more", "1,000 left")


@each
def test_more_files_or_bytes_than_any_set_has_are_refused(tmp_path, monkeypatch, kind):
    archive = MAKERS[kind](tmp_path / f"archive.{kind}")
    monkeypatch.setattr(_archives, "MOST", 2)
    refused(archive, tmp_path / "data", "more than 2 files and folders")
    monkeypatch.setattr(_archives, "LARGEST", 4_000)
    refused(archive, tmp_path / "data", "5,001 bytes or more, and wanted at most 4,000")


def test_a_large_member_is_refused_before_it_is_decompressed(tmp_path):
    """Its header says how large it is; ten terabytes would take hours to skip."""
    header = tarfile.TarInfo("set/zeros.bin")
    header.size = 10 * 2**40
    (tmp_path / "archive.tar.gz").write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(10_000)))
    refused(tmp_path / "archive.tar.gz", tmp_path / "data", "it needs 10,995,116,277,760 bytes or more")


def test_a_tar_that_ends_with_a_zip_is_a_tar(tmp_path):
    inner = make_zip(tmp_path / "inner.zip").read_bytes()
    unpack(make_tar(tmp_path / "archive.tar", {"set/inner.zip": inner}), tmp_path / "data")
    assert (tmp_path / "data" / "set" / "inner.zip").read_bytes() == inner


def test_an_archive_that_was_stopped_leaves_nothing(tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    archive = make_zip(tmp_path / "archive.zip")
    monkeypatch.setattr(zipfile.ZipFile, "extractall", stopped)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path / "data")
    assert everything(tmp_path / "data") == []


@pytest.mark.parametrize("name", ["a/b.txt", "a..b/c", "...", "Größe/1.png", "a b/c", "train/.hidden"])
def test_names_within_are_let_pass(name):
    assert not leads_out(name)
