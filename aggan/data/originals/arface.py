"""AR Face (Martinez and Benavente, CVC Technical Report 24, 1998).

Sure, from the description that its authors published: 126 people, two visits 14 days apart; the last number of
a name is 1 neutral, 2 smile, 3 anger, 4 scream, 5-7 light from the sides, 8-10 sun glasses, 11-13 scarf, and
14-26 the same on the second visit; 768 x 576 pixels of 24 bits, "RGB RAW". That description calls the files
`M-xx-yy.raw` and `F-xx-yy.raw`; copies in use have `m-001-1.raw`, `w-001-14.bmp` and the like. All are read.

Ours: scream is `fearful`, the paper's "fear"; only the four expressions are taken (the paper's 1,018 pictures);
the centred square is kept. Not everybody is there in both visits with all four, so a half-copied source cannot
be told from a whole one; visits that lack an expression are counted.
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import ClassVar

from aggan.data.originals.photographs import Found, Photograph, gather
from aggan.data.originals.settings import ByPerson

EXAMPLE = "m-001-1.bmp"
EXPRESSIONS = {1: "neutral", 2: "happy", 3: "angry", 4: "fearful"}
OTHERS = {**dict.fromkeys((5, 6, 7), "light"), **dict.fromkeys((8, 9, 10), "sun glasses")}
OTHERS |= dict.fromkeys((11, 12, 13), "scarf")
A_VISIT = 13
NAME = re.compile(r"([mfw])-(\d{1,3})-(\d{1,2})")
SUFFIXES = (".bmp", ".raw", ".png", ".tif", ".tiff", ".ppm", ".jpg", ".jpeg")


class Settings(ByPerson):
    """AR Face: neutral, happy, angry and fearful (scream), on two visits."""

    title: ClassVar[str] = "AR Face Database"

    def find(self, src: Path) -> Found:
        photographs, found = gather(src, SUFFIXES, EXAMPLE, describe)
        found.splits = self.split(photographs)
        visits = defaultdict(set)
        for photograph in photographs:
            visits[photograph.name].add(photograph.expression)
        lacking = [name for name, expressions in visits.items() if len(expressions) < len(EXPRESSIONS)]
        if lacking:
            found.notes.append(
                f"{len(lacking)} of {len(visits)} visits lack an expression, such as {lacking[0]}; "
                "some do in the original too, so see yourself that your copy is whole"
            )
        return found


def describe(file: Path) -> Photograph | str:
    """What a file is by its name, or why it is left out."""
    parts = NAME.fullmatch(file.stem.lower())
    if parts is None or not 1 <= int(parts[3]) <= 2 * A_VISIT:
        return f"not named like {EXAMPLE}, with a last number from 1 to {2 * A_VISIT}"
    visit, number = divmod(int(parts[3]) - 1, A_VISIT)
    if number + 1 in OTHERS:
        return f"{OTHERS[number + 1]}, not one of the four expressions"
    person = f"{'m' if parts[1] == 'm' else 'w'}-{int(parts[2]):03}"
    return Photograph(file, f"{person}_visit{visit + 1}", EXPRESSIONS[number + 1], person, {"visit": visit + 1})
