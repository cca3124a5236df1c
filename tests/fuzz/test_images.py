"""Image files, folders and tables of them: damaged headers, sizes that lie, rows and names that lead elsewhere."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
from hostile import NASTY, NUMBERS, Answer, Sandbox, cases, damaged, hold, misspelt, outcome
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from PIL import Image

from benchmark.contract.files import header
from benchmark.contract.images import FORMATS, decode_one, without_warnings
from benchmark.contract.text import has_controls

SIDE = 12
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (SIDE + 5, SIDE, 3), dtype=np.uint8)
TURNED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"


def encoded(kind: str, mode: str, pixels: np.ndarray = PIXELS, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture = Image.fromarray(pixels)
    (picture.convert("I").convert(mode) if mode.startswith("I") else picture.convert(mode)).save(buffer, kind, **options)
    return buffer.getvalue()


FILES = [
    *(encoded("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    encoded("PNG", "P", transparency=bytes(range(256))),
    encoded("PNG", "RGB", exif=TURNED),
    *(encoded("JPEG", mode, progressive=progressive) for mode in ("L", "RGB", "CMYK") for progressive in (False, True)),
    *(encoded("GIF", mode) for mode in ("1", "L", "P")),
    encoded("GIF", "P", save_all=True, append_images=[Image.fromarray(PIXELS[::-1]).convert("P")] * 3),
    *(encoded("BMP", mode) for mode in ("1", "L", "P", "RGB", "RGBA")),
    *(encoded("TIFF", mode) for mode in ("L", "RGB", "CMYK", "F")),
    *(encoded("TIFF", "RGB", compression=packing) for packing in ("tiff_lzw", "tiff_deflate", "jpeg")),
    encoded("TIFF", "1", compression="group4"),
    *(encoded("PPM", mode) for mode in ("1", "L", "RGB")),
    *(encoded("WEBP", mode, lossless=lossless) for mode in ("RGB", "RGBA") for lossless in (False, True)),
]
"""Every format that is read, in the modes that it has."""


def sized(content: bytes, width: int, height: int) -> bytes:
    """A PNG, BMP or GIF that claims another size, and is sound but for that; others as they are."""
    spoilt = bytearray(content)
    if content.startswith(b"\x89PNG"):
        spoilt[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        spoilt[29:33] = zlib.crc32(spoilt[12:29]).to_bytes(4, "big")
    elif content.startswith(b"BM"):
        spoilt[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    elif content.startswith(b"GIF"):
        spoilt[6:10] = (width & 0xFFFF).to_bytes(2, "little") + (height & 0xFFFF).to_bytes(2, "little")
    return bytes(spoilt)


def resummed(content: bytes) -> bytes:
    """A PNG whose chunks have the right checksums, as far as it has chunks."""
    whole, place = bytearray(content), 8
    while place + 12 <= len(whole):
        end = place + 8 + int.from_bytes(whole[place : place + 4], "big")
        if end + 4 > len(whole):
            break
        whole[end : end + 4] = zlib.crc32(whole[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
    return bytes(whole)


@st.composite
def pictures(draw: DrawFn) -> bytes:
    """An image file with damaged bytes, or with a size that it has not."""
    content = draw(st.sampled_from(FILES))
    if draw(st.integers(0, 3)) == 0:
        sizes = st.sampled_from([n for n in NUMBERS if 0 < n < 2**31]) | st.integers(1, 20_000)
        return sized(content, draw(sizes), draw(sizes))
    if content.startswith(b"\x89PNG") and draw(st.booleans()):
        return resummed(draw(damaged(content)))
    return draw(damaged(content, most=2))


def test_every_format_is_among_the_files():
    kinds = set()
    for content in FILES:
        with Image.open(io.BytesIO(content)) as image:
            kinds.add(image.format)
    assert kinds == set(FORMATS)


@cases(80, 2500)
def test_image_files(tmp_path: Path, examples: int):
    """Whatever a file holds, it is an image of the wanted shape or refused by name."""

    def case(content: bytes, channels: int) -> str:
        with Sandbox.below(tmp_path) as sandbox:
            file = sandbox.file("a.png", content)
            with sandbox.watched(), without_warnings():
                about, refused_first = outcome(lambda: header(file))
                image, refused = outcome(lambda: decode_one(file, SIDE, channels))
            for refusal in filter(None, (refused_first, refused)):
                assert refusal.startswith(f"{file} cannot be decoded")
            if image is None:
                return "refused" if about is None else "deep: refused when it was decoded"
            assert (image.shape, image.dtype) == ((SIDE, SIDE, channels), np.uint8)
            assert about is not None
            return "deep: decoded"

    hold(case, examples, deep=0.3, content=pictures(), channels=st.sampled_from((1, 3)))


def far(answer: Answer, word: str) -> str:
    """How far a sweep came; `word` is in a refusal of what is read late."""
    return "deep: planned" if answer.status == 0 else "deep: refused" if word in answer.err else "refused"


def set_of(sandbox: Sandbox) -> Path:
    """A folder of images of one's own, five in each of two classes."""
    for k in range(10):
        sandbox.file(f"in/{'ab'[k % 2]}/{k}.png", encoded("PNG", "L", RNG.integers(0, 256, (8, 8), dtype=np.uint8)))
    return sandbox.root / "in"


