"""RaFD: the Radboud Faces Database (Langner et al., Cognition and Emotion 2010).

Sure, from the FAQ and overview of rafd.socsci.ru.nl: a file is named
`Rafd090_28_Caucasian_male_angry_frontal.jpg`, which is camera angle, person, population, gender, expression
and gaze; 67 people show 8 expressions with 3 gazes under 5 angles (8,040 pictures).

Inferred: the paper's "4,824 images" from "three different angles" are 67 x 8 x 3 gazes x 3 angles, and we take
the angles 45, 90 (frontal) and 135, without the two profiles, to be meant.

Ours: the crop. The portraits are 681 x 1024; the square kept has 88 % of the width around the point halfway
across and 46 % down. It was chosen from what is published about the set, without having the pictures.
"""

import re
from itertools import product
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from aggan.data.originals.photographs import Found, Photograph, gather
from aggan.data.originals.settings import ByPerson, Crop, people_of

EXAMPLE = "Rafd090_01_Caucasian_female_angry_frontal.jpg"
EXPRESSIONS = ("angry", "contemptuous", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")
PEOPLE = 67
NAME = re.compile(rf"rafd(\d{{3}})_(\d+)_([a-z]+)_(female|male)_({'|'.join(EXPRESSIONS)})_(frontal|left|right)")
PORTRAIT: Crop = (0.5, 0.46, 0.88)

Angle = Literal[0, 45, 90, 135, 180]
Gaze = Literal["frontal", "left", "right"]


class Settings(ByPerson):
    """RaFD: eight expressions of 67 people."""

    title: ClassVar[str] = "Radboud Faces Database (RaFD)"

    camera: tuple[Angle, ...] = Field(default=(45, 90, 135), min_length=1, description="Camera angles; 90 is frontal.")
    gaze: tuple[Gaze, ...] = Field(
        default=("frontal", "left", "right"), min_length=1, description="Directions of the gaze."
    )
    crop: Crop = Field(default=PORTRAIT, description="Centre and side of the square to keep, as shares (ours).")

    def find(self, src: Path) -> Found:
        photographs, found = gather(src, (".jpg", ".jpeg", ".png"), EXAMPLE, self.describe)
        found.splits = self.split(photographs)
        there = {(p.person, p.expression, p.details["camera"], p.details["gaze"]) for p in photographs}
        people = people_of(photographs)
        if len(people) != PEOPLE:
            found.notes.append(f"{len(people)} people are there; the whole data set has {PEOPLE}")
        wanted = product(people, EXPRESSIONS, dict.fromkeys(self.camera), dict.fromkeys(self.gaze))
        found.missing = [
            f"Rafd{camera:03}_{person}_..._{expression}_{gaze}.jpg"
            for person, expression, camera, gaze in wanted
            if (person, expression, camera, gaze) not in there
        ]
        return found

    def describe(self, file: Path) -> Photograph | str:
        """What a file is by its name, or why it is left out."""
        parts = NAME.fullmatch(file.stem.lower())
        if parts is None:
            return f"not named like {EXAMPLE}"
        camera, person, _, _, expression, gaze = parts.groups()
        if int(camera) not in self.camera:
            return f"other camera angle than --camera {' '.join(map(str, self.camera))}"
        if gaze not in self.gaze:
            return f"other gaze than --gaze {' '.join(self.gaze)}"
        name = f"{person}_{camera}_{gaze}"
        return Photograph(file, name, expression, person, {"camera": int(camera), "gaze": gaze})
