"""CelebA (Liu et al., ICCV 2015): neutral and smiling people in the wild, unpaired.

From its publication: `img_align_celeba/000001.jpg` and so on, 202,599 images of 178 x 218 pixels; a list of
attributes; a partition by person into 0 training, 1 validation and 2 test. The paper takes 1,000 neutral and 1,000
smiling images at random for training and as many for testing.

Kaggle distributes the lists as CSV, without the identities; there, images lie in `img_align_celeba/img_align_celeba`.

Our choices: neutral is "not Smiling", as there is no neutral attribute; training images come from part 0 and test
images from part 2; the centred 178 x 178 square is kept. If `identity_CelebA.txt` is there, people of part 0 are
excluded from the test split whatever the partition says.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NoReturn

import numpy as np
from pydantic import Field

from aggan.data.originals.settings import CroppedSettings
from aggan.data.originals.source import Selection, SourceImage
from aggan.errors import UserError

IMAGES, ATTRIBUTES = "img_align_celeba", "list_attr_celeba.txt"
PARTITION, IDENTITIES = "list_eval_partition.txt", "identity_CelebA.txt"
KAGGLE = ".csv"
"""Suffix of these lists as Kaggle distributes them."""
FOLDERS = ("", "Img", "Anno", "Eval")
"""Folders of these files: side by side, or as published."""
PARTS = {"train": 0, "test": 2}
SMILING = "Smiling"
SMILES = {"neutral": False, "happy": True}


class Settings(CroppedSettings):
    """CelebA: neutral and happy (smiling) people in the wild."""

    title: ClassVar[str] = "CelebFaces Attributes (CelebA)"

    train: int = Field(default=1000, ge=1, description="Training images of each expression.")
    test: int = Field(default=1000, ge=1, description="Test images of each expression.")

    def select(self, src: Path) -> Selection:
        folder = _images_folder(src)
        attributes, partition = (_require_list(src, name) for name in (ATTRIBUTES, PARTITION))
        labels = Labels.read(attributes, partition, _find_list(src, IDENTITIES))
        present = {file.name for file in folder.iterdir() if not file.name.startswith(".")}
        selection = Selection(missing=[name for name in labels.smiling if name not in present])
        for name in sorted(present - labels.smiling.keys()):
            selection.skip(f"not in {attributes.name}", name)
        for name, part in labels.part.items():
            if part not in PARTS.values():
                selection.skip("in the validation part", name)
        if labels.person is None:
            selection.notes.append(
                f"{IDENTITIES} is not there, so people are unknown: that nobody is in both splits "
                "rests on CelebA's own partition"
            )
        people = labels.person or {}
        for split in PARTS:
            names = self._candidates(labels, split, present, selection)
            selection.splits[split] = [
                SourceImage(folder / name, Path(name).stem, expression, people.get(name))
                for expression in SMILES
                for name in self._draw(labels, split, expression, names, selection)
            ]
        return selection

    def _candidates(self, labels: "Labels", split: str, present: set[str], selection: Selection) -> list[str]:
        names = sorted(name for name in present & labels.part.keys() if labels.part[name] == PARTS[split])
        if split != "test" or labels.person is None:
            return names
        training_people = {person for name, person in labels.person.items() if labels.part[name] == PARTS["train"]}
        for name in names:
            if labels.person[name] in training_people:
                selection.skip("in the test part, but of a person who is also in the training part", name)
        return [name for name in names if labels.person[name] not in training_people]

    def _draw(self, labels: "Labels", split: str, expression: str, names: list[str], selection: Selection) -> list[str]:
        count = self.train if split == "train" else self.test
        candidates = [name for name in names if labels.smiling[name] == SMILES[expression]]
        if len(candidates) < count:
            images = f"{len(candidates)} {expression} image{'s' * (len(candidates) != 1)}"
            raise UserError(f"--{split} {count}: this part has only {images}: lower it")
        random = np.random.default_rng((self.seed, PARTS[split], int(SMILES[expression])))
        order = [candidates[index] for index in random.permutation(len(candidates))]
        for name in sorted(order[count:]):
            selection.skip(f"not drawn for --train {self.train} --test {self.test}", name)
        return sorted(order[:count])


@dataclass(frozen=True)
class Labels:
    """What the lists say about each image, by file name."""

    smiling: dict[str, bool]
    part: dict[str, int]
    person: dict[str, str] | None
    """None without a list of identities."""

    @classmethod
    def read(cls, attributes: Path, partition: Path, identities: Path | None) -> "Labels":
        """Read the lists. Raises `UserError` if one is broken, or they are about different images."""
        smiling, parts = _read_smiling(attributes), _read_column(partition)
        for name, part in parts.items():
            if part not in ("0", "1", "2"):
                raise UserError(f"{partition}: {name} is in part {part!r}, but parts are 0, 1 and 2")
        _require_same_images(attributes, smiling, partition, parts)
        people = _read_column(identities) if identities else None
        if identities and people is not None:
            _require_same_images(attributes, smiling, identities, people)
        return cls(smiling, {name: int(part) for name, part in parts.items()}, people)


def _read_smiling(path: Path) -> dict[str, bool]:
    """Read the attribute Smiling: a line with the names of the attributes, then one line per image.

    As published, a line with the number of images comes first.
    """
    lines = _read_lines(path)
    count = int(lines.pop(0)[1][0]) if lines and len(lines[0][1]) == 1 and lines[0][1][0].isdigit() else None
    names = lines[0][1] if lines else []
    if SMILING not in names:
        raise UserError(f"{path}: must begin with the names of the attributes, {SMILING} among them: copy it again")
    # The first column may have a name too, such as image_id.
    columns = len(names) if len(lines) > 1 and len(lines[1][1]) == len(names) else len(names) + 1
    column, smiling = columns - len(names) + names.index(SMILING), {}
    for number, values in lines[1:]:
        if len(values) != columns or values[column] not in ("1", "-1", "0"):
            raise UserError(f"{path}: line {number} is not a name and {columns - 1} values of 1 or -1: copy it again")
        smiling[values[0]] = values[column] == "1"
    if count not in (None, len(smiling)):
        raise UserError(f"{path}: has {len(smiling)} of the {count} images it announces: copy it again")
    return smiling


def _read_column(path: Path) -> dict[str, str]:
    """Read a list of names with one value each, perhaps after the names of both columns."""
    column = {}
    for index, (number, values) in enumerate(_read_lines(path)):
        is_header = index == 0 and len(values) == 2 and not values[1].isdigit() and "." not in values[0]
        if len(values) != 2:
            raise UserError(f"{path}: line {number} is not a name and a number: copy it again")
        if not is_header:
            column[values[0]] = values[1]
    return column


def _read_lines(path: Path) -> list[tuple[int, list[str]]]:
    """The number and the values of each line that has some: separated by blanks, or by commas in a CSV file."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # some copies begin with a byte-order mark
        lines = list(csv.reader(text.splitlines())) if path.suffix == KAGGLE else map(str.split, text.splitlines())
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as text: {error}") from error
    stripped = ([value.strip() for value in values] for values in lines)
    return [(number, values) for number, values in enumerate(stripped, start=1) if any(values)]


