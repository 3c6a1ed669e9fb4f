"""BU-3DFE: the Binghamton University 3D Facial Expression database (Yin et al., FG 2006).

From its description and from public code that reads it: 100 people, each with a folder `F0001`..`M0044`. A name such as
`F0001_AN01WH_F2D.bmp` has the number of a woman or man; an expression (AN DI FE HA SA SU, in levels 01 to 04, or NE,
only 00); two letters for the ancestry; and `F2D`, the frontal image (`F3D` is the texture of the 3D model, with both
views).

Our choice: the level. The paper has one image per expression and does not say which; the default is the strongest.
"""

import re
from itertools import product
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from aggan.data.originals.settings import SplitByPerson, people_in
from aggan.data.originals.source import Selection, SourceImage, select_by_name

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


class Settings(SplitByPerson):
    """BU-3DFE: seven expressions of 100 people, frontal."""

    title: ClassVar[str] = "BU-3DFE"

    level: int = Field(default=LEVELS, ge=1, le=LEVELS, description="Level of the expressions, 1 to 4 (our choice).")

    def select(self, src: Path) -> Selection:
        images, selection = select_by_name(src, (".bmp", ".png", ".jpg"), EXAMPLE, self.parse)
        selection.splits = self.split(images)
        present = {(image.person, image.expression) for image in images}
        people = people_in(images)
        if len(people) != PEOPLE:
            selection.notes.append(f"{len(people)} people are there; the complete data set has {PEOPLE}")
        for person, (code, expression) in product(people, EXPRESSIONS.items()):
            if (person, expression) not in present:
                level = 0 if code == "NE" else self.level
                selection.missing.append(f"{person}_{code}{level:02}.._F2D.bmp")
        return selection

    def parse(self, file: Path) -> SourceImage | str:
        """The image that a file is, by its name, or the reason to skip it."""
        match = NAME.fullmatch(file.stem.upper())
        if match is None:
            return f"not named like {EXAMPLE}"
        person, emotion, level, neutral, _, view = match.groups()
        if view != "F2D":
            return "not the frontal image (F2D)"
        if emotion and int(level) != self.level:
            return f"other level than --level {self.level}"
        strength = int(level) / LEVELS if emotion else 0.0
        return SourceImage(file, person, EXPRESSIONS[emotion or neutral], person, {"strength": strength})
