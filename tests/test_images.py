"""Image files of every mode become upright RGB of the right values; unreadable files are refused by name."""

import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image as Pillow

from aggan.images import opening
from aggan.images.convert import Unreadable, read, square, to_pixels, to_tensor
from aggan.images.file import read_image_file
from aggan.images.sixteen_bit import write_16bit

RED, GREEN, DARK = (255, 0, 0), (0, 255, 0), (10, 20, 30)
COLOURS = np.array([[RED, GREEN, DARK]], np.uint8)
GREYS = np.array([[0, 128, 255]], np.uint8)
GREYS_16BIT = np.array([[0, 128 * 257, 65535]], np.uint16)
ALPHA = Pillow.fromarray(np.array([[255, 0, 128]], np.uint8))

RGB = [RED, GREEN, DARK]
ONE_TRANSPARENT = [RED, (255, 255, 255), DARK]
# opaque, transparent, and 128/255 of the colour over 127/255 of white
WITH_ALPHA = [RED, (255, 255, 255), (132, 137, 142)]
GREY = [(0, 0, 0), (128, 128, 128), (255, 255, 255)]


def palette() -> Pillow.Image:
    image = Pillow.new("P", (3, 1))
    image.putpalette([*RED, *GREEN, *DARK])
    image.putdata([0, 1, 2])
    return image


def big_endian() -> Pillow.Image:
    return Pillow.frombytes("I;16B", (3, 1), GREYS_16BIT.astype(">u2").tobytes())


MODES = {
    "RGB": (Pillow.fromarray(COLOURS), "PNG", {}, RGB),
    "RGB with a transparent colour": (Pillow.fromarray(COLOURS), "PNG", {"transparency": GREEN}, ONE_TRANSPARENT),
    "RGBA": (Pillow.merge("RGBA", (*Pillow.fromarray(COLOURS).split(), ALPHA)), "PNG", {}, WITH_ALPHA),
    "L": (Pillow.fromarray(GREYS), "PNG", {}, GREY),
    "LA": (Pillow.merge("LA", (Pillow.fromarray(GREYS), ALPHA)), "PNG", {}, [(0, 0, 0), (255,) * 3, (255,) * 3]),
    "1": (
        Pillow.fromarray(GREYS).convert("1", dither=Pillow.Dither.NONE),
        "PNG",
        {},
        [(0,) * 3, (255,) * 3, (255,) * 3],
    ),
    "P": (palette(), "PNG", {}, RGB),
    "P with a transparent entry": (palette(), "PNG", {"transparency": 1}, ONE_TRANSPARENT),
    "P with an alpha per entry": (palette(), "PNG", {"transparency": bytes([255, 0, 128])}, WITH_ALPHA),
    "GIF with a transparent entry": (palette(), "GIF", {"transparency": 1}, ONE_TRANSPARENT),
    "CMYK": (Pillow.fromarray(COLOURS).convert("CMYK"), "TIFF", {}, RGB),
    "16-bit PNG": (Pillow.fromarray(GREYS_16BIT), "PNG", {}, GREY),
    "16-bit TIFF": (Pillow.fromarray(GREYS_16BIT), "TIFF", {}, GREY),
    "16-bit big-endian TIFF": (big_endian(), "TIFF", {}, GREY),
    "I of 16 bits": (Pillow.fromarray(GREYS_16BIT.astype(np.int32)), "TIFF", {}, GREY),
    "I of 8 bits": (Pillow.fromarray(GREYS.astype(np.int32)), "TIFF", {}, GREY),
    "F up to 1": (Pillow.fromarray(np.array([[0, 0.5, 1]], np.float32)), "TIFF", {}, GREY),
    "F up to 255": (Pillow.fromarray(GREYS.astype(np.float32)), "TIFF", {}, GREY),
    "F with NaN and infinity": (Pillow.fromarray(np.array([[np.nan, 128, np.inf]], np.float32)), "TIFF", {}, GREY),
}


@pytest.mark.parametrize(("image", "format", "options", "expected"), MODES.values(), ids=MODES.keys())
def test_every_mode_becomes_rgb_of_the_right_values(tmp_path, image, format, options, expected):
    file = tmp_path / "image"
    image.save(file, format, **options)
    rgb = read(file)
    assert (rgb.mode, rgb.size) == ("RGB", (3, 1))
    assert [tuple(pixel) for pixel in np.array(rgb)[0].tolist()] == expected


def test_the_exif_orientation_of_a_jpeg_is_applied(tmp_path):
    image = Pillow.new("RGB", (32, 16), "black")
    image.paste((255, 255, 255), (0, 0, 16, 16))
    exif = Pillow.Exif()
    exif[0x0112] = 6  # upright after turning by 90 degrees clockwise
    image.save(tmp_path / "a.jpg", exif=exif, quality=100)
    upright = np.array(read(tmp_path / "a.jpg"))
    assert upright.shape == (32, 16, 3)
    assert upright[:14].min() > 245
    assert upright[18:].max() < 10