def _require_same_images(first: Path, a: Mapping[str, object], second: Path, b: Mapping[str, object]) -> None:
    differing = sorted(a.keys() ^ b.keys())
    if differing:
        name = differing[0]
        complete, incomplete = (first, second) if name in a else (second, first)
        raise UserError(
            f"{incomplete}: lacks {name}, which is in {complete.name} (names that differ: {len(differing)}): "
            "copy both lists again"
        )


def _images_folder(src: Path) -> Path:
    folder = _require(src, IMAGES)
    # Some archives contain a folder of the same name in it.
    inner = folder / IMAGES
    return inner if inner.is_dir() else folder


def _require(src: Path, name: str) -> Path:
    return _find(src, name) or _report_missing(src, name)


def _require_list(src: Path, name: str) -> Path:
    return _find_list(src, name) or _report_missing(src, name, Path(name).with_suffix(KAGGLE).name)


def _report_missing(src: Path, *names: str) -> NoReturn:
    archive = next(filter(None, (_find(src, f"{name}.zip") for name in names)), None)
    advice = f"unpack {archive.name} there" if archive else "it belongs to the data set"
    places = ", ".join(("and in Img, Anno and Eval", *(f"and as {name}" for name in names[1:])))
    raise UserError(f"{src}: {names[0]} is missing here ({places}): {advice}")


def _find_list(src: Path, name: str) -> Path | None:
    return _find(src, name) or _find(src, Path(name).with_suffix(KAGGLE).name)


def _find(src: Path, name: str) -> Path | None:
    return next((path for folder in FOLDERS if (path := src / folder / name).exists()), None)
