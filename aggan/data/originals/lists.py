"""CelebA's lists: attributes (a count, the 40 names, then a line a picture), partition, identities."""

from dataclasses import dataclass
from pathlib import Path

from aggan.errors import UserError

SMILING = "Smiling"


@dataclass(frozen=True)
class Faces:
    """What the lists say about each picture, by file name."""

    smiling: dict[str, bool]
    part: dict[str, int]
    person: dict[str, str] | None

    @classmethod
    def read(cls, attributes: Path, partition: Path, identities: Path | None) -> "Faces":
        """Read the lists; raises `UserError` where one is broken or they are not about the same pictures."""
        smiling, parts = _smiles(attributes), _columns(partition)
        for name, part in parts.items():
            if part not in ("0", "1", "2"):
                raise UserError(f"{partition}: {name} is in part {part!r}, but parts are 0, 1 and 2")
        _agree(attributes, smiling, partition, parts)
        people = _columns(identities) if identities else None
        if identities and people is not None:
            _agree(attributes, smiling, identities, people)
        return cls(smiling, {name: int(part) for name, part in parts.items()}, people)


def _smiles(path: Path) -> dict[str, bool]:
    lines = _lines(path)
    if len(lines) < 2 or not lines[0].strip().isdigit() or SMILING not in lines[1].split():
        raise UserError(f"{path}: should begin with a count and the names of the attributes, {SMILING} among them")
    names = lines[1].split()
    column, smiling = 1 + names.index(SMILING), {}
    for number, line in enumerate(lines[2:], start=3):
        values = line.split()
        if len(values) != 1 + len(names) or values[column] not in ("1", "-1"):
            raise UserError(f"{path}: line {number} is not a name and {len(names)} values of 1 or -1: copy it again")
        smiling[values[0]] = values[column] == "1"
    if len(smiling) != int(lines[0]):
        raise UserError(f"{path}: has {len(smiling)} of the {int(lines[0])} pictures it announces: copy it again")
    return smiling


def _columns(path: Path) -> dict[str, str]:
    """A list of names with one value each."""
    found = {}
    for number, line in enumerate(_lines(path), start=1):
        values = line.split()
        if len(values) != 2:
            raise UserError(f"{path}: line {number} is not a name and a number: copy it again")
        found[values[0]] = values[1]
    return found


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as why:
        raise UserError(f"{path}: cannot be read as text: {getattr(why, 'strerror', None) or why}") from why
    return [line for line in lines if line.strip()]


def _agree(first: Path, a: dict[str, bool], second: Path, b: dict[str, str]) -> None:
    lone = sorted(a.keys() ^ b.keys())
    if lone:
        has, lacks = (first, second) if lone[0] in a else (second, first)
        raise UserError(
            f"{lacks} does not know {lone[0]}, which {has.name} has ({len(lone)} such): "
            "the lists are not of one whole copy"
        )
