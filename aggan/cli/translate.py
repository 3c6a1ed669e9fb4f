"""`aggan translate MODEL INPUT... --to DOMAIN --out DIR`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import tyro

from aggan.errors import UserError
from aggan.inference.paths import check, plan, plan_videos, require_free
from aggan.inference.pipeline import share, unfinished
from aggan.training.launch import launched


@dataclass
class Translate:
    """Translate pictures. Names, sizes and formats stay, and so does every pixel that the mask leaves out."""

    model: Annotated[str, tyro.conf.Positional]
    """A run folder, a model folder, or a model that ships (faces128, faces64)."""
    inputs: Annotated[list[str], tyro.conf.Positional]
    """Files, folders or patterns."""
    to: str
    """The domain to translate to."""
    out: Path
    """Folder for the results."""
    strength: float = 1.0
    """Scales the mask: 0 leaves the picture as it is, 1 is the whole translation."""
    faces: bool = False
    """Find every face, translate it as the model knows faces, and bring it back. Needs the extra `faces`."""
    like: Path | None = None
    """With --faces: a folder of pictures that the model learned from, to learn how faces lie in them. A run and
    a model that ships know it."""
    tiles: bool = False
    """Look at overlapping tiles at the picture's own resolution: for models of textures and scenes."""
    video: bool = False
    """The inputs are videos (mp4, m4v, mov, mkv). Sound stays as it is. Needs the extra `video`."""
    png: bool = False
    """Write PNG whatever the source's format: exact, and upright."""
    masks: bool = False
    """Also write NAME.mask.png and NAME.content.png, upright."""
    source: str | None = None
    """The domain that the pictures come from; few systems ask for it."""
    samples: int = 1
    """So many answers to each picture, NAME.1.png, NAME.2.png, ..., from a system that has many."""
    missing: bool = False
    """Leave out pictures whose results are there already, so that the same command goes on where it was stopped."""
    backend: Literal["auto", "torch", "torch-bf16", "onnxruntime", "openvino"] = "auto"
    """What computes; auto takes for many pictures what is fastest here and says what torch says in fp32 (onnxruntime
    and openvino need the extra `export`)."""
    jobs: int = 0
    """Pictures at a time; as many as there are cores if left out."""
    path: int = 0
    """So many steps from --source to --to, NAME.1.png, ..., from a system with codes (ganimation)."""


class Version(NamedTuple):
    """One of the results that are asked of each picture."""

    kind: str
    to: str
    sample: int = 0


def main(arguments: list[str]) -> int:
    """Run the verb and give its exit code."""
    asked = tyro.cli(Translate, args=arguments, prog="aggan translate")
    _require_sense(asked)
    versions = _versions(asked)
    inputs, out, missing = asked.inputs, asked.out, asked.missing
    planned = plan_videos(inputs, out, missing) if asked.video else plan(inputs, out, asked.png, missing)
    kinds, parts = [version.kind for version in versions], (".mask", ".content") if asked.masks else ()
    check(planned, kinds, parts)
    # Under torchrun or srun, pictures are shared among the processes.
    mine = share(planned, by.rank, by.world) if (by := launched()) else planned
    left = unfinished(mine, kinds, parts) if asked.missing else mine
    if not asked.missing:
        require_free(left, kinds, parts)
    from aggan.inference.pipeline import COPIED, SKIPPED, TRANSLATED, work_through
    from aggan.inference.translator import load

    translator = load(asked.model)
    backends = {version.kind: translator.backend(version.to, asked.source, version.sample) for version in versions}
    counted = work_through(left, asked, translator.card, backends)
    more = "".join(f", {counted[done]} {done}" for done in (COPIED, SKIPPED) if counted[done])
    more += f", {len(mine) - len(left)} there already" if asked.missing else ""
    print(f"{counted[TRANSLATED]} translated to {asked.out}{more}")
    # Of a share, or of what is left, nothing may be readable: that is no failure of the whole.
    return 2 if counted[SKIPPED] == len(planned) else 0


def _require_sense(asked: Translate) -> None:
    if asked.samples < 1 or asked.path < 0 or asked.path == 1:
        raise UserError("--samples needs 1 or more answers, --path 2 or more steps")
    if asked.jobs < 0:
        raise UserError(f"--jobs {asked.jobs}: it should be at least 1")
    if not 0 <= asked.strength <= 1:
        raise UserError(f"--strength goes from 0 to 1, not {asked.strength}")
    if asked.faces and asked.tiles:
        raise UserError("--faces and --tiles are two ways to look at a picture: choose one")
    if asked.like and not asked.faces:
        raise UserError("--like tells --faces how faces lie: give both, or neither")
    if asked.path and not asked.source:
        raise UserError("--path leads from --source to --to: name both")
    if asked.path and asked.samples > 1:
        raise UserError("--path and --samples are two ways to make several pictures of one: choose one")
    if asked.video and (asked.png or asked.masks or asked.samples > 1 or asked.path):
        raise UserError("--video makes one video of each, without --png, --masks, --samples and --path")


def _versions(asked: Translate) -> list[Version]:
    if asked.path:
        shares = (step / (asked.path - 1) for step in range(asked.path))
        return [Version(f".{k}", f"{asked.source}>{asked.to}@{share}") for k, share in enumerate(shares, start=1)]
    if asked.samples == 1:
        return [Version("", asked.to)]
    return [Version(f".{k + 1}", asked.to, k) for k in range(asked.samples)]
