"""Photographs of real people under open licences: pairs are aligned by the eyes, portraits keep their credits."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_datasets import cut_short, make_london, make_portraits, white
from PIL import Image as Pillow
from test_prepare import names_in, output, records, tree

from aggan.cli.main import run
from aggan.data.originals import london, portraits
from aggan.images.decode import Unreadable
from aggan.inference.alignment import DEFAULT_LANDMARKS
from aggan.inference.pairs import crop_pair

SIDE = 32


def landmarks_at(linear: complex, offset: complex, nose: complex = 0) -> np.ndarray:
    """The default landmarks of a crop, transformed to a photograph, where the nose is moved."""
    points = linear * (np.array(DEFAULT_LANDMARKS) * SIDE @ (1, 1j)) + offset
    points[4] += nose
    return np.stack((points.real, points.imag), axis=1)


def photograph(linear: complex, offset: complex) -> Pillow.Image:
    """A smooth image, transformed like the landmarks."""
    small = Pillow.fromarray(np.random.default_rng(0).integers(40, 220, (5, 5, 3), np.uint8))
    face = small.resize((4 * SIDE, 4 * SIDE), Pillow.Resampling.BICUBIC)
    inverse, shift = 4 / linear, -4 * offset / linear
    rows = (inverse.real, -inverse.imag, shift.real, inverse.imag, inverse.real, shift.imag)
    return face.transform((160, 160), Pillow.Transform.AFFINE, rows, Pillow.Resampling.BICUBIC)


@pytest.mark.parametrize("nose", [0, 9j], ids=["still", "a nose that moves"])
@pytest.mark.parametrize("margin", [0.0, 0.1])
def test_a_pair_is_aligned_by_the_eyes_although_the_head_moves(tmp_path, nose, margin):
    places = {"neutral.png": (3 + 0j, 30 + 30j), "smiling.png": (2.7 + 0.3j, 50 + 20j)}
    for name, place in places.items():
        photograph(*place).save(tmp_path / name)
    faces = [[landmarks_at(*places["neutral.png"])], [landmarks_at(*places["smiling.png"], nose)]]
    answers = iter(faces)
    files = tmp_path / "neutral.png", tmp_path / "smiling.png"
    first, second = crop_pair(*files, SIDE, margin, lambda _: next(answers))
    room = round(3 * SIDE * margin)
    upright = photograph(*places["neutral.png"]).crop((30 - room, 30 - room, 126 + room, 126 + room))
    expected = upright.resize((SIDE, SIDE), Pillow.Resampling.BOX)
    inside = (slice(5, -5), slice(5, -5))
    assert np.abs(first.astype(int) - np.array(expected))[inside].mean() < 2
    assert np.abs(first.astype(int) - second)[inside].mean() < 2


def test_a_photograph_without_a_face_is_unreadable(tmp_path):
    white((8, 8)).save(tmp_path / "wall.png")
    with pytest.raises(Unreadable, match=r"wall\.png: no face was found"):
        crop_pair(tmp_path / "wall.png", tmp_path / "wall.png", SIDE, 0.1, lambda _: [])


class Finder:
    """Finds a face in the middle of every image but white ones."""

    def __call__(self, pixels: np.ndarray) -> list[np.ndarray]:
        return [] if pixels.min() == 255 else [np.array(DEFAULT_LANDMARKS) * len(pixels)]


@pytest.fixture
def finder(monkeypatch) -> None:
    monkeypatch.setattr("aggan.inference.landmarks.FaceFinder", Finder)


def prepare(name: str, *arguments: str | Path) -> int:
    return run(["data", "prepare", name, *map(str, arguments)])


def refused(capsys, name: str, *arguments: str | Path) -> str:
    capsys.readouterr()
    assert prepare(name, *arguments) == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.usefixtures("finder")
def test_london_becomes_a_test_set_of_pairs_with_what_is_known_of_the_people(tmp_path, capsys):
    source, dst = make_london(tmp_path / "src", london.PEOPLE), tmp_path / "dst"
    assert prepare("london", source, dst, "--size", "16") == 0
    assert names_in(dst) == ["dataset.json", "images.jsonl", "test"]
    expected = [f"{person}.png" for person in london.PEOPLE]
    assert names_in(dst / "test" / "neutral") == names_in(dst / "test" / "smiling") == expected
    with Pillow.open(dst / "test" / "smiling" / "001.png") as image:
        assert image.size == (16, 16)
    first, second = [record for record in records(dst) if record["expression"] == "smiling"][:2]
    known = {"age": 24, "sex": "female", "ethnicity": "white"}
    place = {"split": "test", "expression": "smiling", "person": "001", "source": "001_08.jpg"}
    assert first == {"file": "test/smiling/001.png", **place, **known}
    assert "age" not in second
    assert second["ethnicity"] == "east_asian/white"
    assert json.loads((dst / "dataset.json").read_text())["counts"]["test"] == {"neutral": 68, "smiling": 68}
    assert f"--inputs {dst}/test/neutral --ground-truth {dst}/test/smiling --to smiling" in output(capsys)
    before = tree(dst)
    assert prepare("london", source, dst, "--size", "16") == 0
    assert tree(dst) == before
    assert "was made with size 16, not 128" in refused(capsys, "london", source, dst)


@pytest.mark.usefixtures("finder")
def test_people_who_are_not_ours_or_not_there_twice_are_left_out(tmp_path, capsys):
    source, dst = make_london(tmp_path / "src"), tmp_path / "dst"
    (source / "inst" / "smiling_front" / "002_08.jpg").unlink()
    missing = f"images are missing ({2 * len(london.PEOPLE) - 5}, such as 002_08.jpg)"
    assert missing in refused(capsys, "london", source, dst)
    assert not dst.exists()
    assert prepare("london", source, dst, "--partial", "--size", "16") == 0
    assert {record["person"] for record in records(dst)} == {"001", "004"}
    assert "skipped 2: not one of the 68 people of our figures (such as 003_03.jpg)" in output(capsys)


@pytest.mark.usefixtures("finder")
@pytest.mark.parametrize("spoil", [cut_short, lambda file: white((64, 64)).save(file)], ids=["broken", "no face"])
def test_a_pair_with_one_unusable_photograph_is_left_out(spoil, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(london, "PEOPLE", london.PEOPLE[:3])
    source, dst = make_london(tmp_path / "src"), tmp_path / "dst"
    spoil(source / "inst" / "smiling_front" / "004_08.jpg")
    assert "2 of 6 images cannot be read" in refused(capsys, "london", source, dst, "--size", "16")
    assert prepare("london", source, dst, "--partial", "--size", "16") == 0
    assert {record["file"] for record in records(dst)} == {
        f"test/{expression}/{person}.png" for expression in ("neutral", "smiling") for person in ("001", "002")
    }


@pytest.mark.usefixtures("finder")
def test_figshares_list_is_read_and_no_list_is_needed(tmp_path, capsys):
    source = make_london(tmp_path / "src")
    text = (source / "data-raw" / "london_info.csv").read_text()
    shutil.rmtree(source / "data-raw")
    (source / "london_faces_info.csv").write_text(text.replace("\n0", "\nX0").replace("face_gender", "face_sex"))
    assert prepare("london", source, tmp_path / "a", "--partial", "--size", "16") == 0
    assert [record.get("sex") for record in records(tmp_path / "a")] == ["female"] * 2 + ["male"] * 2 + [None] * 2
    (source / "london_faces_info.csv").write_text("face_id,face_age\nX001,24\n")
    assert "london_faces_info.csv: is not the list of the London set" in refused(
        capsys, "london", source, tmp_path / "b", "--partial"
    )
    (source / "london_faces_info.csv").unlink()
    assert prepare("london", source, tmp_path / "b", "--partial", "--size", "16") == 0
    assert "age, sex and ethnicity are not in the index" in output(capsys)


def test_without_the_extra_nothing_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    source = make_london(tmp_path / "src")
    assert "pip install '.[faces]'" in refused(capsys, "london", source, tmp_path / "dst", "--partial")
    assert not (tmp_path / "dst").exists()


def test_portraits_are_copied_with_their_credits(tmp_path, capsys):
    sources, dst = make_portraits(tmp_path / "src"), tmp_path / "dst"
    assert prepare("portraits", *sources, dst) == 0
    copied = tree(dst)
    assert set(copied) == {
        "CREDITS.txt",
        "canada/003f.jpg",
        "canada/095m.jpg",
        "congress/A000014.jpg",
        "dataset.json",
        "parliament/10001.jpg",
        "parliament/10009.jpg",
    }
    original = sources[0] / "www" / "docs" / "images" / "mpsOfficial" / "10001.jpg"
    assert copied["parliament/10001.jpg"] == original.read_bytes()
    text = (dst / "CREDITS.txt").read_text(encoding="utf-8")
    for source in portraits.SOURCES:
        for part in (source.title, source.licence, source.credit, source.repository, source.commit):
            assert part in text
    assert "left out  1: not named like A000014.jpg, such as unknown.jpg" in text
    messages = output(capsys)
    assert "2 parliament, 1 congress, 2 canada" in messages
    assert "skipped 1: congress: not named like A000014.jpg (such as unknown.jpg)" in messages
    assert "note: 2 images of parliament are there, not 1378" in messages
    assert prepare("portraits", *sources, dst) == 0
    assert "dst is prepared already" in output(capsys)
    assert tree(dst) == copied


def test_a_pile_is_a_source_like_the_checkouts_and_one_source_is_enough(tmp_path, capsys):
    sources = make_portraits(tmp_path / "src")
    assert prepare("portraits", *sources, tmp_path / "a") == 0
    assert prepare("portraits", tmp_path / "a", tmp_path / "b") == 0
    images = {name: data for name, data in tree(tmp_path / "a").items() if name.endswith(".jpg")}
    assert {name: data for name, data in tree(tmp_path / "b").items() if name.endswith(".jpg")} == images
    assert prepare("portraits", sources[2] / "inst" / "canada", sources[2], tmp_path / "c") == 0
    assert names_in(tmp_path / "c") == ["CREDITS.txt", "canada", "dataset.json"]
    assert "Parliament" not in (tmp_path / "c" / "CREDITS.txt").read_text(encoding="utf-8")
    assert "skipped 2: canada: a second file of the same name" in output(capsys)


def test_an_interrupted_pile_is_continued(tmp_path, capsys, monkeypatch):
    sources, dst = make_portraits(tmp_path / "src"), tmp_path / "dst"
    copy, copied = shutil.copyfile, []

    def limited(source, target):
        copied.append(target)
        if len(copied) == 3:
            raise KeyboardInterrupt
        copy(source, target)

    with monkeypatch.context() as stopped:
        stopped.setattr(shutil, "copyfile", limited)
        assert prepare("portraits", *sources, dst) == 130
    assert not (dst / "dataset.json").exists()
    assert "was made from other images" in refused(capsys, "portraits", *sources[:2], dst)
    assert prepare("portraits", *sources, dst) == 0
    assert len(list(dst.glob("*/*.jpg"))) == 5
    assert names_in(dst) == ["CREDITS.txt", "canada", "congress", "dataset.json", "parliament"]


def test_mistakes_with_portraits_are_one_sentence(tmp_path, capsys):
    sources, dst = make_portraits(tmp_path / "src"), tmp_path / "dst"
    assert "only one folder, dst" in refused(capsys, "portraits", "dst")
    assert "gone: no such folder" in refused(capsys, "portraits", sources[0], tmp_path / "gone", dst)
    assert "one contains the other" in refused(capsys, "portraits", *sources, sources[1] / "pile")
    (tmp_path / "holiday").mkdir()
    white((8, 8)).save(tmp_path / "holiday" / "10001.jpg")
    message = refused(capsys, "portraits", sources[0], tmp_path / "holiday", dst)
    assert "holiday: no portraits, like www/docs/images/mpsOfficial/10001.jpg" in message
    assert not dst.exists()
    dst.mkdir()
    (dst / "letter.txt").write_text("dear")
    assert "dst: is not empty and was not made by this command" in refused(capsys, "portraits", *sources, dst)
    assert names_in(dst) == ["letter.txt"]
