"""The walk through folders of images, and what a file says of itself."""

import os

import pytest
from pictures import save

from benchmark.contract import BadInput
from benchmark.contract.files import files_below, header, image_size, images_below


def test_images_are_found_by_their_endings_in_the_order_of_their_names(tmp_path):
    names = ["b.PNG", "a.jpeg", "inner/c.Tif", "Größe.webp", "大小.png", "حجم.png", "🙂.gif", "with blanks.bmp"]
    for name in [*names, "notes.txt", "no_ending", "data.npy"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert images_below(tmp_path) == sorted(tmp_path / name for name in names)
    assert len(files_below(tmp_path)) == len(names) + 3


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.png",
        "._a.png",
        ".ipynb_checkpoints/a.png",
        "__MACOSX/a.png",
        "@eaDir/a.png",
        "Thumbs.db",
        ".DS_Store",
        "desktop.ini",
    ],
)
def test_hidden_files_and_what_systems_leave_are_none(tmp_path, name):
    save(tmp_path / "a.png", 0)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert files_below(tmp_path) == [tmp_path / "a.png"]


def test_links_are_followed_and_circles_end(tmp_path):
    save(tmp_path / "elsewhere" / "a.png", 0)
    save(tmp_path / "set" / "b.png", 1)
    (tmp_path / "set" / "folder").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "set" / "file.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    (tmp_path / "set" / "circle").symlink_to(tmp_path / "set", target_is_directory=True)
    assert images_below(tmp_path / "set") == [tmp_path / "set" / name for name in ("b.png", "file.png", "folder/a.png")]


def test_a_link_that_leads_nowhere_is_missed(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    assert images_below(tmp_path) == [tmp_path / "a.png"]


def test_a_name_that_is_no_text_is_refused(tmp_path):
    with open(os.fsencode(tmp_path) + b"/Gr\xf6\xdfe.png", "wb"):  # noqa: PTH123 - a Path would need a text
        pass
    with pytest.raises(BadInput, match=r"no valid text; wanted UTF-8") as error:
        files_below(tmp_path)
    str(error.value).encode()


def test_a_folder_that_is_missing_is_refused(tmp_path):
    with pytest.raises(BadInput, match="gone cannot be read"):
        files_below(tmp_path / "gone")


def test_the_header_of_an_image_is_read_without_its_pixels(tmp_path):
    path = save(tmp_path / "a.png", 0, 64, 32, 1)
    path.write_bytes(path.read_bytes()[:200])
    assert header(path) == ((32, 64), "L")
    assert image_size(path) == (32, 64)
    path.write_bytes(b"")
    with pytest.raises(BadInput, match=r"a\.png cannot be decoded"):
        header(path)
