"""Images from files: their orientation, colours, bits and crops, and every file that is none."""

import io
import os
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from benchmark.contract import BadInput, images
from benchmark.contract.files import header
from benchmark.contract.images import decode, decode_one, on_all_cores

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (12, 12, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (12, 12), dtype=np.uint8)


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def refused(path, *words, **options):
    """The file is refused with one line that names it and has all the words in it."""
    with pytest.raises(BadInput) as error:
        decode_one(path, **{"side": 12, "channels": 3, **options})
    message = str(error.value)
    assert "\n" not in message
    for word in (path, *words):
        assert str(word) in message


# What is decoded


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "ppm"])
def test_pixels_of_the_wanted_size_are_untouched(tmp_path, ending):
    assert np.array_equal(decode_one(save(tmp_path / f"a.{ending}", COLOUR), 12, 3), COLOUR)
    assert np.array_equal(decode_one(save(tmp_path / f"b.{ending}", GREY), 12, 1), GREY[..., None])


def test_grey_becomes_colour_and_colour_grey(tmp_path):
    grey_in_colour = decode_one(save(tmp_path / "a.png", GREY), 12, 3)
    assert np.array_equal(grey_in_colour, np.repeat(GREY[..., None], 3, axis=2))
    colour_in_grey = decode_one(save(tmp_path / "b.png", COLOUR), 12, 1)
    luminance = COLOUR @ [0.299, 0.587, 0.114]
    assert np.abs(colour_in_grey[..., 0] - luminance).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_gives_the_wanted_channels(tmp_path, mode, channels):
    Image.fromarray(COLOUR).convert(mode).save(tmp_path / "a.tif")
    image = decode_one(tmp_path / "a.tif", 12, channels)
    assert (image.shape, image.dtype) == ((12, 12, channels), np.uint8)


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path):
    Image.fromarray(COLOUR).convert("P").save(tmp_path / "a.png", transparency=bytes(range(256)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decode_one(tmp_path / "a.png", 12, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_s_note_on_rotation_is_followed(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(COLOUR).save(tmp_path / "a.png", exif=exif)
    wanted = {
        1: COLOUR,
        2: COLOUR[:, ::-1],
        3: COLOUR[::-1, ::-1],
        4: COLOUR[::-1],
        5: COLOUR.transpose(1, 0, 2),
        6: np.rot90(COLOUR, -1),
        7: COLOUR[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(COLOUR),
    }[orientation]
    assert np.array_equal(decode_one(tmp_path / "a.png", 12, 3), wanted)


def test_a_damaged_note_on_rotation_harms_no_image(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a.png", exif=b"Exif\x00\x00no such thing")
    assert np.array_equal(decode_one(tmp_path / "a.png", 12, 3), COLOUR)


def test_of_16_bits_the_higher_eight_are_kept(tmp_path):
    save(tmp_path / "a.png", GREY.astype(np.uint16) * 257)
    assert np.array_equal(decode_one(tmp_path / "a.png", 12, 1)[..., 0], GREY)
    assert np.array_equal(decode_one(tmp_path / "a.png", 12, 3)[..., 1], GREY)


def test_another_shape_covers_the_square_and_its_middle_is_taken(tmp_path):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = COLOUR[:10, :10]
    assert np.array_equal(decode_one(save(tmp_path / "a.png", wide), 10, 3), COLOUR[:10, :10])
    assert np.array_equal(
        decode_one(save(tmp_path / "b.png", wide.transpose(1, 0, 2)), 10, 3), COLOUR[:10, :10].transpose(1, 0, 2)
    )
    assert decode_one(save(tmp_path / "c.png", COLOUR[:1, :1]), 12, 3).shape == (12, 12, 3)


def test_scaling_is_pil_s(tmp_path):
    image = decode_one(save(tmp_path / "a.png", COLOUR), 5, 3)
    assert np.array_equal(image, ImageOps.fit(Image.fromarray(COLOUR), (5, 5), Image.Resampling.BILINEAR))


def test_a_box_is_cut_out(tmp_path):
    path = save(tmp_path / "a.png", COLOUR)
    assert np.array_equal(decode_one(path, 4, 3, (2, 5, 6, 9)), COLOUR[5:9, 2:6])


def test_a_box_larger_than_the_image_is_black_there(tmp_path):
    cut = decode_one(save(tmp_path / "a.png", COLOUR), 4, 3, (-2, 0, 2, 4))
    assert not cut[:, :2].any()
    assert np.array_equal(cut[:, 2:], COLOUR[:4, :2])


def test_a_box_is_cut_from_the_image_as_it_is_seen(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOUR).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(decode_one(tmp_path / "a.png", 4, 3, (0, 0, 4, 4)), np.rot90(COLOUR, -1)[:4, :4])


# Many of them


@pytest.fixture
def paths(tmp_path):
    names = ["Größe.png", "大小.png", "حجم.png", "🙂.png", "with blanks.png", "UPPER.PNG"]
    return [save(tmp_path / name, RNG.integers(0, 256, (20 + k, 30, 3), dtype=np.uint8)) for k, name in enumerate(names)]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_memory_mapped_result_is_that_in_memory(tmp_path, paths, channels):
    in_memory = decode(paths, 8, channels)
    mapped = decode(paths, 8, channels, into=tmp_path / "images.npy")
    assert isinstance(mapped, np.memmap)
    assert (in_memory.shape, in_memory.dtype) == ((6, 8, 8, channels), np.uint8)
    assert np.array_equal(in_memory, mapped)
    mapped.flush()
    assert np.array_equal(in_memory, np.load(tmp_path / "images.npy"))


def test_images_are_in_the_order_of_the_paths_with_their_own_boxes(paths):
    boxes = [(k, k, k + 8, k + 8) for k in range(6)]
    images = decode(paths, 8, 3, boxes)
    for image, path, box in zip(images, paths, boxes, strict=True):
        assert np.array_equal(image, decode_one(path, 8, 3, box))


def test_what_is_looked_at_on_all_cores_comes_in_order_and_the_first_error_ends_it():
    assert on_all_cores(lambda k: k * k, range(100)) == [k * k for k in range(100)]
    with pytest.raises(ZeroDivisionError):
        on_all_cores(lambda k: 1 // (k - 7), range(100))


def test_no_images_are_an_empty_array():
    assert decode([], 8, 3).shape == (0, 8, 8, 3)


def test_the_bad_one_among_many_is_named(paths):
    paths[3].write_bytes(b"")
    with pytest.raises(BadInput, match=r"🙂\.png cannot be decoded: it is no image of a known format"):
        decode(paths, 8, 3)


# Bad input


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_a_truncated_file_is_refused(tmp_path, kind, part):
    stream = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(stream, kind)
    content = stream.getvalue()
    path = tmp_path / "cut.jpg"
    path.write_bytes(content[: int(len(content) * part)])
    refused(path, "cannot be decoded")


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"<svg></svg>"])
def test_a_file_that_is_no_image_is_refused(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    refused(path, "cannot be decoded")


def test_a_missing_file_a_folder_and_a_pipe_are_refused(tmp_path):
    refused(tmp_path / "a.png", "is missing")
    refused(tmp_path / ("x" * 300), "is missing")
    refused(tmp_path, "cannot be decoded: it is no file")
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "cannot be decoded: it is no file")


@pytest.mark.parametrize("box", [(5, 5, 3, 9), (5, 5, 9, 5), (0, 0, 0, 0), (12, 0, 20, 8), (-8, -8, 0, 0)])
def test_a_box_without_pixels_is_refused(tmp_path, box):
    refused(save(tmp_path / "a.png", COLOUR), "box", "12x12", box=box)


def test_a_box_larger_than_any_memory_is_refused(tmp_path):
    box = (0, 0, 99_999, 99_999)
    refused(save(tmp_path / "a.png", COLOUR), f"the box {box} cannot be cut out: it has more than", box=box)


@pytest.mark.parametrize("value", [-1, 70_000])
def test_more_than_16_bits_are_refused(tmp_path, value):
    save(tmp_path / "a.tif", np.full((4, 4), value, np.int32))
    refused(tmp_path / "a.tif", value, "wanted 8 or 16 bits")


def test_fractions_are_refused(tmp_path):
    save(tmp_path / "a.tif", np.full((4, 4), 0.5, np.float32))
    refused(tmp_path / "a.tif", "fractions")


def png(width: int, height: int) -> bytes:
    """A PNG of one black pixel, whose header claims another size, with the right checksum."""
    stream = io.BytesIO()
    Image.new("L", (1, 1)).save(stream, "PNG")
    content = bytearray(stream.getvalue())
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (2**31 - 1, 1), (12_000, 12_000)])
def test_a_size_that_would_fill_the_memory_is_refused_by_the_header(tmp_path, width, height):
    (tmp_path / "a.png").write_bytes(png(width, height))
    refused(tmp_path / "a.png", "cannot be decoded", "pixel")


def test_a_size_that_a_file_does_not_hold_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(png(4_000, 3_000))
    refused(tmp_path / "a.png", "cannot be decoded")


def test_large_images_are_decoded_one_after_the_other(tmp_path, monkeypatch):
    """So that the memory they take does not grow with the cores."""
    monkeypatch.setattr(images, "MANY_PIXELS", 100)
    inside = []

    def load(image, real=PngImagePlugin.PngImageFile.load):
        inside.append(images._LARGE.locked())
        return real(image)

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    decode([save(tmp_path / f"{k}.png", COLOUR) for k in range(4)], 12, 3)
    assert inside[0]
    assert all(inside)
    assert not images._LARGE.locked()


@pytest.mark.parametrize("kind", ["EPS", "TGA", "ICO", "PCX", "SGI", "PDF"])
def test_what_a_file_is_decides_and_not_what_it_is_called(tmp_path, kind):
    """EPS is a program, which PIL would have another program run."""
    Image.fromarray(COLOUR).save(tmp_path / "a.png", kind)
    refused(tmp_path / "a.png", "it is no image of a known format")
    with pytest.raises(BadInput, match="no image of a known format"):
        header(tmp_path / "a.png")
