"""OpenFace's CSV files become the 17 action units of images.jsonl and face masks, or a reason why not."""

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from fake_datasets import make_bu3dfe, write_openface
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags
from PIL import Image as Pillow
from test_prepare import names_in, prepare, records, refused, tree

from aggan.data.annotations import face_masks
from aggan.data.cache import DecodedDomain
from aggan.data.index import read_records
from aggan.data.originals.crop import CENTRED, to_crop
from aggan.data.originals.masks import MARGIN, face_mask
from aggan.data.originals.openface import COLUMNS, LANDMARKS, UNITS, Face, Result, join, read
from aggan.errors import UserError
from aggan.images.decode import read as upright

STRENGTHS = dict(zip(COLUMNS, [float(f"{0.25 * index:.2f}") for index in range(17)], strict=True))
GOOD = {"confidence": 0.98} | STRENGTHS


@pytest.fixture
def source(tmp_path) -> Path:
    return make_bu3dfe(tmp_path / "src")


def of_sources(source: Path, folder: Path) -> Path:
    for file in source.rglob("*_F2D.bmp"):
        write_openface(folder / f"{file.stem}.csv", [GOOD])
    return folder


def units(result: Result) -> list[float]:
    assert isinstance(result, Face)
    return result.action_units


def one(folder: Path, row: dict) -> Result:
    write_openface(folder / "a.csv", [row])
    return read(folder, 0.8)["a"]


def test_the_units_are_in_the_order_of_ganimation(tmp_path):
    assert UNITS == (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
    assert units(one(tmp_path, GOOD)) == [index / 4 for index in range(17)]


def test_results_of_the_originals_are_joined_by_name(source, tmp_path, capsys):
    dst = tmp_path / "dst"
    units = of_sources(source, tmp_path / "units")
    assert prepare("bu3dfe", source, dst, "--openface", str(units)) == 0
    assert all(record["action_units"] == list(STRENGTHS.values()) for record in records(dst))
    assert "21 of 21 images get action units" in capsys.readouterr().err


def test_results_of_the_prepared_images_are_joined_by_path(source, tmp_path):
    dst = tmp_path / "dst"
    assert prepare("bu3dfe", source, dst) == 0
    images = tree(dst)
    for index, record in enumerate(records(dst)):
        write_openface((tmp_path / "units" / record["file"]).with_suffix(".csv"), [GOOD | {"AU01_r": index / 10}])
    assert prepare("bu3dfe", source, dst, "--openface", str(tmp_path / "units")) == 0
    assert [record["action_units"][0] for record in records(dst)] == [index / 10 for index in range(21)]
    assert {k: v for k, v in tree(dst).items() if k != "images.jsonl"} == {
        k: v for k, v in images.items() if k != "images.jsonl"
    }


def test_an_image_without_a_valid_row_is_named_and_has_no_action_units(source, tmp_path, capsys):
    dst, units = tmp_path / "dst", of_sources(source, tmp_path / "units")
    prepare("bu3dfe", source, dst, "--openface", str(units))
    (units / "F0001_HA04WH_F2D.csv").unlink()
    write_openface(units / "M0001_NE00WH_F2D.csv", [GOOD | {"confidence": 0.3, "AU01_r": 4}])
    capsys.readouterr()
    assert prepare("bu3dfe", source, dst, "--openface", str(units)) == 0
    messages = capsys.readouterr().err
    assert "/happy/F0001.png (F0001_HA04WH_F2D.bmp): no CSV (or row) of that name" in messages
    assert "/neutral/M0001.png (M0001_NE00WH_F2D.bmp): confidence 0.3 is below 0.8" in messages
    assert "19 of 21 images get action units" in messages
    without = {record["source"] for record in records(dst) if "action_units" not in record}
    assert without == {"F0001_HA04WH_F2D.bmp", "M0001_NE00WH_F2D.bmp"}


def test_preparing_again_without_openface_keeps_the_units(source, tmp_path):
    dst = tmp_path / "dst"
    prepare("bu3dfe", source, dst, "--openface", str(of_sources(source, tmp_path / "units")))
    before = tree(dst)
    assert prepare("bu3dfe", source, dst) == 0
    assert tree(dst) == before


def test_an_older_set_gets_action_units_under_its_former_index(source, tmp_path):
    dst = tmp_path / "dst"
    prepare("bu3dfe", source, dst)
    (dst / "images.jsonl").rename(dst / "pictures.jsonl")
    assert prepare("bu3dfe", source, dst, "--openface", str(of_sources(source, tmp_path / "units"))) == 0
    assert not (dst / "images.jsonl").exists()
    assert all(record["action_units"] == list(STRENGTHS.values()) for record in read_records(dst / "pictures.jsonl"))


def test_the_face_with_the_highest_confidence_counts(tmp_path):
    write_openface(tmp_path / "a.csv", [{"confidence": 0.85, "AU01_r": 5}, GOOD, {"confidence": 0.9, "AU01_r": 4}])
    assert units(read(tmp_path, 0.8)["a"]) == list(STRENGTHS.values())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (GOOD | {"confidence": 0.79}, "confidence 0.79 is below 0.8"),
        (GOOD | {"confidence": "nan"}, "confidence nan is below 0.8"),
        (GOOD | {"success": 0}, "OpenFace reports no success"),
        (GOOD | {"AU12_r": 5.5}, "action units outside 0 to 5"),
        (GOOD | {"AU12_r": "nan"}, "action units outside 0 to 5"),
        (GOOD | {"AU12_r": "-nan(ind)"}, "a value is not a number"),
    ],
)
def test_an_invalid_row_is_explained(row, reason, tmp_path):
    assert str(one(tmp_path, row)).startswith(reason)


