"""RaFD: the Radboud Faces Database (Langner et al., Cognition and Emotion 2010).

From the FAQ and overview of rafd.socsci.ru.nl: a name such as `Rafd090_28_Caucasian_male_angry_frontal.jpg` has camera
angle, person, population, gender, expression and gaze; 67 people show 8 expressions with 3 gazes from 5 angles (8,040
images).

Inferred: the paper's "4,824 images" from "three different angles" are 67 x 8 x 3 gazes x 3 angles. We take the angles
to be 45, 90 (frontal) and 135, without the two profiles.

Our choice: the crop. The portraits have 681 x 1024 pixels; the square has 88 % of the width and is centred halfway
across and 46 % down. It was chosen from publications about the data set, without access to the images.
"""

import re
from itertools import product
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from aggan.data.originals.crop import Crop
from aggan.data.originals.settings import SplitByPerson, people_in
from aggan.data.originals.source import Selection, SourceImage, select_by_name

EXAMPLE = "Rafd090_01_Caucasian_female_angry_frontal.jpg"
EXPRESSIONS = ("angry", "contemptuous", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")
PEOPLE = 67
NAME = re.compile(rf"rafd(\d{{3}})_(\d+)_([a-z]+)_(female|male)_({'|'.join(EXPRESSIONS)})_(frontal|left|right)")
PORTRAIT: Crop = (0.5, 0.46, 0.88)

Angle = Literal[0, 45, 90, 135, 180]
Gaze = Literal["frontal", "left", "right"]


class Settings(SplitByPerson):
    """RaFD: eight expressions of 67 people."""

    title: ClassVar[str] = "Radboud Faces Database (RaFD)"

    camera: tuple[Angle, ...] = Field(
        default=(45, 90, 135), min_length=1, description="Camera angles in degrees; 90 is frontal."
    )
    gaze: tuple[Gaze, ...] = Field(default=("frontal", "left", "right"), min_length=1, description="Gaze directions.")
    crop: Crop = Field(
        default=PORTRAIT,
        description="Square to keep: X and Y of its centre, as shares of width and height, "
        "and its side, as a share of the shorter side (our choice).",
    )

    def select(self, src: Path) -> Selection:
        images, selection = select_by_name(src, (".jpg", ".jpeg", ".png"), EXAMPLE, self.parse)
        selection.splits = self.split(images)
        present = {(i.person, i.expression, i.details["camera"], i.details["gaze"]) for i in images}
        people = people_in(images)
        if len(people) != PEOPLE:
            selection.notes.append(f"{len(people)} people are there; the complete data set has {PEOPLE}")
        expected = product(people, EXPRESSIONS, dict.fromkeys(self.camera), dict.fromkeys(self.gaze))
        selection.missing = [
            f"Rafd{camera:03}_{person}_..._{expression}_{gaze}.jpg"
            for person, expression, camera, gaze in expected
            if (person, expression, camera, gaze) not in present
        ]
        return selection

    def parse(self, file: Path) -> SourceImage | str:
        """The image that a file is, by its name, or the reason to skip it."""
        match = NAME.fullmatch(file.stem.lower())
        if match is None:
            return f"not named like {EXAMPLE}"
        camera, person, _, _, expression, gaze = match.groups()
        if int(camera) not in self.camera:
            return f"other camera angle than --camera {' '.join(map(str, self.camera))}"
        if gaze not in self.gaze:
            return f"other gaze than --gaze {' '.join(self.gaze)}"
        name = f"{person}_{camera}_{gaze}"
        return SourceImage(file, name, expression, person, {"camera": int(camera), "gaze": gaze})
