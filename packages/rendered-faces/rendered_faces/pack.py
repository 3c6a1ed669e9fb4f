"""The zip of rendered people that `aggan` ships.

`python -m rendered_faces.pack RENDERED FACES.zip` packs what `aggan data render faces` wrote: its pictures as JPEGs
(quality 92, no chroma subsampling) and its lists; not its masks.
"""

import io
import json
import shutil
import sys
import zipfile
from pathlib import Path

from PIL import Image as Pillow

from aggan.data.index import (
    CARD,
    INDEX,
    PAIRS,
    Record,
    counts,
    find_card,
    lines,
    read_records,
    write_card,
    write_records,
)
from aggan.errors import UserError
from aggan.io import goes_on, write_whole

LARGEST = 15_000_000
"""Bytes."""


def pack(rendered: Path, target: Path) -> None:
    """Pack a rendered set; raises `UserError` where it is not whole or gets too large to ship."""
    if not (rendered / CARD).exists():
        raise UserError(f"{rendered}: no {CARD} here: render a set to its end first")
    partial = target.with_suffix(".tmp")
    with zipfile.ZipFile(partial, "w") as file:
        file.write(rendered / CARD, CARD, zipfile.ZIP_DEFLATED)
        for name in (INDEX, PAIRS):
            records = read_records(rendered / name)
            file.writestr(name, lines(records), zipfile.ZIP_DEFLATED)
            for record in records:
                file.writestr(str(Path(record["file"]).with_suffix(".jpg")), _jpeg(rendered / record["file"]))
    size = partial.stat().st_size
    if size > LARGEST:
        partial.unlink()
        raise UserError(
            f"{rendered}: packed it would have {size / 1e6:.1f} MB of {LARGEST / 1e6:.0f}: render fewer people"
        )
    partial.replace(target)


def _jpeg(picture: Path) -> bytes:
    buffer = io.BytesIO()
    with Pillow.open(picture) as image:
        image.convert("RGB").save(buffer, "JPEG", quality=92, subsampling=0, optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
