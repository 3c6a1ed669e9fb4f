"""Depth, transparency, colour profile and metadata of an image file survive a translation."""

import io
import struct
import zlib
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, ImageCms, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin
from PIL import Image as Pillow

from aggan.images.file import read_image_file
from aggan.images.opening import ReceivedFile
from aggan.images.sixteen_bit import read_16bit, write_16bit
from aggan.inference.compositing import MaskAndContent, composite

HEIGHT, WIDTH = 24, 40
MAKE, ORIENTATION, EXIF, TAKEN = 0x010F, 0x0112, 0x8769, 0x9003
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def noise(channels: int, dtype: type = np.uint8) -> np.ndarray:
    peak = np.iinfo(dtype).max
    return np.random.default_rng(0).integers(0, peak, (HEIGHT, WIDTH, channels), dtype, endpoint=True)


def smooth() -> Pillow.Image:
    small = Pillow.fromarray(np.random.default_rng(1).integers(60, 200, (3, 5, 3), np.uint8))
    return small.resize((WIDTH, HEIGHT), Pillow.Resampling.BICUBIC)


def camera(orientation: int = 1) -> Pillow.Exif:
    exif = Pillow.Exif()
    exif[MAKE] = "Camera"
    exif[ORIENTATION] = orientation
    exif.get_ifd(EXIF)[TAKEN] = "2020:02:02 20:20:20"
    return exif


