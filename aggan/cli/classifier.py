"""`aggan classifier train DATA --out DIR`: a classifier of one's own domains, for `--classifier`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.table import Table

from aggan.data.folders import DataConfig, Split, find, find_folders, require_outside
from aggan.errors import UserError
from aggan.io import require_output_folder
from aggan.stats import wilson_interval

if TYPE_CHECKING:
    from aggan.data.cache import DecodedDomain
    from aggan.data.folders import Domain
    from aggan.evaluation.domain_classifier import ClassifierCard
    from aggan.training.log import Display

USAGE = """usage: aggan classifier train DATA --out DIR      train a classifier of your own domains, and measure it

aggan classifier train --help shows all options. It is for aggan evaluate --classifier DIR."""
ACTIONS = ("train",)
SIZES = range(16, 513)
SHARES = 0.05, 0.5


@dataclass
class Train:
    """Train a small classifier on folders of images, and measure it on images that it has not learned from."""

    data: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folder of all domains, in any layout that aggan train reads; or two folders with one domain each."""
    out: Path
    """Folder for the classifier."""
    names: tuple[str, ...] = ()
    """Domains to use, or the names of two folders; all by default."""
    size: int = 128
    """Side in pixels at which it looks at images: that of the models which it will measure."""
    steps: int = 600
    """Length of the training in steps of 32 images."""
    flip: bool = True
    """Mirror half of the training images. Not if left and right differ, as in letters."""
    recolour: bool = False
    """Change brightness, saturation and tint of the training images, so that it does not look at colours."""
    test_share: float = 0.2
    """Share of each domain's images that it is measured on, if there are no test images."""
    bits: int | None = None
    """Bits that 16-bit images really use, 12 for many cameras."""
    seed: int = 0
    """Seed of all random numbers, and of the test images that are drawn."""


def main(argv: list[str]) -> int:
    """Run an action and return its exit code."""
    if argv[:1] in ([], ["-h"], ["--help"]):
        print(USAGE)
        return 0
    if argv[0] not in ACTIONS:
        raise UserError(f"no action {argv[0]!r}; there is {', '.join(ACTIONS)}")
    return train(tyro.cli(Train, args=argv[1:], prog="aggan classifier train"))


def train(args: Train) -> int:
    """Train, measure and save a classifier. Returns the exit code."""
    data = _require_settings(args)
    find_folders(data)  # first, as importing torch takes seconds
    _require_destination(args.out, data)
    images = find(data)
    from aggan.evaluation.domain_classifier import Training, save_classifier, split, train_classifier
    from aggan.ops.cpu_features import limit_threads
    from aggan.training.log import Display

    limit_threads()
    display = Display(Console())
    origin = "the test images" if images.test else f"{args.test_share:.0%} of each domain, by seed {args.seed}"
    for sentence in _describe(images, origin):
        display.print(sentence)
    training_set, test_set = (_decode(domains, args.size, display) for domains in (images.train, images.test))
    classes, copies = split(training_set, test_set, args.test_share, args.seed)
    if copies:
        display.warn(f"left out {copies} test images: each equals a training image")
    training = Training(args.size, args.steps, args.flip, args.recolour, args.seed)
    with display.counting("training the classifier, steps") as count:
        network, card = train_classifier(classes, training, origin, count)
    save_classifier(args.out, network, card)
    display.console.print(accuracy_table(card))
    if warning := card.warning():
        display.warn(warning)
    print(f"Written to {args.out}. Use it with: aggan evaluate ... --classifier {shlex.quote(str(args.out))}")
    return 0


def _require_settings(args: Train) -> DataConfig:
    """The images of the options. Raises `UserError` if an option is out of range."""
    if args.size not in SIZES:
        raise UserError(f"--size {args.size}: must be {SIZES.start} to {SIZES.stop - 1}")
    if args.steps < 1:
        raise UserError(f"--steps {args.steps}: must be 1 or more")
    if not SHARES[0] <= args.test_share <= SHARES[1]:
        raise UserError(f"--test-share {args.test_share:g}: must be {SHARES[0]:g} to {SHARES[1]:g}")
    if not 0 <= args.seed < 2**63:
        raise UserError(f"--seed {args.seed}: must be 0 or more, and less than 2^63")
    if args.bits is not None and not 8 <= args.bits <= 16:
        raise UserError(f"--bits {args.bits}: must be 8 to 16")
    settings = {"names": args.names or None, "size": args.size, "bits": args.bits}
    match args.data:
        case [root]:
            return DataConfig(root=root, **settings)
        case [x, y]:
            return DataConfig(x=x, y=y, **settings)
    raise UserError("give one folder with all domains in it, or two folders with one domain each")


def _require_destination(out: Path, data: DataConfig) -> None:
    """Raise `UserError` unless the folder is new or empty, and beside the images."""
    require_output_folder(out, "--out")
    if out.exists() and any(out.iterdir()):
        raise UserError(f"--out {out}: is not empty: choose a new folder, or empty this one")
    require_outside(data, out)


def _describe(images: Split, origin: str) -> list[str]:
    sentences = images.describe()
    return sentences if images.test else [f"{sentences[0]}; test images: {origin}", *sentences[2:]]


def _decode(domains: tuple[Domain, ...], size: int, display: Display) -> list[DecodedDomain]:
    from aggan.data.cache import decode_domain

    decoded = []
    for domain in domains:
        with display.counting(f"decoding the images of {domain.name}") as count:
            decoded.append(decode_domain(domain, size, False, lambda line: display.warn(f"skipped {line}"), 1, count))
    return decoded


def accuracy_table(card: ClassifierCard) -> Table:
    """How many test images of each class are recognised."""
    table = Table("domain", "right", "95 % interval", "test images")
    rows = card.rows()
    total = sum(right for _, right, _ in rows), sum(count for _, _, count in rows)
    for name, right, count in (*rows, ("all", *total)):
        low, high = wilson_interval(right, count)
        table.add_row(name, f"{right / count:.1%}", f"{low:.1%} to {high:.1%}", str(count))
    return table