def test_a_column_success_of_1_is_accepted(tmp_path):
    assert units(one(tmp_path, GOOD | {"success": 1})) == list(STRENGTHS.values())


def test_an_image_without_a_face_is_explained(tmp_path):
    write_openface(tmp_path / "a.csv", [])
    (tmp_path / "b.csv").touch()
    assert read(tmp_path, 0.8) == {"a": "no face found", "b": "no face found"}


def test_one_table_names_its_images_in_the_column_file(tmp_path):
    rows = [GOOD | {"file": "faces/one.jpg"}, GOOD | {"file": "two.jpg", "AU45_r": 1}]
    write_openface(tmp_path / "all.csv", rows, first="file")
    results = read(tmp_path / "all.csv", 0.8)
    assert [units(results["one"])[-1], units(results["two"])[-1]] == [4.0, 1.0]


def test_a_table_of_one_image_is_named_after_it(tmp_path):
    write_openface(tmp_path / "one.csv", [GOOD])
    assert read(tmp_path / "one.csv", 0.8) == {"one": Face(list(STRENGTHS.values()), None)}


@given(value=st.floats(0, 5))
def test_every_intensity_is_read_exactly(value, tmp_path_factory):
    row = dict.fromkeys(COLUMNS, value) | {"confidence": 1}
    assert units(one(tmp_path_factory.mktemp("units"), row)) == [value] * 17


def test_images_of_one_name_in_two_folders_are_distinguished(tmp_path):
    for split, strength in (("train", 1), ("test", 2)):
        write_openface(tmp_path / split / "happy" / "a.csv", [GOOD | {"AU01_r": strength}])
    results = read(tmp_path, 0.8)
    assert "a" not in results
    image_records = [{"file": f"{split}/happy/a.png", "source": "a.jpg"} for split in ("test", "train")]
    assert join(image_records, results) == []
    assert [record["action_units"][0] for record in image_records] == [2, 1]


def test_one_table_distinguishes_images_of_one_name_in_two_folders(tmp_path):
    faces = [("neutral", 0), ("happy", 3), ("happy", 4)]
    rows = [GOOD | {"file": f"train/{name}/a.png", "confidence": 0.9 + k / 99, "AU12_r": k} for name, k in faces]
    write_openface(tmp_path / "all.csv", [*rows, GOOD | {"file": ""}], first="file")
    image_records = [{"file": f"train/{name}/a.png", "source": f"{name}.bmp"} for name in ("happy", "neutral")]
    assert join(image_records, read(tmp_path / "all.csv", 0.8)) == []
    assert [record["action_units"][UNITS.index(12)] for record in image_records] == [4, 0]


def test_hidden_folders_are_skipped(tmp_path):
    for path in (".trash/a", "b"):
        write_openface(tmp_path / f"{path}.csv", [GOOD])
    assert read(tmp_path, 0.8).keys() == {"b"}