def left_half_white(height: int, width: int) -> MaskAndContent:
    """A mask of 1 in the left half and nearly 0 in the right one; white content."""
    mask = torch.full((1, 1, height, width), 0.9 / 255)
    mask[..., : width // 2] = 1
    return MaskAndContent(mask, torch.ones(1, 3, height, width))


def translated(source: Path, target: Path) -> Path:
    image = read_image_file(source)
    pixels = composite(image.pixels, left_half_white(*image.pixels.shape[:2]))
    image.with_pixels(pixels).save(target)
    received = read_image_file(ReceivedFile(source.read_bytes()))
    assert np.array_equal(received.pixels, image.pixels)
    assert received.with_pixels(pixels).encode(target.suffix) == target.read_bytes()
    return target


def upright(file: Path) -> np.ndarray:
    with Pillow.open(file) as image:
        return np.array(ImageOps.exif_transpose(image))


def right_half_kept_left_white(before: np.ndarray, after: np.ndarray) -> bool:
    half = before.shape[1] // 2
    same = np.array_equal(before[:, half:], after[:, half:])
    return same and bool((after[:, :half, ..., :3] == np.iinfo(after.dtype).max).all())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_a_turned_image_is_translated_upright_and_stored_as_it_was(tmp_path, orientation, suffix):
    source = tmp_path / f"a{suffix}"
    Pillow.fromarray(noise(3)).save(source, exif=camera(orientation), lossless=True)
    output = translated(source, tmp_path / f"b{suffix}")
    assert right_half_kept_left_white(upright(source), upright(output))
    with Pillow.open(source) as before, Pillow.open(output) as after:
        assert after.size == before.size
        assert after.getexif().get(ORIENTATION, 1) == orientation


def test_a_turned_jpeg_keeps_its_orientation_and_becomes_an_upright_png(tmp_path):
    smooth().save(tmp_path / "a.jpg", exif=camera(6))
    for name in ("b.jpg", "b.png"):
        translated(tmp_path / "a.jpg", tmp_path / name)
    with Pillow.open(tmp_path / "b.jpg") as jpeg, Pillow.open(tmp_path / "b.png") as png:
        assert (jpeg.size, jpeg.getexif()[ORIENTATION]) == ((WIDTH, HEIGHT), 6)
        assert (png.size, png.getexif().get(ORIENTATION)) == ((HEIGHT, WIDTH), None)
    assert right_half_kept_left_white(upright(tmp_path / "a.jpg"), upright(tmp_path / "b.png"))


@pytest.mark.parametrize(("before", "after"), [("jpg", "jpg"), ("png", "png"), ("webp", "webp"), ("jpg", "png")])
def test_profile_and_metadata_survive(tmp_path, before, after):
    smooth().save(tmp_path / f"a.{before}", exif=camera(), icc_profile=PROFILE, dpi=(300, 300))
    with Pillow.open(translated(tmp_path / f"a.{before}", tmp_path / f"b.{after}")) as output:
        assert output.info["icc_profile"] == PROFILE
        assert output.getexif()[MAKE] == "Camera"
        assert output.getexif().get_ifd(EXIF)[TAKEN] == "2020:02:02 20:20:20"
        if after != "webp":
            assert np.allclose(output.info["dpi"], 300, atol=0.1)


def test_profile_and_metadata_survive_in_a_tiff(tmp_path):
    smooth().save(tmp_path / "a.tif", exif=camera(), icc_profile=PROFILE, dpi=(300, 300), compression="tiff_lzw")
    with Pillow.open(translated(tmp_path / "a.tif", tmp_path / "b.tif")) as output:
        assert (output.info["icc_profile"], output.info["compression"]) == (PROFILE, "tiff_lzw")
        assert (output.getexif()[MAKE], output.info["dpi"]) == ("Camera", (300, 300))


def with_thumbnail(exif: bytes) -> bytes:
    """Append a second directory, which points to a small JPEG."""
    head, tiff = exif[:6], bytearray(exif[6:])
    order = "<" if tiff[:2] == b"II" else ">"
    (first,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, first)
    struct.pack_into(f"{order}I", tiff, first + 2 + 12 * count, len(tiff))
    small = io.BytesIO()
    smooth().resize((8, 8)).save(small, "JPEG")
    offset = len(tiff) + 2 + 24 + 4
    directory = struct.pack(f"{order}HHHIIHHIII", 2, 0x201, 4, 1, offset, 0x202, 4, 1, len(small.getvalue()), 0)
    return head + bytes(tiff) + directory + small.getvalue()


def test_a_thumbnail_of_the_original_face_is_removed(tmp_path):
    smooth().save(tmp_path / "a.jpg", exif=with_thumbnail(camera().tobytes()))
    translated(tmp_path / "a.jpg", tmp_path / "b.jpg")
    with Pillow.open(tmp_path / "a.jpg") as before, Pillow.open(tmp_path / "b.jpg") as after:
        assert 0x201 in before.getexif().get_ifd(ExifTags.IFD.IFD1)
        assert not after.getexif().get_ifd(ExifTags.IFD.IFD1)
        assert after.getexif()[MAKE] == "Camera"


def exif_of(tag: int, type_: int, value: object) -> bytes:
    """EXIF data with an orientation, and a tag stored with a type that need not fit it."""
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for name, stored_as, content in ((ORIENTATION, 3, 6), (tag, type_, value)):
        directory.tagtype[name] = stored_as
        directory[name] = content
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory.tobytes(8)


RESOLUTION, RESOLUTION_UNIT, DESCRIPTION = 282, 296, 270
UNUSUAL = {
    "text in place of a number": (RESOLUTION, 2, "abc"),
    "too large a number": (RESOLUTION_UNIT, 4, 70_000),
    "more than a JPEG holds": (DESCRIPTION, 2, "long " * 20_000),
}


@pytest.mark.parametrize(("tag", "type_", "value"), UNUSUAL.values(), ids=UNUSUAL)
def test_only_the_orientation_survives_of_metadata_that_cannot_be_written_again(tmp_path, tag, type_, value):
    data, jpeg = exif_of(tag, type_, value)[6:], io.BytesIO()
    smooth().save(jpeg, "JPEG")
    segments = b""
    for start in range(0, len(data), 60_000):  # Pillow joins them
        part = b"Exif\0\0" + data[start : start + 60_000]
        segments += b"\xff\xe1" + struct.pack(">H", 2 + len(part)) + part
    (tmp_path / "a.jpg").write_bytes(jpeg.getvalue()[:2] + segments + jpeg.getvalue()[2:])
    with Pillow.open(translated(tmp_path / "a.jpg", tmp_path / "b.jpg")) as output:
        assert dict(output.getexif()) == {ORIENTATION: 6}


def test_long_metadata_survive_where_the_format_allows_it(tmp_path):
    exif = camera()
    exif[DESCRIPTION] = "long " * 20_000
    smooth().save(tmp_path / "a.png", exif=exif)
    with Pillow.open(translated(tmp_path / "a.png", tmp_path / "b.png")) as output:
        assert output.getexif()[DESCRIPTION] == exif[DESCRIPTION]


@pytest.mark.parametrize("depth", [8, 16])
def test_other_images_in_a_tiff_are_removed(tmp_path, depth):
    exif, others = camera(), {34377: b"8BIM with a thumbnail", 37724: b"layers", 330: 8}
    for tag, value in others.items():
        exif[tag] = value
    if depth == 16:
        write_16bit(tmp_path / "a.tif", noise(3, np.uint16), "TIFF", {"exif": exif})
    else:
        smooth().save(tmp_path / "a.tif", exif=exif)
    for name in ("b.tif", "b.png"):
        with (
            Pillow.open(tmp_path / "a.tif") as before,
            Pillow.open(translated(tmp_path / "a.tif", tmp_path / name)) as after,
        ):
            assert others.keys() <= set(before.getexif())
            assert not others.keys() & set(after.getexif())
            assert after.getexif()[MAKE] == "Camera"


XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"


@pytest.mark.parametrize(("before", "after"), [("jpg", "jpg"), ("jpg", "png"), ("png", "png"), ("webp", "png")])
def test_xmp_survives(tmp_path, before, after):
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
    smooth().save(tmp_path / f"a.{before}", xmp=XMP, pnginfo=text)
    with Pillow.open(translated(tmp_path / f"a.{before}", tmp_path / f"b.{after}")) as output:
        output.load()
        assert output.info["xmp"] == XMP


def test_xmp_survives_in_sixteen_bits(tmp_path):
    write_16bit(tmp_path / "a.png", noise(3, np.uint16), "PNG", {"xmp": XMP})
    with Pillow.open(translated(tmp_path / "a.png", tmp_path / "b.png")) as output:
        output.load()
        assert output.info["xmp"] == XMP
    assert read_16bit_file(tmp_path / "b.png").dtype == np.uint16


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [30, 75, 95])
def test_a_jpeg_keeps_its_tables_and_its_subsampling(tmp_path, quality, subsampling):
    smooth().save(tmp_path / "a.jpg", quality=quality, subsampling=subsampling, progressive=quality == 75)
    translated(tmp_path / "a.jpg", tmp_path / "b.jpg")
    with Pillow.open(tmp_path / "a.jpg") as before, Pillow.open(tmp_path / "b.jpg") as after:
        assert vars(after)["quantization"] == vars(before)["quantization"]
        assert JpegImagePlugin.get_sampling(after) == subsampling
        assert bool(after.info.get("progressive")) == (quality == 75)


