"""Make a study's folder from folders of pictures; a study is there whole, or not at all."""

import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from aggan.errors import UserError
from aggan.study.draw import Drawn, Files, Wanted, draw
from aggan.study.images import MOST, Gallery, files, sides
from aggan.study.plan import PICTURES, Pair, Plan, Settings, write_plan


@dataclass(frozen=True)
class Sources:
    """Where pictures come from."""

    real: Path
    fakes: dict[str, Path]
    """A folder a system."""
    size: int | None = None
    """Side in pixels at which they are shown; None is the smallest that any of them has."""


@dataclass(frozen=True)
class Created:
    """What was made, and what whoever made it should know."""

    plan: Plan
    matched: int
    size: int
    resized: bool


def create(sources: Sources, wanted: Wanted, settings: Settings, seed: int, out: Path) -> Created:
    """Write the study; raises `UserError`."""
    if out.exists():
        raise UserError(f"{out} exists already: choose another --out")
    real, fakes = files(sources.real), {name: files(folder) for name, folder in sources.fakes.items()}
    drawn = draw(real, fakes, wanted, Random(seed))
    native = sides(_used(drawn, fakes))
    size = sources.size or min(MOST, *native)
    partial = out.with_name(f".{out.name}.tmp")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        gallery = Gallery(partial / PICTURES, size)
        write_plan(partial, plan := _plan(gallery, drawn, fakes, settings, seed))
        gallery.close()
        partial.chmod(0o700)  # in it are the answer key and, in time, who took part
        partial.rename(out)
    except OSError as why:
        raise UserError(f"cannot write {out}: {why.strerror or why}") from why
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Created(plan, drawn.matched, size, native != {size})


def _used(drawn: Drawn, fakes: dict[str, Files]) -> Iterable[Path]:
    yield from drawn.real.values()
    yield from (some[name] for some in fakes.values() for name in drawn.real)


def _plan(gallery: Gallery, drawn: Drawn, fakes: dict[str, Files], settings: Settings, seed: int) -> Plan:
    def pair(name: str) -> Pair:
        made = {system: gallery.add(some[name]) for system, some in fakes.items()}
        return Pair(name=name, real=gallery.add(drawn.real[name]), fakes=made)

    def check(name: str) -> Pair:
        real = drawn.real[name]
        return Pair(name=name, real=gallery.add(real), fakes={"": gallery.add_scrambled(real)})

    return Plan(
        study=secrets.token_hex(8),
        secret=secrets.token_hex(32),
        seed=seed,
        settings=settings,
        systems=tuple(fakes),
        trials=drawn.trials,
        pairs=tuple(map(pair, drawn.pairs)),
        practice=tuple(map(pair, drawn.practice)),
        checks=tuple(map(check, drawn.checks)),
    )
