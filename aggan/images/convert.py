"""Pictures between files, arrays and tensors.

Files become RGB uint8 whatever their mode, depth or orientation; tensors are float32 in [-1, 1].
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError
from torch import Tensor

Pixels = UInt8[np.ndarray, "h w 3"]

SUFFIXES = frozenset(
    (
        ".apng .avif .bmp .dib .gif .j2k .jfif .jpe .jpeg .jpg .jp2 .jpx .mpo .pbm .pcx .pgm .png .pnm .ppm .qoi .sgi "
        ".tga .tif .tiff .webp"
    ).split()
)
"""What counts as a picture in a folder; a file named by itself may have any name."""


class Unreadable(Exception):
    """A file that is no picture, or a broken one; the message says which and why."""


Taken = TypeVar("Taken")


def read(path: Path) -> Pillow.Image:
    """The picture upright and in RGB (transparent parts on white); raises `Unreadable`."""
    return opened(path, lambda file: to_rgb(ImageOps.exif_transpose(file)))


def opened(path: Path, take: Callable[[Pillow.Image], Taken]) -> Taken:
    """What `take` makes of the opened picture; raises `Unreadable` where it is none, or a broken one."""
    try:
        with Pillow.open(path) as file:
            return take(file)
    except FileNotFoundError:
        raise Unreadable(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise Unreadable(f"{path}: not a picture") from None
    except Pillow.DecompressionBombError as why:
        raise Unreadable(f"{path}: too large a picture ({why})") from None
    except Exception as why:  # what decoders raise at a broken picture is of many kinds
        of_disk = isinstance(why, OSError) and why.strerror
        raise Unreadable(f"{path}: {f'cannot be read ({of_disk})' if of_disk else f'broken picture ({why})'}") from None


def to_rgb(image: Pillow.Image) -> Pillow.Image:
    """Any mode to RGB: 16-bit and floating-point greys are scaled, transparency is laid on white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = Pillow.fromarray(_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")


def _eight_bits(grey: np.ndarray) -> np.ndarray:
    values = np.nan_to_num(grey.astype(np.float64))
    if np.issubdtype(grey.dtype, np.floating):
        scale = 255.0 if values.max(initial=0) <= 1 else 1.0
    else:
        scale = 255 / 65535 if values.max(initial=0) > 255 else 1.0
    return (values * scale).round().clip(0, 255).astype(np.uint8)


def square(image: Pillow.Image, size: int) -> Pixels:
    """The largest centred square, resized (bicubic, antialiased): what systems are trained on."""
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Pillow.Resampling.BICUBIC)
    return np.array(image)


def to_tensor(pixels: UInt8[np.ndarray, "*n h w 3"]) -> Float[Tensor, "*n 3 h w"]:
    """uint8 to [-1, 1], channels first."""
    values = torch.from_numpy(np.array(pixels)).movedim(-1, -3).contiguous()
    return values.float().div_(127.5).sub_(1)


def to_pixels(image: Float[Tensor, "*n 3 h w"]) -> UInt8[np.ndarray, "*n h w 3"]:
    """[-1, 1] to uint8: clamped, then rounded."""
    values = image.detach().float().clamp(-1, 1).add(1).mul(127.5).round()
    return values.to(torch.uint8).movedim(-3, -1).cpu().numpy()
