"""The figures of a comparison, made of image files.

OUT/DATA/test/DOMAIN/NAME.png              the test images
OUT/DATA/METHOD/seed-N/TARGET/images/      NAME.png, and with attention NAME.mask.png and NAME.content.png
OUT/DATA/METHOD/seed-N/run/samples/        sample sheets of the training
"""

import base64
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image as Pillow
from PIL import ImageDraw

from aggan.comparison.fonts import Font, is_drawable, load_font
from aggan.comparison.migrate import FORMER_IMAGES, IMAGES, images_folder
from aggan.comparison.rows import Row, read_results
from aggan.errors import UserError
from aggan.io import write_atomic
from aggan.metric_table import GROUND_TRUTH, METRICS, ROWS

COLUMNS = 8
"""Images in a row."""
MOMENTS = 6
"""Sample sheets of a training."""
SHEET_PARTS = ("input", "attention mask", "content", "translation", "reconstruction")
"""What a sample sheet shows of an image, of a method with attention that translates in both directions."""
SHEET_IMAGE = 128
"""Smaller images are enlarged to this side on sample sheets, by a whole number."""
WORST_COUNT = 3
WORST_BY = ("background_change", "psnr", "ssim", "identity", "cycle_error")
"""Metrics by which the worst images are chosen."""
WORST_TITLE = "The worst"
GAP, FONT_SIZE, INK = 4, 13, "#333333"


class Strip(NamedTuple):
    """One row of a figure."""

    label: str
    images: tuple[str, ...]
    """Data URIs, empty where there is no image."""
    notes: tuple[str, ...] = ()
    """Below each image."""


class Sheet(NamedTuple):
    """A figure with its title and a paragraph about it."""

    title: str
    about: str
    strips: tuple[Strip, ...]
    heads: tuple[str, ...] = ()
    """Above each column."""


