"""`aggan data prepare NAME SRC DST`: lay out an original data set for training or testing."""

import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Generic, TypeVar

import tyro
from rich.console import Console
from rich.progress import track

from aggan.data.index import Record, index_file, read_records, write_records
from aggan.data.originals import arface, bu3dfe, celeba, london, openface, portraits, rafd, store
from aggan.data.originals.crop import read_crop, to_crop
from aggan.data.originals.masks import Landmarks
from aggan.data.originals.settings import CroppedSettings, Settings
from aggan.data.originals.source import Selection
from aggan.errors import UserError
from aggan.images.decode import Unreadable

INTERRUPTED = 130
MEASURED = ("action_units", "landmarks")
"""Fields of a record that OpenFace measures."""
RECIPE_SIZE = 256
"""Image size of the recipes for these data sets, in pixels."""

S = TypeVar("S", bound=Settings)
C = TypeVar("C", bound=CroppedSettings)


@dataclass
class Prepare(ABC, Generic[S]):
    """Options of one data set."""

    src: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """Folder of the original data set, as its owners distribute it."""
    dst: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DST")]
    """New folder for {train,test}/EXPRESSION/NAME.png, images.jsonl and dataset.json."""
    settings: tyro.conf.OmitArgPrefixes[S]
    """Which images to make."""
    partial: bool = False
    """Leave out missing and unreadable images instead of stopping."""

    @abstractmethod
    def reader(self, selection: Selection) -> store.ReadImage:
        """What reads an image of the selection as the set keeps it."""

    @abstractmethod
    def next_step(self, name: str) -> str:
        """A sentence with a command that uses the set."""


@dataclass
class PrepareCrops(Prepare[C]):
    """Options of a data set of the paper."""

    openface: Path | None = None
    """Action units, and face masks if there are landmarks, from OpenFace 2: a folder of CSV files named after the
    images, or one CSV with a column `file`."""
    confidence: float = 0.8
    """Least confidence of OpenFace in a face (our choice)."""

    def reader(self, selection: Selection) -> store.ReadImage:
        crop, size = self.settings.crop, self.settings.size
        return lambda image: read_crop(image.file, crop, size)

    def next_step(self, name: str) -> str:
        size = "" if self.settings.size == RECIPE_SIZE else f" --data.size {self.settings.size}"
        root = shlex.quote(str(self.dst))
        return f"Train with: aggan train --recipe {name} --data.root {root} --data.names neutral happy{size} --out RUN"


@dataclass
class PrepareLondon(Prepare[london.Settings]):
    """Options of the London set."""

    def reader(self, selection: Selection) -> store.ReadImage:
        from aggan.inference.landmarks import FaceFinder
        from aggan.inference.pairs import crop_pair

        files = {(image.person, image.expression): image.file for _, image in selection.images()}
        neutral, smiling = london.EXPRESSIONS.values()
        side, margin, find_faces = self.settings.size, self.settings.margin, FaceFinder()
        crops = partial(crop_pair, side=side, margin=margin, find_faces=find_faces)
        # The two images of a person follow each other.
        pair = lru_cache(maxsize=1)(lambda person: crops(files[person, neutral], files[person, smiling]))
        return lambda image: pair(image.person)[image.expression == smiling]

    def next_step(self, name: str) -> str:
        neutral, smiling = (shlex.quote(str(self.dst / "test" / folder)) for folder in london.EXPRESSIONS.values())
        return f"Evaluate with: aggan evaluate MODEL --inputs {neutral} --ground-truth {smiling} --to smiling"


@dataclass
class GatherPortraits:
    """Options of the portraits."""

    src: Annotated[list[Path], tyro.conf.Positional, tyro.conf.arg(metavar="SRC [SRC ...]")]
    """Checkouts of the repositories, or folders with copies of their images."""
    dst: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DST")]
    """New folder for {parliament,congress,canada}/NAME.jpg and CREDITS.txt."""


DATA_SETS: dict[str, tuple[type[Prepare], str]] = {
    "celeba": (PrepareCrops[celeba.Settings], celeba.Settings.title),
    "rafd": (PrepareCrops[rafd.Settings], rafd.Settings.title),
    "arface": (PrepareCrops[arface.Settings], arface.Settings.title),
    "bu3dfe": (PrepareCrops[bu3dfe.Settings], bu3dfe.Settings.title),
    "london": (PrepareLondon, london.Settings.title),
}
"""Options and title."""
PORTRAITS = "portraits"
NAMES = (*DATA_SETS, PORTRAITS)
USAGE = f"""usage: aggan data prepare {{{",".join(DATA_SETS)}}} SRC DST [options]
       aggan data prepare {PORTRAITS} SRC [SRC ...] DST      (NAME --help explains the options)"""


def main(argv: list[str]) -> int:
    """Prepare a data set, or continue an interrupted preparation, and return the exit code."""
    if argv[:1] in ([], ["-h"], ["--help"]):
        print(USAGE)
        return 0
    name, *rest = argv
    if name not in NAMES:
        raise UserError(f"no data set {name!r}; there are {', '.join(NAMES)}")
    program, console = f"aggan data prepare {name}", Console(stderr=True)
    if name == PORTRAITS:
        args = tyro.cli(GatherPortraits, args=rest, prog=program, description=f"Gather: {portraits.TITLE}.")
        work = partial(_gather, args, console)
    else:
        options, title = DATA_SETS[name]
        args = tyro.cli(options, args=rest, prog=program, description=f"Lay out {title}.")
        work = partial(_prepare, name, args, console)
    try:
        return work()
    except KeyboardInterrupt:
        _print(console, f"interrupted; run the same command to continue (in {args.dst})")
        return INTERRUPTED
    except OSError as error:  # from reading: errors of writing are `UserError`s
        raise UserError(f"{error.filename or args.src}: {error.strerror or error}") from error


