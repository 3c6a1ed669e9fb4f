"""Domains as folders of images: two folders, subfolders of one root, or the halves of side-by-side images.

Layouts of a root, in any case and with the names of `SPLIT_NAMES`:

ROOT/{train,test}/{A,B,...}
ROOT/{trainA,trainB,testA,testB}
ROOT/{A,B,...}/{train,test}
ROOT/{A,B,...}

A layout that can be read in two ways is refused, and the error names the option that decides.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from aggan.data.listing import BROKEN_LINKS, Listing, report_os_errors, require_folder, scan_images, subfolders_of
from aggan.errors import UserError
from aggan.images.decode import Half, Unreadable, decode, is_side_by_side
from aggan.images.formats import readable_suffixes
from aggan.io import is_file_name, normalized, printable

NOT_DOMAINS = ("masks", "answers")
"""Folders of a data set that hold face masks and ground-truth images."""
SPLIT_NAMES = {"train": ("train", "training"), "test": ("test", "testing"), "val": ("val", "valid", "validation")}
"""How people call the folders of training, test and validation images, in any case."""
_SPLITS = {name: split for split, names in SPLIT_NAMES.items() for name in names}
_FLAT = re.compile(rf"({'|'.join(_SPLITS)})[-_ ]?([AB])", re.IGNORECASE)
_SPLIT_WORDS = frozenset((*_SPLITS, "trn", "tst", "dev"))
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
"""The words of a folder's name, such as train_set, X-train and trainX."""

LEFT_TO_RIGHT, RIGHT_TO_LEFT = "left-to-right", "right-to-left"
_LOOKED_AT = 3
"""Side-by-side images that are looked at before any is decoded for the training."""

# Absolute, as a run can be resumed from another working directory.
Absolute = Annotated[Path, AfterValidator(Path.absolute)]


