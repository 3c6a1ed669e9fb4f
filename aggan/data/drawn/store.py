"""The drawn set: scenes of `aggan.data.drawn.scenes` as the folders of a data set, with masks of what differs.

OUT/{train,test}/{plain,spotted,striped}/NAME.png    test images of one name are one scene
OUT/masks/pattern/...    the pixels in which an image differs from the plain image of its scene; plain images have none
OUT/masks/vase/...       the pixels of the vase
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image as Pillow

from aggan.data.drawn.scenes import DOMAINS, PLAIN, draw_scene
from aggan.data.index import CARD, INDEX, MASKS, VERSION, Record, counts, holds_set, write_card, write_records
from aggan.errors import UserError
from aggan.io import resumable, write_atomic

WORK = ".drawing"
"""Folder inside the set that holds its card until the set is complete."""
SIZES = range(16, 513)
TEST, TRAIN = 0, 1
"""Scenes of a seed are numbered in each split, so larger sets have the images of smaller ones."""


class Scene(NamedTuple):
    """One image of the set."""

    split: str
    domain: str
    seed: tuple[int, int, int]
    """Of `draw_scene`."""

    @property
    def file(self) -> str:
        """Its path below the folder of the set."""
        return f"{self.split}/{self.domain}/{self.seed[2]:05}.png"


def list_scenes(images: int, test_images: int, seed: int, pairs: bool) -> Iterator[Scene]:
    """The images of a set: `images` of each domain to train on, and `test_images` scenes in every domain.

    Every training image is of a scene of its own, unless `pairs` is set: then the domains have the same scenes.
    """
    for index, domain in enumerate(DOMAINS):
        for number in range(images):
            yield Scene("train", domain, (seed, TRAIN, number if pairs else number * len(DOMAINS) + index))
        for number in range(test_images):
            yield Scene("test", domain, (seed, TEST, number))


def draw_set(
    out: Path,
    size: int,
    images: int = 240,
    test_images: int = 100,
    seed: int = 0,
    pairs: bool = False,
    on_progress: Callable[[int, int], object] | None = None,
) -> int:
    """Draw a set of `list_scenes` into the folder `out`, with its index, its card and masks.

    The call continues an interrupted set and leaves a complete one unchanged. Returns the number of images. Raises
    `UserError` if a number is out of range, or if `out` holds anything else.
    """
    if size not in SIZES:
        raise UserError(f"scenes are drawn at {SIZES.start} to {SIZES.stop - 1} px, not {size}")
    if images < 2 or test_images < 0 or seed < 0:
        raise UserError("a set has 2 training images of each domain or more, and no negative numbers")
    scenes = list(list_scenes(images, test_images, seed, pairs))
    records = [_record(scene) for scene in scenes]
    card = {
        "name": "drawn",
        "version": VERSION,
        "seed": seed,
        "size": size,
        "pairs": pairs,
        "counts": counts(records, "domain"),
        "licence": "CC0-1.0",
        "how": "drawn by `aggan data draw`",
    }
    if holds_set(out, WORK, card, len(records), f"these {len(records)} scenes at {size} px"):
        return len(records)
    with resumable():
        write_card(out / WORK / CARD, card)
        for done, scene in enumerate(scenes, start=1):
            _write(scene, size, out)
            if on_progress:
                on_progress(done, len(scenes))
        write_records(out / INDEX, records)
        write_card(out / CARD, card)
    shutil.rmtree(out / WORK, ignore_errors=True)
    return len(records)


def _record(scene: Scene) -> Record:
    return {"file": scene.file, "split": scene.split, "domain": scene.domain, "scene": scene.seed[2]}


def _write(scene: Scene, size: int, out: Path) -> None:
    """Write an image and its masks, the image last: a set is continued where the next one is missing."""
    if (out / scene.file).exists():
        return
    drawing = draw_scene(scene.seed, scene.domain, size)
    _save(drawing.vase, out / MASKS / "vase" / scene.file)
    if scene.domain != PLAIN:
        _save(drawing.pattern, out / MASKS / "pattern" / scene.file)
    _save(drawing.image, out / scene.file)


def _save(pixels: np.ndarray, path: Path) -> None:
    write_atomic(path, lambda partial: Pillow.fromarray(pixels).save(partial, "PNG"))
