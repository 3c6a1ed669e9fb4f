"""`aggan study create --real DIR --fake NAME=DIR ... --out STUDY`."""

import math
import re
import secrets
import shlex
import sys
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import tyro

from aggan.cli.study import parse_pairs
from aggan.errors import UserError
from aggan.io import printable

MINIMUM = {"trials": 1, "practice": 0, "checks": 0, "exposure": 0, "max_missed_checks": 0, "size": 16}


@dataclass
class Create:
    """Create a study from pairs of a real and a fake image. Files of the same name form a pair."""

    real: Path
    """Folder of real images."""
    fake: tyro.conf.UseAppendAction[list[list[str]]]
    """NAME=DIR for each method: the folder of its outputs. All methods translate the same inputs."""
    out: Path
    """New folder for the study."""
    trials: int | None = None
    """Main trials of each participant, a multiple of the number of methods. [at most 40]"""
    practice: int | None = None
    """Practice trials before them, with feedback. [at most 10]"""
    checks: int | None = None
    """Attention checks among the main trials; their fake image is scrambled. [at most 4]"""
    max_missed_checks: int = 1
    """Exclude participants who miss more attention checks."""
    exposure: float = 1.0
    """Seconds for which a pair is visible; 0: until answered."""
    forbid_repeats: bool = False
    """Refuse participants who have already taken part."""
    completion_url: str | None = None
    """Prolific's completion URL; participants are redirected to it at the end."""
    mturk: bool = False
    """Run as an external question of MTurk: allow MTurk to frame the page, and submit the HIT at the end."""
    title: str = "Which image is real?"
    """Heading of the first page."""
    consent: Path | None = None
    """Text file that participants agree to; empty lines separate paragraphs."""
    size: int | None = None
    """Side of the images in pixels. [the smallest side of all, at most 512]"""
    seed: int | None = None
    """Determines what every participant sees; keep it secret. [random]"""


def main(argv: list[str]) -> int:
    """Run the action. Returns the exit code."""
    args = tyro.cli(Create, args=argv, prog="aggan study create")
    from aggan.study.plan import DEFAULT_CONSENT, Settings
    from aggan.study.sampling import TrialCounts

    _check(args)
    fakes = {printable(name): Path(folder) for name, folder in parse_pairs([*chain(*args.fake)], "--fake").items()}
    settings = Settings(
        title=args.title,
        consent=_paragraphs(args.consent) if args.consent else DEFAULT_CONSENT,
        exposure=args.exposure,
        max_missed_checks=args.max_missed_checks,
        forbid_repeats=args.forbid_repeats,
        completion_url=args.completion_url,
        mturk=args.mturk,
    )
    from aggan.study.create import Sources, create_study

    counts = TrialCounts(args.trials, args.practice, args.checks)
    seed = secrets.randbits(128) if args.seed is None else args.seed
    study = create_study(Sources(args.real, fakes, args.size), counts, settings, seed, args.out, _warn)
    plan = study.plan
    pairs = len(plan.pairs) + len(plan.practice) + len(plan.checks)
    matched = f"{study.matched} with the matching real image"
    print(f"{args.out}: {_count(pairs, 'pair')}, {matched}, {study.size} px, seed {seed}")
    if study.resized:
        print("note: some images were resized; resizing blurs some more than others, which may give them away")
    print(
        f"Each participant sees {_count(len(plan.practice), 'practice trial')}, {_count(plan.trials, 'main trial')} "
        f"({plan.trials // len(plan.methods)} per method) and {_count(len(plan.checks), 'attention check')}."
    )
    print(f"Next: aggan study serve {shlex.quote(str(args.out))}")
    return 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _warn(message: str) -> None:
    print(message, file=sys.stderr)


def _check(args: Create) -> None:
    from aggan.study.plan import HTTPS_URL

    for name, minimum in MINIMUM.items():
        value = getattr(args, name)
        if value is not None and value < minimum:
            raise UserError(f"--{name.replace('_', '-')} {value}: must be at least {minimum}")
    if not math.isfinite(args.exposure):
        raise UserError(f"--exposure {args.exposure}: must be a finite number of seconds")
    if args.completion_url is not None and not re.fullmatch(HTTPS_URL, args.completion_url):
        raise UserError(f"--completion-url {args.completion_url}: must begin with https:// and contain no spaces")
    if not args.title.strip():
        raise UserError("--title: must not be empty")
    if len(args.title.splitlines()) > 1:
        raise UserError("--title: must be a single line")


def _paragraphs(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--consent {path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    paragraphs = tuple(" ".join(part.split()) for part in text.split("\n\n") if part.strip())
    if not paragraphs:
        raise UserError(f"--consent {path}: the file contains no text")
    return paragraphs
