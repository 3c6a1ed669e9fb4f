"""The file names of each original data set, and which images are selected."""

import json
from pathlib import Path

import numpy as np
import pytest
from fake_datasets import ATTRIBUTES, make_arface, make_bu3dfe, make_celeba, make_rafd, white, write_list, write_raw
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from test_prepare import prepare, records, refused

from aggan.data.originals import arface, bu3dfe, celeba, rafd
from aggan.data.originals.crop import CENTRED, RAW_SHAPE, read_crop
from aggan.data.originals.source import SourceImage
from aggan.images.decode import Unreadable


def fields(image: SourceImage | str) -> tuple:
    assert isinstance(image, SourceImage), image
    return image.person, image.expression, image.name, image.details


@given(
    angle=st.sampled_from((45, 90, 135)),
    person=st.integers(1, 73),
    population=st.sampled_from(("Caucasian", "Moroccan", "Kid")),
    gender=st.sampled_from(("female", "male")),
    expression=st.sampled_from(rafd.EXPRESSIONS),
    gaze=st.sampled_from(("frontal", "left", "right")),
    suffix=st.sampled_from((".jpg", ".JPG")),
)
def test_names_of_rafd_are_parsed(angle, person, population, gender, expression, gaze, suffix):
    file = Path(f"Rafd{angle:03}_{person:02}_{population}_{gender}_{expression}_{gaze}{suffix}")
    expected = (f"{person:02}", expression, f"{person:02}_{angle:03}_{gaze}", {"camera": angle, "gaze": gaze})
    assert fields(rafd.Settings().parse(file)) == expected


@given(number=st.integers(1, 26), person=st.integers(1, 76), gender=st.sampled_from("mwfMWF"), width=st.integers(1, 3))
def test_names_of_ar_are_parsed(number, person, gender, width):
    image = arface.parse(Path(f"{gender}-{person:0{width}}-{number:0{min(width, 2)}}.raw"))
    visit, kind = divmod(number - 1, 13)
    if kind > 3:
        assert image == f"{arface.SKIPPED[kind + 1]}, not one of the four expressions"
    else:
        subject = f"{'m' if gender in 'mM' else 'w'}-{person:03}"
        expression = ("neutral", "happy", "angry", "fearful")[kind]
        assert fields(image) == (subject, expression, f"{subject}_visit{visit + 1}", {"visit": visit + 1})


@given(
    person=st.builds("{}{:04}".format, st.sampled_from("FM"), st.integers(1, 56)),
    code=st.sampled_from(sorted(set(bu3dfe.EXPRESSIONS) - {"NE"})),
    level=st.integers(1, 4),
    ancestry=st.sampled_from(("WH", "BL", "AE", "IN", "LA")),
)
def test_names_of_bu3dfe_are_parsed(person, code, level, ancestry):
    settings = bu3dfe.Settings(level=level)
    image = settings.parse(Path(f"{person}_{code}{level:02}{ancestry}_F2D.bmp"))
    assert fields(image) == (person, bu3dfe.EXPRESSIONS[code], person, {"strength": level / 4})
    neutral = settings.parse(Path(f"{person}_NE00{ancestry}_F2D.bmp"))
    assert fields(neutral) == (person, "neutral", person, {"strength": 0.0})
    other = settings.parse(Path(f"{person}_{code}{level % 4 + 1:02}{ancestry}_F2D.bmp"))
    assert other == f"other level than --level {level}"


@given(stem=st.text(st.characters(codec="ascii", exclude_characters="/\0"), max_size=30))
def test_other_names_are_skipped(stem):
    for parse in (rafd.Settings().parse, arface.parse, bu3dfe.Settings().parse):
        assert isinstance(parse(Path(f"x{stem}.bmp")), str)


@pytest.mark.parametrize("name", ["m-001-0.bmp", "m-001-27.bmp", "m-0001-1.bmp", "m-001.bmp", "x-001-1.bmp"])
def test_numbers_that_ar_does_not_have_are_skipped(name):
    assert str(arface.parse(Path(name))).startswith("not named like m-001-1.bmp")


def test_rafd_is_selected_by_camera_and_gaze(tmp_path, capsys):
    source = make_rafd(tmp_path / "src")
    (source / "._Rafd090_01_Caucasian_male_sad_left.jpg").write_bytes(b"metadata of macOS")
    (source / "Rafd090_01_Caucasian_male_bored_left.jpg").write_bytes(b"")
    assert prepare("rafd", source, tmp_path / "dst", "--camera", "90", "--gaze", "left") == 0
    assert {(r["camera"], r["gaze"]) for r in records(tmp_path / "dst")} == {(90, "left")}
    messages = capsys.readouterr().err
    assert "skipped 96: other camera angle than --camera 90 (such as Rafd000_01_" in messages
    assert "skipped 24: other gaze than --gaze left (such as Rafd090_01_" in messages
    assert "skipped 1: not named like Rafd090_01_" in messages
    assert "note: 3 people are there; the complete data set has 67" in messages


