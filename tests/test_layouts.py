"""Layouts of training images as people have them: each is read as it is meant, and described, or refused."""

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from test_folders_and_cache import fill, layout

from aggan.data.cache import decode_domain
from aggan.data.datasets import PairedDataset, Sampler
from aggan.data.folders import DataConfig, Domain, find, find_folders, require_outside
from aggan.errors import UserError


def folders_of(domains: tuple[Domain, ...], root: Path) -> dict[str, str]:
    return {domain.name: domain.folder.relative_to(root).as_posix() for domain in domains}


SPELLINGS = {
    "Train, Test": (
        ("Train/A", "Train/B", "Test/A", "Test/B"),
        {"A": "Train/A", "B": "Train/B"},
        {"A": "Test/A", "B": "Test/B"},
    ),
    "TRAIN, Validation": (
        ("TRAIN/A", "TRAIN/B", "Validation/A", "Validation/B"),
        {"A": "TRAIN/A", "B": "TRAIN/B"},
        {"A": "Validation/A", "B": "Validation/B"},
    ),
    "training, testing": (
        ("training/A", "training/B", "testing/A", "testing/B"),
        {"A": "training/A", "B": "training/B"},
        {"A": "testing/A", "B": "testing/B"},
    ),
    "train, valid, test": (
        ("train/A", "train/B", "valid/A", "valid/B", "test/A", "test/B"),
        {"A": "train/A", "B": "train/B"},
        {"A": "test/A", "B": "test/B"},
    ),
    "names in another case": (
        ("train/Happy", "train/Sad", "val/happy", "val/SAD"),
        {"Happy": "train/Happy", "Sad": "train/Sad"},
        {"Happy": "val/happy", "Sad": "val/SAD"},
    ),
    "TrainA, testa": (
        ("TrainA", "TrainB", "testa", "testb"),
        {"A": "TrainA", "B": "TrainB"},
        {"A": "testa", "B": "testb"},
    ),
    "train_A, val_A": (
        ("train_A", "train_B", "val_A", "val_B"),
        {"A": "train_A", "B": "train_B"},
        {"A": "val_A", "B": "val_B"},
    ),
    "splits below domains": (
        ("A/Train", "B/train", "A/test", "B/Test"),
        {"A": "A/Train", "B": "B/train"},
        {"A": "A/test", "B": "B/Test"},
    ),
    "domains called like nearly a split": (("testa", "corpo"), {"corpo": "corpo", "testa": "testa"}, {}),
    "masks without a data set": (("A", "B", "masks"), {"A": "A", "B": "B"}, {}),
}


