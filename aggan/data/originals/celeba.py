"""CelebA (Liu et al., ICCV 2015): neutral and smiling people in the wild, unpaired.

Sure: `img_align_celeba/000001.jpg` and so on, 202,599 pictures of 178 x 218; the three lists (see `lists.py`);
the partition into 0 training, 1 validation, 2 testing, made by person. The paper takes 1,000 neutral and 1,000
smiling pictures at random to train and as many to test.

Ours: neutral is "not Smiling" (there is no neutral attribute); training pictures come from part 0 and testing
ones from part 2; the centred 178 x 178 square is kept. Where `identity_CelebA.txt` is there, people of part 0
are kept out of the test whatever the partition says.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from aggan.data.originals import lists, settings
from aggan.data.originals.photographs import Found, Photograph
from aggan.errors import UserError

PICTURES, ATTRIBUTES = "img_align_celeba", "list_attr_celeba.txt"
PARTITION, IDENTITIES = "list_eval_partition.txt", "identity_CelebA.txt"
PARTS = {"train": 0, "test": 2}
SMILING = {"neutral": False, "happy": True}


class Settings(settings.Settings):
    """CelebA: neutral and happy (smiling) people in the wild."""

    title: ClassVar[str] = "CelebFaces Attributes (CelebA)"

    train: int = Field(default=1000, ge=1, description="Pictures of each expression to train on.")
    test: int = Field(default=1000, ge=1, description="Pictures of each expression to test on.")

    def find(self, src: Path) -> Found:
        folder, faces = _pictures(src), lists.Faces.read(*_lists(src))
        there = {file.name for file in folder.iterdir() if not file.name.startswith(".")}
        found = Found(missing=[name for name in faces.smiling if name not in there])
        for name in sorted(there - faces.smiling.keys()):
            found.skip(f"not in {ATTRIBUTES}", name)
        for name, part in faces.part.items():
            if part not in PARTS.values():
                found.skip("in the validation part", name)
        if faces.person is None:
            found.notes.append(
                f"{IDENTITIES} is not there, so nobody is known by name: that no person is in both train and test "
                "rests on CelebA's own partition"
            )
        for split in PARTS:
            names = self._allowed(faces, split, there, found)
            found.splits[split] = [
                Photograph(folder / name, Path(name).stem, expression, (faces.person or {}).get(name))
                for expression in SMILING
                for name in self._draw(faces, split, expression, names, found)
            ]
        return found

    def _allowed(self, faces: lists.Faces, split: str, there: set[str], found: Found) -> list[str]:
        names = sorted(name for name in there & faces.part.keys() if faces.part[name] == PARTS[split])
        if split != "test" or faces.person is None:
            return names
        trained_on = {person for name, person in faces.person.items() if faces.part[name] == PARTS["train"]}
        for name in names:
            if faces.person[name] in trained_on:
                found.skip("for testing, but of a person who is also in the training part", name)
        return [name for name in names if faces.person[name] not in trained_on]

    def _draw(self, faces: lists.Faces, split: str, expression: str, names: list[str], found: Found) -> list[str]:
        wanted = self.train if split == "train" else self.test
        fitting = [name for name in names if faces.smiling[name] == SMILING[expression]]
        if len(fitting) < wanted:
            raise UserError(
                f"{len(fitting)} {expression} pictures for {split} are there, not {wanted}: lower --{split} {wanted}"
            )
        random = np.random.default_rng((self.seed, PARTS[split], int(SMILING[expression])))
        order = [fitting[index] for index in random.permutation(len(fitting))]
        for name in sorted(order[wanted:]):
            found.skip(f"not drawn for --train {self.train} --test {self.test}", name)
        return sorted(order[:wanted])


def _lists(src: Path) -> tuple[Path, Path, Path | None]:
    identities = _place(src, IDENTITIES)
    return _needed(src, ATTRIBUTES), _needed(src, PARTITION), identities


def _pictures(src: Path) -> Path:
    folder = _needed(src, PICTURES)
    # Some archives hold a folder of the same name in it.
    inner = folder / PICTURES
    return inner if inner.is_dir() else folder


def _needed(src: Path, name: str) -> Path:
    place = _place(src, name)
    if place is None:
        packed = _place(src, f"{name}.zip")
        advice = f"unpack {packed.name} there" if packed else "it belongs to the data set"
        raise UserError(f"{src}: {name} is missing here (and in Img, Anno and Eval): {advice}")
    return place


def _place(src: Path, name: str) -> Path | None:
    """Where a part of the data set lies: side by side, or in the folders of the published one."""
    places = (src / folder / name for folder in ("", "Img", "Anno", "Eval"))
    return next((place for place in places if place.exists()), None)
