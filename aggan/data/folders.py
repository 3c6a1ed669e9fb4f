"""Domains as folders of images: two folders, or subfolders of one root.

Layouts of a root: `ROOT/{train,test}/{A,B,...}`, `ROOT/{trainA,trainB,testA,testB}` or `ROOT/{A,B,...}`.
"""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from aggan.data.listing import list_files, report_os_errors, require_folder
from aggan.errors import UserError
from aggan.images.formats import SUFFIXES
from aggan.io import is_file_name

NOT_DOMAINS = ("masks", "answers")
"""Folders of a rendered set that hold face masks and ground-truth images."""

# Absolute, as a run can be resumed from another working directory.
Absolute = Annotated[Path, AfterValidator(Path.absolute)]


class DataConfig(BaseModel):
    """The training images: folders `x` and `y`, or a `root` with one folder per domain, perhaps below `train`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    x: Absolute | None = Field(default=None, description="Folder of the domain X.")
    y: Absolute | None = Field(default=None, description="Folder of the domain Y.")
    root: Absolute | None = Field(default=None, description="Folder of all domains, instead of x and y.")
    names: tuple[str, ...] | None = Field(
        default=None, description="Names of X and Y; with a root, the folders to use, in this order."
    )
    size: int = Field(default=256, ge=8, description="Side in pixels; the centred square of an image is resized to it.")
    flip: bool = Field(default=True, description="Mirror half of the training images horizontally.")
    strict: bool = Field(default=False, description="Stop at an unreadable file instead of skipping it.")


NamedFolders = list[tuple[str, Path]]


@dataclass(frozen=True)
class Domain:
    """A named list of image files."""

    name: str
    folder: Path
    files: tuple[Path, ...]
    """In the folder and its subfolders, sorted."""


@dataclass(frozen=True)
class Split:
    """Training and test images."""

    train: tuple[Domain, ...]
    test: tuple[Domain, ...]
    """The same domains; empty if one of them has no test folder."""


def find(data: DataConfig) -> Split:
    """Find the domains of a configuration.

    Raises `UserError` if a folder is missing, two domains are the same, or a domain has fewer than two images.
    """
    if data.root is not None and (data.x or data.y):
        raise UserError("give either --data.root or --data.x and --data.y, not both")
    train, test = _two_folders(data) if data.root is None else _subfolders_of_root(data.root, data.names)
    _require_different(train)
    split = Split(_domains(train), _domains(test))
    for domain in split.train:
        if len(domain.files) < 2:
            raise UserError(f"{domain.folder}: training needs at least two images here, found {len(domain.files)}")
    return split


def _domains(folders: NamedFolders) -> tuple[Domain, ...]:
    return tuple(Domain(name, folder, list_images(folder)) for name, folder in folders)


def _require_different(domains: NamedFolders) -> None:
    for (x, first), (y, second) in combinations(domains, 2):
        if first.resolve() == second.resolve():
            raise UserError(f"both domains are the same folder: {first}")
        if x == y:
            raise UserError(f"both domains are called {x!r}: name them with --data.names X Y")


def list_images(folder: Path) -> tuple[Path, ...]:
    """The image files in a folder and its subfolders, by suffix, sorted. Raises `UserError` if there are none."""
    files = list_files(folder, SUFFIXES)
    if not files:
        raise UserError(f"{folder}: no images here")
    return files


def _two_folders(data: DataConfig) -> tuple[NamedFolders, NamedFolders]:
    if data.x is None or data.y is None:
        raise UserError("name the images: --data.x DIR --data.y DIR, or --data.root DIR")
    x, y = _two_names(data.names) if data.names else (data.x.resolve().name, data.y.resolve().name)
    return [(x, data.x), (y, data.y)], []


def _two_names(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) != 2:
        raise UserError(f"--data.x and --data.y are two domains, but --data.names has {len(names)} names")
    for name in names:
        if not is_file_name(name):
            raise UserError(f"--data.names {name!r}: output files are named after a domain, so choose a file name")
    return names


@report_os_errors()
def _subfolders_of_root(root: Path, names: tuple[str, ...] | None) -> tuple[NamedFolders, NamedFolders]:
    """Training and test folders, in the order of `names`."""
    require_folder(root)
    subfolders = _subfolders(root)
    if "train" in subfolders:
        train, test = (_subfolders(root / split) for split in ("train", "test"))
    elif {"trainA", "trainB"} <= subfolders.keys():
        train, test = (
            {d: subfolders[split + d] for d in "AB" if split + d in subfolders} for split in ("train", "test")
        )
    else:
        train, test = {name: folder for name, folder in subfolders.items() if name not in NOT_DOMAINS}, {}
    selected = names or tuple(train)
    if len(selected) < 2:
        given = ", ".join(selected) or "none"
        raise UserError(f"{root}: two folders or more are needed, one per domain; found {given}")
    for name in selected:
        if name not in train:
            raise UserError(f"{root}: no folder for the domain {name!r}; there are {', '.join(train) or 'none'}")
    return [(n, train[n]) for n in selected], [(n, test[n]) for n in selected if set(selected) <= test.keys()]


def _subfolders(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    return {p.name: p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")}
