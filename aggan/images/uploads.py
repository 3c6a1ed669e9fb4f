"""Images that strangers send to a server: checked before they are decoded. Imports no torch."""

from aggan.errors import UserError
from aggan.images.decode import Unreadable, open_image
from aggan.images.file import ImageFile, read_image_file
from aggan.images.formats import reads_heic
from aggan.images.opening import Source

SAFE_FORMATS = frozenset("AVIF BMP GIF JPEG MPO PNG PPM TIFF WEBP".split())
"""Formats that are decoded, and HEIF with the extra `heic`. None of them runs another program."""


class TooManyPixels(UserError):
    """An image with more pixels than a server takes."""


def read_upload(source: Source, megapixels: float, bits: int | None = None) -> ImageFile:
    """Read an uploaded image; `bits` are those of the model. Raises `UserError` with a sentence for the visitor."""
    try:
        with open_image(source) as file:
            format, (width, height) = file.format, file.size
        formats = SAFE_FORMATS | {"HEIF"} if reads_heic() else SAFE_FORMATS
        if format not in formats:
            raise UserError(f"{format} files are not supported. Use one of {', '.join(sorted(formats))}.")
        if width * height > megapixels * 1e6:
            raise TooManyPixels(f"The image has {width} x {height} pixels. The limit is {megapixels:g} megapixels.")
        return read_image_file(source, bits)
    except Unreadable as error:
        # Visitors must not see paths and decoder messages.
        reason, *_ = str(error).removeprefix(f"{source}: ").split(" (")
        raise UserError(f"This file cannot be used: {reason}.") from None
