"""The figures of a comparison: the same people by every system (Figures 3-6), masks (Figure 7), the worst."""

from collections.abc import Iterator

from PIL import Image as Pillow

from aggan.reports.embedding import embedded_small
from aggan.reports.rows import Row
from aggan.reports.sheets import Sheet, Shown, Strip, run_of, strip
from aggan.reports.worst import worst

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
