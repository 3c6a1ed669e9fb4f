"""A contact sheet of a rendered set: `python -m rendered_faces.sheet SET SHEET.jpg`.

A row shows one sitting, its images side by side. If sittings have one image each, a row shows several people.
Ground truth that is kept apart stands right of its input.
"""

import argparse
import io
from collections import defaultdict
from pathlib import Path

from aggan.data.index import INDEX, PAIRS, Record, read_records
from aggan.errors import UserError
from aggan.io import write_atomic
from PIL import Image as Pillow

from rendered_faces.expressions import EXPRESSIONS

SIDE, COLUMNS, ROWS = 128, 8, 8
LARGEST = 300_000
"""Largest size of a saved sheet in bytes."""


def sheet(folder: Path, rows: int) -> Pillow.Image:
    """Images from all over a set, 128 px each; raises `UserError` if `folder` holds no rendered set."""
    sittings: defaultdict[str, list[Record]] = defaultdict(list)
    for index in (folder / INDEX, folder / PAIRS):
        for record in read_records(index) if index.exists() else ():
            sittings[Path(record["file"]).name].append(record)
    if not sittings:
        raise UserError(f"{folder}: no {INDEX} with images here: name the folder of a rendered set")
    groups = [_ordered(records) for _, records in sorted(sittings.items())]
    if any("input" in group[-1] for group in groups):
        groups = [group for group in groups if "input" in group[-1]]
    across = COLUMNS // max(map(len, groups)) or 1
    count = min(rows * across, len(groups))
    chosen = [groups[k * len(groups) // count] for k in range(count)]
    width = across * max(map(len, groups))
    canvas = Pillow.new("RGB", (SIDE * width, SIDE * -(-len(chosen) // across)), "white")
    for k, group in enumerate(chosen):
        row, first = k // across, k % across * max(map(len, groups))
        for column, record in enumerate(group, start=first):
            with Pillow.open(folder / record["file"]) as image:
                canvas.paste(image.resize((SIDE, SIDE), Pillow.Resampling.LANCZOS), (SIDE * column, SIDE * row))
    return canvas


def _ordered(records: list[Record]) -> list[Record]:
    return sorted(records, key=lambda record: ("input" in record, EXPRESSIONS.index(record["expression"])))


def save(image: Pillow.Image, path: Path) -> None:
    """Save as JPEG at the best quality whose file has at most `LARGEST` bytes."""
    attempts = (_jpeg(image, quality) for quality in range(92, 30, -4))
    data = next((attempt for attempt in attempts if len(attempt) <= LARGEST), _jpeg(image, 30))
    write_atomic(path, lambda partial: partial.write_bytes(data))


def _jpeg(image: Pillow.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Draw a contact sheet of a rendered set.")
    parser.add_argument("folder", type=Path, help="folder of a rendered set")
    parser.add_argument("sheet", type=Path, help="JPEG file to write")
    parser.add_argument("--rows", type=int, default=ROWS, help="number of rows")
    args = parser.parse_args()
    try:
        save(sheet(args.folder, args.rows), args.sheet)
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
