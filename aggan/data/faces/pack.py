"""The rendered people that ship: one zip in the package, unpacked in the layout of a rendered set.

`python -m aggan.data.faces.pack RENDERED` packs what `aggan data render faces` wrote: its pictures as JPEGs
(quality 92, no chroma subsampling) and its lists; not its masks.
"""

import io
import json
import sys
import zipfile
from pathlib import Path

from PIL import Image as Pillow

from aggan.data.index import CARD, INDEX, PAIRS, Record, counts, lines, read_records, write_card, write_records
from aggan.errors import UserError
from aggan.writing import write_whole

PACK = Path(__file__).parent / "faces.zip"
SIZES = (64, 128)
LARGEST = 15_000_000
"""Bytes."""


def pack(rendered: Path, target: Path = PACK) -> None:
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


def unpack(out: Path, size: int, pairs: bool = False) -> int:
    """Write `out/{train,test}/EXPRESSION/PERSON.png` and its lists at 64 or 128 px; gives the number of pictures.

    Nobody who is trained on is both neutral and happy there, unless with `pairs`.
    """
    if size not in SIZES:
        raise UserError(f"the faces come at {' and '.join(map(str, SIZES))} px, not {size}")
    with zipfile.ZipFile(PACK) as file:
        card = json.loads(file.read(CARD))
        records = _records(file, INDEX)
        if pairs:
            records += [_shown(record) for record in _records(file, PAIRS)]
        for record in records:
            picture = _picture(file, record.pop("packed"), size)
            write_whole(out / record["file"], lambda path, picture=picture: picture.save(path, "PNG"))
            record["landmarks"] = [
                [round(size / card["size"] * at, 2) for at in point] for point in record["landmarks"]
            ]
    write_records(out / INDEX, records)
    write_card(out / CARD, {**card, "size": size, "counts": counts(records), "answers": 0})
    return len(records)


def some(count: int) -> list[Pillow.Image]:
    """Some held-out people, neutral, as they are packed."""
    with zipfile.ZipFile(PACK) as file:
        names = sorted(name for name in file.namelist() if name.startswith("test/neutral/"))[:count]
        return [_picture(file, name, max(SIZES)) for name in names]


def _records(file: zipfile.ZipFile, name: str) -> list[Record]:
    records = [json.loads(line) for line in file.read(name).splitlines()]
    return [{**record, "packed": str(Path(record["file"]).with_suffix(".jpg"))} for record in records]


def _shown(answer: Record) -> Record:
    """An answer as a picture among the others."""
    where = f"{answer['split']}/{answer['expression']}/{Path(answer['file']).name}"
    return {name: value for name, value in {**answer, "file": where}.items() if name != "input"}


def _picture(file: zipfile.ZipFile, name: str, size: int) -> Pillow.Image:
    picture = Pillow.open(io.BytesIO(file.read(name)))
    return picture if size == picture.width else picture.resize((size, size), Pillow.Resampling.BOX)


if __name__ == "__main__":
    pack(Path(sys.argv[1]))
