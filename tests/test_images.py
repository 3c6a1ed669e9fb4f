"""Whatever Pillow reads becomes upright RGB of the right values, or is refused by name."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image as Pillow

from aggan.images.convert import Unreadable, read, square, to_pixels, to_tensor

RED, GREEN, DARK = (255, 0, 0), (0, 255, 0), (10, 20, 30)
COLOURS = np.array([[RED, GREEN, DARK]], np.uint8)
GREYS = np.array([[0, 128, 255]], np.uint8)
WORDS = np.array([[0, 128 * 257, 65535]], np.uint16)
ALPHA = Pillow.fromarray(np.array([[255, 0, 128]], np.uint8))

COLOURED = [RED, GREEN, DARK]
HOLED = [RED, (255, 255, 255), DARK]
# opaque, transparent, and 128/255 of the colour over 127/255 of white
VEILED = [RED, (255, 255, 255), (132, 137, 142)]
GREYED = [(0, 0, 0), (128, 128, 128), (255, 255, 255)]


def palette() -> Pillow.Image:
    image = Pillow.new("P", (3, 1))
    image.putpalette([*RED, *GREEN, *DARK])
    image.putdata([0, 1, 2])
    return image


def big_endian() -> Pillow.Image:
    return Pillow.frombytes("I;16B", (3, 1), WORDS.astype(">u2").tobytes())


MODES = {
    "RGB": (Pillow.fromarray(COLOURS), "PNG", {}, COLOURED),
    "RGB with a transparent colour": (Pillow.fromarray(COLOURS), "PNG", {"transparency": GREEN}, HOLED),
    "RGBA": (Pillow.merge("RGBA", (*Pillow.fromarray(COLOURS).split(), ALPHA)), "PNG", {}, VEILED),
    "L": (Pillow.fromarray(GREYS), "PNG", {}, GREYED),
    "LA": (Pillow.merge("LA", (Pillow.fromarray(GREYS), ALPHA)), "PNG", {}, [(0, 0, 0), (255,) * 3, (255,) * 3]),
    "1": (
        Pillow.fromarray(GREYS).convert("1", dither=Pillow.Dither.NONE),
        "PNG",
        {},
        [(0,) * 3, (255,) * 3, (255,) * 3],
    ),
    "P": (palette(), "PNG", {}, COLOURED),
    "P with a transparent entry": (palette(), "PNG", {"transparency": 1}, HOLED),
    "P with an alpha an entry": (palette(), "PNG", {"transparency": bytes([255, 0, 128])}, VEILED),
    "GIF with a transparent entry": (palette(), "GIF", {"transparency": 1}, HOLED),
    "CMYK": (Pillow.fromarray(COLOURS).convert("CMYK"), "TIFF", {}, COLOURED),
    "16-bit PNG": (Pillow.fromarray(WORDS), "PNG", {}, GREYED),
    "16-bit TIFF": (Pillow.fromarray(WORDS), "TIFF", {}, GREYED),
    "16-bit big-endian TIFF": (big_endian(), "TIFF", {}, GREYED),
    "I of 16 bits": (Pillow.fromarray(WORDS.astype(np.int32)), "TIFF", {}, GREYED),
    "I of 8 bits": (Pillow.fromarray(GREYS.astype(np.int32)), "TIFF", {}, GREYED),
    "F up to 1": (Pillow.fromarray(np.array([[0, 0.5, 1]], np.float32)), "TIFF", {}, GREYED),
    "F up to 255": (Pillow.fromarray(GREYS.astype(np.float32)), "TIFF", {}, GREYED),
    "F with a hole": (Pillow.fromarray(np.array([[np.nan, 128, np.inf]], np.float32)), "TIFF", {}, GREYED),
}


@pytest.mark.parametrize(("image", "kind", "options", "expected"), MODES.values(), ids=MODES.keys())
def test_every_mode_becomes_rgb_of_the_right_values(tmp_path, image, kind, options, expected):
    file = tmp_path / "picture"
    image.save(file, kind, **options)
    made = read(file)
    assert (made.mode, made.size) == ("RGB", (3, 1))
    assert [tuple(pixel) for pixel in np.array(made)[0].tolist()] == expected


def test_the_camera_of_a_jpeg_held_sideways_is_heeded(tmp_path):
    picture = Pillow.new("RGB", (32, 16), "black")
    picture.paste((255, 255, 255), (0, 0, 16, 16))
    exif = Pillow.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    picture.save(tmp_path / "a.jpg", exif=exif, quality=100)
    upright = np.array(read(tmp_path / "a.jpg"))
    assert upright.shape == (32, 16, 3)
    assert upright[:14].min() > 245
    assert upright[18:].max() < 10


def saved(kind: str) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Pillow.fromarray(noise).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_truncated_file_is_refused_by_name_and_reason(tmp_path, kind, share):
    whole, file = saved(kind), tmp_path / "cut.picture"
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(Unreadable, match=r"cut\.picture: (broken picture \(.+\)|not a picture)"):
        read(file)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"<svg/>", bytes(1000)])
def test_what_is_no_picture_is_refused_by_name(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(Unreadable, match=r"a\.png: not a picture$"):
        read(tmp_path / "a.png")


def test_a_missing_file_and_a_folder_are_called_what_they_are(tmp_path):
    with pytest.raises(Unreadable, match=r"a\.png: no such file$"):
        read(tmp_path / "a.png")
    with pytest.raises(Unreadable, match=r"cannot be read \(Is a directory\)$"):
        read(tmp_path)


def test_a_picture_too_large_to_be_meant_is_refused(tmp_path, monkeypatch):
    Pillow.new("1", (64, 64)).save(tmp_path / "a.png")
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(Unreadable, match=r"a\.png: too large a picture \(.*4096 pixels"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("size", [(24, 8), (8, 24)])
def test_square_keeps_the_middle(size):
    image = Pillow.new("RGB", size, "white")
    image.paste((9, 9, 9), ((size[0] - 8) // 2, (size[1] - 8) // 2, (size[0] + 8) // 2, (size[1] + 8) // 2))
    assert (square(image, 8) == 9).all()
    assert square(image, 16).shape == (16, 16, 3)


def test_all_256_values_survive_the_way_to_a_tensor_and_back():
    values = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    tensor = to_tensor(values)
    assert (tensor.min(), tensor.max(), tensor.shape) == (-1, 1, (3, 16, 16))
    assert np.array_equal(to_pixels(tensor), values)


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, st.sampled_from([(1, 1, 3), (2, 5, 3), (2, 3, 4, 3), (0, 2, 2, 3)])))
def test_any_batch_survives_the_way_to_a_tensor_and_back(pixels):
    assert np.array_equal(to_pixels(to_tensor(pixels)), pixels)


def test_what_lies_outside_the_range_is_clamped_and_the_rest_rounded():
    tensor = torch.tensor([-7.0, 7.0, 0.0]).reshape(3, 1, 1)
    assert to_pixels(tensor).tolist() == [[[0, 255, 128]]]  # 127.5 is rounded to the even neighbour