class DataConfig(BaseModel):
    """The training images: folders `x` and `y`, a `root` with one folder per domain, or side-by-side `pairs`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    x: Absolute | None = Field(default=None, description="Folder of the domain X.")
    y: Absolute | None = Field(default=None, description="Folder of the domain Y.")
    root: Absolute | None = Field(default=None, description="Folder of all domains, instead of x and y.")
    pairs: Absolute | None = Field(
        default=None,
        description="Folder of side-by-side images, instead of x and y: each file holds a pair, the image of X in its "
        "left half and that of Y in its right half.",
    )
    direction: Literal["left-to-right", "right-to-left"] = Field(
        default="left-to-right", description="With pairs: which half is X. With right-to-left, the right half is X."
    )
    names: tuple[str, ...] | None = Field(
        default=None, description="Names of X and Y; with a root, the folders to use, in this order."
    )
    size: int = Field(default=256, ge=8, description="Side in pixels; the centred square of an image is resized to it.")
    load_size: int | None = Field(
        default=None,
        description="Side in pixels to which training images are resized before a random square of --data.size is "
        "cropped from each, such as 286 for 256. By default nothing is cropped. Test images are not cropped.",
    )
    bits: int | None = Field(
        default=None,
        ge=8,
        le=16,
        description="Bits that 16-bit images really use, 12 for many cameras. By default 16, and images that use "
        "fewer are refused.",
    )
    flip: bool = Field(default=True, description="Mirror half of the training images horizontally.")
    balance: bool = Field(
        default=False,
        description="Draw every domain equally often, for methods that draw from all domains together; rare domains "
        "are drawn as their share of the images by default.",
    )
    strict: bool = Field(default=False, description="Stop at an unreadable file instead of skipping it.")

    @model_validator(mode="after")
    def _require_space_for_crops(self) -> "DataConfig":
        if self.margin < 0:
            sizes = {"size": self.size, "load_size": self.load_size}
            message = "--data.load-size {load_size} is smaller than --data.size {size}, which is cropped from it"
            raise PydanticCustomError("load_size", message, sizes)
        return self

    @property
    def training_side(self) -> int:
        """Side in pixels to which training images are resized."""
        return self.size if self.load_size is None else self.load_size

    @property
    def margin(self) -> int:
        """Pixels by which resized training images are larger than the crops."""
        return self.training_side - self.size


NamedFolders = list[tuple[str, Path]]


@dataclass(frozen=True)
class Domain:
    """A named list of image files."""

    name: str
    folder: Path
    files: tuple[Path, ...]
    """In the folder and its subfolders, sorted."""
    half: Half | None = None
    """The half of each file that shows this domain, if files are side-by-side images."""
    bits: int | None = None
    """Bits that 16-bit files use; None if that is not known."""
    left_out: tuple[str, ...] = ()
    """A sentence for each reason why files of the folder are not listed."""


@dataclass(frozen=True)
class Folders:
    """The folders of a configuration, before their files are listed."""

    train: NamedFolders
    test: NamedFolders
    """The same domains; empty if one of them has no test folder."""
    notes: tuple[str, ...] = ()
    """A sentence about folders that are not used."""


@dataclass(frozen=True)
class Split:
    """Training and test images."""

    train: tuple[Domain, ...]
    test: tuple[Domain, ...]
    """The same domains; empty if one of them has no test folder."""
    notes: tuple[str, ...] = ()
    """Sentences about folders that are not used, and about crops."""

    def describe(self) -> list[str]:
        """What was understood, in sentences: images of each domain and split, and what is left out."""
        test = f"test images: {_describe(self.test)}" if self.test else "no test images"
        left_out = (sentence for domain in (*self.train, *self.test) for sentence in domain.left_out)
        return [f"training images: {_describe(self.train)}", test, *self.notes, *dict.fromkeys(left_out)]


def _describe(domains: Sequence[Domain]) -> str:
    first = domains[0]
    if first.half:
        halves = ", ".join(f"{domain.name} ({domain.half} half)" for domain in domains)
        return f"{len(first.files)} pairs in {first.folder}: {halves}"
    parents = {domain.folder.parent for domain in domains}
    names = [
        domain.name if len(parents) == 1 and domain.folder.name == domain.name else f"{domain.name} ({domain.folder})"
        for domain in domains
    ]
    counts = ", ".join(f"{len(domain.files)} {name}" for domain, name in zip(domains, names, strict=True))
    return f"{counts} in {parents.pop()}" if len(parents) == 1 else counts


def find(data: DataConfig) -> Split:
    """Find the domains of a configuration.

    Raises `UserError` if a folder is missing, a layout is ambiguous, two domains are the same, a domain has fewer
    than two images, or `pairs` are not side-by-side images.
    """
    folders = find_folders(data)
    notes = folders.notes
    if data.margin:
        notes += (f"training images are resized to {data.load_size} px and cropped to {data.size} px at random",)
    split = Split(_list_domains(folders.train, data), _list_domains(folders.test, data), notes)
    if data.pairs is not None:
        _require_side_by_side(split.train[0].files[:_LOOKED_AT], data.bits)
    for domain in split.train:
        if len(domain.files) < 2:
            raise UserError(f"{domain.folder}: training needs at least two images here, found {len(domain.files)}")
    return split


@report_os_errors()
def find_folders(data: DataConfig) -> Folders:
    """Find the folders of a configuration, without listing their files. Raises `UserError` as `find` does."""
    ways = {"--data.root": data.root, "--data.pairs": data.pairs, "--data.x and --data.y": data.x or data.y}
    options = [option for option, folder in ways.items() if folder]
    if len(options) > 1:
        raise UserError(f"give either {' or '.join(options)}, not both")
    if data.direction == RIGHT_TO_LEFT and data.pairs is None:
        raise UserError(f"--data.direction {RIGHT_TO_LEFT} is about side-by-side images: name them with --data.pairs")
    if data.pairs is not None:
        return _side_by_side(data, data.pairs)
    folders = _two_folders(data) if data.root is None else _below_root(data.root, data.names)
    _require_different(folders.train)
    return folders


def require_outside(data: DataConfig, run: Path) -> None:
    """Raise `UserError` if a run folder lies inside the images of a training, or these inside the run folder."""
    target, folders = run.resolve(), {data.pairs, data.x, data.y}
    if data.root:
        with suppress(UserError):  # `find` reports it
            below_root = find_folders(data)
            # A benchmark keeps its runs in ROOT/METHOD, beside ROOT/train and ROOT/test.
            folders |= {folder.parent for _, folder in (*below_root.train, *below_root.test)}
    for folder in filter(None, folders):
        source = folder.resolve()
        if source == target or source in target.parents:
            raise UserError(f"{run}: lies inside the training images, {folder}: choose an --out beside them")
        if target in source.parents:
            raise UserError(f"{run}: contains the training images, {folder}: choose an --out beside them")


def list_images(folder: Path) -> tuple[Path, ...]:
    """The image files in a folder and its subfolders, sorted. Raises `UserError` if there are none."""
    return list_named(folder).files


@report_os_errors()
def list_named(folder: Path) -> Listing:
    """The image files in a folder and its subfolders, and what is left out. Raises `UserError` if there are none."""
    listing = scan_images(folder)
    for path in listing.files:
        if not path.is_file():
            listing.leave_out(BROKEN_LINKS, path)
    listing.files = tuple(path for path in listing.files if path.is_file())
    if not listing.files:
        raise UserError("; ".join((f"{folder}: no images here", *listing.sentences())))
    return listing


def _list_domains(folders: NamedFolders, data: DataConfig) -> tuple[Domain, ...]:
    halves: tuple[Half | None, ...] = (None,) * len(folders)
    if data.pairs is not None:
        halves = ("right", "left") if data.direction == RIGHT_TO_LEFT else ("left", "right")
    listings = {folder: list_named(folder) for folder in dict.fromkeys(folder for _, folder in folders)}
    return tuple(
        Domain(name, folder, listings[folder].files, half, data.bits, tuple(listings[folder].sentences()))
        for (name, folder), half in zip(folders, halves, strict=False)
    )


def _require_side_by_side(files: Sequence[Path], bits: int | None) -> None:
    """Raise `UserError` if none of some images can be two images side by side. Broken ones do not count."""
    images = []
    for file in files:
        with suppress(Unreadable):  # decoding reports it
            images.append((file, decode(file, bits).image.size))
    if images and not any(is_side_by_side(size) for _, size in images):
        file, (width, height) = images[0]
        raise UserError(
            f"{file}: {width}x{height} pixels are not two images side by side, which are wider than high: name folders "
            "of single images with --data.root, or with --data.x and --data.y"
        )


def _require_different(domains: NamedFolders) -> None:
    for name, folder in domains:
        if printable(name) != name:
            raise UserError(
                f"{folder}: its name is not UTF-8, so no domain can be called like that: rename it, or name "
                "--data.x, --data.y and --data.names X Y"
            )
    for (x, first), (y, second) in combinations(domains, 2):
        if first.resolve() == second.resolve():
            raise UserError(f"both domains are the same folder: {first}")
        if x == y:
            raise UserError(f"both domains are called {x!r}: name them with --data.names X Y")


def _two_folders(data: DataConfig) -> Folders:
    if data.x is None or data.y is None:
        raise UserError("name the images: --data.x DIR --data.y DIR, or --data.root DIR")
    x, y = _two_names(data.names) or (data.x.resolve().name, data.y.resolve().name)
    return _split_each([(normalized(x), data.x), (normalized(y), data.y)])


def _two_names(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if not names:
        return None
    if len(names) != 2:
        raise UserError(f"X and Y are two domains, but --data.names has {len(names)} names")
    for name in names:
        if not is_file_name(name):
            raise UserError(f"--data.names {name!r}: output files are named after a domain, so choose a file name")
    return names


def _side_by_side(data: DataConfig, folder: Path) -> Folders:
    halves = ("right", "left") if data.direction == RIGHT_TO_LEFT else ("left", "right")
    names = _two_names(data.names) or halves
    if names[0] == names[1]:
        raise UserError(f"both domains are called {names[0]!r}: name them with --data.names X Y")
    folders = _split_each([("", folder)])
    train, test = ([(name, path) for name in names for _, path in part] for part in (folders.train, folders.test))
    return Folders(train, test, folders.notes)


@dataclass(frozen=True)
class _Layout:
    """One way to read a root."""

    parent: Path
    """Folder of the training folders."""
    train: dict[str, Path]
    """Training folders by domain."""
    folders: tuple[Path, ...]
    """The subfolders of the root that belong to it, that of training images first."""
    test: dict[str, Path] | None = None
    """Test folders by domain; None if there is no folder of test images."""


def _below_root(root: Path, names: tuple[str, ...] | None) -> Folders:
    """Training and test folders, in the order of `names`."""
    require_folder(root)
    listing = Listing()
    subfolders = subfolders_of(root, listing)
    splits = _splits_in(root)
    layouts = [*_nested(splits, listing), *_flat(root, subfolders)]
    plain = _Layout(root, subfolders, tuple(subfolders.values()))
    if names:
        names = tuple(map(normalized, names))
        layout = next((way for way in (*layouts, plain) if way.train.keys() >= set(names)), (*layouts, plain)[0])
    elif len(layouts) > 1:
        both = " and ".join(way.folders[0].name for way in layouts)
        raise UserError(f"{root}: {both} are two layouts: name the training images with --data.x and --data.y")
    elif not layouts and splits:
        name = next(iter(splits.values())).name
        raise UserError(f"{root}: has a folder {name} and none of training images: name the domains with --data.names")
    else:
        domains = {name: folder for name, folder in subfolders.items() if name not in NOT_DOMAINS}
        plain = _Layout(root, domains, tuple(domains.values()))
        layout = layouts[0] if layouts else plain
        if layout is plain:
            _require_no_splits(root, domains)
    selected = names or tuple(layout.train)
    _require_domains(layout.parent, selected, layout.train)
    notes = listing.sentences()
    notes += _note_unused(root, [folder for folder in subfolders.values() if folder not in layout.folders])
    train = [(name, layout.train[name]) for name in selected]
    if layout is plain:
        folders = _split_each(train)
        return Folders(folders.train, folders.test, (*notes, *folders.notes))
    return _with_test(train, layout.test, notes)


def _require_no_splits(root: Path, domains: Iterable[str]) -> None:
    """Raise `UserError` if two folders or more sound like splits, so that they may not be domains."""
    names = [name for name in domains if _SPLIT_WORDS & {word.lower() for word in _WORDS.findall(name)}]
    if len(names) > 1:
        raise UserError(
            f"{root}: {' and '.join(names)} sound like training and test images, not like domains: if they are "
            "domains, name them with --data.names; otherwise name the training images with --data.x and --data.y"
        )


def _require_domains(folder: Path, names: Sequence[str], folders: Mapping[str, Path]) -> None:
    for name in names:
        if name not in folders:
            there = ", ".join(folders) or "none"
            raise UserError(f"{folder}: no folder for the domain {name!r}; there are {there}")
    if len(names) < 2:
        hint = "; side-by-side images are read with --data.pairs" if not names and _has_images(folder) else ""
        there = ", ".join(names) or "none"
        raise UserError(f"{folder}: two folders or more are needed, one per domain; found {there}{hint}")


def _with_test(train: NamedFolders, test: Mapping[str, Path] | None, notes: list[str]) -> Folders:
    """Folders with those of test images if each domain has one."""
    missing = [name for name, _ in train if name not in (test or {})]
    if test is not None and missing:
        notes = [*notes, f"test images are not used: there are none of {', '.join(missing)}"]
    return Folders(train, [(name, test[name]) for name, _ in train] if test and not missing else [], tuple(notes))


def _splits_in(folder: Path) -> dict[str, Path]:
    """The subfolders that are called like a split. Raises `UserError` if two are the same split."""
    splits: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        split = _SPLITS.get(path.name.lower())
        if split and path.is_dir() and splits.setdefault(split, path) != path:
            both = f"{splits[split].name} and {path.name}"
            raise UserError(f"{folder}: {both} are called alike: rename one, or use --data.x and --data.y")
    return splits


def _nested(splits: Mapping[str, Path], listing: Listing) -> Iterator[_Layout]:
    """The layout ROOT/{train,test}/{A,B,...}, if there is a folder of training images."""
    if "train" in splits:
        train, test = splits["train"], splits.get("test") or splits.get("val")
        domains = subfolders_of(train, listing)
        folders = (train, test) if test else (train,)
        yield _Layout(train, domains, folders, _same_domains(domains, subfolders_of(test, listing)) if test else None)


def _same_domains(domains: Iterable[str], others: Mapping[str, Path]) -> dict[str, Path]:
    """The folders of these domains among others. Names may differ in their case."""
    by_case = {name.casefold(): path for name, path in others.items()}
    folders = {name: others.get(name) or by_case.get(name.casefold()) for name in domains}
    return {name: path for name, path in folders.items() if path}


def _flat(root: Path, subfolders: Mapping[str, Path]) -> Iterator[_Layout]:
    """The layout ROOT/{trainA,trainB,testA,testB}, if there are folders of training images."""
    folders: dict[tuple[str, str], Path] = {}
    for path in subfolders.values():
        if match := _FLAT.fullmatch(path.name):
            key = _SPLITS[match[1].lower()], match[2].upper()
            if folders.setdefault(key, path) != path:
                both = f"{folders[key].name} and {path.name}"
                raise UserError(f"{root}: {both} are called alike: rename one, or use --data.x and --data.y")
    train, test, val = ({d: folders[split, d] for d in "AB" if (split, d) in folders} for split in SPLIT_NAMES)
    if len(train) == 2:
        test = test or val
        yield _Layout(root, train, (*train.values(), *test.values()), test or None)


def _split_each(domains: NamedFolders) -> Folders:
    """Domains whose folders have subfolders of training and test images: these; others as they are."""
    for _, folder in domains:
        require_folder(folder)
    splits = {name: _splits_in(folder) for name, folder in domains}
    if not any("train" in each for each in splits.values()):
        return Folders(domains, [])
    listing, unused = Listing(), []
    for name, folder in domains:
        if "train" not in splits[name]:
            raise UserError(f"{folder}: has no folder of training images as the others have: name a folder of each")
        train = splits[name]["train"]
        if _has_images(folder):
            raise UserError(f"{folder}: has images beside its folder {train.name}: name the folder to train on")
        used = train, splits[name].get("test") or splits[name].get("val")
        unused += _note_unused(folder, [path for path in subfolders_of(folder, listing).values() if path not in used])
    test = {name: path for name, each in splits.items() if (path := each.get("test") or each.get("val"))}
    notes = [*listing.sentences(), *unused]
    return _with_test([(name, splits[name]["train"]) for name, _ in domains], test or None, notes)


def _note_unused(folder: Path, unused: Sequence[Path]) -> list[str]:
    return [f"not used in {folder}: {', '.join(path.name for path in unused)}"] if unused else []


def _has_images(folder: Path) -> bool:
    suffixes = readable_suffixes()
    return any(path.suffix.lower() in suffixes for path in folder.iterdir() if not path.name.startswith("."))
