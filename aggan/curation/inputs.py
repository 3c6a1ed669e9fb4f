"""The photographs that are sorted: a pile, or folders that are sorted already. No torch is needed here."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aggan.data.listing import report_os_errors, require_folder, scan_images
from aggan.errors import UserError
from aggan.io import is_file_name, require_not_below

_LONGEST = 100
"""Characters of an image's name."""


@dataclass(frozen=True)
class Inputs:
    """What is sorted: either `photos` or `domains`."""

    photos: tuple[Path, ...] = ()
    """Files, and folders with their subfolders."""
    domains: Mapping[str, Path] | None = None
    """Folders of domains, by name."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """Everything that is read."""
        return tuple(self.domains.values()) if self.domains else self.photos


@dataclass(frozen=True)
class Input:
    """A file of the inputs."""

    file: Path
    """Absolute."""
    source: str
    """Its folder, below the folder that all inputs of its domain share: `.` for that folder itself."""
    domain: str = ""


def parse_domains(values: Sequence[str]) -> dict[str, Path]:
    """The folders of NAME=FOLDER, by name. Raises `UserError` unless there are two or more."""
    domains: dict[str, Path] = {}
    for value in values:
        name, equals, folder = value.partition("=")
        if not (equals and folder and is_file_name(name)) or name.startswith("."):
            raise UserError(f"--domains takes NAME=FOLDER, such as smiling=photos/smiling, not {value!r}")
        if name in domains:
            raise UserError(f"--domains names {name} twice: one folder for each domain")
        domains[name] = Path(folder)
    if len(domains) == 1:
        raise UserError("--domains needs two domains or more: NAME=FOLDER NAME=FOLDER")
    return domains


def require_apart(inputs: Inputs, out: Path) -> None:
    """Raise `UserError` if `out` lies in an input or an input in `out`."""
    require_not_below(out, inputs.paths, "--out")
    for path in inputs.paths:
        if out.resolve() in path.resolve().parents:
            raise UserError(f"{path}: lies in --out {out}, where the set is written: choose another place for the set")


@report_os_errors()
def list_inputs(inputs: Inputs) -> tuple[list[Input], list[str]]:
    """The files, each once, and one sentence for each reason why files of the folders are not looked at.

    Raises `UserError` if an input does not exist, lies in two domains, or if there is no photograph.
    """
    notes: list[str] = []
    listed: dict[Path, Input] = {}
    if inputs.domains:
        for name, folder in inputs.domains.items():
            require_folder(folder)
            for file in _files(folder, notes):
                domain = listed.setdefault(file, Input(file, _below(file, folder), name)).domain
                if domain != name:
                    raise UserError(f"{file}: lies in the domains {domain} and {name}: name folders apart")
    else:
        files = list(dict.fromkeys(file for path in inputs.photos for file in _files(path, notes)))
        root = Path(os.path.commonpath([file.parent for file in files])) if files else Path()
        listed = {file: Input(file, _below(file, root)) for file in files}
    if not listed:
        raise UserError(
            f"no photographs in {', '.join(map(str, inputs.paths))}: name folders or files with photographs of people"
            + "".join(f"; {note}" for note in notes)
        )
    return list(listed.values()), notes


def _files(path: Path, notes: list[str]) -> Iterator[Path]:
    if path.is_dir():
        listing = scan_images(path)
        notes += listing.sentences()
        yield from (file.absolute() for file in listing.files)
    elif path.exists():
        yield path.absolute()
    else:
        raise UserError(f"{path}: no such file or folder")


def _below(file: Path, folder: Path) -> str:
    return file.parent.relative_to(folder.absolute()).as_posix()


def unique_names(inputs: Iterable[tuple[str, str]]) -> list[str]:
    """A name for the image of each (source, stem), without dots: no two of a set have the same name, in any case."""
    names: list[str] = []
    taken: set[str] = set()
    for source, stem in inputs:
        plain = stem.replace(".", "_")[:_LONGEST]
        with_source = "-".join([*PurePosixPath(source).parts, plain]).replace(".", "_")[-_LONGEST:]
        numbered = (f"{plain}-{number}" for number in range(2, len(taken) + 3))
        name = next(name for name in (plain, with_source, *numbered) if name.casefold() not in taken)
        taken.add(name.casefold())
        names.append(name)
    return names
