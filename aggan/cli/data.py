"""`aggan data ACTION`: unpack the sample faces, sort photographs, draw, render or prepare data sets, keep the cache.

Other packages add actions with an entry point in the group `aggan.data`. Its name is the action. Its object is called
with the remaining command-line arguments and returns an exit code.
"""

import shlex
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console

from aggan.data.sample_faces import SIZES, unpack
from aggan.errors import UserError

GROUP = "aggan.data"
ACTIONS = ("faces", "sort", "draw", "render", "prepare", "cache")
"""Actions that the usage always lists; `render` is the entry point of the package rendered-faces."""
USAGE = """usage: aggan data faces --out DIR [--size {64,128}] [--pairs]      unpack the sample faces
       aggan data sort PHOTOS... --out DIR      make training images from photographs of people
       aggan data draw --out DIR [--size N] [--images N] [--pairs]      draw vases: plain, spotted and striped
       aggan data render PROTOCOL --out DIR      render a data set (package rendered-faces)
       aggan data prepare {celeba,rafd,arface,bu3dfe,london} SRC DST      lay out an original data set
       aggan data prepare portraits SRC [SRC ...] DST      gather portraits under open licences
       aggan data cache [--clear] [--older-than DAYS]      list or clear the cache of decoded images"""
NO_RENDERER = (
    "aggan data render needs the package rendered-faces: "
    "pip install ./packages/rendered-faces (in a checkout of this repository)"
)


def main(argv: list[str]) -> int:
    """Run an action and return its exit code; raises `UserError` if there is no such action."""
    plugins = {point.name: point for point in entry_points(group=GROUP)}
    others = [name for name in plugins if name not in ACTIONS]
    if argv[:1] in ([], ["-h"], ["--help"]):
        print("\n".join([USAGE, *(f"       aggan data {name} ...      {_package(plugins[name])}" for name in others)]))
        return 0
    action, *rest = argv
    if action == "faces":
        return tyro.cli(faces, args=rest, prog="aggan data faces")
    if action == "sort":
        from aggan.cli import data_sort

        return data_sort.main(rest)
    if action == "draw":
        return tyro.cli(draw, args=rest, prog="aggan data draw")
    if action == "prepare":
        from aggan.cli import data_prepare

        return data_prepare.main(rest)
    if action == "cache":
        from aggan.cli import data_cache

        return data_cache.main(rest)
    if action in plugins:
        return _load(plugins[action])(rest)
    if action == "render":
        raise UserError(NO_RENDERER)
    raise UserError(f"no action {action!r}; there are {', '.join([*ACTIONS, *others])}")


def _load(plugin: EntryPoint) -> Callable[[list[str]], int]:
    """The function of an entry point; raises `UserError` if its package is broken."""
    try:
        return plugin.load()
    except Exception as error:  # a broken package raises errors of many types
        raise UserError(f"the action {plugin.name!r} {_package(plugin)} cannot be loaded: {error}") from error


def _package(plugin: EntryPoint) -> str:
    return f"(package {plugin.dist.name if plugin.dist else plugin.value})"


def faces(out: Path, size: Literal[64, 128] = 128, pairs: bool = False) -> int:
    """Unpack the sample faces to OUT/{train,test}/EXPRESSION/PERSON.png.

    Args:
        out: Folder to write to. The same command continues an interrupted one.
        size: Side of the images in pixels.
        pairs: Unpack every training person neutral and happy, for methods that learn from pairs.
    """
    count = unpack(out, size, pairs)
    root = shlex.quote(str(out))
    print(f"{count} images in {out}. Train with: aggan train --recipe faces{size} --data.root {root} --out RUN")
    return 0


def draw(
    out: Path, size: int = 64, images: int = 240, test_images: int = 100, seed: int = 0, pairs: bool = False
) -> int:
    """Draw vases to OUT/{train,test}/{plain,spotted,striped}/NAME.png, with masks of what differs.

    Args:
        out: Folder to write to. The same command continues an interrupted one.
        size: Side of the images in pixels.
        images: Number of training images in each domain.
        test_images: Number of test scenes, each drawn in every domain.
        seed: Seed of the scenes.
        pairs: Draw the same training scenes in every domain, for methods that learn from pairs.
    """
    from aggan.data.drawn.store import draw_set
    from aggan.training.log import Display

    with Display(Console()).counting("drawing scenes") as count:
        total = draw_set(out, size, images, test_images, seed, pairs, count)
    recipe = f"--recipe faces{size}" if size in SIZES else f"--data.size {size}"
    options = f"{recipe} --data.root {shlex.quote(str(out))} --data.names plain spotted"
    print(f"{total} images in {out}. Train with: aggan train {options} --out RUN")
    return 0
