"""The labels of figures are drawn in a font that has their letters, or a sentence says what to install."""

import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib import font_manager
from PIL import Image as Pillow
from test_comparison import trained

from aggan.cli.main import run
from aggan.comparison import fonts
from aggan.comparison.figures import Sheet, Strip, draw, embed_png, undrawable

CHINESE, GREEK = "小明", "Ελένη"


@pytest.fixture
def installed(monkeypatch) -> Iterator[list[str]]:
    """The fonts of the system; none unless a test adds some."""
    paths: list[str] = []
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: paths)
    fonts.find_font.cache_clear()
    yield paths
    fonts.find_font.cache_clear()


def test_letters_of_many_alphabets_need_no_installed_font(installed):
    for text in ("aggan", "Jürgen", GREEK, "Анна", "José (2 seeds)"):
        assert fonts.is_drawable(text)
    assert not fonts.is_drawable(CHINESE)


def test_an_installed_font_that_has_the_letters_is_used(installed, monkeypatch, tmp_path):
    wide, other = str(tmp_path / "NotoSansCJK-Regular.ttc"), str(tmp_path / "Aaa-Regular.ttf")
    placeholder = str(tmp_path / "LastResort.otf")
    for path in (wide, other, placeholder):
        shutil.copy(fonts.BUNDLED, path)
    has = {str(fonts.BUNDLED): GREEK, wide: CHINESE + GREEK, other: CHINESE, placeholder: CHINESE + "ก"}
    monkeypatch.setattr(fonts, "_has", lambda path, letters: letters <= set(has[path]))
    installed += [other, placeholder, wide]
    assert fonts.find_font(frozenset(CHINESE)) == wide
    assert fonts.find_font(frozenset(GREEK)) == str(fonts.BUNDLED)
    assert fonts.find_font(frozenset("ก")) is None  # a font of placeholders has a box for every letter
    assert fonts.load_font("ก", 13).getlength("ก") > 0


def test_fonts_that_cannot_be_opened_are_passed_over(installed, tmp_path):
    (tmp_path / "Broken-Regular.ttf").write_bytes(b"nonsense")
    installed += [str(tmp_path / "Broken-Regular.ttf"), str(tmp_path / "Gone-Regular.ttf")]
    assert not fonts.is_drawable(CHINESE)


def test_a_figure_is_drawn_with_boxes_where_no_font_has_the_letters(installed, tmp_path):
    Pillow.new("RGB", (64, 64), "white").save(tmp_path / "white.png")
    strips = tuple(Strip(label, (embed_png(tmp_path / "white.png"),)) for label in (CHINESE, GREEK, "aggan"))
    sheet = Sheet("", "", strips, (CHINESE,))
    draw(tmp_path / "sheet.png", sheet)
    assert (np.asarray(Pillow.open(tmp_path / "sheet.png").convert("L")) < 200).any()
    assert undrawable(sheet) == [CHINESE, CHINESE]


def test_a_report_says_once_which_font_to_install(installed, faces, tmp_path, capsys):
    ours, plain = trained(tmp_path / "ours", faces), trained(tmp_path / "plain", faces, "cyclegan")
    assert run(["report", f"{CHINESE}={ours}", f"{GREEK}={plain}", "--out", str(tmp_path / "out")]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"the figures show boxes instead of {CHINESE}, as no installed font has these letters: ")
    assert "fonts-noto-cjk" in line
    assert CHINESE in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
