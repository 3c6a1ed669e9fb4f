"""BU-3DFE: the Binghamton University 3D Facial Expression database (Yin et al., FG 2006).

Sure, from its description and from public code that reads it: 100 people, each with a folder
`F0001`..`M0044`; `F0001_AN01WH_F2D.bmp` is a woman's or man's number, an expression (AN DI FE HA SA SU, in
levels 01 to 04, or NE, only 00), two letters for the ancestry, and `F2D`, the frontal picture (`F3D` is the
texture of the 3D model, with both views).

Ours: which level. The paper has one picture an expression and does not say which; the default is the strongest.
"""

import re
from itertools import product
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from aggan.data.originals.photographs import Found, Photograph, gather
from aggan.data.originals.settings import ByPerson, people_of

EXAMPLE = "F0001_AN01WH_F2D.bmp"
EXPRESSIONS = {
    "AN": "angry",
    "DI": "disgusted",
    "FE": "fearful",
    "HA": "happy",
    "NE": "neutral",
    "SA": "sad",
    "SU": "surprised",
}
LEVELS = 4
PEOPLE = 100
NAME = re.compile(r"([FM]\d{4})_(?:(AN|DI|FE|HA|SA|SU)0([1-4])|(NE)00)([A-Z]{2})_(F2D|F3D)")


class Settings(ByPerson):
    """BU-3DFE: seven expressions of 100 people, frontal."""

    title: ClassVar[str] = "BU-3DFE"

    level: int = Field(default=LEVELS, ge=1, le=LEVELS, description="Strength of the expressions, 1 to 4 (ours).")

    def find(self, src: Path) -> Found:
        photographs, found = gather(src, (".bmp", ".png", ".jpg"), EXAMPLE, self.describe)
        found.splits = self.split(photographs)
        there = {(p.person, p.expression) for p in photographs}
        people = people_of(photographs)
        if len(people) != PEOPLE:
            found.notes.append(f"{len(people)} people are there; the whole data set has {PEOPLE}")
        for person, (code, expression) in product(people, EXPRESSIONS.items()):
            if (person, expression) not in there:
                level = 0 if code == "NE" else self.level
                found.missing.append(f"{person}_{code}{level:02}.._F2D.bmp")
        return found

    def describe(self, file: Path) -> Photograph | str:
        """What a file is by its name, or why it is left out."""
        parts = NAME.fullmatch(file.stem.upper())
        if parts is None:
            return f"not named like {EXAMPLE}"
        person, emotion, level, neutral, _, view = parts.groups()
        if view != "F2D":
            return "not the frontal picture (F2D)"
        if emotion and int(level) != self.level:
            return f"other level than --level {self.level}"
        strength = int(level) / LEVELS if emotion else 0.0
        return Photograph(file, person, EXPRESSIONS[emotion or neutral], person, {"strength": strength})
