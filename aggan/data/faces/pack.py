"""The rendered people that ship: one zip in the package, unpacked in the layout of a rendered set.

`python -m aggan.data.faces.pack RENDERED` packs what `aggan data render faces` wrote: its pictures as JPEGs
(quality 92, no chroma subsampling) and its lists; not its masks.
"""

import io
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image as Pillow

from aggan.errors import UserError

PACK = Path(__file__).parent / "faces.zip"
SIZES = (64, 128)
INDEX, CARD = "pictures.jsonl", "dataset.json"
LARGEST = 15_000_000
"""Bytes."""


def pack(rendered: Path, target: Path = PACK) -> None:
    """Pack a rendered set; raises `UserError` where it is not whole or gets too large to ship."""
    if not (rendered / CARD).exists():
        raise UserError(f"{rendered}: no {CARD} here: render a set to its end first")
    partial = target.with_suffix(".tmp")
    with zipfile.ZipFile(partial, "w") as file:
        for name in (CARD, INDEX):
            file.write(rendered / name, name, zipfile.ZIP_DEFLATED)
        for record in _records((rendered / INDEX).read_text(encoding="utf-8")):
            buffer = io.BytesIO()
            with Pillow.open(rendered / record["file"]) as picture:
                picture.convert("RGB").save(buffer, "JPEG", quality=92, subsampling=0, optimize=True)
            file.writestr(str(Path(record["file"]).with_suffix(".jpg")), buffer.getvalue())
    size = partial.stat().st_size
    if size > LARGEST:
        partial.unlink()
        raise UserError(
            f"{rendered}: packed it would have {size / 1e6:.1f} MB of {LARGEST / 1e6:.0f}: render fewer people"
        )
    partial.replace(target)


def unpack(out: Path, size: int) -> int:
    """Write `out/{train,test}/EXPRESSION/PERSON.png` and its lists at 64 or 128 px; gives the number of pictures."""
    if size not in SIZES:
        raise UserError(f"the faces come at {' and '.join(map(str, SIZES))} px, not {size}")
    count = 0
    try:
        with zipfile.ZipFile(PACK) as file:
            for place, picture in _pictures(file, size):
                target = out / place
                target.parent.mkdir(parents=True, exist_ok=True)
                partial = target.with_suffix(".tmp")
                picture.save(partial, "PNG")
                partial.replace(target)
                count += 1
            for name, text in _lists(file, size):
                partial = out / f"{name}.tmp"
                partial.write_text(text, encoding="utf-8")
                partial.replace(out / name)
    except OSError as why:
        raise UserError(f"cannot write the faces to {out}: {why.strerror or why}") from why
    return count


def _pictures(file: zipfile.ZipFile, size: int) -> Iterator[tuple[Path, Pillow.Image]]:
    for name in file.namelist():
        if not name.endswith(".jpg"):
            continue
        picture = Pillow.open(io.BytesIO(file.read(name)))
        if size != picture.width:
            picture = picture.resize((size, size), Pillow.Resampling.BOX)
        yield Path(name).with_suffix(".png"), picture


def _lists(file: zipfile.ZipFile, size: int) -> Iterator[tuple[str, str]]:
    """The lists, with landmarks where they are at this size."""
    card = json.loads(file.read(CARD))
    scale, records = size / card["size"], _records(file.read(INDEX).decode())
    for record in records:
        if "landmarks" in record:
            record["landmarks"] = [[round(scale * x, 2), round(scale * y, 2)] for x, y in record["landmarks"]]
    yield INDEX, "".join(json.dumps(record) + "\n" for record in records)
    yield CARD, json.dumps({**card, "size": size}, indent=2) + "\n"


def _records(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


if __name__ == "__main__":
    pack(Path(sys.argv[1]))
