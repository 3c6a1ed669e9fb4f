"""A sorted set on disk. It grows in `OUT/.sorting/set` and replaces what was sorted before when it is complete.

OUT/{train,test}/DOMAIN/NAME.png
OUT/report.html              what was kept and left out
OUT/left-out.csv             every file that was left out: file, reason, detail
OUT/images.jsonl             one record per image
OUT/dataset.json             the card of the set; written last
OUT/.sorting/measurements.jsonl
"""

import csv
import hashlib
import io
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from PIL import Image as Pillow

from aggan.curation.choose import LeftOut
from aggan.curation.measure import Measurement
from aggan.data.index import CARD, INDEX, SPLITS, VERSION, Record, counts, read_records, write_card, write_records
from aggan.data.listing import report_os_errors
from aggan.errors import UserError
from aggan.io import printable, read_json, write_atomic, write_text_atomic

NAME = "sorted photographs"
WORK, MEASUREMENTS, REPORT, LEFT_OUT = ".sorting", "measurements.jsonl", "report.html", "left-out.csv"
_REPLACED = "replaced.jsonl"
"""In `WORK`: the index of the set that is being replaced."""
_OWN = frozenset((*SPLITS, INDEX, CARD, REPORT, LEFT_OUT, WORK))
_JUNK = frozenset((".DS_Store", "Thumbs.db", "desktop.ini"))
"""Files that file managers leave everywhere."""


@report_os_errors()
def require_own(out: Path) -> None:
    """Raise `UserError` if `out` holds anything that this command did not write."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file: choose a folder")
    entries = {entry.name for entry in out.iterdir()} - _JUNK if out.exists() else set()
    is_own = WORK in entries or (CARD in entries and read_json(out / CARD).get("name") == NAME)
    foreign = sorted(entries - _OWN) if is_own else sorted(entries)
    if not foreign and is_own:
        indices = [path for path in (out / INDEX, out / WORK / _REPLACED) if path.exists()]
        own = {record["file"] for index in indices for record in read_records(index)}
        files = (
            path.relative_to(out).as_posix()
            for split in SPLITS
            for path in (out / split).rglob("*")
            if not path.is_dir() and path.name not in _JUNK
        )
        foreign = sorted(set(files) - own)
    if foreign:
        raise UserError(
            f"--out {out}: holds {foreign[0]}, which this command did not write: choose a new folder, or move it away"
        )


def is_current(out: Path, card: Record, records: Sequence[Record]) -> bool:
    """Whether `out` holds exactly this set, complete."""
    if not (out / CARD).exists() or read_json(out / CARD) != card or read_records(out / INDEX) != list(records):
        return False
    return all((out / record["file"]).is_file() for record in records)


def make_card(
    settings: Record, domains: Sequence[str], records: Sequence[Record], faces: Iterable[Measurement]
) -> Record:
    """The card of a set. `plan` is a digest of the photographs and of where their faces lie."""
    plan = hashlib.sha256(repr([(face.file, face.stamp, face.landmarks) for face in faces]).encode())
    return {
        "name": NAME,
        "version": VERSION,
        "domains": list(domains),
        "settings": settings,
        "plan": plan.hexdigest()[:32],
        "counts": counts(records),
    }


def write_images(out: Path, records: Iterable[Record], images: Iterable[Pillow.Image]) -> None:
    """Write the images of a new set, one for each record. `replace` puts them into place."""
    shutil.rmtree(out / WORK / "set", ignore_errors=True)
    for record, image in zip(records, images, strict=True):
        write_atomic(out / WORK / "set" / record["file"], lambda path, image=image: image.save(path, "PNG"))


@report_os_errors()
def replace(out: Path, card: Record, records: Sequence[Record]) -> None:
    """Put the new set into the place of the former one."""
    (out / CARD).unlink(missing_ok=True)
    if (out / INDEX).exists() and not (out / WORK / _REPLACED).exists():
        os.replace(out / INDEX, out / WORK / _REPLACED)
    write_records(out / INDEX, records)
    for split in SPLITS:
        shutil.rmtree(out / split, ignore_errors=True)
        with suppress(FileNotFoundError):  # there may be no test images
            os.replace(out / WORK / "set" / split, out / split)
    write_card(out / CARD, card)
    (out / WORK / _REPLACED).unlink(missing_ok=True)
    shutil.rmtree(out / WORK / "set", ignore_errors=True)


def write_left_out(out: Path, left_out: Iterable[LeftOut]) -> None:
    """Write the list of what was left out."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(LeftOut._fields)
    rows.writerows(map(printable, row) for row in left_out)
    write_text_atomic(out / LEFT_OUT, text.getvalue())