def test_ar_skips_light_glasses_and_scarves_and_reports_incomplete_visits(tmp_path, capsys):
    source = make_arface(tmp_path / "src")
    (source / "w-001-17.bmp").unlink()
    assert prepare("arface", source, tmp_path / "dst") == 0
    messages = capsys.readouterr().err
    for reason in ("light", "sun glasses", "scarf"):
        assert f"skipped 18: {reason}, not one of the four expressions" in messages
    assert "note: 1 of 6 visits lack an expression, such as w-001_visit2" in messages
    assert {(r["expression"], r["source"].split("-")[2]) for r in records(tmp_path / "dst") if r["visit"] == 2} == {
        ("neutral", "14.bmp"),
        ("happy", "15.bmp"),
        ("angry", "16.bmp"),
        ("fearful", "17.bmp"),
    }


def test_a_second_file_of_the_same_image_is_skipped(tmp_path, capsys):
    source = make_arface(tmp_path / "src")
    (source / "copy").mkdir()
    white((8, 8)).save(source / "w-001-01.bmp")
    white((8, 8)).save(source / "copy" / "w-001-1.png")
    assert prepare("arface", source, tmp_path / "dst") == 0
    assert "skipped 2: a second file of the same image" in capsys.readouterr().err


def test_hidden_folders_are_skipped(tmp_path, capsys):
    source = make_arface(tmp_path / "src")
    (source / ".thumbs").mkdir()
    white((8, 8)).save(source / ".thumbs" / "w-001-1.bmp")
    assert prepare("arface", source, tmp_path / "dst") == 0
    assert "a second file of the same image" not in capsys.readouterr().err


def test_one_person_cannot_be_split(tmp_path, capsys):
    source = make_arface(tmp_path / "src", ["m-001"])
    assert "only one person, m-001, is there" in refused(capsys, "arface", source, tmp_path / "dst")


def test_raw_files_of_ar_are_read_as_three_planes(tmp_path):
    planes = np.zeros(RAW_SHAPE)
    planes[0, :, :384] = 255
    planes[2, 288:] = 200
    write_raw(tmp_path / "m-001-1.raw", planes)
    image = read_crop(tmp_path / "m-001-1.raw", CENTRED, 576)
    assert [tuple(image[y, x]) for y, x in ((10, 10), (10, 570), (570, 570), (570, 10))] == [
        (255, 0, 0),
        (0, 0, 0),
        (0, 0, 200),
        (255, 0, 200),
    ]


def test_a_raw_file_of_another_length_is_broken(tmp_path):
    (tmp_path / "m-001-1.raw").write_bytes(b"short")
    with pytest.raises(Unreadable, match=r"broken image \(5 bytes, not 768 x 576 x 3 = 1327104\)"):
        read_crop(tmp_path / "m-001-1.raw", CENTRED, 8)
    with pytest.raises(Unreadable, match="No such file"):
        read_crop(tmp_path / "m-002-1.raw", CENTRED, 8)


def test_the_crop_of_a_portrait_is_as_documented(tmp_path):
    portrait = Pillow.new("RGB", (681, 1024), "white")
    side = round(0.88 * 681)
    left, top = round(681 / 2 - side / 2), round(0.46 * 1024 - side / 2)
    portrait.paste((0, 0, 255), (left, top, left + side, top + side))
    portrait.save(tmp_path / "portrait.png")
    kept = read_crop(tmp_path / "portrait.png", rafd.Settings().crop, 64)
    assert (kept[2:-2, 2:-2] == (0, 0, 255)).all()


@given(
    size=st.tuples(st.integers(8, 40), st.integers(8, 40)),
    crop=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0.2, 1)),
)
def test_a_crop_stays_inside_the_image(tmp_path_factory, size, crop):
    file = tmp_path_factory.getbasetemp() / "white.png"
    white(size).save(file)
    assert (read_crop(file, crop, 8) == 255).all()


