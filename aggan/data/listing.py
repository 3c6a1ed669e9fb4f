"""Files below a folder, and what is left out of a listing. Errors of the file system become `UserError`s.

Linked subfolders are listed once. Hidden files and folders are skipped. Everything else that is left out is named, with
its reason: folders of other software, formats that are not read, and what this package wrote itself (masks and
contents of translations, runs, studies, comparisons, the masks and the ground truth of a data set).
"""

import json
import os
from collections.abc import Collection, Container, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from aggan.errors import UserError
from aggan.images.formats import HEIC_SUFFIXES, UNREAD_SUFFIXES, readable_suffixes
from aggan.io import normalized

PARTS = (".mask", ".content")
"""What `--masks` adds to a name: `a.mask.png`, `a.content.png`."""
STRAY_FOLDERS = frozenset(
    (
        "__macosx",
        "@eadir",
        "@recycle",
        "#recycle",
        "$recycle.bin",
        "lost+found",
        "system volume information",
        "thumbs",
    )
)
"""Folders, in lower case, in which other software keeps copies and thumbnails."""
DATA_SET_FILES = frozenset(("dataset.json", "images.jsonl", "pictures.jsonl"))
"""Files that only a rendered, prepared or shipped data set has."""
RUN_FILE, PLAN_FILE, COMPARISON_FILE, REPORT_FILE = "experiment.json", "plan.json", "comparison.json", "report.html"
_EXAMPLES = 3

RUN = "runs"
SHEETS = "sample sheets of a run"
STUDY = "studies or comparisons"
QUICKSTART = "outputs of a quickstart"
GROUND_TRUTH = "masks and ground truth of a data set"
TRANSLATIONS = "masks and contents of translations"
STRAY = "folders of other software"
UNREAD = "in a format that is not read"
HEIC = "HEIC images, which are read with the extra heic (pip install '.[heic]' in a checkout of aggan)"
BROKEN_LINKS = "links that lead nowhere"
REPEATED = "links to folders that are listed already"
_CONTENTS = {RUN_FILE: RUN, PLAN_FILE: STUDY, COMPARISON_FILE: STUDY}
"""What a folder with one of these files is."""


@dataclass
class Listing:
    """The files of a folder, sorted, and what was left out."""

    files: tuple[Path, ...] = ()
    left_out: dict[str, list[Path]] = field(default_factory=dict)
    """Files and folders by reason."""

    def leave_out(self, reason: str, path: Path) -> None:
        """Record that a file or a folder is left out."""
        self.left_out.setdefault(reason, []).append(path)

    def sentences(self) -> list[str]:
        """What was left out, one sentence per reason."""
        return [_sentence(reason, paths) for reason, paths in self.left_out.items()]


def _sentence(reason: str, paths: list[Path]) -> str:
    examples = ", ".join(str(path) for path in paths[:_EXAMPLES])
    more = ", ..." if len(paths) > _EXAMPLES else ""
    return f"left out {len(paths)} ({reason}): {examples}{more}"