@pytest.mark.parametrize(
    ("quality", "subsampling", "most", "mean"), [(80, 0, 1, 0.01), (80, 2, 1, 0.01), (95, 0, 3, 0.05), (95, 2, 5, 0.1)]
)
def test_encoding_a_jpeg_again_hardly_changes_blocks_outside_the_mask(tmp_path, quality, subsampling, most, mean):
    grain = np.random.default_rng(2).normal(0, 6 if quality == 95 else 0, (96, 160, 1))
    before = (np.array(smooth().resize((160, 96))) + grain).clip(0, 255).astype(np.uint8)
    Pillow.fromarray(before).save(tmp_path / "a.jpg", quality=quality, subsampling=subsampling)
    before, after = upright(tmp_path / "a.jpg"), upright(translated(tmp_path / "a.jpg", tmp_path / "b.jpg"))
    apart = np.abs(after[:, 112:].astype(int) - before[:, 112:])
    assert apart.max() <= most
    assert apart.mean() < mean


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_transparency_survives_and_fully_transparent_pixels_are_unchanged(tmp_path, suffix):
    before = noise(4)
    before[:4, :, 3] = 0
    Pillow.fromarray(before).save(tmp_path / f"a{suffix}", lossless=True, exact=True)
    after = upright(translated(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"))
    assert np.array_equal(after[..., 3], before[..., 3])
    assert np.array_equal(after[:4], before[:4])
    opaque = (before[..., 3] > 0)[:, : WIDTH // 2]
    assert (after[:, : WIDTH // 2, :3][opaque] == 255).all()


def test_a_model_sees_transparent_parts_on_white(tmp_path):
    before = noise(4)
    before[..., 3] = 0
    Pillow.fromarray(before).save(tmp_path / "a.png")
    assert (read_image_file(tmp_path / "a.png").rgb8 == 255).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_sixteen_bits_survive(tmp_path, channels, suffix, orientation):
    if (channels, suffix) == (2, ".tif"):
        pytest.skip("Pillow reads no such TIFF")
    before = noise(channels, np.uint16)
    if channels in (2, 4):
        before[..., -1] |= 1  # visible everywhere
    format = {".png": "PNG", ".tif": "TIFF"}[suffix]
    metadata = {} if orientation == 1 else {"exif": camera(orientation)}
    write_16bit(tmp_path / f"a{suffix}", before, format, metadata)
    output = translated(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    source, reread = read_image_file(tmp_path / f"a{suffix}"), read_image_file(output)
    assert reread.pixels.dtype == np.uint16
    assert (reread.orientation, reread.grey) == (orientation, channels < 3)
    assert right_half_kept_left_white(source.pixels, reread.pixels)
    if source.alpha is not None:
        assert reread.alpha is not None
        assert np.array_equal(reread.alpha, source.alpha)
    if orientation == 1:
        assert np.array_equal(source.pixels[..., 0], before[..., 0])


def read_16bit_file(file: Path) -> np.ndarray:
    with Pillow.open(file) as image:
        deep = read_16bit(file, image)
    assert deep is not None
    return deep.channels


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_16bit_greys_of_other_writers_are_read_exactly(tmp_path, compression):
    before = noise(1, np.uint16)
    Pillow.fromarray(before[..., 0]).save(tmp_path / "a.tif", compression=compression)
    assert np.array_equal(read_16bit_file(tmp_path / "a.tif"), before)


def test_big_endian_16bit_colours_are_read_exactly(tmp_path):
    before = noise(3, np.uint16)
    write_16bit(tmp_path / "a.tif", before, "TIFF", {})
    plain = tmp_path / "b.tif"
    plain.write_bytes(big_endian_tiff(before))
    for name in ("a.tif", "b.tif"):
        assert np.array_equal(read_16bit_file(tmp_path / name), before)


def sixteen_bit_tiff(file: Path, pixels: np.ndarray, strips: Sequence[bytes], tags: dict[int, object]) -> Path:
    """A TIFF whose pixels are in these strips; `tags` overwrite the usual ones."""
    height, width, channels = pixels.shape
    sizes = tuple(map(len, strips))
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    usual = {256: width, 257: height, 258: (16,) * channels, 259: 1, 262: 2 if channels == 3 else 1, 277: channels}
    places = {273: tuple(accumulate(sizes, initial=0))[:-1], 278: height, 279: sizes}
    for tag, value in (usual | places | tags).items():
        directory[tag] = value
    with file.open("wb") as stream:
        directory.save(stream)
        stream.write(b"".join(strips))
    return file


def test_16bit_colours_in_several_strips_are_read_exactly(tmp_path):
    before = noise(3, np.uint16)
    strips = [before[top : top + 5].tobytes() for top in range(0, HEIGHT, 5)]
    assert np.array_equal(read_16bit_file(sixteen_bit_tiff(tmp_path / "a.tif", before, strips, {278: 5})), before)


def test_16bit_colours_in_separate_planes_become_eight_bits(tmp_path):
    before = noise(3, np.uint16)
    planes = [zlib.compress(before[..., channel].tobytes()) for channel in range(3)]
    sixteen_bit_tiff(tmp_path / "a.tif", before, planes, {259: 8, 284: 2})
    assert np.array_equal(read_image_file(tmp_path / "a.tif").pixels, before >> 8)


@pytest.mark.parametrize("compression", [1, 8])
def test_16bit_greys_whose_white_is_zero_are_not_inverted(tmp_path, compression):
    before = noise(1, np.uint16)
    strip = before.tobytes() if compression == 1 else zlib.compress(before.tobytes())
    sixteen_bit_tiff(tmp_path / "a.tif", before, [strip], {259: compression, 262: 0})
    output = translated(tmp_path / "a.tif", tmp_path / "b.tif")
    assert right_half_kept_left_white(65535 - before, read_16bit_file(output))


@pytest.mark.parametrize("name", ["b.tif", "b.png"])
def test_nested_metadata_of_a_tiff_survive(tmp_path, name):
    before, nested = noise(3, np.uint16), {TAKEN: "2020:02:02 20:20:20", ExifTags.IFD.Interop: {1: "R98"}}
    sixteen_bit_tiff(tmp_path / "a.tif", before, [before.tobytes()], {EXIF: nested})
    with Pillow.open(translated(tmp_path / "a.tif", tmp_path / name)) as output:
        assert output.getexif().get_ifd(EXIF)[TAKEN] == nested[TAKEN]


def big_endian_tiff(pixels: np.ndarray) -> bytes:
    """An uncompressed TIFF, written by hand."""
    height, width, channels = pixels.shape
    depths = np.array([16] * channels, ">u2").tobytes()
    entries = [(256, 4, width), (257, 4, height), (258, 3, None), (259, 3, 1), (262, 3, 2), (273, 4, None)]
    entries += [(277, 3, channels), (278, 4, height), (279, 4, pixels.nbytes)]
    after = 8 + 2 + 12 * len(entries) + 4
    places = {258: after, 273: after + len(depths)}
    directory = b""
    for tag, kind, value in entries:
        count = channels if tag == 258 else 1
        data = places.get(tag, value)
        packed = np.array([data], ">u4").tobytes() if kind == 4 or tag == 258 else np.array([data, 0], ">u2").tobytes()
        directory += np.array([tag, kind], ">u2").tobytes() + np.array([count], ">u4").tobytes() + packed
    head = b"MM\0*" + np.array([8], ">u4").tobytes() + np.array([len(entries)], ">u2").tobytes()
    return head + directory + bytes(4) + depths + pixels.astype(">u2").tobytes()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_greys_stay_grey(tmp_path, suffix):
    Pillow.fromarray(noise(1)[..., 0]).save(tmp_path / f"a{suffix}")
    before, after = (
        upright(tmp_path / f"a{suffix}"),
        upright(translated(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")),
    )
    assert after.ndim == 2
    assert suffix == ".jpg" or np.array_equal(before[:, WIDTH // 2 :], after[:, WIDTH // 2 :])


def test_a_cmyk_profile_is_not_written_into_an_rgb_file(tmp_path):
    smooth().convert("CMYK").save(tmp_path / "a.jpg", icc_profile=b"a printer's")
    with Pillow.open(translated(tmp_path / "a.jpg", tmp_path / "b.jpg")) as output:
        assert output.mode == "RGB"
        assert "icc_profile" not in output.info


def test_a_lossless_webp_stays_lossless_and_a_lossy_one_lossy(tmp_path):
    for lossless in (True, False):
        smooth().save(tmp_path / "a.webp", lossless=lossless, exif=camera())
        output = translated(tmp_path / "a.webp", tmp_path / "b.webp")
        assert (b"VP8L" in output.read_bytes()[:64]) == lossless


def test_a_palette_image_becomes_rgb(tmp_path):
    smooth().quantize(8).save(tmp_path / "a.gif")
    with Pillow.open(tmp_path / "a.gif") as file:
        before = np.array(file.convert("RGB"))
    assert right_half_kept_left_white(before, upright(translated(tmp_path / "a.gif", tmp_path / "b.png")))


def test_a_view_of_a_turned_array_is_composited_like_its_copy():
    turned = np.rot90(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8))
    assert np.array_equal(composite(turned, left_half_white(8, 6)), composite(turned.copy(), left_half_white(8, 6)))


def test_large_images_are_composited_band_by_band_without_seams():
    pixels = np.random.default_rng(0).integers(0, 256, (1100, 1000, 3), np.uint8)
    mask = torch.full((1, 1, 1100, 1000), 0.5)
    output = composite(pixels, MaskAndContent(mask, torch.zeros(1, 3, 1100, 1000)))
    assert np.abs(output - (pixels / 2 + 63.75)).max() <= 0.51
