"""`aggan data prepare {celeba,rafd,arface,bu3dfe} SRC DST`: an original data set in our layout."""

import importlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import track

from aggan.data.index import INDEX, read_records, write_records
from aggan.data.originals import openface
from aggan.data.originals.photographs import Found
from aggan.data.originals.settings import Settings
from aggan.errors import UserError

DATA_SETS = ("celeba", "rafd", "arface", "bu3dfe")
USAGE = f"usage: aggan data prepare {{{','.join(DATA_SETS)}}} SRC DST [options]      (--help after a name says more)"
INTERRUPTED = 130
RECIPES_SIZE = 256
"""What the recipes of these data sets train at, in pixels."""


def main(arguments: list[str]) -> int:
    """Prepare a data set; the same command goes on where a first one stopped."""
    if arguments[:1] in ([], ["-h"], ["--help"]):
        print(USAGE)
        return 0
    name, *rest = arguments
    if name not in DATA_SETS:
        raise UserError(f"no data set {name!r}; there are {', '.join(DATA_SETS)}")
    settings = importlib.import_module(f"aggan.data.originals.{name}").Settings
    asked = tyro.cli(_form(settings), args=rest, prog=f"aggan data prepare {name}")
    console = Console(stderr=True)
    try:
        return _prepare(name, asked, console)
    except KeyboardInterrupt:
        _say(console, f"interrupted; the same command goes on where it stopped (in {asked.dst})")
        return INTERRUPTED
    except OSError as why:  # of reading; what is written says so itself
        raise UserError(f"{why.filename or asked.src}: {why.strerror or why}") from why


def _form(kind: type[Settings]) -> type:
    """The options of one data set."""

    @dataclass
    class Prepare:
        src: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
        """Folder of the original, as its owners give it out."""
        dst: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DST")]
        """New folder for {train,test}/EXPRESSION/NAME.png, pictures.jsonl and dataset.json."""
        settings: tyro.conf.OmitArgPrefixes[kind]  # pyright: ignore[reportInvalidTypeForm]
        """Which pictures to make; the same settings and source make the same set."""
        partial: bool = False
        """Take what is there although pictures are missing or cannot be read."""
        openface: Path | None = None
        """OpenFace 2 results to join: a folder of CSVs named after the pictures, or one CSV with a column `file`."""
        confidence: float = 0.8
        """How sure OpenFace must be of a face (ours)."""

    Prepare.__doc__ = f"Prepare {kind.title} for training."
    return Prepare


def _prepare(name: str, asked, console: Console) -> int:
    found = _find(asked, console)
    from aggan.data.originals import card, store

    planned = store.records(found)
    if asked.openface:
        _join(planned, openface.read(asked.openface, asked.confidence), console)
    new = card.describe(name, asked.settings, found)
    if not store.begin(asked.dst, new):
        return _again(asked, planned, console)
    unreadable = store.make(asked.dst, asked.settings, found, lambda all_: track(all_, "preparing", console=console))
    for why in unreadable:
        _say(console, f"unreadable {why}")
    made = store.made(asked.dst, planned)
    if unreadable and not (asked.partial and made):
        raise UserError(
            f"{asked.src}: {len(unreadable)} of {len(planned)} pictures cannot be read: put whole "
            "ones there and run the same command, which goes on, or leave them out with --partial"
        )
    for split, counts in store.finish(asked.dst, new, made).items():
        print(f"{split}: {', '.join(f'{count} {expression}' for expression, count in counts.items())}")
    print(f"Train with: {_training(name, asked)}")
    return 0


def _find(asked, console: Console) -> Found:
    _apart(asked.src, asked.dst)
    found: Found = asked.settings.find(asked.src)
    for reason, names in found.skipped.items():
        _say(console, f"skipped {len(names)}: {reason} (such as {names[0]})")
    for note in found.notes:
        _say(console, f"note: {note}")
    if found.missing:
        missing = f"({len(found.missing)}, such as {found.missing[0]})"
        if not asked.partial:
            advice = "copy the rest, or take what is there with --partial"
            raise UserError(f"{asked.src}: pictures are missing {missing}: {advice}")
        _say(console, f"note: left out what is missing {missing}")
    return found


def _training(name: str, asked) -> str:
    size = "" if asked.settings.size == RECIPES_SIZE else f" --data.size {asked.settings.size}"
    root = shlex.quote(str(asked.dst))
    return f"aggan train --recipe {name} --data.root {root} --data.names neutral happy{size} --out RUN"


def _again(asked, planned: list[dict], console: Console) -> int:
    """A set that is there already: at most its action units change."""
    from aggan.data.originals import store

    missing = store.lacking(asked.dst, planned)
    if missing:
        _say(console, f"note: planned pictures that {asked.dst} lacks: {missing}; remove it to make it anew")
    if asked.openface:
        units = {record["file"]: record["action_units"] for record in planned if "action_units" in record}
        made = read_records(asked.dst / INDEX)
        for record in made:
            record.pop("action_units", None)
            if record["file"] in units:
                record["action_units"] = units[record["file"]]
        write_records(asked.dst / INDEX, made)
    print(f"{asked.dst} is prepared already" + (", now with these action units" if asked.openface else ""))
    return 0


def _join(planned: list[dict], units: dict[str, openface.Measured], console: Console) -> None:
    without = openface.join(planned, units)
    for line in without:
        _say(console, f"no action units for {line}")
    _say(console, f"{len(planned) - len(without)} of {len(planned)} pictures get action units")


def _apart(src: Path, dst: Path) -> None:
    if not src.is_dir():
        raise UserError(f"{src}: {'a file; unpack it and name the folder' if src.exists() else 'no such folder'}")
    source, target = src.resolve(), dst.resolve()
    if source == target or source in target.parents or target in source.parents:
        raise UserError(f"{src} and {dst}: one lies in the other; choose a DST apart from SRC")


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
