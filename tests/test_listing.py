"""Which files of a folder are images of the user's; everything else that looks like one is left out and named."""

import json
import os
import unicodedata
from pathlib import Path

import pytest
from PIL import Image as Pillow

from aggan.data.folders import DataConfig, find, list_images, list_named
from aggan.data.listing import list_files, scan_images
from aggan.errors import UserError


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for shade, name in enumerate(names or ("0.png", "1.png")):
        Pillow.new("RGB", (8, 8), (shade, 2 * shade, 100)).save(folder / name, "PNG")
    return folder


def names_in(folder: Path) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in list_images(folder)]


def left_out(folder: Path) -> dict[str, list[str]]:
    listing = list_named(folder)
    return {
        reason: [path.relative_to(folder).as_posix() for path in paths] for reason, paths in listing.left_out.items()
    }


# --- by-products of this package --------------------------------------------------------------------


def test_masks_and_contents_beside_their_images_are_left_out_and_named(tmp_path):
    fill(tmp_path, "a.png", "a.mask.png", "a.content.png", "b.jpg", "b.1.png", "b.1.mask.png", "c.bmp.png", "c.jpg")
    fill(tmp_path, "c.bmp.mask.png", "c.jpg.content.png")
    fill(tmp_path / "sub", "a.png", "a.mask.png")
    assert names_in(tmp_path) == ["a.png", "b.1.png", "b.jpg", "c.bmp.png", "c.jpg", "sub/a.png"]
    (sentence,) = list_named(tmp_path).sentences()
    assert sentence.startswith("left out 6 (masks and contents of translations): ")
    assert sentence.endswith(", ...")


def test_masks_without_their_images_are_images(tmp_path):
    fill(tmp_path, "a.mask.png", "a.content.png", "b.mask.png")
    fill(tmp_path / "sub", "a.png")
    assert names_in(tmp_path) == ["a.content.png", "a.mask.png", "b.mask.png", "sub/a.png"]


def experiment(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "experiment.json").write_text(json.dumps({"version": 2, "method": {}, "data": {}, "training": {}}))
    return folder


def test_a_run_below_a_folder_of_images_is_left_out_and_named(tmp_path):
    fill(tmp_path)
    fill(experiment(tmp_path / "runs" / "first") / "samples", "1000.png")
    assert names_in(tmp_path) == ["0.png", "1.png"]
    assert left_out(tmp_path) == {"runs": ["runs/first"]}


def test_sample_sheets_are_left_out_of_the_run_itself_unless_they_are_what_is_named(tmp_path):
    fill(experiment(tmp_path) / "samples", "1000.png")
    with pytest.raises(UserError, match=r"no images here; left out 1 \(sample sheets of a run\): .*/samples$"):
        list_images(tmp_path)
    assert names_in(tmp_path / "samples") == ["1000.png"]


@pytest.mark.parametrize("content", ["", "[]", '{"camera": "microscope"}'])
def test_a_folder_with_an_experiment_of_somebody_else_is_no_run(tmp_path, content):
    fill(tmp_path / "slides" / "samples")
    (tmp_path / "slides" / "experiment.json").write_text(content)
    assert len(list_images(tmp_path)) == 2
    assert left_out(tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "key"), [("plan.json", "methods"), ("plan.json", "systems"), ("comparison.json", "methods")]
)
def test_studies_and_comparisons_are_left_out_and_named(tmp_path, name, key):
    fill(tmp_path)
    study = fill(tmp_path / "study" / "images", "00000.png").parent
    (study / name).write_text(json.dumps({key: ["aggan"]}))
    assert names_in(tmp_path) == ["0.png", "1.png"]
    assert left_out(tmp_path) == {"studies or comparisons": ["study"]}


def test_the_images_of_a_study_are_no_inputs_even_if_the_study_is_named(tmp_path):
    fill(tmp_path / "images", "00000.png")
    (tmp_path / "plan.json").write_text(json.dumps({"methods": ["aggan"]}))
    with pytest.raises(UserError, match="no images here; left out 1"):
        list_images(tmp_path)


def test_images_and_people_of_a_quickstart_are_left_out_and_named(tmp_path):
    fill(tmp_path / "images", "5.png", "5.mask.png")
    fill(tmp_path / "people", "5.input.png", "5.mask.png")
    fill(tmp_path / "mine")
    (tmp_path / "report.html").touch()
    experiment(tmp_path / "run")
    assert names_in(tmp_path) == ["mine/0.png", "mine/1.png"]
    assert left_out(tmp_path) == {"outputs of a quickstart": ["images", "people"], "runs": ["run"]}


def test_images_beside_a_report_of_somebody_else_are_images(tmp_path):
    fill(tmp_path / "images")
    (tmp_path / "report.html").touch()
    assert names_in(tmp_path) == ["images/0.png", "images/1.png"]


