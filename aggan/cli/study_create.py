"""`aggan study create --real DIR --fake NAME=DIR ... --out STUDY`."""

import math
import re
import secrets
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from aggan.cli.study import named
from aggan.errors import UserError
from aggan.study.draw import Wanted
from aggan.study.plan import CONSENT, HTTPS, Settings

LEAST = {"trials": 1, "practice": 0, "checks": 0, "exposure": 0, "misses": 0, "size": 16}


@dataclass
class Create:
    """Plan a study: pairs of a real picture and a fake one. Files of the same name are pairs."""

    real: Path
    """Folder of real pictures."""
    fake: tyro.conf.UseAppendAction[list[list[str]]]
    """NAME=DIR for each system: the folder of what it made, of the same inputs for all systems."""
    out: Path
    """New folder for the study."""
    trials: int | None = None
    """Pairs that count, of each participant, a multiple of the number of systems. [at most 40]"""
    practice: int | None = None
    """Pairs before them, after which one is told the truth. [at most 10]"""
    checks: int | None = None
    """Attention checks among them: the fake is scrambled. [at most 4]"""
    misses: int = 1
    """Whoever misses more checks is not counted."""
    exposure: float = 1.0
    """Seconds that a pair is shown; 0 until it is answered."""
    once: bool = False
    """Refuse whoever has taken part already."""
    completion: str | None = None
    """Prolific's completion URL, to go back to in the end."""
    mturk: bool = False
    """For MTurk's external question: may be shown within its page, and reports back."""
    title: str = field(default="Which picture is real?")
    """Heading of the first page."""
    consent: Path | None = None
    """Text that one agrees to, paragraphs apart by empty lines."""
    size: int | None = None
    """Side of the pictures in pixels. [the smallest of them, at most 512]"""
    seed: int | None = None
    """Who sees what follows from it; whoever knows it knows the answers. [drawn]"""


def main(arguments: list[str]) -> int:
    """Run the action and give its exit code."""
    asked = tyro.cli(Create, args=arguments, prog="aggan study create")
    _check(asked)
    fakes = {
        name: Path(folder) for name, folder in named([one for some in asked.fake for one in some], "--fake").items()
    }
    settings = Settings(
        title=asked.title,
        consent=_paragraphs(asked.consent) if asked.consent else CONSENT,
        exposure=asked.exposure,
        misses=asked.misses,
        once=asked.once,
        completion=asked.completion,
        mturk=asked.mturk,
    )
    from aggan.study.create import Sources, create

    sources = Sources(asked.real, fakes, asked.size)
    seed = secrets.randbits(128) if asked.seed is None else asked.seed
    made = create(sources, Wanted(asked.trials, asked.practice, asked.checks), settings, seed, asked.out)
    plan, people = made.plan, len(made.plan.pairs) + len(made.plan.practice) + len(made.plan.checks)
    each = plan.trials // len(plan.systems)
    print(f"{asked.out}: {people} people, {made.matched} beside their own real picture, at {made.size} px, seed {seed}")
    if made.resized:
        print("note: not all pictures had that size; resizing blurs some more than others, which may give them away")
    print(f"A participant sees {len(plan.practice)} pairs for practice, {each} of each of {len(plan.systems)} systems, "
          f"{len(plan.checks)} checks.")  # fmt: skip
    print(f"Go on with: aggan study serve {shlex.quote(str(asked.out))}")
    return 0


def _check(asked: Create) -> None:
    for name, least in LEAST.items():
        value = getattr(asked, name)
        if value is not None and value < least:
            raise UserError(f"--{name} {value}: it should be at least {least}")
    if not math.isfinite(asked.exposure):
        raise UserError(f"--exposure {asked.exposure}: it should be a number of seconds")
    if asked.completion is not None and not re.fullmatch(HTTPS, asked.completion):
        raise UserError(f"--completion {asked.completion}: it should begin with https:// and be without spaces")
    if not asked.title.strip():
        raise UserError("--title: it is empty")
    if len(asked.title.splitlines()) > 1:
        raise UserError("--title: it should be a single line")


def _paragraphs(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as why:
        raise UserError(f"--consent {path}: cannot be read: {getattr(why, 'strerror', None) or why}") from why
    found = tuple(" ".join(part.split()) for part in text.split("\n\n") if part.strip())
    if not found:
        raise UserError(f"--consent {path}: there is no text in it")
    return found