@cases(8, 200)
def test_folders_with_a_damaged_image_or_a_strange_name(tmp_path: Path, examples: int):
    common = ("--dataset", "folder", "--methods", "ce", "--noise", "20", "--dry-run")

    def case(content: bytes, name: str) -> str:
        with Sandbox.below(tmp_path) as sandbox:
            root = set_of(sandbox)
            try:
                sandbox.file(f"in/{name}.png", content)
            except (OSError, ValueError):  # no file can be called that
                return "no name of a file"
            found = sandbox.call("data", "check", "folder", "--data-root", root)
            answer = sandbox.call("run", *common, "--data-root", root, "--out", sandbox.out)
            assert not sandbox.out.exists()
            assert found.status < 2 or answer.status == 2
            return far(answer, "cannot be decoded")

    names = [name for name in NASTY if ".." not in name]
    with_controls = [f"a/{name}" for name in names if has_controls(name) and name not in ("\x00", "\ud800")]
    within = st.just("b/x") | st.sampled_from(with_controls) | st.sampled_from([*names, *(f"a/{name}" for name in names)])
    hold(case, examples, deep=0.3, content=pictures() | st.sampled_from((FILES[1], b"no image")), name=within)


TABLE = "path,label,split,votes\n" + "".join(
    f"{'ab'[k % 2]}/{k}.png,{'ab'[k % 2]},{'test' if k > 6 else 'train'},{3 - k % 3} {k % 3}\n" for k in range(10)
)


@st.composite
def tables(draw: DrawFn) -> bytes:
    """A table of images with a path that leads elsewhere, a strange label, or misspelt, or damaged."""
    fault = draw(st.integers(0, 3))
    if fault == 0:
        text = TABLE.replace("a/2.png", draw(st.just("../outside.png") | st.sampled_from(NASTY)))
    elif fault == 1:
        text = TABLE.replace(",b,", f",{draw(st.sampled_from(NASTY))},")
    elif fault == 2:
        return draw(damaged(TABLE.encode(), most=2))
    else:
        text = draw(misspelt(TABLE if draw(st.booleans()) else TABLE.replace(",", draw(st.sampled_from(";\t|")))))
    return text.encode("utf-8", "surrogatepass")


@cases(10, 300)
def test_tables_of_images(tmp_path: Path, examples: int):
    common = ("--dataset", "csv", "--methods", "ce", "--noise", "20", "--dry-run")

    def case(content: bytes) -> str:
        with Sandbox.below(tmp_path) as sandbox:
            root = set_of(sandbox)
            sandbox.file("in/labels.csv", content)
            sandbox.file("outside.png", FILES[1])
            found = sandbox.call("data", "check", "csv", "--data-root", root)
            assert "outside.png" not in found.out or "lies outside" in found.out
            answer = sandbox.call("run", *common, "--data-root", root, "--out", sandbox.out)
            assert not sandbox.out.exists()
            assert answer.status == 2 or "outside.png" not in content.decode()
            return far(answer, ", line ")

    hold(case, examples, deep=0.25, content=tables())
