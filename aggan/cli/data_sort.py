"""`aggan data sort PHOTOS... --out DIR`: from a pile of photographs of people to training images of two domains."""

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.progress import track

from aggan.curation.inputs import Input, Inputs, parse_domains
from aggan.curation.settings import SortSettings
from aggan.data.index import counts
from aggan.errors import UserError

if TYPE_CHECKING:
    from aggan.curation.balance import Balanced
    from aggan.curation.pipeline import Sorted

INTERRUPTED = 130
REPORT = "report.html"


@dataclass
class Sort:
    """Options of a sorting."""

    photos: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PHOTOS", help_behavior_hint="")]
    """Photographs, and folders with photographs, of people."""
    out: Path
    """Folder for {train,test}/{neutral,smiling}/NAME.png, report.html, images.jsonl and dataset.json."""
    domains: tuple[str, ...] = ()
    """Instead of PHOTOS: NAME=FOLDER of each domain, for folders that are sorted already."""
    settings: tyro.conf.OmitArgPrefixes[SortSettings] = field(default_factory=SortSettings)
    """What is cropped, left out, balanced and split."""


def main(argv: list[str]) -> int:
    """Sort photographs, or continue an interrupted sorting, and return the exit code."""
    args = tyro.cli(
        Sort,
        args=argv,
        prog="aggan data sort",
        description="Make training images from photographs of people: find and align faces, leave out what does not "
        "help, sort by expression, balance, and split by person. Needs the extra `faces`.",
    )
    if bool(args.photos) == bool(args.domains):
        raise UserError("name either PHOTOS to sort or --domains NAME=FOLDER NAME=FOLDER that are sorted already")
    inputs = Inputs(args.photos, parse_domains(args.domains) if args.domains else None)
    from aggan.curation.measure import load_instruments
    from aggan.curation.pipeline import sort_photographs

    console = Console(stderr=True)

    def show_progress(items: Sequence[Input], what: str) -> Iterable[Input]:
        return track(items, what, console=console)

    try:
        result = sort_photographs(inputs, args.out, args.settings, load_instruments, show_progress)
    except KeyboardInterrupt:
        console.print(f"interrupted; run the same command to continue (in {args.out})", markup=False, soft_wrap=True)
        return INTERRUPTED
    for note in result.notes:
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    _print_summary(result, args)
    return 0


def _print_summary(result: "Sorted", args: Sort) -> None:
    for split, numbers in counts(result.records).items():
        print(f"{split}: {', '.join(f'{number} {name}' for name, number in numbers.items()) or 'nothing'}")
    reasons = Counter(each.reason for each in result.left_out).most_common()
    print(f"left out: {', '.join(f'{number} {reason}' for reason, number in reasons) or 'nothing'}")
    print(f"largest difference between the domains, in standard deviations: {_largest(result.balanced)}")
    if max(feature.after for feature in result.balanced.features) > result.balanced.limit:
        print("note: the domains still differ in more than the expression; the report says in what, and what to do")
    root, names = shlex.quote(str(args.out)), " ".join(shlex.quote(name) for name in result.domains[:2])
    print(
        f"Look at {args.out / REPORT}, then train with: "
        f"aggan train --recipe photographs64 --data.root {root} --data.names {names} --out RUN"
    )


def _largest(balanced: "Balanced") -> str:
    """The largest differences before and after balancing, with the features' names."""
    before = max(balanced.features, key=lambda feature: feature.before)
    after = max(balanced.features, key=lambda feature: feature.after)
    return f"{before.before:.2f} ({before.name}) before balancing, {after.after:.2f} ({after.name}) after"
