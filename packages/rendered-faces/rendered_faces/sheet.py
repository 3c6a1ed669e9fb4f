"""A contact sheet of a rendered set: `python -m rendered_faces.sheet SET SHEET.jpg`.

A row is a sitting, its pictures side by side; where a sitting has one picture, a row is several people. Answers
that are kept apart stand right of their inputs.
"""

import argparse
import io
from collections import defaultdict
from pathlib import Path

from PIL import Image as Pillow

from aggan.data.index import INDEX, PAIRS, read_records
from aggan.errors import UserError
from aggan.io import write_whole
from rendered_faces.expressions import EXPRESSIONS

SIDE, COLUMNS, ROWS = 128, 8, 8
LARGEST = 300_000
"""Bytes."""


def sheet(folder: Path, rows: int) -> Pillow.Image:
    """Pictures from all over a set, 128 px each; raises `UserError` where there is no set."""
    sittings = defaultdict(list)
    for index in (folder / INDEX, folder / PAIRS):
        for record in read_records(index) if index.exists() else ():
            sittings[Path(record["file"]).name].append(record)
    if not sittings:
        raise UserError(f"{folder}: no {INDEX} with pictures here: name the folder of a rendered set")
    groups = [_ordered(records) for _, records in sorted(sittings.items())]
    if any("input" in group[-1] for group in groups):
        groups = [group for group in groups if "input" in group[-1]]
    across = COLUMNS // max(map(len, groups)) or 1
    count = min(rows * across, len(groups))
    chosen = [groups[k * len(groups) // count] for k in range(count)]
    width = across * max(map(len, groups))
    image = Pillow.new("RGB", (SIDE * width, SIDE * -(-len(chosen) // across)), "white")
    for k, group in enumerate(chosen):
        row, first = k // across, k % across * max(map(len, groups))
        for column, record in enumerate(group, start=first):
            with Pillow.open(folder / record["file"]) as picture:
                image.paste(picture.resize((SIDE, SIDE), Pillow.Resampling.LANCZOS), (SIDE * column, SIDE * row))
    return image


def _ordered(records: list[dict]) -> list[dict]:
    return sorted(records, key=lambda record: ("input" in record, EXPRESSIONS.index(record["expression"])))


def save(image: Pillow.Image, path: Path) -> None:
    """As JPEG in the best quality that is small enough."""
    made = (_jpeg(image, quality) for quality in range(92, 30, -4))
    small = next((data for data in made if len(data) <= LARGEST), _jpeg(image, 30))
    write_whole(path, lambda place: place.write_bytes(small))


def _jpeg(image: Pillow.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def main() -> None:
    """Command line."""
    options = argparse.ArgumentParser(description="A contact sheet of a rendered set.")
    options.add_argument("folder", type=Path)
    options.add_argument("sheet", type=Path)
    options.add_argument("--rows", type=int, default=ROWS)
    asked = options.parse_args()
    try:
        save(sheet(asked.folder, asked.rows), asked.sheet)
    except UserError as why:
        options.error(str(why))


if __name__ == "__main__":
    main()