def test_celeba_is_selected_by_smiling_and_partition(tmp_path, capsys):
    source, dst = make_celeba(tmp_path / "src"), tmp_path / "dst"
    assert prepare("celeba", source, dst) == 0
    labels = celeba.Labels.read(*(source / name for name in (celeba.ATTRIBUTES, celeba.PARTITION, celeba.IDENTITIES)))
    for record in records(dst):
        assert labels.smiling[record["source"]] == (record["expression"] == "happy")
        assert labels.part[record["source"]] == {"train": 0, "test": 2}[record["split"]]
        assert labels.person is not None
        assert labels.person[record["source"]] == record["person"]
    counts = json.loads((dst / "dataset.json").read_text())["counts"]
    assert counts == {"train": {"happy": 3, "neutral": 3}, "test": {"happy": 2, "neutral": 2}}
    messages = capsys.readouterr().err
    assert "skipped 8: in the validation part" in messages
    assert "skipped 22: not drawn for --train 3 --test 2" in messages


def test_the_papers_numbers_are_the_defaults():
    assert (celeba.Settings().train, celeba.Settings().test, celeba.Settings().size) == (1000, 1000, 256)
    assert len(rafd.EXPRESSIONS) * 67 * len(rafd.Settings().camera) * len(rafd.Settings().gaze) == 4824


def test_celeba_as_published_in_three_folders_is_found(tmp_path):
    source = make_celeba(tmp_path / "src")
    for folder, names in (
        ("Img", [celeba.IMAGES]),
        ("Anno", [celeba.ATTRIBUTES, celeba.IDENTITIES]),
        ("Eval", [celeba.PARTITION]),
    ):
        (source / folder).mkdir()
        for name in names:
            (source / name).rename(source / folder / name)
    assert prepare("celeba", source, tmp_path / "dst") == 0


def test_without_identities_celeba_reports_that_its_partition_is_trusted(tmp_path, capsys):
    source = make_celeba(tmp_path / "src")
    (source / celeba.IDENTITIES).unlink()
    assert prepare("celeba", source, tmp_path / "dst") == 0
    assert "note: identity_CelebA.txt is not there" in capsys.readouterr().err
    assert {record["person"] for record in records(tmp_path / "dst")} == {None}


def test_people_of_the_training_part_are_excluded_from_the_test_split(tmp_path, capsys):
    source = make_celeba(tmp_path / "src")
    names = [f"{number:06}.jpg" for number in range(1, 41)]
    people = {name: 0 if index == 39 else index // 2 for index, name in enumerate(names)}
    write_list(source / celeba.IDENTITIES, people)
    assert prepare("celeba", source, tmp_path / "dst") == 0
    assert "skipped 1: in the test part, but of a person who is also in the training part (such as 000040.jpg)" in (
        capsys.readouterr().err
    )
    assert "000040.jpg" not in {record["source"] for record in records(tmp_path / "dst")}


def test_more_images_than_celeba_has_are_refused(tmp_path, capsys):
    source = make_celeba(tmp_path / "src")
    messages = refused(capsys, "celeba", source, tmp_path / "dst", "--test", "5")
    assert "--test 5: this part has only 4 neutral images: lower it" in messages


def test_one_image_too_few_is_counted_in_good_english(tmp_path, capsys):
    source = make_celeba(tmp_path / "src", 9)
    messages = refused(capsys, "celeba", source, tmp_path / "dst", "--train", "2", "--test", "2")
    assert "--test 2: this part has only 1 neutral image: lower it" in messages


def as_csv(source: Path, *names: str) -> None:
    """Replace lists by those that Kaggle distributes."""
    header = {celeba.ATTRIBUTES: ["image_id", *ATTRIBUTES.split()], celeba.PARTITION: ["image_id", "partition"]}
    for name in names:
        lines = (source / name).read_text().splitlines()
        rows = [header[name], *(line.split() for line in lines if len(line.split()) > 1 and ".jpg" in line)]
        (source / name).unlink()
        (source / name).with_suffix(".csv").write_text("".join(",".join(row) + "\r\n" for row in rows))


def with_byte_order_mark(source: Path, *names: str) -> None:
    for name in names:
        (source / name).write_bytes(b"\xef\xbb\xbf" + (source / name).read_bytes())


def without_a_count(source: Path, *names: str) -> None:
    (source / names[0]).write_text("".join((source / names[0]).read_text().splitlines(keepends=True)[1:]))


@pytest.mark.parametrize("change", [as_csv, with_byte_order_mark, without_a_count])
def test_celeba_is_read_as_people_have_it(change, tmp_path):
    source = make_celeba(tmp_path / "src")
    assert prepare("celeba", source, tmp_path / "published") == 0
    change(source, celeba.ATTRIBUTES, celeba.PARTITION)
    assert prepare("celeba", source, tmp_path / "dst") == 0
    assert records(tmp_path / "dst") == records(tmp_path / "published")


def test_a_broken_csv_of_kaggle_is_refused(tmp_path, capsys):
    source = make_celeba(tmp_path / "src")
    as_csv(source, celeba.ATTRIBUTES, celeba.PARTITION)
    attributes = (source / celeba.ATTRIBUTES).with_suffix(".csv")
    attributes.write_text(attributes.read_text()[:-5])
    assert "line 41 is not a name and 4 values of 1 or -1" in refused(capsys, "celeba", source, tmp_path / "dst")


def without_last_line(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:-1])


