"""PNG files that are written in bands of rows, with 8 or 16 bits a channel."""

import struct
import zlib
from io import BufferedWriter, BytesIO
from types import TracebackType

import numpy as np
from jaxtyping import UInt

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""By number of channels."""
XMP_IN_PNG = b"XML:com.adobe.xmp" + bytes(5)
"""Header of an `iTXt` chunk of a PNG with XMP: uncompressed, without a language."""
_SUB = 1
"""PNG's filter of differences from the pixel to the left."""


class PngRows:
    """A PNG in the making: chunks of metadata first, then all rows from top to bottom."""

    def __init__(self, stream: BufferedWriter | BytesIO, height: int, width: int, channels: int, bits: int = 8) -> None:
        self.stream, self._deflate = stream, zlib.compressobj()
        stream.write(b"\x89PNG\r\n\x1a\n")
        self.chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, _COLOUR_TYPES[channels], 0, 0, 0))

    def chunk(self, name: bytes, data: bytes) -> None:
        """Write a chunk."""
        self.stream.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))

    def write_xmp(self, xmp: bytes) -> None:
        """Write XMP metadata."""
        self.chunk(b"iTXt", XMP_IN_PNG + xmp)

    def write(self, band: UInt[np.ndarray, "rows w c"]) -> None:
        """Write some rows: uint8, or uint16 for 16 bits."""
        step = band.shape[2] * band.itemsize
        rows = band.astype(band.dtype.newbyteorder(">")).view(np.uint8).reshape(len(band), -1)
        filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
        filtered[:, 0] = _SUB
        filtered[:, 1 : 1 + step] = rows[:, :step]
        filtered[:, 1 + step :] = rows[:, step:] - rows[:, :-step]
        self._data(self._deflate.compress(filtered.tobytes()))

    def __enter__(self) -> "PngRows":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the file, unless an error did."""
        if kind is None:
            self._data(self._deflate.flush())
            self.chunk(b"IEND", b"")

    def _data(self, data: bytes) -> None:
        if data:
            self.chunk(b"IDAT", data)
