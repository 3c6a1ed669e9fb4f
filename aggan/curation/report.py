"""One self-contained page about a sorting, with contact sheets."""

import base64
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image as Pillow

from aggan.curation import choose, measure, store
from aggan.curation.balance import Balanced
from aggan.curation.choose import LeftOut
from aggan.curation.crops import crop
from aggan.curation.measure import Measurement
from aggan.data.index import SPLITS, Record, counts
from aggan.images.convert import Unreadable, read, square, to_tensor
from aggan.io import printable, write_text_atomic

EXPLANATIONS = {
    measure.UNREADABLE: "not an image, or a broken one",
    measure.NO_FACE: "no upright frontal face was found",
    measure.SEVERAL: "it is not known whose expression counts",
    choose.SMALL: "it would have to be enlarged (--min-pixels)",
    choose.DOUBTFUL: "the detector is not sure, or the landmarks are not a face's (--min-confidence)",
    choose.TURNED: "to the side, up or down (--max-turn)",
    choose.BLURRED: "little fine detail (--min-sharpness)",
    choose.GREY: "most photographs are in colour",
    choose.COLOURED: "most photographs are grey",
    choose.BETWEEN: "neither certainly a smile nor certainly none (--smiling, --neutral)",
    choose.COPY: "the same photograph is there, with a larger face",
    choose.BOTH: "one person is in one domain only (--same-person)",
    choose.BALANCE: "the domains would differ in more than the expression (--balance, --keep)",
}
"""Reasons, in the order in which photographs are looked at."""
_COLUMNS, _TILE = 12, 96
_KEPT, _UNSURE, _EXAMPLES = 8 * _COLUMNS, 2 * _COLUMNS, _COLUMNS
"""Images on a sheet: of a domain, of those nearest to the threshold, and of a reason."""


class Sheet(NamedTuple):
    """A contact sheet."""

    title: str
    image: str
    """A data URI."""


def write_report(
    out: Path,
    left_out: Sequence[LeftOut],
    balanced: Balanced,
    records: Sequence[Record],
    measured: Iterable[Measurement],
) -> None:
    """Write OUT/report.html."""
    faces = {measurement.file: measurement for measurement in measured}
    reasons = Counter(each.reason for each in left_out)
    environment = Environment(loader=PackageLoader("aggan.curation", "."), autoescape=True, undefined=StrictUndefined)
    text = environment.get_template("report.html.j2").render(
        total=len(records) + len(left_out),
        counts=counts(records),
        splits=SPLITS,
        domains=sorted({record["expression"] for record in records}),
        people=len({record["person"] for record in records}),
        reasons=[
            (reason, reasons[reason], explanation) for reason, explanation in EXPLANATIONS.items() if reasons[reason]
        ],
        features=balanced.features,
        limit=balanced.limit,
        sheets=[*_kept_sheets(out, records), *_left_out_sheets(left_out, faces)],
        left_out=[tuple(map(printable, each)) for each in left_out],
    )
    write_text_atomic(out / store.REPORT, text)


def _kept_sheets(out: Path, records: Sequence[Record]) -> Iterable[Sheet]:
    for domain in sorted({record["expression"] for record in records}):
        of_domain = [record for record in records if record["expression"] == domain]
        chosen = _evenly_spaced(of_domain, _KEPT)
        yield _sheet(f"{domain}: {len(chosen)} of {len(of_domain)}", [_open(out, record) for record in chosen])
        if "smile" in of_domain[0]:
            unsure = sorted(of_domain, key=lambda record: abs(record["smile"] - 0.5))[:_UNSURE]
            yield _sheet(f"{domain}: the least certain", [_open(out, record) for record in unsure])


def _left_out_sheets(left_out: Sequence[LeftOut], faces: dict[str, Measurement]) -> Iterable[Sheet]:
    by_reason: defaultdict[str, list[LeftOut]] = defaultdict(list)
    for each in left_out:
        by_reason[each.reason].append(each)
    for reason in EXPLANATIONS:
        chosen = _evenly_spaced(by_reason[reason], _EXAMPLES)
        tiles = [tile for each in chosen if (tile := _tile(faces[each.file]))]
        if tiles:
            yield _sheet(f"left out, {reason}: {len(tiles)} of {len(by_reason[reason])}", tiles)


def _open(out: Path, record: Record) -> Pillow.Image:
    with Pillow.open(out / record["file"]) as image:
        return image.convert("RGB")


def _tile(face: Measurement) -> Pillow.Image | None:
    """The face, or the centre of a photograph without a face; None if it cannot be read."""
    try:
        pixels = read(Path(face.file))
    except Unreadable:
        return None
    if not face.landmarks:
        return Pillow.fromarray(square(pixels, _TILE))
    return Pillow.fromarray(crop(to_tensor(np.array(pixels))[None], np.array(face.landmarks), _TILE, 0.1))


def _sheet(title: str, images: Sequence[Pillow.Image]) -> Sheet:
    rows = -(-len(images) // _COLUMNS)
    sheet = Pillow.new("RGB", (min(len(images), _COLUMNS) * _TILE, rows * _TILE), "white")
    for index, image in enumerate(images):
        row, column = divmod(index, _COLUMNS)
        sheet.paste(image.resize((_TILE, _TILE), Pillow.Resampling.BICUBIC), (column * _TILE, row * _TILE))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=88)
    return Sheet(title, f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}")


def _evenly_spaced(items: Sequence, count: int) -> Sequence:
    return [items[index] for index in np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)]