BROKEN = [
    (celeba.ATTRIBUTES, without_last_line, "has 39 of the 40 images it announces: copy it again"),
    (celeba.ATTRIBUTES, lambda text: text[:-6], "line 42 is not a name and 4 values of 1 or -1"),
    (celeba.ATTRIBUTES, lambda text: text[:20], "must begin with the names of the attributes"),
    (celeba.ATTRIBUTES, lambda _: "", "must begin with the names"),
    (celeba.ATTRIBUTES, lambda text: text.replace(ATTRIBUTES, "A B C D"), "Smiling among them"),
    (celeba.ATTRIBUTES, lambda text: text.replace("1  1", "1  2").replace(" 1 -1\n", " 3 -1\n"), "values of 1 or -1"),
    (celeba.PARTITION, without_last_line, "lacks 000040.jpg, which is in list_attr_celeba.txt (names that differ: 1)"),
    (celeba.PARTITION, lambda text: text + "000041.jpg 2\n", "list_attr_celeba.txt: lacks 000041.jpg"),
    (celeba.PARTITION, lambda text: text[:-3], "line 40 is not a name and a number"),
    (celeba.PARTITION, lambda text: text[:-2] + "7\n", "000040.jpg is in part '7', but parts are 0, 1 and 2"),
    (celeba.PARTITION, lambda _: "\udcff", "cannot be read as text"),
    (celeba.IDENTITIES, without_last_line, "identity_CelebA.txt: lacks 000040.jpg"),
]


@pytest.mark.parametrize(("name", "break_", "expected"), BROKEN)
def test_a_broken_list_of_celeba_is_refused(name, break_, expected, tmp_path, capsys):
    source = make_celeba(tmp_path / "src")
    text = (source / name).read_text()
    (source / name).write_text(break_(text), errors="surrogateescape")
    assert expected in refused(capsys, "celeba", source, tmp_path / "dst", "--partial")
    assert not (tmp_path / "dst").exists()


@pytest.mark.parametrize("name", [celeba.IMAGES, celeba.ATTRIBUTES, celeba.PARTITION])
def test_a_part_of_celeba_that_is_missing_or_packed_is_named(name, tmp_path, capsys):
    source = make_celeba(tmp_path / "src")
    (source / name).rename(tmp_path / "away")
    assert f"src: {name} is missing here" in refused(capsys, "celeba", source, tmp_path / "dst")
    (source / f"{name}.zip").touch()
    assert f"unpack {name}.zip there" in refused(capsys, "celeba", source, tmp_path / "dst")


def test_a_file_in_place_of_celebas_images_folder_is_named(tmp_path, capsys):
    source = make_celeba(tmp_path / "src")
    (source / celeba.IMAGES).rename(tmp_path / "away")
    (source / celeba.IMAGES).touch()
    assert "img_align_celeba: Not a directory" in refused(capsys, "celeba", source, tmp_path / "dst")


def test_an_image_that_is_not_in_celebas_lists_is_skipped(tmp_path, capsys):
    source = make_celeba(tmp_path / "src")
    white((8, 8)).save(source / celeba.IMAGES / "999999.jpg")
    assert prepare("celeba", source, tmp_path / "dst") == 0
    assert "skipped 1: not in list_attr_celeba.txt (such as 999999.jpg)" in capsys.readouterr().err


def test_the_level_of_bu3dfe_is_an_option(tmp_path):
    source = make_bu3dfe(tmp_path / "src")
    assert prepare("bu3dfe", source, tmp_path / "dst", "--level", "2") == 0
    strengths = {(r["expression"] == "neutral", r["strength"]) for r in records(tmp_path / "dst")}
    assert strengths == {(True, 0.0), (False, 0.5)}
    assert {r["source"][6:10] for r in records(tmp_path / "dst") if r["expression"] == "happy"} == {"HA02"}
