"""The Face Research Lab London Set (DeBruine and Jones, figshare 2017): pairs of real people, for testing only.

102 people, photographed from the front with a neutral face (`neutral_front/001_03.jpg`) and smiling
(`smiling_front/001_08.jpg`), 1,350 x 1,350 pixels. A list states the age, sex and ethnicity of each: it is called
`london_info.csv` in the repository debruine/webmorphR.stim, and `london_faces_info.csv` on figshare.

Our choices: the 68 people below, so that all of our figures are about the same people; and how the two photographs of
a person are aligned (`aggan.inference.pairs`).
"""

import csv
import re
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from aggan.data.listing import list_files
from aggan.data.originals import settings
from aggan.data.originals.source import Details, Selection, SourceImage, select_by_name
from aggan.errors import UserError

EXAMPLE = "001_03.jpg"
EXPRESSIONS = {"03": "neutral", "08": "smiling"}
"""By the last number of a name; the neutral one first."""
INFO = ("london_info.csv", "london_faces_info.csv")
NAME = re.compile(r"(\d{3})_(03|08)")
PEOPLE = tuple(
    "001 002 004 005 007 008 010 011 013 014 017 018 020 021 024 025 027 029 031 032 034 036 038 039 042 043 045 061 "
    "063 064 067 068 070 081 083 086 090 091 094 096 099 100 102 103 105 107 112 113 115 117 119 120 122 123 125 126 "
    "128 129 131 132 135 136 138 139 141 142 144 172".split()
)
"""The 68 people of our figures. A model whose figures are compared with them must not learn from any of them."""
_UNKNOWN = ("", "NA")


class Settings(settings.Settings):
    """London: 68 people, neutral and smiling, all in the test split."""

    title: ClassVar[str] = "Face Research Lab London Set"

    size: int = Field(default=128, ge=8, le=4096, description="Side of the images in pixels.")
    margin: float = Field(
        default=0.1, ge=0, le=1, description="Room around a face on each side, as a share of the tightest crop's side."
    )

    def select(self, src: Path) -> Selection:
        images, selection = select_by_name(src, (".jpg", ".jpeg", ".png"), EXAMPLE, parse)
        people, files = _read_people(src, selection), {(image.person, image.expression): image.file for image in images}
        pairs: list[SourceImage] = []
        for person in PEOPLE:
            missing = [name for name in EXPRESSIONS if (person, EXPRESSIONS[name]) not in files]
            selection.missing += [f"{person}_{name}.jpg" for name in missing]
            if not missing:
                details = people.get(person, {})
                pairs += [
                    SourceImage(files[person, expression], person, expression, person, details)
                    for expression in EXPRESSIONS.values()
                ]
        if not pairs:
            raise UserError(f"{src}: nobody is there both neutral and smiling: copy neutral_front and smiling_front")
        selection.splits = {"train": [], "test": pairs}
        return selection


def parse(file: Path) -> SourceImage | str:
    """The image that a file is, by its name, or the reason to skip it."""
    match = NAME.fullmatch(file.stem)
    if match is None:
        return f"not named like {EXAMPLE}"
    person, number = match.groups()
    if person not in PEOPLE:
        return f"not one of the {len(PEOPLE)} people of our figures"
    return SourceImage(file, person, EXPRESSIONS[number], person)


def _read_people(src: Path, selection: Selection) -> dict[str, Details]:
    """Age (in years), sex and ethnicity of each person, as far as the list states them."""
    file = next((file for file in list_files(src, (".csv",)) if file.name in INFO), None)
    if file is None:
        selection.notes.append(f"{' or '.join(INFO)} is not there, so age, sex and ethnicity are not in the index")
        return {}
    try:
        rows = list(csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines()))
        return dict(map(_parse_person, rows))
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise UserError(f"{file}: is not the list of the London set ({error}): copy it again") from error


def _parse_person(row: dict[str, str]) -> tuple[str, Details]:
    sex = row["face_gender"] if "face_gender" in row else row["face_sex"]  # figshare's list has had both names
    details: Details = {}
    if row["face_age"] not in _UNKNOWN:
        details["age"] = int(row["face_age"])
    if sex not in _UNKNOWN:
        details["sex"] = sex
    if row["face_eth"] not in _UNKNOWN:
        details["ethnicity"] = row["face_eth"]
    return row["face_id"].lstrip("Xx"), details
