"""Pictures inside a page."""

import base64
import io
from pathlib import Path

from PIL import Image as Pillow


def embedded(path: Path) -> str:
    """A PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def embedded_small(picture: Pillow.Image) -> str:
    """A picture as a data URI, as JPEG: for what is looked at, not measured."""
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=88, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