class FigureData(NamedTuple):
    """The rows and folders that the figures of one data set are made of."""

    out: Path
    data: str
    rows: Sequence[Row]
    source: str
    targets: tuple[str, ...]
    size: int

    @property
    def test(self) -> Path:
        return self.out / self.data / "test"

    @property
    def finished(self) -> list[Row]:
        return [row for row in self.rows if row.folders]

    @property
    def with_attention(self) -> Row | None:
        """The first row with attention masks."""
        return next((row for row in self.finished if row.attention), None)

    def images_of(self, row: Row, to: str) -> Path:
        """The folder of a row's translations."""
        return images_folder(self.out / row.folders[0] / to)

    def choose_names(self, count: int) -> list[str]:
        """Names evenly spaced among the test images that every method has translated to the first target."""
        inputs = self.test / self.source
        names = sorted(path.relative_to(inputs).with_suffix("").as_posix() for path in inputs.rglob("*.png"))
        folders = [self.images_of(row, self.targets[0]) for row in self.finished]
        names = [name for name in names if all((folder / f"{name}.png").exists() for folder in folders)]
        count = min(count, len(names))
        return [names[index * len(names) // count] for index in range(count)]


def embed_png(path: Path) -> str:
    """A PNG file as a data URI. Raises `UserError` if it is broken."""
    read_rgb(path)
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def read_rgb(path: Path) -> Pillow.Image:
    """Read an image that this package wrote. Raises `UserError` if it is broken."""
    try:
        with Pillow.open(path) as file:
            return file.convert("RGB")
    except OSError as error:
        folders = (folder.parent for folder in path.parents if folder.name in (IMAGES, FORMER_IMAGES))
        source = next((folder for folder in folders if (folder / "results.json").exists()), path)
        raise UserError(f"{path}: a broken image: remove {source} and run the command again") from error


def embed_jpeg(image: Pillow.Image) -> str:
    """An image as a data URI, compressed."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=88, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def run_folder(out: Path, row: Row, to: str) -> Path:
    """The run of a row's first trial: beside its results, or the one that results.json names."""
    trial = out / row.folders[0]
    if (trial / "run").is_dir():
        return trial / "run"
    return Path(read_results(trial / to).get("model", trial / "run"))


def make_figures(data: FigureData) -> Iterator[Sheet]:
    """All figures of a data set; none if no image has been translated by all finished methods."""
    if not (data.finished and data.choose_names(1)):
        return
    yield _same_images(data)
    if len(data.targets) > 1:
        yield _every_domain(data)
    if data.with_attention:
        yield _attention(data, data.with_attention)
        yield from _learning(data, data.with_attention)
    yield _worst(data)


def _strip(label: str, paths: Sequence[Path]) -> Strip:
    return Strip(label, tuple(embed_png(path) if os.path.lexists(path) else "" for path in paths))


def _same_images(data: FigureData) -> Sheet:
    """The same inputs by every method (the paper's Figures 3-6)."""
    names, to = data.choose_names(COLUMNS), data.targets[0]
    folders = {"input": data.test / data.source}
    folders |= {row.name: data.images_of(row, to) for row in data.finished}
    folders[ROWS[GROUND_TRUTH]] = data.test / to
    strips = (_strip(label, [folder / f"{name}.png" for name in names]) for label, folder in folders.items())
    about = f"{data.source} to {to}, by every method."
    return Sheet("The same people", about, tuple(strip for strip in strips if any(strip.images)))


def _every_domain(data: FigureData) -> Sheet:
    name = f"{data.choose_names(1)[0]}.png"
    source = data.test / data.source / name
    folders = {row.name: [data.images_of(row, to) for to in data.targets] for row in data.finished}
    folders[ROWS[GROUND_TRUTH]] = [data.test / to for to in data.targets]
    strips = (_strip(label, [source, *(folder / name for folder in row)]) for label, row in folders.items())
    heads = (data.source, *data.targets)
    return Sheet("One person in every domain", "The input is on the left.", tuple(strips), heads)


def _attention(data: FigureData, row: Row) -> Sheet:
    """Masks and contents (the paper's Figure 7): of several targets, or of several images if there is one target."""
    several, names = len(data.targets) > 1, data.choose_names(COLUMNS)
    if several:
        stems = [data.images_of(row, to) / names[0] for to in data.targets]
    else:
        stems = [data.images_of(row, data.targets[0]) / name for name in names]
    parts = {"attention mask": ".mask.png", "content": ".content.png", "translation": ".png"}
    strips = (_strip(label, [stem.with_name(stem.name + part) for stem in stems]) for label, part in parts.items())
    about = "Where the attention mask is white, the content replaces the input; where it is black, the input stays."
    return Sheet(f"What {row.name} attends to", about, tuple(strips), data.targets if several else ())


def _learning(data: FigureData, row: Row) -> Iterator[Sheet]:
    """The first image of sample sheets, evenly spaced over the training."""
    paths = sorted((run_folder(data.out, row, data.targets[0]) / "samples").glob("step-*.png"))
    paths = dict.fromkeys(paths[round(k * (len(paths) - 1) / (MOMENTS - 1))] for k in range(MOMENTS) if paths)
    strips, side = [], data.size * max(1, SHEET_IMAGE // data.size)
    for path in paths:
        sheet = read_rgb(path)
        parts = [sheet.crop((left, 0, left + side, side)) for left in range(0, side * len(SHEET_PARTS), side)]
        strips.append(Strip(f"step {int(path.stem.split('-')[1]):,}", tuple(map(embed_jpeg, parts))))
    if strips:
        yield Sheet(f"How {row.name} learned", "One test image during the training.", tuple(strips), SHEET_PARTS)


def _worst(data: FigureData) -> Sheet:
    """The worst translations of each method, of its first seed."""
    to = data.targets[0]
    values = {row.name: read_results(data.out / row.folders[0] / to)["each"] for row in data.finished}
    keys = [key for key in WORST_BY if any(key in columns for columns in values.values())]
    strips = []
    for row in data.finished:
        cells = [_worst_by(data, data.images_of(row, to), values[row.name], key) for key in keys]
        strips.append(Strip(row.name, *(tuple(part) for part in zip(*cells, strict=True))))
    about = f"The {WORST_COUNT} worst translations of each method by each metric, below their inputs."
    return Sheet(WORST_TITLE, about, tuple(strips), tuple(METRICS[key].label for key in keys))


def _worst_by(data: FigureData, folder: Path, columns: dict[str, list[Any]], key: str) -> tuple[str, str]:
    """An image of inputs above translations, and their values."""
    pairs = zip(columns.get(key, []), columns["name"], strict=False)
    defined = [(value, name) for value, name in pairs if value is not None]
    worst = sorted(defined, key=lambda pair: METRICS[key].direction * pair[0])[:WORST_COUNT]
    if not worst:
        return "", "-"
    mosaic = _mosaic([(data.test / data.source / f"{name}.png", folder / f"{name}.png") for _, name in worst])
    return embed_jpeg(mosaic), ", ".join(f"{value:.3g}" for value, _ in worst)


def _mosaic(columns: Sequence[Sequence[Path]]) -> Pillow.Image:
    images = [[read_rgb(path) for path in column] for column in columns]
    width, height = images[0][0].size
    mosaic = Pillow.new("RGB", (width * len(images), height * len(images[0])))
    for x, column in enumerate(images):
        for y, image in enumerate(column):
            mosaic.paste(image, (x * width, y * height))
    return mosaic


def draw(path: Path, sheet: Sheet) -> None:
    """Write a figure as a PNG file: labels on the left, heads above, images in their own size.

    Letters that no installed font has are drawn as boxes; `undrawable` names them.
    """
    rows = [[_decode(uri) for uri in strip.images] for strip in sheet.strips]
    width, height = (max(image.size[axis] for row in rows for image in row if image) for axis in (0, 1))
    fonts = [load_font(strip.label, FONT_SIZE) for strip in sheet.strips]
    left = GAP + max(round(font.getlength(strip.label)) for font, strip in zip(fonts, sheet.strips, strict=True))
    top = FONT_SIZE + 2 * GAP if sheet.heads else 0
    note_height = FONT_SIZE + GAP if any(strip.notes for strip in sheet.strips) else 0
    columns = max(len(row) for row in rows)
    canvas = Pillow.new(
        "RGB", (left + GAP + columns * (width + GAP), top + len(rows) * (height + note_height + GAP)), "white"
    )
    pen = ImageDraw.Draw(canvas)
    for column, (head, font) in enumerate(zip(sheet.heads, _head_fonts(sheet.heads, width), strict=True)):
        pen.text((left + GAP + column * (width + GAP), GAP), head, INK, font)
    for index, (strip, font, images) in enumerate(zip(sheet.strips, fonts, rows, strict=True)):
        y = top + index * (height + note_height + GAP)
        pen.text((0, y + height // 2), strip.label, INK, font, anchor="lm")
        for column, image in enumerate(images):
            x = left + GAP + column * (width + GAP)
            if image:
                canvas.paste(image, (x, y))
            if strip.notes:
                pen.text((x, y + height), strip.notes[column], INK, load_font(strip.notes[column], FONT_SIZE))
    write_atomic(path, lambda partial: canvas.save(partial, "PNG"))


def undrawable(sheet: Sheet) -> list[str]:
    """The labels and heads of a figure that are drawn with boxes."""
    return [text for text in (*sheet.heads, *(strip.label for strip in sheet.strips)) if not is_drawable(text)]


def _head_fonts(heads: Sequence[str], width: int) -> list[Font]:
    """Fonts of one size, in which the longest head fits above its image."""
    longest = max((load_font(head, FONT_SIZE).getlength(head) for head in heads), default=0)
    size = FONT_SIZE if longest <= width else FONT_SIZE * width / longest
    return [load_font(head, size) for head in heads]


def _decode(uri: str) -> Pillow.Image | None:
    return Pillow.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB") if uri else None