def encoded(format: str) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Pillow.fromarray(noise).save(buffer, format)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_truncated_file_is_refused_by_name_and_reason(tmp_path, format, share):
    content, file = encoded(format), tmp_path / "cut.image"
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(Unreadable, match=r"cut\.image: (broken image \(.+\)|not an image)"):
        read(file)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"<svg/>", bytes(1000)])
def test_a_file_that_is_not_an_image_is_refused_by_name(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(Unreadable, match=r"a\.png: not an image$"):
        read(tmp_path / "a.png")


def test_a_missing_file_and_a_folder_are_reported_as_such(tmp_path):
    with pytest.raises(Unreadable, match=r"a\.png: no such file$"):
        read(tmp_path / "a.png")
    with pytest.raises(Unreadable, match=r"cannot be read \(Is a directory\)$"):
        read(tmp_path)


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    Pillow.new("1", (64, 64)).save(tmp_path / "a.png")
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(Unreadable, match=r"a\.png: too large an image \(.*4096 pixels"):
        read(tmp_path / "a.png")


def test_a_very_large_image_is_announced_in_one_sentence(tmp_path, monkeypatch, caplog, recwarn):
    Pillow.new("RGB", (2000, 1000), (9, 8, 7)).save(tmp_path / "a.png")
    write_16bit(tmp_path / "b.png", np.full((1000, 2000, 3), 40_000, np.uint16), "PNG", {})
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 1_500_000)
    assert read(tmp_path / "a.png").getpixel((0, 0)) == (9, 8, 7)
    assert read_image_file(tmp_path / "b.png").pixels.max() == 40_000
    sentences = [
        f"{tmp_path / name}: a very large image (2 megapixels), which takes much memory" for name in ("a.png", "b.png")
    ]
    assert [record.getMessage() for record in caplog.records] == sentences
    assert not recwarn.list


def test_the_sentence_about_a_large_image_is_one_line_on_a_terminal(tmp_path):
    Pillow.new("1", (64, 64)).save(tmp_path / "a.png")
    program = f"""
from pathlib import Path
from PIL import Image
from aggan.images.decode import read
Image.MAX_IMAGE_PIXELS = 3000
read(Path({str(tmp_path / "a.png")!r}))
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert process.stderr == f"{tmp_path / 'a.png'}: a very large image (0 megapixels), which takes much memory\n"


def heic(path: Path) -> Path:
    """A red image of 64 x 48 pixels; the extra `heic` cannot write one."""
    pytest.importorskip("pi_heif")
    shutil.copyfile(Path(__file__).with_name("red.heic"), path)
    return path


@pytest.mark.parametrize("name", ["a.heic", "a.HEIF", "a.jpg", "a"])
def test_heic_is_read_whatever_its_name(tmp_path, name):
    image = read(heic(tmp_path / name))
    assert image.size == (64, 48)
    assert np.abs(np.array(image).astype(int) - (200, 10, 10)).max() < 3
    assert read_image_file(tmp_path / name).pixels.shape == (48, 64, 3)


def test_without_its_extra_heic_is_refused_with_the_extra_that_reads_it(tmp_path, monkeypatch):
    file = heic(tmp_path / "a.jpg")
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    opening._register_heic.cache_clear()
    with pytest.raises(Unreadable, match=r"a\.jpg: reading HEIC images needs pi_heif, .* pip install '\.\[heic\]'"):
        read(file)


@pytest.mark.parametrize("size", [(24, 8), (8, 24)])
def test_square_keeps_the_centre(size):
    image = Pillow.new("RGB", size, "white")
    image.paste((9, 9, 9), ((size[0] - 8) // 2, (size[1] - 8) // 2, (size[0] + 8) // 2, (size[1] + 8) // 2))
    assert (square(image, 8) == 9).all()
    assert square(image, 16).shape == (16, 16, 3)


def test_all_256_values_survive_the_round_trip_through_a_tensor():
    values = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    tensor = to_tensor(values)
    assert (tensor.min(), tensor.max(), tensor.shape) == (-1, 1, (3, 16, 16))
    assert np.array_equal(to_pixels(tensor), values)


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, st.sampled_from([(1, 1, 3), (2, 5, 3), (2, 3, 4, 3), (0, 2, 2, 3)])))
def test_any_batch_survives_the_round_trip_through_a_tensor(pixels):
    assert np.array_equal(to_pixels(to_tensor(pixels)), pixels)


def test_values_outside_the_range_are_clamped_and_the_others_rounded():
    tensor = torch.tensor([-7.0, 7.0, 0.0]).reshape(3, 1, 1)
    assert to_pixels(tensor).tolist() == [[[0, 255, 128]]]  # 127.5 is rounded to the even neighbour
