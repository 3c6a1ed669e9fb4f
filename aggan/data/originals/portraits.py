"""Official portraits under open licences, gathered into one folder that is sorted by expression afterwards.

DST/{parliament,congress,canada}/NAME.jpg    the files of the sources, byte for byte
DST/CREDITS.txt     licence and credit of each source, and what was left out
DST/dataset.json    the card; written last

The licences are those that the sources state. The numbers of images are those that we found at the named commits.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from aggan.data.index import CARD, VERSION, find_card, write_card
from aggan.data.listing import scan
from aggan.errors import UserError
from aggan.io import read_json, resumable, write_atomic, write_text_atomic

CREDITS = "CREDITS.txt"
WORK = ".preparing"
"""Folder inside the set that holds its card until the set is complete."""
TITLE = "Official portraits under open licences"
_SUFFIXES = frozenset((".jpg", ".jpeg"))
_EXAMPLES = 3


@dataclass(frozen=True)
class Source:
    """A collection of portraits, one person each, in a public repository."""

    name: str
    """Folder of its images in the set."""
    title: str
    repository: str
    commit: str
    folder: str
    """Where the images lie in the repository."""
    example: str
    pattern: re.Pattern[str]
    """Names of its images, without suffix."""
    count: int
    licence: str
    credit: str

    @property
    def folders(self) -> frozenset[str]:
        """Names of folders that hold its images: in the repository, and in a prepared set."""
        return frozenset((Path(self.folder).name, self.name))


SOURCES = (
    Source(
        "parliament",
        "Official portraits of members of the UK Parliament",
        "https://github.com/mysociety/theyworkforyou",
        "11be5b9e439cdcefb6a71cc3b0b83a2f8eeb3437",
        "www/docs/images/mpsOfficial",
        "10001.jpg",
        re.compile(r"\d{5}"),
        1378,
        "CC BY 3.0, https://creativecommons.org/licenses/by/3.0/",
        "© Parliament (CC-BY 3.0)",
    ),
    Source(
        "congress",
        "Official portraits of members of the US Congress, by the Government Publishing Office",
        "https://github.com/Hainish/congress-images-225x275",
        "20531e981f99cd8fd42023d3e71000582f2e04c2",
        "images",
        "A000014.jpg",
        re.compile(r"[A-Z]\d{6}"),
        879,
        "public domain, according to https://github.com/unitedstates/images",
        "US Government Publishing Office",
    ),
    Source(
        "canada",
        "Young Adult White Faces: neutral students of a Canadian university",
        "https://github.com/debruine/webmorphR.stim",
        "fa8b78fda2d659bb74ce62fcd99c4407551d2a77",
        "inst/canada",
        "003f.jpg",
        re.compile(r"\d{3}[fm]"),
        40,
        "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/",
        "DeBruine, L., and Jones, B. (2017), https://doi.org/10.6084/m9.figshare.4220517.v1",
    ),
)


@dataclass
class Pile:
    """The portraits in some folders, and what is left out of them."""

    files: dict[str, Path] = field(default_factory=dict)
    """By their paths in the set."""
    left_out: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """Names of files in the folders of a source, by source and reason."""

    def count(self, source: Source) -> int:
        """Number of images of a source."""
        return sum(name.startswith(f"{source.name}/") for name in self.files)


def find_portraits(folders: Sequence[Path]) -> Pile:
    """Find the portraits of all sources in some folders.

    An image counts by its name and by that of its folder: other folders of these repositories hold images under other
    licences. Raises `UserError` if a folder holds no portraits.
    """
    pile = Pile()
    for folder in folders:
        files = [file for file in scan(folder.resolve(), _SUFFIXES).files if file.is_file()]
        placed = [(source, file) for file in files for source in SOURCES if file.parent.name in source.folders]
        if not any(source.pattern.fullmatch(file.stem) for source, file in placed):
            places = ", ".join(f"{source.folder}/{source.example}" for source in SOURCES)
            raise UserError(f"{folder}: no portraits, like {places}: name a checkout of one of the repositories")
        for source, file in placed:
            _add(pile, source, file)
    return pile


def _add(pile: Pile, source: Source, file: Path) -> None:
    name = f"{source.name}/{file.stem}.jpg"
    if not source.pattern.fullmatch(file.stem):
        reason = f"not named like {source.example}"
    elif name in pile.files:
        reason = "a second file of the same name"
    else:
        pile.files[name] = file
        return
    pile.left_out.setdefault(source.name, {}).setdefault(reason, []).append(file.name)


Track = Callable[[Sequence[str]], Iterable[str]]


def gather(pile: Pile, dst: Path, track: Track) -> bool:
    """Copy the portraits to `dst`. Returns False if they are there already.

    The call continues an interrupted one. Raises `UserError` if `dst` holds anything else, or if writing fails.
    """
    card = _card(pile)
    path = find_card(dst, WORK)
    if path and read_json(path).get("plan") != card["plan"]:
        raise UserError(f"{dst}: was made from other images than these: choose a new folder or remove this one")
    if path == dst / CARD:
        return False
    with resumable():
        write_card(dst / WORK / CARD, card)
        for name in track(sorted(pile.files)):
            if not (dst / name).exists():
                write_atomic(dst / name, partial(shutil.copyfile, pile.files[name]))
        write_text_atomic(dst / CREDITS, credit(pile))
        write_card(dst / CARD, card)
    shutil.rmtree(dst / WORK, ignore_errors=True)
    return True


def _card(pile: Pile) -> dict[str, Any]:
    plan = json.dumps([[name, file.stat().st_size] for name, file in sorted(pile.files.items())])
    counts = {source.name: pile.count(source) for source in SOURCES if pile.count(source)}
    digest = hashlib.sha256(plan.encode()).hexdigest()[:32]
    return {"name": "portraits", "version": VERSION, "source": TITLE, "plan": digest, "counts": counts}


def credit(pile: Pile) -> str:
    """The text of `CREDITS.txt`."""
    sections = [_section(source, pile) for source in SOURCES if pile.count(source)]
    notice = (
        "These are real people. Credit the sources below wherever you show these images, and with every model that\n"
        "learned from them. The files are copies, byte for byte, and none has been looked at: images without a face,\n"
        "without colour or of a person who is there twice are left out when the portraits are sorted."
    )
    return "\n\n".join([f"{TITLE}, gathered by `aggan data prepare portraits`", notice, *sections]) + "\n"


def _section(source: Source, pile: Pile) -> str:
    left_out = [
        f"left out  {len(names)}: {reason}, such as {', '.join(names[:_EXAMPLES])}"
        for reason, names in pile.left_out.get(source.name, {}).items()
    ]
    lines = [
        f"images    {pile.count(source)} (at the commit below: {source.count})",
        f"licence   {source.licence}",
        f"credit    {source.credit}",
        f"from      {source.repository}, {source.folder}",
        f"commit    {source.commit}",
        *left_out,
    ]
    return "\n".join([f"{source.name}/: {source.title}", *(f"    {line}" for line in lines)])
