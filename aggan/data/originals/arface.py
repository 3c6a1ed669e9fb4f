"""AR Face (Martinez and Benavente, CVC Technical Report 24, 1998).

From the description that its authors published: 126 people, two visits 14 days apart. The last number of a name is
1 neutral, 2 smile, 3 anger, 4 scream, 5-7 light from the sides, 8-10 sun glasses, 11-13 scarf, and 14-26 the same on
the second visit. Images have 768 x 576 pixels of 24 bits, "RGB RAW". That description calls the files `M-xx-yy.raw` and
`F-xx-yy.raw`; copies in use have `m-001-1.raw`, `w-001-14.bmp` and similar names. All of these are read.

Our choices: scream is `fearful`, the paper's "fear"; only the four expressions are used (the paper's 1,018 images); the
centred square is kept. Not everybody has all four expressions on both visits in the original either, so an incomplete
copy cannot be recognized; visits that lack an expression are reported.
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import ClassVar

from aggan.data.originals.settings import SplitByPerson
from aggan.data.originals.source import Selection, SourceImage, select_by_name

EXAMPLE = "m-001-1.bmp"
EXPRESSIONS = {1: "neutral", 2: "happy", 3: "angry", 4: "fearful"}
SKIPPED = {5: "light", 6: "light", 7: "light", 8: "sun glasses", 9: "sun glasses", 10: "sun glasses"}
SKIPPED |= {11: "scarf", 12: "scarf", 13: "scarf"}
IMAGES_PER_VISIT = 13
NAME = re.compile(r"([mfw])-(\d{1,3})-(\d{1,2})")
SUFFIXES = (".bmp", ".raw", ".png", ".tif", ".tiff", ".ppm", ".jpg", ".jpeg")


class Settings(SplitByPerson):
    """AR Face: neutral, happy, angry and fearful (scream), on two visits."""

    title: ClassVar[str] = "AR Face Database"

    def select(self, src: Path) -> Selection:
        images, selection = select_by_name(src, SUFFIXES, EXAMPLE, parse)
        selection.splits = self.split(images)
        visits = defaultdict(set)
        for image in images:
            visits[image.name].add(image.expression)
        incomplete = [name for name, expressions in visits.items() if len(expressions) < len(EXPRESSIONS)]
        if incomplete:
            selection.notes.append(
                f"{len(incomplete)} of {len(visits)} visits lack an expression, such as {incomplete[0]}; "
                "some lack one in the original too, so check that your copy is complete"
            )
        return selection


def parse(file: Path) -> SourceImage | str:
    """The image that a file is, by its name, or the reason to skip it."""
    match = NAME.fullmatch(file.stem.lower())
    if match is None or not 1 <= int(match[3]) <= 2 * IMAGES_PER_VISIT:
        return f"not named like {EXAMPLE}, with a last number from 1 to {2 * IMAGES_PER_VISIT}"
    visit, number = divmod(int(match[3]) - 1, IMAGES_PER_VISIT)
    if number + 1 in SKIPPED:
        return f"{SKIPPED[number + 1]}, not one of the four expressions"
    person = f"{'m' if match[1] == 'm' else 'w'}-{int(match[2]):03}"
    return SourceImage(file, f"{person}_visit{visit + 1}", EXPRESSIONS[number + 1], person, {"visit": visit + 1})
