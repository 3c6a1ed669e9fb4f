"""Images of more than 8 bits: their true range is read, given, or asked for; none is ruined in silence."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import save_small_model, translate
from PIL import Image as Pillow
from PIL import TiffImagePlugin

from aggan.data.cache import decode_domain
from aggan.data.folders import DataConfig, Domain, list_images
from aggan.errors import UserError
from aggan.images.decode import Unreadable, decode, read
from aggan.images.file import read_image_file
from aggan.images.sixteen_bit import SixteenBit, contract, expand, read_16bit, write_16bit
from aggan.methods.pretrained import CONFIG, read_card

HEIGHT, WIDTH = 16, 24
GREY, GREY_ALPHA, RGB, RGBA = 1, 2, 3, 4


def ramp(channels: int, bits: int) -> np.ndarray:
    """Values from 0 to the largest of `bits` bits."""
    values = np.linspace(0, 2**bits - 1, HEIGHT * WIDTH * channels).round().astype(np.uint16)
    return values.reshape(HEIGHT, WIDTH, channels)


def write(file: Path, pixels: np.ndarray) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_16bit(file, pixels, {".png": "PNG", ".tif": "TIFF"}[file.suffix], {})
    return file


def stored(file: Path) -> np.ndarray:
    with Pillow.open(file) as image:
        deep = read_16bit(file, image)
    assert isinstance(deep, SixteenBit)
    return deep.channels


def domain_of(folder: Path, bits: int | None = None) -> Domain:
    return Domain("x", folder, list_images(folder), bits=bits)


def pixels_of(domain: Domain) -> np.ndarray:
    return np.array(decode_domain(domain, HEIGHT, True, pytest.fail).pixels)


# --- training ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("channels", [GREY, RGB])
def test_images_that_use_fewer_than_16_bits_are_refused_with_the_option_that_sets_them(tmp_path, bits, channels):
    for number in range(2):
        write(tmp_path / f"{number}.png", ramp(channels, bits))
    with pytest.raises(
        UserError, match=rf"^domain x: none of its 16-bit .* --data\.bits {bits}, or --data\.bits 16 if"
    ):
        pixels_of(domain_of(tmp_path))


def test_they_are_refused_again_if_they_are_cached(tmp_path):
    for number in range(2):
        write(tmp_path / f"{number}.png", ramp(GREY, 12))
    for _ in range(2):
        with pytest.raises(UserError, match=r"no.* above 4095, .* --data\.bits 12"):
            pixels_of(domain_of(tmp_path))


@pytest.mark.parametrize(("bits", "channels", "suffix"), [*product([10, 12, 14, 16], [GREY, RGB], [".png", ".tif"])])
def test_with_their_bits_they_use_the_whole_range_of_8(tmp_path, bits, channels, suffix):
    for number in range(2):
        write(tmp_path / f"{number}{suffix}", ramp(channels, bits))
    assert pixels_of(domain_of(tmp_path, bits)).max() > 240
    exact = np.array(decode(tmp_path / f"0{suffix}", bits).image)
    expected = (ramp(channels, bits) / (2**bits - 1) * 255).round()
    assert np.abs(exact - expected).max() <= 1
    assert (exact.min(), exact.max()) == (0, 255)


def test_a_dark_set_of_16_bits_is_accepted_if_it_is_called_that(tmp_path):
    for number in range(2):
        write(tmp_path / f"{number}.png", ramp(GREY, 13))
    assert pixels_of(domain_of(tmp_path, 16)).max() == 32


def test_one_bright_image_shows_that_a_set_uses_all_bits(tmp_path):
    write(tmp_path / "dark.png", ramp(GREY, 12))
    write(tmp_path / "bright.png", ramp(GREY, 16))
    assert pixels_of(domain_of(tmp_path)).max() > 240


def test_images_of_8_bits_and_of_8_bits_in_16_need_no_option(tmp_path):
    Pillow.fromarray(np.full((HEIGHT, WIDTH), 200, np.uint8)).save(tmp_path / "a.png")
    write(tmp_path / "b.png", np.full((HEIGHT, WIDTH, 1), 200, np.uint16))
    assert (pixels_of(domain_of(tmp_path)) == 200).all()


def test_values_beyond_the_bits_make_an_image_unreadable(tmp_path):
    for number in range(2):
        write(tmp_path / f"{number}.png", ramp(RGB, 12))
    write(tmp_path / "2.png", ramp(RGB, 16))
    failures: list[str] = []
    assert len(decode_domain(domain_of(tmp_path, 12), 8, False, failures.append)) == 2
    assert failures == [f"{tmp_path / '2.png'}: it has values up to 65535, more than 12 bits hold"]


def test_data_settings_limit_the_bits():
    assert DataConfig().bits is None
    for bits in (7, 17):
        with pytest.raises(ValueError, match="bits"):
            DataConfig(bits=bits)


# --- other kinds of deep files ----------------------------------------------------------------------


def tiff(file: Path, data: bytes, tags: dict[int, object]) -> Path:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    usual = {256: WIDTH, 257: HEIGHT, 259: 1, 262: 1, 273: 0, 277: 1, 278: HEIGHT, 279: len(data)}
    for tag, value in (usual | tags).items():
        directory[tag] = value
    with file.open("wb") as stream:
        directory.save(stream)
        stream.write(data)
    return file


def packed(values: np.ndarray) -> bytes:
    """Values of 12 bits, two in three bytes."""
    first, second = values.reshape(-1, 2).astype(np.uint32).T
    return np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1).astype(np.uint8).tobytes()


def test_a_tiff_that_tells_its_12_bits_is_read_by_them(tmp_path):
    file = tiff(tmp_path / "a.tif", packed(ramp(GREY, 12)), {258: 12})
    image = np.array(read(file))
    assert (image.min(), image.max()) == (0, 255)
    assert np.array_equal(read_image_file(file).pixels[..., :1], expand(ramp(GREY, 12), 12))


def test_16bit_greys_whose_white_is_zero_are_not_inverted_in_training(tmp_path):
    file = tiff(tmp_path / "a.tif", (65535 - ramp(GREY, 16)).tobytes(), {258: 16, 262: 0})
    assert np.array_equal(np.array(read(file))[..., :1], ((ramp(GREY, 16).astype(int) + 128) // 257))


def test_12bit_greys_whose_white_is_zero_are_not_inverted(tmp_path):
    file = tiff(tmp_path / "a.tif", (4095 - ramp(GREY, 12)).tobytes(), {258: 16, 262: 0})
    image = np.array(read(file, 12))
    assert (image[0, 0, 0], image[-1, -1, 0]) == (0, 255)


def test_a_pgm_that_tells_its_range_is_read_by_it(tmp_path):
    values = ramp(GREY, 12).astype(">u2").tobytes()
    (tmp_path / "a.pgm").write_bytes(f"P5 {WIDTH} {HEIGHT} 4095\n".encode() + values)
    assert np.array(read(tmp_path / "a.pgm")).max() == 255


FLOATS = {"I": np.int32, "F": np.float32}


@pytest.mark.parametrize("dtype", FLOATS.values(), ids=FLOATS)
def test_greys_of_32_bits_follow_the_same_rules(tmp_path, dtype):
    file = tmp_path / "a.tif"
    Pillow.fromarray(ramp(GREY, 12)[..., 0].astype(dtype)).save(file)
    with pytest.raises(Unreadable, match="its range is unclear"):
        read(file)
    assert np.array(read(file, 12)).max() == 255
    Pillow.fromarray(ramp(GREY, 16)[..., 0].astype(dtype)).save(file)
    assert np.array(read(file)).max() == 255
    Pillow.fromarray(ramp(GREY, 16)[..., 0].astype(dtype) * 2).save(file)
    with pytest.raises(Unreadable, match="it has values up to 131070, more than 16 bits hold"):
        read(file)


def test_colours_of_8_bits_in_16_are_not_black(tmp_path):
    file = write(tmp_path / "a.png", ramp(RGB, 8))
    with pytest.raises(Unreadable, match="no value above 255"):
        read(file)
    assert np.array_equal(np.array(read(file, 8)), ramp(RGB, 8))


def test_a_black_image_of_16_bits_is_black(tmp_path):
    for channels in (GREY, RGB):
        assert not np.array(read(write(tmp_path / "a.png", np.zeros((8, 8, channels), np.uint16)))).any()


def test_alpha_of_few_bits_is_scaled_too(tmp_path):
    opaque = ramp(RGBA, 12)
    opaque[..., 3] = 4095
    image = np.array(read(write(tmp_path / "a.png", opaque), 12))
    assert np.abs(image - opaque[..., :3] / 4095 * 255).max() <= 1


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_turned_image_of_few_bits_is_upright(tmp_path, orientation, suffix):
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    for bits in (12, 16):
        file = tmp_path / f"{bits}{suffix}"
        write_16bit(file, ramp(RGB, bits), {".png": "PNG", ".tif": "TIFF"}[suffix], {"exif": exif})
    few, all_bits = np.array(read(tmp_path / f"12{suffix}", 12)), np.array(read(tmp_path / f"16{suffix}"))
    assert few.shape == all_bits.shape
    assert np.abs(few.astype(int) - all_bits).max() <= 1
    assert np.array_equal(few, read_image_file(tmp_path / f"12{suffix}", 12).rgb8)


@pytest.mark.parametrize("bits", range(8, 17))
def test_every_value_survives_scaling_to_16_bits_and_back(bits):
    values = np.arange(2**bits, dtype=np.uint16)
    assert expand(values, bits)[-1] == 65535
    assert np.array_equal(contract(expand(values, bits), bits), values)


# --- translation ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "channels"), [*product([".png", ".tif"], [GREY, RGB, RGBA])])
def test_a_translation_keeps_the_range_and_every_value_outside_the_mask(tmp_path, small, suffix, channels):
    model = save_small_model(tmp_path / "model", small, mask_bias=-100)
    source = write(tmp_path / f"a{suffix}", ramp(channels, 12))
    assert translate(model, source, out=tmp_path / "out", more=("--bits", "12")) == 0
    assert np.array_equal(stored(tmp_path / "out" / f"a{suffix}"), ramp(channels, 12))


def test_a_translation_of_few_bits_is_as_bright_as_its_source(tmp_path, small):
    model = save_small_model(tmp_path / "model", small, mask_bias=100)
    for bits in (12, 16):
        write(tmp_path / f"{bits}.png", ramp(RGB, bits))
        assert translate(model, tmp_path / f"{bits}.png", out=tmp_path / "out", more=("--bits", str(bits))) == 0
    few, all_bits = (stored(tmp_path / "out" / f"{bits}.png") for bits in (12, 16))
    assert few.max() <= 4095
    assert np.abs(few / 4095 - all_bits / 65535).max() < 0.01


def test_the_bits_of_the_training_images_are_those_of_a_translation(tmp_path, small):
    model = save_small_model(tmp_path / "model", small, mask_bias=-100)
    card = json.loads((model / CONFIG).read_text())
    (model / CONFIG).write_text(json.dumps(card | {"bits": 12}))
    assert read_card(model / CONFIG).bits == 12
    source = write(tmp_path / "a.png", ramp(RGB, 12))
    assert translate(model, source, out=tmp_path / "out") == 0
    assert np.array_equal(stored(tmp_path / "out" / "a.png"), ramp(RGB, 12))


def test_a_single_image_of_unclear_range_is_skipped_with_the_option_that_sets_it(tmp_path, model, capsys):
    source = write(tmp_path / "a.png", ramp(RGB, 12))
    assert translate(model, source, out=tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert "a.png: it has 16 bits per channel, but no value above 4095, so its range is unclear: name them" in error
    assert "--bits 12, or 16 if it is only dark" in error
    assert not (tmp_path / "out" / "a.png").exists()


@pytest.mark.parametrize("bits", ["7", "17"])
def test_impossible_bits_are_refused(tmp_path, model, bits, capsys):
    assert translate(model, tmp_path, out=tmp_path / "out", more=("--bits", bits)) == 2
    assert f"--bits must be between 8 and 16, not {bits}" in capsys.readouterr().err
