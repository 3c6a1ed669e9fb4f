"""Fonts for the labels of figures. A label is a name that a user chose, in any script."""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from PIL import ImageFont

BUNDLED = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
"""Comes with matplotlib and has Latin, Greek and Cyrillic letters, among others."""
WIDE = ("notosanscjk-regular", "notosans-regular", "sourcehansans", "arialunicode", "arial unicode")
"""Beginnings of the file names of fonts with many scripts, which are tried first."""
PLACEHOLDERS = "lastresort"
"""Fonts that have a box for every letter."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def load_font(text: str, size: int | float) -> Font:
    """A font that has every letter of a text. If none has, missing letters are boxes, as `is_drawable` tells."""
    path = None if text.isascii() else find_font(_letters(text)) or str(BUNDLED)
    return ImageFont.truetype(path, size) if path else ImageFont.load_default(size)


def is_drawable(text: str) -> bool:
    """Whether an installed font has every letter of a text."""
    return text.isascii() or find_font(_letters(text)) is not None


def missing_font_warning(texts: Iterable[str]) -> str:
    """One sentence about texts that are not drawable."""
    return (
        f"the figures show boxes instead of {', '.join(texts)}, as no installed font has these letters: install one, "
        "for example Noto (on Debian fonts-noto-core, and fonts-noto-cjk for Chinese, Japanese and Korean), and run "
        "the command again"
    )


def _letters(text: str) -> frozenset[str]:
    """The characters that need a glyph."""
    return frozenset(letter for letter in text if unicodedata.category(letter)[0] not in "CZ")


@lru_cache
def find_font(letters: frozenset[str]) -> str | None:
    """The file of a font that has all of these letters."""
    # Not matplotlib's list of fonts, which it keeps on disk: that would not know a font that was just installed.
    installed = [path for path in font_manager.findSystemFonts() if PLACEHOLDERS not in Path(path).stem.lower()]
    return next((path for path in (str(BUNDLED), *sorted(installed, key=_rank)) if _has(path, letters)), None)


def _rank(path: str) -> tuple[int, bool, str]:
    """Orders fonts: those with many scripts first, then regular ones, then by name."""
    stem = Path(path).stem.lower()
    wide = next((index for index, name in enumerate(WIDE) if stem.startswith(name)), len(WIDE))
    return wide, "regular" not in stem, stem


def _has(path: str, letters: frozenset[str]) -> bool:
    try:
        ImageFont.truetype(path)  # not every font can be drawn at every size
        characters = FT2Font(path).get_charmap()
    except (OSError, RuntimeError, ValueError):
        return False
    return all(ord(letter) in characters for letter in letters)
