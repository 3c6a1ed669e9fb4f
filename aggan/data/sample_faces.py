"""The rendered people that ship: one zip in the package, unpacked in the layout of a rendered set."""

import io
import json
import shutil
import zipfile
from pathlib import Path

from PIL import Image as Pillow

from aggan.data.index import CARD, INDEX, PAIRS, Record, counts, find_card, write_card, write_records
from aggan.errors import UserError
from aggan.io import goes_on, write_whole

PACK = Path(__file__).with_suffix(".zip")
SIZES = (64, 128)
WORK = ".unpacking"
"""Folder of the card until the set is whole."""


def unpack(out: Path, size: int, pairs: bool = False) -> int:
    """Write `out/{train,test}/EXPRESSION/PERSON.png` and its lists at 64 or 128 px; gives the number of pictures.

    Nobody who is trained on is both neutral and happy there, unless with `pairs`. Goes on with what was begun, and
    leaves a whole set as it is; raises `UserError` where `out` holds anything else.
    """
    if size not in SIZES:
        raise UserError(f"the faces come at {' and '.join(map(str, SIZES))} px, not {size}")
    with zipfile.ZipFile(PACK) as file:
        packed = json.loads(file.read(CARD))
        scale = size / packed["size"]
        records = _records(file, INDEX, scale)
        if pairs:
            records += [_shown(record) for record in _records(file, PAIRS, scale)]
        card = {**packed, "size": size, "pairs": pairs, "counts": counts(records), "answers": 0}
        del card["settings"]  # of the renderer, which makes other sets
        if _is_whole(out, card, len(records)):
            return len(records)
        with goes_on():
            write_card(out / WORK / CARD, card)
            for record in records:
                _unpack(file, record.pop("packed"), size, out / record["file"])
            write_records(out / INDEX, records)
            write_card(out / CARD, card)
    shutil.rmtree(out / WORK, ignore_errors=True)
    return len(records)


def _is_whole(out: Path, card: Record, count: int) -> bool:
    """Whether this set is there to the end; raises `UserError` where another one is, begun or whole."""
    place = find_card(out, WORK)
    there = len(list(out.glob("*/*/*.png")))
    if place and (there > count or not _same(place, card)):
        raise UserError(f"{out}: holds another set than these {count} faces at {card['size']} px: choose a new folder")
    return place == out / CARD and there == count


def _same(place: Path, card: Record) -> bool:
    """Whether a card says the same; the counts tell sets with pairs from others where it has no `pairs`."""
    try:
        before = json.loads(place.read_text(encoding="utf-8"))
        return all(before[name] == value for name, value in card.items() if name != "pairs")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _unpack(file: zipfile.ZipFile, name: str, size: int, target: Path) -> None:
    if not target.exists():
        write_whole(target, lambda path: _picture(file, name, size).save(path, "PNG"))


def some(count: int) -> list[Pillow.Image]:
    """Some held-out people, neutral, as they are packed."""
    with zipfile.ZipFile(PACK) as file:
        names = sorted(name for name in file.namelist() if name.startswith("test/neutral/"))[:count]
        return [_picture(file, name, max(SIZES)) for name in names]


def _records(file: zipfile.ZipFile, name: str, scale: float) -> list[Record]:
    records = [json.loads(line) for line in file.read(name).splitlines()]
    for record in records:
        record["packed"] = str(Path(record["file"]).with_suffix(".jpg"))
        record["landmarks"] = [[round(scale * at, 2) for at in point] for point in record["landmarks"]]
    return records


def _shown(answer: Record) -> Record:
    """An answer as a picture among the others."""
    where = f"{answer['split']}/{answer['expression']}/{Path(answer['file']).name}"
    return {name: value for name, value in {**answer, "file": where}.items() if name != "input"}


def _picture(file: zipfile.ZipFile, name: str, size: int) -> Pillow.Image:
    picture = Pillow.open(io.BytesIO(file.read(name)))
    return picture if size == picture.width else picture.resize((size, size), Pillow.Resampling.BOX)