def table(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def test_other_files_than_results_of_openface_are_refused(tmp_path):
    video = tmp_path / "video.csv"
    write_openface(video, [GOOD | {"frame": 1}, GOOD | {"frame": 2}], first="frame")
    write_openface(tmp_path / "cut.csv", [GOOD])
    (tmp_path / "cut.csv").write_text((tmp_path / "cut.csv").read_text()[:-12])
    (tmp_path / "empty").mkdir()
    for path, expected in [
        (tmp_path / "gone", "gone: no such file or folder"),
        (tmp_path / "empty", "empty: no CSV here; FaceLandmarkImg"),
        (video, "use FaceLandmarkImg, not a video"),
        (tmp_path / "cut.csv", "cut.csv: row 2 has 19 of 21 values: the file is incomplete"),
        (table(tmp_path / "a.csv", "a,b\n1,2\n"), "a.csv: no column confidence: not an OpenFace 2 result"),
        (table(tmp_path / "b.csv", "face, confidence, AU01_r\n"), "b.csv: no column AU02_r"),
    ]:
        with pytest.raises(UserError) as error:
            read(path, 0.8)
        assert expected in str(error.value)


def test_results_that_match_no_image_are_refused_before_anything_is_written(source, tmp_path, capsys):
    write_openface(tmp_path / "units" / "somebody.csv", [GOOD])
    messages = refused(capsys, "bu3dfe", source, tmp_path / "dst", "--openface", str(tmp_path / "units"))
    assert "OpenFace's results match no image, e.g. train/" in messages
    assert "there is one for somebody" in messages
    assert "gone: no such file or folder" in refused(
        capsys, "bu3dfe", source, tmp_path / "new", "--openface", str(tmp_path / "gone")
    )
    assert not (tmp_path / "dst").exists()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("as_table", [False, True])
def test_results_are_joined_by_names_in_any_unicode_form(tmp_path, as_table):
    composed, decomposed = (unicodedata.normalize(form, "José") for form in ("NFC", "NFD"))
    if as_table:
        write_openface(tmp_path / "all.csv", [GOOD | {"file": f"{decomposed}.jpg"}], first="file")
    else:
        write_openface(tmp_path / f"{decomposed}.csv", [GOOD])
    records = [{"file": "train/happy/1.png", "source": f"{composed}.jpg"}]
    assert join(records, read(tmp_path / "all.csv" if as_table else tmp_path, 0.8)) == []
    assert records[0]["action_units"] == list(STRENGTHS.values())


# --- face masks -----------------------------------------------------------------------------------


def circle(x: float, y: float, radius: float) -> list[list[float]]:
    """68 points around a centre."""
    angles = np.linspace(0, 2 * np.pi, len(LANDMARKS), endpoint=False)
    return np.stack((x + radius * np.cos(angles), y + radius * np.sin(angles)), 1).tolist()


def with_landmarks(x: float, y: float, radius: float) -> dict:
    """A row of OpenFace, which counts from the centre of the first pixel."""
    points = zip(LANDMARKS, circle(x, y, radius), strict=True)
    return GOOD | {name: value - 0.5 for names, point in points for name, value in zip(names, point, strict=True)}


def test_a_face_mask_is_the_hull_of_the_landmarks_and_a_margin():
    mask = face_mask(circle(50, 40, 20), 100) / 255
    y, x = np.mgrid[:100, :100] + 0.5
    distance = np.hypot(x - 50, y - 40)
    edge = 20 + MARGIN * 40
    assert (mask[distance < edge - 1] == 1).all()
    assert (mask[distance > edge + 1] == 0).all()
    assert mask.sum() == pytest.approx(np.pi * edge**2, rel=0.01)
    inner = [*circle(50, 40, 20)[::2], *circle(50, 40, 5)[::2]]  # as a nose and a mouth do
    assert np.abs(face_mask(inner, 100) / 255 - mask).mean() < 0.005


@pytest.mark.parametrize("crop", [("0.5", "0.5", "1"), ("0.4", "0.7", "0.5")])
def test_masks_follow_the_crop_and_the_size_of_the_images(source, tmp_path, crop):
    # The sources have 12 pixels. The second crop is the square of 6 pixels whose corner is at (1.8, 5.4).
    left, top, side = (0, 0, 12) if crop[2] == "1" else (1.8, 5.4, 6)
    for file in source.rglob("*_F2D.bmp"):
        write_openface(tmp_path / "sources" / f"{file.stem}.csv", [with_landmarks(5, 7, 2)])
    folders = ["--openface", str(tmp_path / "sources"), "--size", "64", "--crop", *crop]
    assert prepare("bu3dfe", source, tmp_path / "dst", *folders) == 0
    scale = 64 / side
    expected = circle((5 - left) * scale, (7 - top) * scale, 2 * scale)
    for record in records(tmp_path / "dst"):
        np.testing.assert_allclose(record["landmarks"], expected, atol=0.02)
        with Pillow.open(tmp_path / "dst" / "masks" / "face" / record["file"]) as mask:
            assert mask.mode == "L"
            assert np.abs(np.asarray(mask) - face_mask(expected, 64).astype(float)).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_landmarks_are_those_of_the_upright_image(tmp_path, orientation):
    exif = Pillow.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Pillow.new("RGB", (20, 10)).save(tmp_path / "turned.jpg", exif=exif)
    side, width, height = 10, *upright(tmp_path / "turned.jpg").size
    left, top = (width - side) / 2, (height - side) / 2
    assert to_crop([[left, top]], tmp_path / "turned.jpg", CENTRED, 8) == [[0, 0]]
    assert to_crop([[left + side, top + side]], tmp_path / "turned.jpg", CENTRED, 8) == [[8, 8]]


def test_landmarks_of_prepared_images_are_in_their_pixels(source, tmp_path):
    dst = tmp_path / "dst"
    prepare("bu3dfe", source, dst)
    for record in records(dst):
        write_openface((tmp_path / "faces" / record["file"]).with_suffix(".csv"), [with_landmarks(3, 5, 2)])
    assert prepare("bu3dfe", source, dst, "--openface", str(tmp_path / "faces")) == 0
    for record in records(dst):
        np.testing.assert_allclose(record["landmarks"], circle(3, 5, 2), atol=0.01)


def test_training_takes_the_masks_of_openface(source, tmp_path):
    faces = {file.stem: with_landmarks(6, 6, 3) for file in source.rglob("*_F2D.bmp")}
    for name, row in faces.items():
        write_openface(tmp_path / "faces" / f"{name}.csv", [row])
    dst = tmp_path / "dst"
    prepare("bu3dfe", source, dst, "--openface", str(tmp_path / "faces"))
    files = tuple(sorted((dst / "train" / "happy").iterdir()))
    domain = DecodedDomain("happy", files, np.zeros((len(files), 8, 8, 3), np.uint8))
    # Landmarks are rounded to a hundredth of a pixel.
    assert np.abs(face_masks(domain, 8) - face_mask(circle(4, 4, 2), 8).astype(float)).max() <= 3


def test_an_image_without_a_mask_is_named_and_loses_an_older_one(source, tmp_path, capsys):
    dst, faces = tmp_path / "dst", tmp_path / "faces"
    for file in source.rglob("*_F2D.bmp"):
        write_openface(faces / f"{file.stem}.csv", [with_landmarks(6, 6, 3)])
    prepare("bu3dfe", source, dst, "--openface", str(faces))
    assert "21 of 21 images get face masks" in capsys.readouterr().err
    write_openface(faces / "M0001_NE00WH_F2D.csv", [with_landmarks(40, 6, 3)])
    write_openface(faces / "F0001_HA04WH_F2D.csv", [GOOD])
    assert prepare("bu3dfe", source, dst, "--openface", str(faces)) == 0
    messages = capsys.readouterr().err
    assert "no face mask for" in messages
    assert "/neutral/M0001.png (M0001_NE00WH_F2D.bmp): its landmarks lie outside the image" in messages
    assert "/happy/F0001.png (F0001_HA04WH_F2D.bmp): no landmarks" in messages
    assert "19 of 21 images get face masks" in messages
    masked = {str(file.relative_to(dst / "masks" / "face")) for file in (dst / "masks").rglob("*.png")}
    missing = {record["source"] for record in records(dst) if record["file"] not in masked}
    assert missing == {"M0001_NE00WH_F2D.bmp", "F0001_HA04WH_F2D.bmp"}
    assert {record["source"] for record in records(dst) if "landmarks" not in record} == {"F0001_HA04WH_F2D.bmp"}


def test_action_units_alone_leave_masks_as_they_are(source, tmp_path):
    dst, faces = tmp_path / "dst", tmp_path / "faces"
    for file in source.rglob("*_F2D.bmp"):
        write_openface(faces / f"{file.stem}.csv", [with_landmarks(6, 6, 3)])
    prepare("bu3dfe", source, dst, "--openface", str(faces))
    before = tree(dst)
    assert prepare("bu3dfe", source, dst, "--openface", str(of_sources(source, tmp_path / "units"))) == 0
    assert tree(dst) == before


def test_masks_come_with_the_images_after_an_interruption(source, tmp_path, monkeypatch):
    dst, faces, replace = tmp_path / "dst", tmp_path / "faces", os.replace
    for file in source.rglob("*_F2D.bmp"):
        write_openface(faces / f"{file.stem}.csv", [with_landmarks(6, 6, 3)])
    prepare("bu3dfe", source, tmp_path / "at once", "--openface", str(faces))

    def limited(old, new):
        if str(new).endswith("dst/images.jsonl"):
            raise KeyboardInterrupt
        replace(old, new)

    with monkeypatch.context() as stopped:
        stopped.setattr(os, "replace", limited)
        assert prepare("bu3dfe", source, dst, "--openface", str(faces)) == 130
    assert prepare("bu3dfe", source, dst, "--openface", str(faces)) == 0
    assert tree(dst) == tree(tmp_path / "at once")
    assert names_in(dst) == ["dataset.json", "images.jsonl", "masks", "test", "train"]


def test_incomplete_landmarks_are_refused(tmp_path):
    row = with_landmarks(6, 6, 3)
    write_openface(tmp_path / "a.csv", [{key: value for key, value in row.items() if key != "y_67"}])
    with pytest.raises(UserError, match=r"a\.csv: no column y_67, but other landmarks: run OpenFace again with -2Dfp"):
        read(tmp_path, 0.8)
    assert one(tmp_path, row | {"x_3": "nan"}) == "landmarks that are not finite"