@contextmanager
def report_os_errors() -> Iterator[None]:
    """Turn an `OSError` raised inside into a `UserError` that names the file."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}") from error


@report_os_errors()
def scan(folder: Path, suffixes: Container[str]) -> Listing:
    """List what has one of the (lower-case) suffixes in a folder and its subfolders, broken links among it."""
    require_folder(folder)
    listing = Listing()
    paths = [path for path in _walk(folder, listing) if path.suffix.lower() in suffixes]
    listing.files = tuple(sorted(paths))
    return listing


@report_os_errors()
def scan_images(folder: Path) -> Listing:
    """List the images in a folder and its subfolders, broken links among them.

    Masks and contents beside the images that they belong to are left out.
    """
    require_folder(folder)
    listing, suffixes, images = Listing(), readable_suffixes(), []
    for path in sorted(_walk(folder, listing)):
        suffix = path.suffix.lower()
        if suffix in suffixes:
            images.append(path)
        elif suffix in HEIC_SUFFIXES:
            listing.leave_out(HEIC, path)
        elif suffix in UNREAD_SUFFIXES:
            listing.leave_out(UNREAD, path)
    parts = parts_of_translations(images)
    for path in parts:
        listing.leave_out(TRANSLATIONS, path)
    listing.files = tuple(path for path in images if path not in parts)
    return listing


def list_files(folder: Path, suffixes: Container[str]) -> tuple[Path, ...]:
    """The files in a folder and its subfolders with one of the (lower-case) suffixes, sorted."""
    return tuple(path for path in scan(folder, suffixes).files if path.is_file())


def parts_of_translations(paths: Collection[Path]) -> Set[Path]:
    """Those of some images that are the mask or the content of another one: NAME.mask.png beside NAME.*.

    They come in the order of `paths`.
    """
    parts = [path for path in paths if path.stem.endswith(PARTS)]
    others = set(paths).difference(parts) if parts else set()
    owners = {path.parent / stem for path in others for stem in _stems(path.name)}
    return dict.fromkeys(path for path in parts if path.parent / normalized(Path(path.stem).stem) in owners).keys()


def _stems(name: str) -> Iterator[str]:
    """The name of a file, and what remains of it without one suffix or more."""
    name = normalized(name)
    while name:
        yield name
        name = name.rpartition(".")[0]


def name_below(path: Path, folder: Path) -> PurePath:
    """The path of a file below a folder, without suffix: files of the same name are pairs, in any Unicode form."""
    return PurePath(normalized(path.relative_to(folder).with_suffix("").as_posix()))


@report_os_errors()
def subfolders_of(folder: Path, listing: Listing) -> dict[str, Path]:
    """The subfolders by name, sorted, without hidden ones and those that hold no images of the user's.

    Raises `UserError` if two names differ in their Unicode form only.
    """
    names = {path.name for path in folder.iterdir()}
    subfolders: dict[str, Path] = {}
    for path in (folder / name for name in sorted(names) if not name.startswith(".")):
        if not path.is_dir():
            continue
        if reason := _reason_beside(path, names) or _reason_inside(path, set(_CONTENTS)):
            listing.leave_out(reason, path)
        elif subfolders.setdefault(normalized(path.name), path) != path:
            raise UserError(f"{path}: another folder has this name in another Unicode form: rename one of them")
    return subfolders


def require_folder(path: Path) -> None:
    """Raise `UserError` unless the path is a folder."""
    if not path.is_dir():
        raise UserError(f"{path}: {'not a folder' if path.exists() else 'no such folder'}")


def _walk(folder: Path, listing: Listing) -> Iterator[Path]:
    """Everything below a folder that is not a folder, except what is hidden or left out."""
    root, visited = Path(os.path.realpath(folder)), set[str]()
    starts = [folder]
    # Real folders first: an image that can be reached in both ways is listed where it lies.
    while starts:
        links: list[Path] = []
        for start in starts:
            target = Path(os.path.realpath(start))
            if start is not folder and (str(target) in visited or target == root or target in root.parents):
                listing.leave_out(REPEATED, start)
                continue
            yield from _walk_real(start, start is folder, visited, links, listing)
        starts = sorted(links)


def _walk_real(start: Path, is_root: bool, visited: set[str], links: list[Path], listing: Listing) -> Iterator[Path]:
    """Walk below `start` without following links to folders; collect those in `links`."""
    for parent, subfolders, files in os.walk(start, onerror=_raise):
        here, names = Path(parent), {*subfolders, *files}
        real = os.path.realpath(parent)
        reason = None if is_root and here == start else _reason_inside(here, names)
        if reason or real in visited:
            listing.leave_out(reason or REPEATED, here)
            subfolders.clear()
            continue
        visited.add(real)
        kept = []
        for name in sorted(subfolders):
            path = here / name
            if name.startswith("."):
                continue
            if reason := _reason_beside(path, names):
                listing.leave_out(reason, path)
            elif path.is_symlink():
                links.append(path)
            else:
                kept.append(name)
        subfolders[:] = kept
        yield from (here / name for name in files if not name.startswith("."))


def _reason_beside(folder: Path, names: Set[str]) -> str | None:
    """Why a subfolder is left out because of its own name and of the names beside it."""
    parent, name = folder.parent, folder.name
    if name.lower() in STRAY_FOLDERS:
        return STRAY
    if name == "samples" and RUN_FILE in names and _is_ours(parent / RUN_FILE):
        return SHEETS
    if name in ("masks", "answers") and names & DATA_SET_FILES:
        return GROUND_TRUTH
    if name in ("images", "pictures") and PLAN_FILE in names and _is_ours(parent / PLAN_FILE):
        return STUDY
    if name in ("images", "pictures", "people") and REPORT_FILE in names and _is_ours(parent / "run" / RUN_FILE):
        return QUICKSTART
    return None


def _reason_inside(folder: Path, names: Set[str]) -> str | None:
    """Why a folder is left out because of files in it; only files with these names are looked for."""
    ours = (reason for name, reason in _CONTENTS.items() if name in names and _is_ours(folder / name))
    return next(ours, None)


def _is_ours(path: Path) -> bool:
    """Whether a JSON file describes a run, a study or a comparison: all of them name methods, in any version."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and bool(content.keys() & {"method", "methods", "system", "systems"})


def _raise(error: OSError) -> None:
    raise error
