"""The rendered people that ship: one zip in the package, unpacked as folders of two domains.

Every person is there neutral and happy. Of the training people one half gives the neutral pictures
and the other half the happy ones, so the domains share nobody; of the held-out people both are
written, under the same name, so that a translation has a true answer.

`python -m aggan.data.faces.pack RENDERED` packs what `aggan.data.faces.render` wrote.
"""

import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image as Pillow

from aggan.errors import UserError

PACK = Path(__file__).parent / "faces.zip"
EXPRESSIONS = ("neutral", "happy")
SIZES = (64, 128)
HELD_OUT = 100
"""People of the test split: the first ones."""


def pack(rendered: Path, target: Path = PACK) -> None:
    """Pack rendered PNGs as JPEGs (quality 92, no chroma subsampling) with their `people.jsonl`."""
    with zipfile.ZipFile(target, "w") as file:
        file.write(rendered / "people.jsonl", "people.jsonl", zipfile.ZIP_DEFLATED)
        for source in sorted((rendered / "people").glob("*.png")):
            buffer = io.BytesIO()
            with Pillow.open(source) as picture:
                picture.convert("RGB").save(buffer, "JPEG", quality=92, subsampling=0, optimize=True)
            file.writestr(f"people/{source.stem}.jpg", buffer.getvalue())


def unpack(out: Path, size: int) -> int:
    """Write `out/{train,test}/{neutral,happy}/PERSON.png` at 64 or 128 px; gives the number of pictures."""
    if size not in SIZES:
        raise UserError(f"the faces come at {' and '.join(map(str, SIZES))} px, not {size}")
    count = 0
    try:
        for place, picture in _pictures(size):
            target = out / place
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_suffix(".tmp")
            picture.save(partial, "PNG")
            partial.replace(target)
            count += 1
    except OSError as why:
        raise UserError(f"cannot write the faces to {out}: {why.strerror or why}") from why
    return count


def _pictures(size: int) -> Iterator[tuple[Path, Pillow.Image]]:
    with zipfile.ZipFile(PACK) as file:
        for name in file.namelist():
            if not name.endswith(".jpg"):
                continue
            person, expression = Path(name).stem.split("_")
            place = _place(int(person), expression)
            if place is None:
                continue
            picture = Pillow.open(io.BytesIO(file.read(name)))
            if size != picture.width:
                picture = picture.resize((size, size), Pillow.Resampling.BOX)
            yield place / f"{person}.png", picture


def _place(person: int, expression: str) -> Path | None:
    if person < HELD_OUT:
        return Path("test", expression)
    return Path("train", expression) if EXPRESSIONS[person % 2] == expression else None


if __name__ == "__main__":
    pack(Path(sys.argv[1]))