@pytest.mark.parametrize(("folders", "train", "test"), SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_of_a_layout_is_understood(tmp_path, folders, train, test):
    split = find(DataConfig(root=layout(tmp_path, *folders)))
    assert (folders_of(split.train, tmp_path), folders_of(split.test, tmp_path)) == (train, test)


def test_folders_of_two_domains_may_have_splits_too(tmp_path):
    layout(tmp_path, "sad/train", "sad/test", "glad/Training", "glad/val")
    split = find(DataConfig(x=tmp_path / "sad", y=tmp_path / "glad"))
    assert folders_of(split.train, tmp_path) == {"sad": "sad/train", "glad": "glad/Training"}
    assert folders_of(split.test, tmp_path) == {"sad": "sad/test", "glad": "glad/val"}


AMBIGUOUS = {
    "two layouts": (("train/A", "train/B", "trainA", "trainB"), r"train and trainA are two layouts: .* --data\.x and"),
    "a split in two spellings": (("Train/A", "train/A"), r"Train and train are called alike: rename one, or .*--data"),
    "validation twice": (("train/A", "train/B", "val/A", "valid/A"), r"val and valid are called alike"),
    "a domain in two spellings": (("trainA", "train_A", "trainB"), r"trainA and train_A are called alike"),
    "test without train": (("A", "B", "test"), r"has a folder test and none of training images: .* --data\.names$"),
    "validation without train": (("A", "Validation"), r"has a folder Validation and none of training images"),
    "splits of one domain only": (("A/train", "A/test", "B"), r"/B: has no folder of training images as the others"),
    "folders that sound like splits": (
        ("train_set/A", "test_set/A"),
        r"test_set and train_set sound like .* --data\.names",
    ),
    "abbreviated splits": (("trnX", "tstX"), r"trnX and tstX sound like training and test images"),
    "images beside a split": (("A", "A/train", "B/train"), r"/A: has images beside its folder train: name the folder"),
    "train without domains": (("train", "test"), r"/train: two folders or more .* found none; .* with --data\.pairs$"),
}


@pytest.mark.parametrize(("folders", "expected"), AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_an_ambiguous_layout_is_refused_with_the_option_that_decides(tmp_path, folders, expected):
    with pytest.raises(UserError, match=expected) as error:
        find(DataConfig(root=layout(tmp_path, *folders)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (("A", "B", "test"), ("A", "B")),
        (("A", "test", "B"), ("test", "A")),
        (("model-train", "real-train"), ("model-train", "real-train")),
        (("train/A", "train/B", "car"), ("train", "car")),
    ],
)
def test_names_decide_how_an_ambiguous_layout_is_read(tmp_path, folders, names):
    split = find(DataConfig(root=layout(tmp_path, *folders), names=names))
    assert folders_of(split.train, tmp_path) == {name: name for name in names}


def test_names_are_found_in_another_unicode_form(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "fröhlich") for form in ("NFC", "NFD"))
    layout(tmp_path, f"train/{decomposed}", "train/traurig", f"test/{composed}", "test/traurig")
    for name in (composed, decomposed):
        split = find(DataConfig(root=tmp_path, names=("traurig", name)))
        assert [domain.name for domain in (*split.train, *split.test)] == ["traurig", composed] * 2


def test_one_name_in_two_unicode_forms_is_refused(tmp_path):
    layout(tmp_path, *(unicodedata.normalize(form, "fröhlich") for form in ("NFC", "NFD")))
    with pytest.raises(UserError, match="another folder has this name in another Unicode form: rename one of them"):
        find(DataConfig(root=tmp_path))


# --- what was understood ----------------------------------------------------------------------------


def test_the_description_names_domains_counts_splits_and_what_is_not_used(tmp_path):
    layout(tmp_path, "train/A", "train/B", "val/A", "val/B", "test/A", "test/B", "notes")
    fill(tmp_path / "train" / "A", "2.png")
    (tmp_path / "train" / "A" / "3.nef").touch()
    assert find(DataConfig(root=tmp_path)).describe() == [
        f"training images: 3 A, 2 B in {tmp_path / 'train'}",
        f"test images: 2 A, 2 B in {tmp_path / 'test'}",
        f"not used in {tmp_path}: notes, val",
        f"left out 1 (in a format that is not read): {tmp_path / 'train' / 'A' / '3.nef'}",
    ]


def test_the_description_tells_why_there_are_no_test_images(tmp_path):
    layout(tmp_path, "train/A", "train/B", "test/A")
    assert find(DataConfig(root=tmp_path)).describe()[1:] == [
        "no test images",
        "test images are not used: there are none of B",
    ]


def test_the_description_names_folders_that_differ_from_their_domains(tmp_path):
    layout(tmp_path, "one/sad", "two/glad")
    data = DataConfig(x=tmp_path / "one" / "sad", y=tmp_path / "two" / "glad", names=("sad", "happy"))
    folders = f"2 sad ({tmp_path / 'one' / 'sad'}), 2 happy ({tmp_path / 'two' / 'glad'})"
    assert find(data).describe() == [f"training images: {folders}", "no test images"]


def test_layouts_are_checked_without_listing_any_image(tmp_path, monkeypatch):
    layout(tmp_path, "train/A", "train/B")
    monkeypatch.setattr("aggan.data.folders.scan_images", lambda folder: pytest.fail("this takes long"))
    assert dict(find_folders(DataConfig(root=tmp_path)).train) == {name: tmp_path / "train" / name for name in "AB"}
    with pytest.raises(UserError, match=r"no folder for the domain 'C'; there are A, B$"):
        find_folders(DataConfig(root=tmp_path, names=("A", "C")))


# --- the run folder ---------------------------------------------------------------------------------


@pytest.mark.parametrize("run", ["data", "data/run", "data/A", "data/A/run", ".", "link/run"])
def test_a_run_folder_inside_the_data_or_around_them_is_refused(tmp_path, run):
    layout(tmp_path, "data/A", "data/B")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with pytest.raises(UserError, match=r"the training images, .*: choose an --out beside them"):
        require_outside(DataConfig(root=tmp_path / "data"), tmp_path / run)


def test_a_run_folder_inside_one_of_two_folders_or_of_pairs_is_refused(tmp_path):
    layout(tmp_path, "x", "y")
    with pytest.raises(UserError, match=r"lies inside the training images, .*/y: choose"):
        require_outside(DataConfig(x=tmp_path / "x", y=tmp_path / "y"), tmp_path / "y" / "run")
    with pytest.raises(UserError, match=r"lies inside the training images, .*/x: choose"):
        require_outside(DataConfig(pairs=tmp_path / "x"), tmp_path / "x" / "run")


def test_a_run_folder_beside_the_data_is_accepted(tmp_path):
    layout(tmp_path, "data/A", "data/B")
    for run in ("run", "data-run", "runs/data"):
        require_outside(DataConfig(root=tmp_path / "data"), tmp_path / run)


# --- side-by-side images ----------------------------------------------------------------------------


def side_by_side(folder: Path, count: int = 3, width: int = 16) -> Path:
    """Images whose left half is red and whose right half is green, more so from file to file."""
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.zeros((8, width, 3), np.uint8)
        pixels[:, : width // 2, 0], pixels[:, width // 2 :, 1] = 10 + number, 20 + number
        Pillow.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def decoded(domains: tuple[Domain, ...]) -> list[list[list[int]]]:
    return [decode_domain(domain, 8, True, pytest.fail, 1).pixels.mean((1, 2)).tolist() for domain in domains]


def test_each_half_of_side_by_side_images_is_a_domain(tmp_path):
    side_by_side(tmp_path / "a")
    split = find(DataConfig(pairs=tmp_path / "a"))
    assert [domain.name for domain in split.train] == ["left", "right"]
    assert decoded(split.train) == [[[10 + k, 0, 0] for k in range(3)], [[0, 20 + k, 0] for k in range(3)]]
    assert split.describe() == [
        f"training images: 3 pairs in {tmp_path / 'a'}: left (left half), right (right half)",
        "no test images",
    ]


def test_side_by_side_images_are_pairs(tmp_path):
    side_by_side(tmp_path / "a")
    domains = [decode_domain(domain, 8, True, pytest.fail) for domain in find(DataConfig(pairs=tmp_path / "a")).train]
    dataset = PairedDataset(domains, Sampler(1, 0, flip=True))
    assert dataset.pairs == [(0, 0), (1, 1), (2, 2)]
    x, y = dataset.batch(0)
    assert round(float((x[0, 0].mean() - y[0, 1].mean()) * 127.5)) == -10


def test_direction_and_names_choose_the_halves(tmp_path):
    side_by_side(tmp_path / "a" / "train")
    side_by_side(tmp_path / "a" / "val", 1)
    data = DataConfig(pairs=tmp_path / "a", direction="right-to-left", names=("labels", "photo"))
    split = find(data)
    assert [(domain.name, domain.half) for domain in split.train] == [("labels", "right"), ("photo", "left")]
    assert decoded(split.test) == [[[0, 20, 0]], [[10, 0, 0]]]
    assert [domain.name for domain in find(DataConfig(pairs=tmp_path / "a", direction="right-to-left")).train] == [
        "right",
        "left",
    ]


def test_an_image_of_odd_width_is_not_two_images(tmp_path):
    side_by_side(tmp_path / "a")
    Pillow.new("RGB", (15, 8)).save(tmp_path / "a" / "odd.png")
    failures: list[str] = []
    for domain in find(DataConfig(pairs=tmp_path / "a")).train:
        assert len(decode_domain(domain, 8, False, failures.append)) == 3
    assert set(failures) == {
        f"{tmp_path / 'a' / 'odd.png'}: its width of 15 pixels is odd, so it is not two images side by side"
    }


def single_images(folder: Path, width: int, height: int, count: int = 3) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        Pillow.new("RGB", (width, height)).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize(("width", "height"), [(64, 64), (178, 218)])
def test_images_that_are_not_wider_than_high_are_refused_as_pairs(tmp_path, width, height):
    for split in ("train", "test"):
        for name in "AB":
            single_images(tmp_path / "root" / split / name, width, height)
    with pytest.raises(UserError) as error:
        find(DataConfig(pairs=tmp_path / "root"))
    first = tmp_path / "root" / "train" / "A" / "0.png"
    assert str(error.value) == (
        f"{first}: {width}x{height} pixels are not two images side by side, which are wider than high: name folders of "
        "single images with --data.root, or with --data.x and --data.y"
    )


@pytest.mark.parametrize(("width", "height"), [(512, 256), (36, 32), (356, 218), (640, 240), (712, 200)])
def test_pairs_of_images_of_many_shapes_are_pairs(tmp_path, width, height):
    domains = find(DataConfig(pairs=single_images(tmp_path / "a", width, height))).train
    assert [len(decode_domain(domain, 8, True, pytest.fail)) for domain in domains] == [3, 3]


def test_a_square_image_among_pairs_is_skipped_and_named(tmp_path):
    side_by_side(tmp_path / "a")
    Pillow.new("RGB", (8, 8)).save(tmp_path / "a" / "0.png")
    failures: list[str] = []
    for domain in find(DataConfig(pairs=tmp_path / "a")).train:
        assert len(decode_domain(domain, 8, False, failures.append)) == 2
    assert set(failures) == {f"{tmp_path / 'a' / '0.png'}: its 8x8 pixels are not two images side by side"}


def test_the_shape_of_a_pair_is_that_of_the_upright_image(tmp_path):
    (tmp_path / "a").mkdir()
    for number in range(2):
        image = Pillow.new("RGB", (8, 16))
        image.getexif()[0x0112] = 6
        image.save(tmp_path / "a" / f"{number}.jpg", exif=image.getexif())
    assert len(find(DataConfig(pairs=tmp_path / "a")).train) == 2


def test_broken_files_do_not_hide_that_images_are_no_pairs(tmp_path):
    single_images(tmp_path / "a", 8, 8)
    (tmp_path / "a" / "0.png").write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"a/1\.png: 8x8 pixels are not two images"):
        find(DataConfig(pairs=tmp_path / "a"))
    for number in (1, 2):
        (tmp_path / "a" / f"{number}.png").write_bytes(b"nonsense")
    assert len(find(DataConfig(pairs=tmp_path / "a")).train[0].files) == 3


CONTRADICTIONS = {
    "root and pairs": ({"root": "a", "pairs": "a"}, "give either --data.root or --data.pairs, not both"),
    "x and pairs": ({"x": "a", "pairs": "a"}, "give either --data.pairs or --data.x and --data.y, not both"),
    "direction of two folders": ({"x": "a", "y": "b", "direction": "right-to-left"}, "is about side-by-side images"),
    "one name twice": ({"pairs": "a", "names": ("n", "n")}, "both domains are called 'n'"),
    "three names": ({"pairs": "a", "names": ("k", "l", "m")}, "X and Y are two domains, but --data.names has 3 names"),
    "missing folder": ({"pairs": "gone"}, "gone: no such folder"),
    "two splits and images": ({"pairs": "c"}, "/c: has images beside its folder train: name the folder to train on"),
}


@pytest.mark.parametrize(("config", "expected"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_contradictions_about_side_by_side_images_are_refused(tmp_path, config, expected):
    layout(tmp_path, "a", "b", "c", "c/train")
    paths = {key: tmp_path / value if key in ("x", "y", "root", "pairs") else value for key, value in config.items()}
    with pytest.raises(UserError, match=expected):
        find(DataConfig.model_validate(paths))


def test_domains_with_a_word_of_a_split_inside_another_word_are_domains(tmp_path):
    split = find(DataConfig(root=layout(tmp_path, "strained", "contest", "latest")))
    assert set(folders_of(split.train, tmp_path)) == {"strained", "contest", "latest"}


@pytest.mark.parametrize("option", ["x", "root"])
def test_a_folder_whose_name_is_no_text_names_no_domain(tmp_path, option):
    root = tmp_path / "root"
    latin, happy = root / os.fsdecode(b"caf\xe9"), root / "happy"
    try:
        fill(latin)
    except OSError:
        pytest.skip("this file system only has names in UTF-8")
    fill(happy)
    folders = {"root": root} if option == "root" else {"x": latin, "y": happy}
    with pytest.raises(UserError, match=r"its name is not UTF-8, .* --data\.names X Y$"):
        find(DataConfig(**folders))
    assert len(find(DataConfig(x=latin, y=happy, names=("sad", "happy"))).train) == 2