def test_masks_and_ground_truth_of_a_data_set_are_no_inputs(tmp_path):
    for folder in ("test/neutral", "masks/face/test/neutral", "answers/test/happy"):
        fill(tmp_path / folder)
    assert len(list_images(tmp_path)) == 6
    (tmp_path / "dataset.json").touch()
    assert names_in(tmp_path) == ["test/neutral/0.png", "test/neutral/1.png"]
    assert left_out(tmp_path) == {"masks and ground truth of a data set": ["answers", "masks"]}


# --- stray folders, links and other formats ---------------------------------------------------------


@pytest.mark.parametrize("name", ["__MACOSX", "@eaDir", "Thumbs", "thumbs", "#recycle", "lost+found"])
def test_folders_of_other_software_are_left_out_and_named(tmp_path, name):
    fill(tmp_path / "A")
    fill(tmp_path / "A" / "person" / name)
    fill(tmp_path / "B")
    fill(tmp_path / name / "A")
    split = find(DataConfig(root=tmp_path))
    assert [(domain.name, len(domain.files)) for domain in split.train] == [("A", 2), ("B", 2)]
    described = split.describe()
    assert f"left out 1 (folders of other software): {tmp_path / name}" in described
    assert f"left out 1 (folders of other software): {tmp_path / 'A' / 'person' / name}" in described


def test_thumbnails_in_a_hidden_folder_are_left_out(tmp_path):
    fill(fill(tmp_path) / ".thumbnails" / "large")
    assert names_in(tmp_path) == ["0.png", "1.png"]


def test_a_linked_subfolder_is_listed_once(tmp_path):
    fill(tmp_path / "disk", "a.png")
    folder = fill(tmp_path / "x", "z.png")
    for name in ("first", "second"):
        (folder / name).symlink_to(tmp_path / "disk")
    assert names_in(folder) == ["first/a.png", "z.png"]
    assert left_out(folder) == {"links to folders that are listed already": ["second"]}


def test_links_into_a_folder_itself_and_to_its_parents_are_no_loop(tmp_path):
    fill(tmp_path / "other", "b.png")
    folder = fill(tmp_path / "x" / "sub", "a.png").parent
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "sub" / "further").symlink_to(tmp_path)
    (folder / "aside").symlink_to(folder / "sub")
    (tmp_path / "other" / "back").symlink_to(folder)
    (folder / "to other").symlink_to(tmp_path / "other")
    assert names_in(folder) == ["sub/a.png", "to other/b.png"]


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    fill(tmp_path)
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    assert left_out(tmp_path) == {"links that lead nowhere": ["gone.png"]}


def test_images_in_formats_that_are_not_read_are_named(tmp_path):
    fill(tmp_path, "a.png", "b.CR2", "c.nef", "d.dng", "e.psd", "f.svg")
    (tmp_path / "notes.txt").touch()
    assert names_in(tmp_path) == ["a.png"]
    assert left_out(tmp_path) == {"in a format that is not read": ["b.CR2", "c.nef", "d.dng", "e.psd", "f.svg"]}


def test_a_folder_with_nothing_but_raw_files_says_so(tmp_path):
    fill(tmp_path, "a.arw")
    with pytest.raises(UserError, match=r"no images here; left out 1 \(in a format that is not read\): .*/a\.arw$"):
        list_images(tmp_path)


def test_heic_needs_an_extra_which_is_named(tmp_path, monkeypatch):
    fill(tmp_path, "a.png")
    Pillow.new("RGB", (8, 8)).save(tmp_path / "b.HEIC", "PNG")
    assert names_in(tmp_path) == ["a.png", "b.HEIC"]
    monkeypatch.setattr("aggan.images.formats.find_spec", lambda name: None)
    assert names_in(tmp_path) == ["a.png"]
    (sentence,) = list_named(tmp_path).sentences()
    assert "read with the extra heic" in sentence
    assert "b.HEIC" in sentence


# --- names ------------------------------------------------------------------------------------------


def test_a_mask_belongs_to_an_image_of_the_same_name_in_another_form(tmp_path):
    fill(tmp_path, unicodedata.normalize("NFC", "José.png"), unicodedata.normalize("NFD", "José.mask.png"))
    assert len(list_images(tmp_path)) == 1


def test_names_that_are_not_utf8_are_listed(tmp_path):
    fill(tmp_path, os.fsdecode(b"\xff.png"), os.fsdecode(b"\xff.mask.png"))
    assert len(list_images(tmp_path)) == 1


def test_other_files_are_listed_by_their_suffix(tmp_path):
    for name in ("a.csv", "sub/b.CSV", "@eaDir/c.csv", "a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list_files(tmp_path, (".csv",)) == (tmp_path / "a.csv", tmp_path / "sub" / "b.CSV")
    assert scan_images(tmp_path).files == ()
