"""Pack the zip of sample faces that `aggan` ships: `python -m rendered_faces.pack RENDERED FACES.zip`.

RENDERED is a set that `aggan data render faces` wrote. The zip holds its images as JPEG (quality 92, no chroma
subsampling), its lists and its card, but no masks. `aggan.data.sample_faces` unpacks it.
"""

import argparse
import io
import zipfile
from pathlib import Path

from aggan.data.index import CARD, INDEX, PAIRS, read_records, to_jsonl
from aggan.errors import UserError
from PIL import Image as Pillow

LARGEST = 15_000_000
"""Largest size of the zip in bytes."""


def pack(rendered: Path, target: Path) -> None:
    """Pack a rendered set; raises `UserError` if the set is incomplete or the zip would be larger than `LARGEST`."""
    if not (rendered / CARD).exists():
        raise UserError(f"{rendered}: no {CARD} here: render the whole set first")
    partial = target.with_suffix(".tmp")
    with zipfile.ZipFile(partial, "w") as file:
        file.write(rendered / CARD, CARD, zipfile.ZIP_DEFLATED)
        for name in (INDEX, PAIRS):
            records = read_records(rendered / name)
            file.writestr(name, to_jsonl(records), zipfile.ZIP_DEFLATED)
            for record in records:
                file.writestr(str(Path(record["file"]).with_suffix(".jpg")), _jpeg(rendered / record["file"]))
    size = partial.stat().st_size
    if size > LARGEST:
        partial.unlink()
        raise UserError(
            f"{rendered}: the zip would have {size / 1e6:.1f} MB, more than {LARGEST / 1e6:.0f}: render fewer people"
        )
    partial.replace(target)


def _jpeg(path: Path) -> bytes:
    buffer = io.BytesIO()
    with Pillow.open(path) as image:
        image.convert("RGB").save(buffer, "JPEG", quality=92, subsampling=0, optimize=True)
    return buffer.getvalue()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Pack rendered faces into the zip that aggan ships.")
    parser.add_argument("rendered", type=Path, help="folder that `aggan data render faces` wrote")
    parser.add_argument("target", type=Path, help="zip to write")
    args = parser.parse_args()
    try:
        pack(args.rendered, args.target)
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
