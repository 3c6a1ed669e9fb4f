"""The sample faces: one zip of rendered people that ships with the package, unpacked into the folders of a data set."""

import io
import json
import shutil
import zipfile
from pathlib import Path

from PIL import Image as Pillow

from aggan.data.index import CARD, INDEX, PAIRS, Record, counts, holds_set, write_card, write_records
from aggan.errors import UserError
from aggan.io import resumable, write_atomic

PACK = Path(__file__).with_suffix(".zip")
"""JPEG images at 128 px, their lists and their card."""
SIZES = (64, 128)
"""Sides in pixels at which the faces can be unpacked."""
WORK = ".unpacking"
"""Folder inside the set that holds its card until the set is complete."""


def unpack(out: Path, size: int, pairs: bool = False) -> int:
    """Write the faces to `out/{train,test}/EXPRESSION/PERSON.png` with `images.jsonl` and `dataset.json`.

    No training person is both neutral and happy, unless `pairs` is set: then every training person is both. The call
    continues an interrupted set and leaves a complete one unchanged. Returns the number of images. Raises `UserError`
    if `size` is not one of `SIZES`, or if `out` holds anything else.
    """
    if size not in SIZES:
        raise UserError(f"the faces come at {' and '.join(map(str, SIZES))} px, not {size}")
    with zipfile.ZipFile(PACK) as pack:
        packed_card = json.loads(pack.read(CARD))
        scale = size / packed_card["size"]
        members = _read_records(pack, INDEX, scale)
        if pairs:
            members |= {name: _as_image(record) for name, record in _read_records(pack, PAIRS, scale).items()}
        records = list(members.values())
        card = {**packed_card, "size": size, "pairs": pairs, "counts": counts(records), "answers": 0}
        del card["settings"]  # the renderer's: unpacking cannot repeat them
        if holds_set(out, WORK, card, len(records), f"these {len(records)} faces at {size} px"):
            return len(records)
        with resumable():
            write_card(out / WORK / CARD, card)
            for name, record in members.items():
                _unpack_image(pack, name, size, out / record["file"])
            write_records(out / INDEX, records)
            write_card(out / CARD, card)
    shutil.rmtree(out / WORK, ignore_errors=True)
    return len(records)


def sample_images(count: int) -> list[Pillow.Image]:
    """Neutral faces of the first `count` test people, RGB at 128 px."""
    with zipfile.ZipFile(PACK) as pack:
        names = sorted(name for name in pack.namelist() if name.startswith("test/neutral/"))[:count]
        return [_read_image(pack, name, max(SIZES)) for name in names]


def _read_records(pack: zipfile.ZipFile, index: str, scale: float) -> dict[str, Record]:
    """The records of one list by their image's name in the zip, with landmarks multiplied by `scale`."""
    members = {}
    for line in pack.read(index).splitlines():
        record = json.loads(line)
        record["landmarks"] = [[round(scale * coordinate, 2) for coordinate in point] for point in record["landmarks"]]
        members[str(Path(record["file"]).with_suffix(".jpg"))] = record
    return members


def _as_image(pair: Record) -> Record:
    """The record of a ground truth, moved from `answers/` to the images of its expression."""
    file = f"{pair['split']}/{pair['expression']}/{Path(pair['file']).name}"
    return {name: value for name, value in {**pair, "file": file}.items() if name != "input"}


def _unpack_image(pack: zipfile.ZipFile, name: str, size: int, target: Path) -> None:
    if not target.exists():
        write_atomic(target, lambda path: _read_image(pack, name, size).save(path, "PNG"))


def _read_image(pack: zipfile.ZipFile, name: str, size: int) -> Pillow.Image:
    image = Pillow.open(io.BytesIO(pack.read(name)))
    return image if size == image.width else image.resize((size, size), Pillow.Resampling.BOX)