def _gather(args: GatherPortraits, console: Console) -> int:
    if not args.src:
        raise UserError(f"only one folder, {args.dst}: name the checkouts first, then a new folder")
    for src in args.src:
        _require_apart(src, args.dst)
    pile = portraits.find_portraits(args.src)
    for name, reasons in pile.left_out.items():
        _print_skipped(console, {f"{name}: {reason}": names for reason, names in reasons.items()})
    for source in portraits.SOURCES:
        if (count := pile.count(source)) != source.count:
            _print(console, f"note: {count} images of {source.name} are there, not {source.count}: {source.repository}")
    if not portraits.gather(pile, args.dst, lambda names: track(names, "copying", console=console)):
        print(f"{args.dst} is prepared already")
        return 0
    print(", ".join(f"{pile.count(source)} {source.name}" for source in portraits.SOURCES if pile.count(source)))
    print(f"Licences and credits: {args.dst / portraits.CREDITS}")
    return 0


def _prepare(name: str, args: Prepare, console: Console) -> int:
    selection = _select(args, console)
    records = store.make_records(selection)
    measured = args if isinstance(args, PrepareCrops) and args.openface else None
    if measured:
        _join(records, selection, measured, console)
    read = args.reader(selection)
    card = store.make_card(name, args.settings, selection)
    if not store.start(args.dst, card):
        return _update(args, records, measured is not None, console)
    unreadable = store.write_images(
        args.dst, read, selection, lambda images: track(images, "preparing", console=console)
    )
    for reason in unreadable:
        _print(console, f"unreadable {reason}")
    written = store.written(args.dst, records)
    if unreadable and not (args.partial and written):
        raise UserError(
            f"{args.src}: {len(unreadable)} of {len(records)} images cannot be read: replace them and run the same "
            "command to continue, or leave them out with --partial"
        )
    _write_masks(args.dst / store.WORK, written, args.settings.size, console)
    for split, counts in store.finish(args.dst, card, written).items():
        if counts:
            print(f"{split}: {', '.join(f'{count} {expression}' for expression, count in counts.items())}")
    print(args.next_step(name))
    return 0


def _select(args: Prepare, console: Console) -> Selection:
    _require_apart(args.src, args.dst)
    selection: Selection = args.settings.select(args.src)
    _print_skipped(console, selection.skipped)
    for note in selection.notes:
        _print(console, f"note: {note}")
    if selection.missing:
        missing = f"({len(selection.missing)}, such as {selection.missing[0]})"
        if not args.partial:
            raise UserError(
                f"{args.src}: images are missing {missing}: copy the rest, or leave them out with --partial"
            )
        _print(console, f"note: missing images are left out {missing}")
    return selection


def _update(args: Prepare, records: list[Record], is_measured: bool, console: Console) -> int:
    """Replace the action units of a complete set, and its landmarks and face masks, if there are new ones."""
    missing = store.count_missing(args.dst, records)
    if missing:
        _print(console, f"note: {args.dst} lacks {missing} of the images; remove it to prepare it again")
    if is_measured:
        measured = {record["file"]: record for record in records}
        fields = [field for field in MEASURED if any(field in record for record in records)]
        index = index_file(args.dst)
        existing = read_records(index)
        for record in existing:
            for field in fields:
                if field in measured.get(record["file"], {}):
                    record[field] = measured[record["file"]][field]
                else:
                    record.pop(field, None)
        if "landmarks" in fields:
            _write_masks(args.dst, existing, args.settings.size, console)
        write_records(index, existing)
    print(f"{args.dst} is prepared already" + (", now with these action units" if is_measured else ""))
    return 0


def _join(records: list[Record], selection: Selection, args: PrepareCrops, console: Console) -> None:
    sources = {image.output(split): image.file for split, image in selection.images()}

    def to_prepared(record: Record, landmarks: Landmarks) -> Landmarks | None:
        try:
            return to_crop(landmarks, sources[record["file"]], args.settings.crop, args.settings.size)
        except Unreadable:  # whatever reads the image reports it
            return None

    assert args.openface
    without = openface.join(records, openface.read(args.openface, args.confidence), to_prepared)
    for line in without:
        _print(console, f"no action units for {line}")
    _print(console, f"{len(records) - len(without)} of {len(records)} images get action units")


def _write_masks(root: Path, records: list[Record], size: int, console: Console) -> None:
    without = store.write_masks(root, records, size)
    if any("landmarks" in record for record in records):
        for line in without:
            _print(console, f"no face mask for {line}")
        _print(console, f"{len(records) - len(without)} of {len(records)} images get face masks")


def _require_apart(src: Path, dst: Path) -> None:
    if not src.is_dir():
        raise UserError(f"{src}: {'a file; unpack it and name the folder' if src.exists() else 'no such folder'}")
    source, target = src.resolve(), dst.resolve()
    if source == target or source in target.parents or target in source.parents:
        raise UserError(f"{src} and {dst}: one contains the other; choose a DST outside SRC")


def _print_skipped(console: Console, skipped: Mapping[str, list[str]]) -> None:
    for reason, names in skipped.items():
        _print(console, f"skipped {len(names)}: {reason} (such as {names[0]})")


def _print(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
