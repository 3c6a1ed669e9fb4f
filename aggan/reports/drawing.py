"""The figures of a comparison as PNG files, for papers."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from aggan.reports.sheets import Sheet
from aggan.writing import write_whole

GAP, SMALL, INK = 4, 13, "#333333"


def draw(path: Path, sheet: Sheet) -> None:
    """Write a sheet: labels on the left, heads above; pictures keep their own pixels."""
    rows = [[_decoded(uri) for uri in strip.pictures] for strip in sheet.strips]
    width, height = (max(p.size[axis] for row in rows for p in row if p) for axis in (0, 1))
    font = ImageFont.load_default(SMALL)
    left = GAP + max(round(font.getlength(strip.label)) for strip in sheet.strips)
    top = SMALL + 2 * GAP if sheet.heads else 0
    below = SMALL + GAP if any(strip.notes for strip in sheet.strips) else 0
    columns = max(len(row) for row in rows)
    size = left + GAP + columns * (width + GAP), top + len(rows) * (height + below + GAP)
    whole = Pillow.new("RGB", size, "white")
    pen = ImageDraw.Draw(whole)
    over = _font_of_heads(sheet.heads, width)
    for column, head in enumerate(sheet.heads):
        pen.text((left + GAP + column * (width + GAP), GAP), head, INK, over)
    for index, (strip, row) in enumerate(zip(sheet.strips, rows, strict=True)):
        y = top + index * (height + below + GAP)
        pen.text((0, y + height // 2), strip.label, INK, font, anchor="lm")
        _row(whole, pen, row, strip.notes, (left + GAP, y), (width, height))
    write_whole(path, lambda partial: whole.save(partial, "PNG"))


def _font_of_heads(heads: Sequence[str], width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """So small that the longest stays above its picture."""
    font = ImageFont.load_default(SMALL)
    longest = max((font.getlength(head) for head in heads), default=0)
    return font if longest <= width else ImageFont.load_default(SMALL * width / longest)


def _row(
    whole: Pillow.Image,
    pen: ImageDraw.ImageDraw,
    row: Sequence[Pillow.Image | None],
    notes: Sequence[str],
    place: tuple[int, int],
    size: tuple[int, int],
) -> None:
    for column, picture in enumerate(row):
        x = place[0] + column * (size[0] + GAP)
        if picture:
            whole.paste(picture, (x, place[1]))
        if notes:
            pen.text((x, place[1] + size[1]), notes[column], INK, ImageFont.load_default(SMALL))


def _decoded(uri: str) -> Pillow.Image | None:
    return Pillow.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB") if uri else None
