"""Decoding image files to upright RGB pixels. Imports no torch.

Images of more than 8 bits per channel are scaled by their range. Most files do not tell their range: the 12 bits of a
camera, stored in 16, would become nearly black. The largest value, the peak, shows it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from aggan.errors import UserError
from aggan.images.opening import Source, open_file, report_large
from aggan.images.sixteen_bit import OutOfRange, has_16bit_colours, read_16bit, require_within, to_uint8

Pixels = UInt8[np.ndarray, "h w 3"]
Half = Literal["left", "right"]
"""A half of a side-by-side image."""
DARKEST = 4096
"""A single image of 16 bits with a smaller peak probably uses fewer bits."""


class Unreadable(Exception):
    """A file that is not an image, or a broken one. The message names the file and the reason."""


class TooLarge(Unreadable):
    """An image whose pixels do not fit the memory."""


class Decoded(NamedTuple):
    """An upright image, and the largest value of its file."""

    image: Pillow.Image
    """RGB, with transparent parts on white."""
    peak: int | None
    """None if the range of the file is known: it has 8 bits, or tells its bits, or these were given."""


def read(path: Path, bits: int | None = None, half: Half | None = None) -> Pillow.Image:
    """Read any image file as RGB: upright, with transparent parts on white. Raises `Unreadable`.

    `bits` are those that a 16-bit file uses. Without them, a file that probably uses fewer than 16 is `Unreadable`.
    """
    image, peak = decode(path, bits, half)
    if peak is not None and peak < DARKEST:
        raise Unreadable(f"{path}: {describe_range(peak)}: convert it to 8 bits, or to all 16")
    return image


def decode(path: Path, bits: int | None = None, half: Half | None = None) -> Decoded:
    """Read any image file as RGB, with its peak, so that a caller can judge the range of many files together.

    `half` is the half of a side-by-side image. Raises `Unreadable`.
    """
    with open_image(path) as file:
        image, peak = _decode(path, file, bits)
        return Decoded(_crop_half(image, half) if half else image, peak)


def describe_range(peak: int) -> str:
    """What is unclear about an image of 16 bits with this peak."""
    return f"it has 16 bits per channel, but no value above {peak}, so its range is unclear"


def bits_of(peak: int) -> int:
    """The bits that images with this peak probably use: 8, 10, 12, 14 or 16."""
    return next(bits for bits in (8, 10, 12, 14, 16) if peak < 2**bits)


@contextmanager
def open_image(source: Source) -> Iterator[ImageFile]:
    """Open an image file. Errors of opening it, and of decoding it inside the block, become `Unreadable`."""
    try:
        with open_file(source) as file:
            report_large(source, file)
            yield file
    except TooLarge as error:
        raise TooLarge(f"{source}: {error}") from None
    except (Unreadable, UserError) as error:
        raise Unreadable(f"{source}: {error}") from None
    except FileNotFoundError:
        raise Unreadable(f"{source}: no such file") from None
    except UnidentifiedImageError:
        raise Unreadable(f"{source}: not an image") from None
    except Pillow.DecompressionBombError as error:
        raise TooLarge(f"{source}: too large an image ({error})") from None
    except Exception as error:  # decoders raise exceptions of many types
        reason = isinstance(error, OSError) and error.strerror
        message = f"cannot be read ({reason})" if reason else f"broken image ({error})"
        raise Unreadable(f"{source}: {message}") from None


def _decode(source: Source, file: ImageFile, bits: int | None) -> Decoded:
    has_colours = has_16bit_colours(file)
    # Without bits, colours keep Pillow's conversion to 8 bits.
    deep = read_16bit(source, file, bits) if bits or not has_colours else None
    if deep is None:
        upright = ImageOps.exif_transpose(file)
        if has_colours and bits not in (None, 16):
            raise OutOfRange("of such a file, 16 bits cannot be read exactly: convert it to 8 bits")
        return Decoded(to_rgb(upright, bits), None if bits else peak_of(source, file, upright, has_colours))
    channels = to_uint8(deep.channels)
    image = Pillow.fromarray(channels.squeeze(2) if channels.shape[2] == 1 else channels)
    if file.format != "TIFF":  # Pillow turns a TIFF upright when it decodes it
        image.info.update(file.info)
        image = ImageOps.exif_transpose(image)
    return Decoded(to_rgb(image), deep.peak)


def peak_of(source: Source, file: ImageFile, image: Pillow.Image, has_16bit_colours: bool) -> int | None:
    """The largest value of a file that `read_16bit` does not read, decoded to `image`; None if it has 8 bits."""
    if has_16bit_colours:
        high_byte = int(np.asarray(image.convert("RGB")).max(initial=0))
        if high_byte:
            return high_byte << 8 | 255
        with open_file(source) as copy:
            deep = read_16bit(source, copy)
        return (deep and deep.peak) or None
    if not _is_deep_grey(image):
        return None
    values = np.asarray(image)
    peak = _finite_peak(values)
    return int(peak) if peak > _largest_of_8_bits(values) else None


def _is_deep_grey(image: Pillow.Image) -> bool:
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def to_rgb(image: Pillow.Image, bits: int | None = None) -> Pillow.Image:
    """Convert any mode to RGB: deep greys are scaled by their `bits` or by 16, transparent parts become white."""
    if _is_deep_grey(image):
        image = Pillow.fromarray(_grey_to_uint8(np.asarray(image), bits))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _grey_to_uint8(grey: np.ndarray, bits: int | None) -> UInt8[np.ndarray, "h w"]:
    values = np.nan_to_num(grey.astype(np.float64))
    peak = _finite_peak(grey)
    if peak <= 1 and np.issubdtype(grey.dtype, np.floating):
        scale = 255.0
    elif bits or peak > _largest_of_8_bits(grey):
        require_within(peak, bits or 16)
        scale = 255 / (2 ** (bits or 16) - 1)
    else:
        scale = 1.0
    return (values * scale).round().clip(0, 255).astype(np.uint8)


def _finite_peak(values: np.ndarray) -> float:
    return float(values.max(initial=0, where=np.isfinite(values)))


def _largest_of_8_bits(values: np.ndarray) -> int:
    """The largest value of an image of 8 bits; processing in floating point may exceed white."""
    return 2 * 255 if np.issubdtype(values.dtype, np.floating) else 255


def is_side_by_side(size: tuple[int, int]) -> bool:
    """Whether an image of this width and height can be two images side by side: their own shape is not known."""
    width, height = size
    return width > height


def _crop_half(image: Pillow.Image, half: Half) -> Pillow.Image:
    width, odd = divmod(image.width, 2)
    if not is_side_by_side(image.size):
        raise Unreadable(f"its {image.width}x{image.height} pixels are not two images side by side")
    if odd:
        raise Unreadable(f"its width of {image.width} pixels is odd, so it is not two images side by side")
    columns = slice(width) if half == "left" else slice(width, None)
    return Pillow.fromarray(np.asarray(image)[:, columns])


def square(image: Pillow.Image, size: int) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """Crop the largest centred square and resize it (bicubic, antialiased), as for training."""
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Pillow.Resampling.BICUBIC)
    return np.array(image)
