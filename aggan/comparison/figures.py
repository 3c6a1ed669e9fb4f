"""Pictures inside a page."""

import base64
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from aggan.comparison.rows import Row
from aggan.io import write_whole


def embedded(path: Path) -> str:
    """A PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def embedded_small(picture: Pillow.Image) -> str:
    """A picture as a data URI, as JPEG: for what is looked at, not measured."""
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=88, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


# --- '"""What the figures of a comparison are made of.\n\nOUT/DATA/test/DOMAIN/NAME.png               whom the systems were tested on\nOUT/DATA/SYSTEM/seed-N/TARGET/pictures/     NAME.png, NAME.mask.png, NAME.'
class Strip(NamedTuple):
    """Pictures of one row."""

    label: str
    pictures: tuple[str, ...]
    """Data URIs, an empty one where there is no picture."""
    notes: tuple[str, ...] = ()
    """Below each picture."""


class Sheet(NamedTuple):
    """What is shown under one title."""

    title: str
    about: str
    strips: tuple[Strip, ...]
    heads: tuple[str, ...] = ()
    """Above each column."""


class Shown(NamedTuple):
    """What the figures of one data set are made of."""

    out: Path
    data: str
    rows: Sequence[Row]
    source: str
    targets: tuple[str, ...]
    size: int

    @property
    def test(self) -> Path:
        return self.out / self.data / "test"

    def made(self, row: Row, to: str) -> Path:
        """The folder of a row's pictures."""
        return self.out / row.folders[0] / to / "pictures"

    @property
    def finished(self) -> list[Row]:
        return [row for row in self.rows if row.folders]

    @property
    def attentive(self) -> Row | None:
        """The first row whose system has masks."""
        return next((row for row in self.finished if any(self.made(row, self.targets[0]).rglob("*.mask.png"))), None)

    def names(self, count: int) -> list[str]:
        """Some of the people, from all over the test set, that every system has translated to the first target."""
        folder = self.test / self.source
        names = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.png"))
        made = [self.made(row, self.targets[0]) for row in self.finished]
        names = [name for name in names if all((place / f"{name}.png").exists() for place in made)]
        return [names[place * len(names) // count] for place in range(min(count, len(names)))]


def strip(label: str, paths: Sequence[Path]) -> Strip:
    """A row of PNG files."""
    return Strip(label, tuple(embedded(path) if path.exists() else "" for path in paths))


def run_of(out: Path, row: Row, to: str) -> Path:
    """The run folder of a row's first cell: beside its results, or where those of a target say."""
    cell = out / row.folders[0]
    if (cell / "run").is_dir():
        return cell / "run"
    return Path(json.loads((cell / to / "results.json").read_text(encoding="utf-8")).get("model", cell / "run"))


# --- '"""The honest part of a comparison: the worst translations of each system, by each measure."""'
WORST = 3
DOWN = {"change where still": -1, "psnr": 1, "ssim": 1, "identity": 1, "cycle error": -1}
"""Measures of single pictures: 1 where the smallest values are the worst, -1 where the largest are."""


def worst(shown: Shown) -> Sheet:
    """Of the first seed of each system."""
    to = shown.targets[0]
    told = {row.name: _each(shown.out / row.folders[0] / to / "results.json") for row in shown.finished}
    measures = [name for name in DOWN if any(name in each for each in told.values())]
    strips = []
    for row in shown.finished:
        cells = [_worst_of(shown, shown.made(row, to), told[row.name], name) for name in measures]
        strips.append(Strip(row.name, *(tuple(part) for part in zip(*cells, strict=True))))
    about = f"The {WORST} worst translations of each system by each measure, below their inputs."
    return Sheet("The worst", about, tuple(strips), tuple(measures))


def _each(results: Path) -> dict[str, list[Any]]:
    return json.loads(results.read_text(encoding="utf-8"))["each"]


def _worst_of(shown: Shown, made: Path, each: dict[str, list[Any]], measure: str) -> tuple[str, str]:
    """A picture of inputs above translations, and the values."""
    pairs = zip(each.get(measure, []), each["name"], strict=False)
    known = [(value, name) for value, name in pairs if value is not None]
    chosen = sorted(known, key=lambda pair: DOWN[measure] * pair[0])[:WORST]
    if not chosen:
        return "", "-"
    columns = [(shown.test / shown.source / f"{name}.png", made / f"{name}.png") for _, name in chosen]
    return embedded_small(_mosaic(columns)), ", ".join(f"{value:.3g}" for value, _ in chosen)


def _mosaic(columns: Sequence[Sequence[Path]]) -> Pillow.Image:
    pictures = [[_read(path) for path in column] for column in columns]
    width, height = pictures[0][0].size
    whole = Pillow.new("RGB", (width * len(pictures), height * len(pictures[0])))
    for x, column in enumerate(pictures):
        for y, picture in enumerate(column):
            whole.paste(picture, (x * width, y * height))
    return whole


def _read(path: Path) -> Pillow.Image:
    with Pillow.open(path) as file:
        return file.convert("RGB")


# --- '"""The figures of a comparison: the same people by every system (Figures 3-6), masks (Figure 7), the worst."""'
SHOWN = 8
TIMES = 6
"""Moments of a training that are shown."""
WAY = ("input", "attention mask", "content mask", "translation", "back again")
"""What a sample sheet shows of a picture on its way, if there are masks and there is a way back."""


def gallery(shown: Shown) -> Iterator[Sheet]:
    """All figures of a data set; nothing where nothing is finished."""
    if not (shown.finished and shown.names(1)):
        return
    yield _people(shown)
    if len(shown.targets) > 1:
        yield _domains(shown)
    if shown.attentive:
        yield _attention(shown, shown.attentive)
        yield from _as_it_learned(shown, shown.attentive)
    yield worst(shown)


def _people(shown: Shown) -> Sheet:
    names, to = shown.names(SHOWN), shown.targets[0]
    folders = {"input": shown.test / shown.source}
    folders |= {row.name: shown.made(row, to) for row in shown.finished} | {"true answer": shown.test / to}
    strips = (strip(label, [folder / f"{name}.png" for name in names]) for label, folder in folders.items())
    about = f"{shown.source} to {to}, by every system."
    return Sheet("The same people", about, tuple(some for some in strips if any(some.pictures)))


def _domains(shown: Shown) -> Sheet:
    """One person in every domain that there is."""
    name = f"{shown.names(1)[0]}.png"
    given = shown.test / shown.source / name
    folders = {row.name: [shown.made(row, to) for to in shown.targets] for row in shown.finished}
    folders["true answer"] = [shown.test / to for to in shown.targets]
    strips = (strip(label, [given, *(folder / name for folder in made)]) for label, made in folders.items())
    return Sheet(
        "One person in every domain", "The input is on the left.", tuple(strips), (shown.source, *shown.targets)
    )


def _attention(shown: Shown, row: Row) -> Sheet:
    """Over the targets where there are several, over people where there is one."""
    several, names = len(shown.targets) > 1, shown.names(SHOWN)
    if several:
        stems = [shown.made(row, to) / names[0] for to in shown.targets]
    else:
        stems = [shown.made(row, shown.targets[0]) / name for name in names]
    parts = {"attention mask": ".mask.png", "content mask": ".content.png", "translation": ".png"}
    strips = (strip(label, [stem.with_name(stem.name + part) for stem in stems]) for label, part in parts.items())
    about = "White is replaced by the content, black is kept."
    return Sheet(f"What {row.name} attends to", about, tuple(strips), shown.targets if several else ())


def _as_it_learned(shown: Shown, row: Row) -> Iterator[Sheet]:
    """The first picture of some sample sheets."""
    found = sorted((run_of(shown.out, row, shown.targets[0]) / "samples").glob("step-*.png"))
    chosen = dict.fromkeys(found[round(k * (len(found) - 1) / (TIMES - 1))] for k in range(TIMES) if found)
    strips, side = [], shown.size * max(1, 128 // shown.size)  # small pictures are enlarged on sample sheets
    for path in chosen:
        with Pillow.open(path) as sheet:
            parts = [sheet.crop((left, 0, left + side, side)) for left in range(0, side * len(WAY), side)]
        strips.append(Strip(f"step {int(path.stem.split('-')[1]):,}", tuple(map(embedded_small, parts))))
    if strips:
        about = "One held-out person as the training goes."
        yield Sheet(f"How {row.name} learned", about, tuple(strips), WAY)


# --- '"""The figures of a comparison as PNG files, for papers."""'
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
