"""Where pictures lie: two folders; or `ROOT/{train,test}/{A,B,...}`, `ROOT/{train,test}{A,B}`, `ROOT/{A,B,...}`."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from aggan.data.listing import files_of, looking, require_folder
from aggan.errors import UserError
from aggan.images.convert import SUFFIXES
from aggan.io import can_be_a_file

BESIDE = ("masks", "answers")
"""Folders of a data set that are no domains."""

# A run can be resumed from another working directory.
Absolute = Annotated[Path, AfterValidator(Path.absolute)]


class Data(BaseModel):
    """Which pictures to train on, and how: `x` and `y`, or one `root` with a folder a domain, perhaps below `train`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    x: Absolute | None = Field(default=None, description="Folder of the domain X.")
    y: Absolute | None = Field(default=None, description="Folder of the domain Y.")
    root: Absolute | None = Field(default=None, description="Or one folder for all domains.")
    names: tuple[str, ...] | None = Field(
        default=None, description="Names of X and Y; below a root, the folders to take, in order."
    )
    size: int = Field(default=256, ge=8, description="Side in pixels to which the centred square is resized.")
    flip: bool = Field(default=True, description="Mirror half of the training pictures left to right.")
    strict: bool = Field(default=False, description="Stop at a file that cannot be read instead of skipping it.")


Named = list[tuple[str, Path]]


@dataclass(frozen=True)
class Domain:
    """A named list of picture files, sorted by name."""

    name: str
    folder: Path
    files: tuple[Path, ...]
    """In the folder and its subfolders."""


@dataclass(frozen=True)
class Split:
    """What is learned from, and what was held out."""

    train: tuple[Domain, ...]
    test: tuple[Domain, ...]
    """The same domains; none where one of them has no folder there."""


def find(data: Data) -> Split:
    """The domains that `data` names; raises `UserError` where they are not what training needs."""
    if data.root is not None and (data.x or data.y):
        raise UserError("give either --data.root or --data.x and --data.y, not both")
    train, test = _two_folders(data) if data.root is None else _below(data.root, data.names)
    _require_different(train)
    split = Split(*(tuple(Domain(name, folder, pictures(folder)) for name, folder in named) for named in (train, test)))
    for domain in split.train:
        if len(domain.files) < 2:
            raise UserError(f"{domain.folder}: training needs at least two pictures here, found {len(domain.files)}")
    return split


def _require_different(domains: Named) -> None:
    for (x, first), (y, second) in combinations(domains, 2):
        if first.resolve() == second.resolve():
            raise UserError(f"both domains are the same folder: {first}")
        if x == y:
            raise UserError(f"both domains are called {x!r}: name them with --data.names X Y")


def pictures(folder: Path) -> tuple[Path, ...]:
    """The files of a folder and its subfolders that are named like pictures, sorted."""
    found = files_of(folder, SUFFIXES)
    if not found:
        raise UserError(f"{folder}: no pictures here")
    return found


def _two_folders(data: Data) -> tuple[Named, Named]:
    if data.x is None or data.y is None:
        raise UserError("name the pictures: --data.x DIR --data.y DIR, or --data.root DIR")
    x, y = _two(data.names) if data.names else (data.x.resolve().name, data.y.resolve().name)
    return [(x, data.x), (y, data.y)], []


def _two(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) != 2:
        raise UserError(f"--data.x and --data.y are two domains, but --data.names has {len(names)} names")
    for name in names:
        if not can_be_a_file(name):
            raise UserError(f"--data.names {name!r}: pictures are named after a domain, so it cannot be called that")
    return names


@looking()
def _below(root: Path, names: tuple[str, ...] | None) -> tuple[Named, Named]:
    """Both splits of a root folder, in the order of `names`."""
    require_folder(root)
    here = _subfolders(root)
    if "train" in here:
        splits = [_subfolders(root / split) for split in ("train", "test")]
    elif {"trainA", "trainB"} <= here.keys():
        splits = [{d: here[split + d] for d in "AB" if split + d in here} for split in ("train", "test")]
    else:
        splits = [{name: folder for name, folder in here.items() if name not in BESIDE}, {}]
    train, test = splits
    chosen = names or tuple(train)
    if len(chosen) < 2:
        found = ", ".join(chosen) or "none"
        raise UserError(f"{root}: two folders or more are needed, one a domain; found {found}")
    for name in chosen:
        if name not in train:
            raise UserError(f"{root}: no folder for the domain {name!r}; there are {', '.join(train) or 'none'}")
    return [(n, train[n]) for n in chosen], [(n, test[n]) for n in chosen if set(chosen) <= test.keys()]


def _subfolders(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    return {p.name: p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")}
