"""The images of an original data set: which are prepared, which are left out, and why."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from aggan.data.index import SPLITS
from aggan.data.listing import scan
from aggan.errors import UserError

Details = dict[str, str | int | float]


@dataclass(frozen=True)
class SourceImage:
    """An image of the original data set."""

    file: Path
    name: str
    """Name in the prepared set: the same for images that differ in their expression only."""
    expression: str
    person: str | None
    """None if unknown."""
    details: Details = field(default_factory=dict)
    """Further fields of the image's record: camera, gaze, visit or strength."""

    def output(self, split: str) -> str:
        """Path in the prepared set."""
        return f"{split}/{self.expression}/{self.name}.png"


@dataclass
class Selection:
    """The images to prepare, by split, and what a user should know about the others."""

    splits: dict[str, list[SourceImage]] = field(default_factory=dict)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    """File names by reason."""
    missing: list[str] = field(default_factory=list)
    """Images that a complete copy has, and this one does not."""
    notes: list[str] = field(default_factory=list)

    def skip(self, reason: str, name: str) -> None:
        """Record that a file is left out."""
        self.skipped.setdefault(reason, []).append(name)

    def images(self) -> list[tuple[str, SourceImage]]:
        """Split and image, for every image to prepare."""
        return [(split, image) for split in SPLITS for image in self.splits[split]]


def select_by_name(
    src: Path, suffixes: Iterable[str], example: str, parse: Callable[[Path], SourceImage | str]
) -> tuple[list[SourceImage], Selection]:
    """Select the images below `src` by their names, sorted by path.

    `parse` returns the image that a file is, or the reason to skip it. Of two files of the same image, the first one is
    taken. Raises `UserError` if no image is left; it names `example`. The splits of the selection are still empty.
    """
    selection = Selection()
    images: dict[tuple[str, str], SourceImage] = {}
    listing = scan(src, frozenset(suffixes))
    for reason, paths in listing.left_out.items():
        for path in paths:
            selection.skip(reason, str(path))
    for file in filter(Path.is_file, listing.files):
        image = parse(file)
        if isinstance(image, str):
            selection.skip(image, file.name)
        elif images.setdefault((image.expression, image.name), image) is not image:
            selection.skip("a second file of the same image", file.name)
    if not images:
        reasons = [f"; {len(names)} such as {names[0]}: {reason}" for reason, names in selection.skipped.items()]
        advice = "".join(reasons) or "; there are no images at all, so unpack or copy the data set there"
        raise UserError(f"{src}: found no image like {example}{advice}")
    return list(images.values()), selection
