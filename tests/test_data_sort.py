"""`aggan data sort`: from a pile of photographs to training images.

The networks are fakes. A fake photograph tells its face by its width, and person and smile by its colours.
"""

import csv
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_helpers import files_below, read_pixels
from PIL import Image as Pillow
from PIL import ImageFilter

from aggan.cli.main import run
from aggan.curation import measure
from aggan.curation.appearance import MARGIN, SIDE, appearance, sharpness, to_lab
from aggan.curation.balance import Feature, choose_subset, leave_out_for_balance
from aggan.curation.choose import Photograph
from aggan.curation.crops import crop
from aggan.curation.inputs import unique_names
from aggan.curation.measure import Instruments, Measurement, pose
from aggan.curation.people import choose_domains, find_copies, group_people
from aggan.curation.settings import SortSettings
from aggan.data.folders import DataConfig, find
from aggan.data.index import read_records
from aggan.data.sample_faces import PACK
from aggan.images.convert import to_pixels
from aggan.inference.alignment import DEFAULT_LANDMARKS
from aggan.inference.faces import Faces
from aggan.inference.landmarks import Face, FaceFinder
from aggan.types import Translation

ALIGNMENT = np.array(DEFAULT_LANDMARKS)
ONE_FACE, NO_FACE, TWO_FACES, TINY, TURNED, UNSURE = 100, 101, 102, 103, 104, 105
"""Widths of fake photographs."""
UNBALANCED = ("--balance", "inf")
"""The colours of fake photographs follow the smile, so nothing could balance them."""


def photograph(file: Path, person: int, smile: float, width: int = ONE_FACE, seed: int = 0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pattern = np.random.default_rng((person, seed)).integers(-15, 16, (25, 25, 1)).repeat(4, 0).repeat(4, 1)
    pixels = np.array([60 + 120 * smile, 20 + 10 * person, 128]) + pattern
    Pillow.fromarray(np.resize(pixels, (100, width, 3)).round().astype(np.uint8)).save(file)
    return file


class FakeNetworks:
    """Counts the photographs that were looked at, and whether the classifier was needed."""

    def __init__(self) -> None:
        self.looked_at = 0
        self.expressions: list[bool] = []
        self.interrupt_at = -1

    def load(self, expressions: bool) -> Instruments:
        self.expressions.append(expressions)
        return Instruments(self.detect, self, self.smile if expressions else None)

    def detect(self, pixels: np.ndarray) -> list[Face]:
        if self.looked_at == self.interrupt_at:
            raise KeyboardInterrupt
        self.looked_at += 1
        face = ALIGNMENT * 80 + 10
        return {
            ONE_FACE: [Face(face, 2.0)],
            NO_FACE: [],
            TWO_FACES: [Face(face, 2.0), Face(ALIGNMENT * 60, 2.0)],
            TINY: [Face(ALIGNMENT * 15, 2.0)],
            TURNED: [Face(face + np.array([[0, 0]] * 4 + [[12, 0]]), 2.0)],
            UNSURE: [Face(face, 0.01)],
        }[pixels.shape[1]]

    def embed(self, images: np.ndarray) -> np.ndarray:
        people = ((images.mean((1, 2))[:, 1] - 20) / 10).round().astype(int)
        vectors = np.stack([np.random.default_rng(person).normal(size=128) for person in people])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def smile(self, images: np.ndarray) -> np.ndarray:
        return ((images.mean((1, 2))[:, 0] - 60) / 120).clip(0, 1)


@pytest.fixture
def networks(monkeypatch) -> FakeNetworks:
    fake = FakeNetworks()
    monkeypatch.setattr(measure, "load_instruments", fake.load)
    return fake


@pytest.fixture
def pile(tmp_path) -> Path:
    """Ten people, five of whom smile."""
    for person in range(10):
        photograph(tmp_path / "pile" / f"{person}.png", person, float(person % 2))
    return tmp_path / "pile"


def sort(*inputs: object, out: Path, more: tuple[str, ...] = ()) -> int:
    return run(["data", "sort", *map(str, inputs), "--out", str(out), "--size", "32", *UNBALANCED, *more])


def error_of(capsys: pytest.CaptureFixture[str], code: int) -> str:
    """The last line on stderr of a command that exited with 2, below the progress."""
    error = capsys.readouterr().err
    assert code == 2
    assert "Traceback" not in error
    return error.splitlines()[-1]


def left_out(out: Path) -> dict[str, str]:
    with (out / "left-out.csv").open(newline="") as file:
        return {Path(row["file"]).name: row["reason"] for row in csv.DictReader(file)}


def test_a_pile_becomes_a_data_set(pile, tmp_path, networks, capsys):
    out = tmp_path / "set"
    assert sort(pile, out=out) == 0
    output = capsys.readouterr().out
    assert "train: 4 neutral, 4 smiling\ntest: 1 neutral, 1 smiling\nleft out: nothing\n" in output
    assert f"aggan train --recipe photographs64 --data.root {out} --data.names neutral smiling --out RUN" in output
    records = read_records(out / "images.jsonl")
    assert {record["file"] for record in records} == {name for name in files_below(out) if name.endswith(".png")}
    assert all(read_pixels(out / record["file"]).shape == (32, 32, 3) for record in records)
    assert {record["source"]: record["expression"] for record in records} == {
        f"{person}.png": "smiling" if person % 2 else "neutral" for person in range(10)
    }
    assert len({record["person"] for record in records}) == 10
    card = json.loads((out / "dataset.json").read_text())
    assert card["counts"] == {"train": {"neutral": 4, "smiling": 4}, "test": {"neutral": 1, "smiling": 1}}
    assert card["settings"]["smiling"] == 0.85
    domains = find(DataConfig(root=out))
    assert [(domain.name, len(domain.files)) for domain in domains.train] == [("neutral", 4), ("smiling", 4)]
    assert networks.expressions == [True]


def test_every_file_that_is_left_out_has_its_reason(pile, tmp_path, networks):
    cases = {"none": NO_FACE, "two": TWO_FACES, "tiny": TINY, "turned": TURNED, "unsure": UNSURE}
    for name, width in cases.items():
        photograph(pile / f"{name}.png", 12, 1, width)
    photograph(pile / "between.png", 13, 0.5)
    Pillow.new("RGB", (100, 100), (170, 190, 128)).save(pile / "blurred.png")
    Pillow.open(pile / "1.png").convert("L").save(pile / "grey.png")
    Pillow.open(pile / "3.png").point(lambda value: value + 1).save(pile / "copy.png")
    (pile / "broken.jpg").write_bytes(b"no image")
    photograph(pile / "same-person.png", 4, 1, seed=1)
    out = tmp_path / "set"
    assert sort(pile, out=out) == 0
    reasons = {
        "none.png": "no face",
        "two.png": "several faces",
        "tiny.png": "face too small",
        "turned.png": "head turned away",
        "unsure.png": "doubtful face",
        "between.png": "between the expressions",
        "blurred.png": "blurred",
        "grey.png": "grey among colours",
        "broken.jpg": "unreadable",
        "same-person.png": "person of the other domain",
    }
    copies = {name: reason for name, reason in left_out(out).items() if name not in reasons}
    assert list(copies.values()) == ["copy"]
    assert copies.keys() <= {"3.png", "copy.png"}
    assert left_out(out).items() >= reasons.items()
    report = (out / "report.html").read_text()
    assert all(f"<td>{reason}</td><td>1</td>" in report for reason in reasons.values())
    assert report.count("data:image/jpeg;base64,") > len(reasons)
    assert "broken image" in report or "not an image" in report


def test_nothing_is_measured_twice_and_the_set_follows_the_pile(pile, tmp_path, networks):
    out = tmp_path / "set"
    assert sort(pile, out=out) == 0
    tested = sources_of_tests(out)
    before = {name: (out / name).stat().st_mtime_ns for name in files_below(out) if name.endswith(".png")}
    assert sort(pile, out=out) == 0
    assert networks.looked_at == 10
    assert before == {name: (out / name).stat().st_mtime_ns for name in files_below(out) if name.endswith(".png")}
    photograph(pile / "new.png", 11, 1)
    photograph(pile / "2.png", 2, 0.5)
    assert sort(pile, out=out) == 0
    assert networks.looked_at == 12
    sources = {record["source"] for record in read_records(out / "images.jsonl")}
    assert "new.png" in sources
    assert sources_of_tests(out) == tested
    assert "2.png" not in sources
    assert len([name for name in files_below(out) if name.endswith(".png")]) == 10
    assert sort(pile, out=out, more=("--neutral", "0.6")) == 0
    assert networks.looked_at == 12
    assert len([name for name in files_below(out) if name.endswith(".png")]) == 11


@pytest.mark.parametrize("rest", ["", '{"version": 1, "file": "', "\n"], ids=["whole", "cut", "empty"])
def test_an_interrupted_sorting_continues(pile, tmp_path, networks, capsys, rest):
    out, networks.interrupt_at = tmp_path / "set", 4
    assert sort(pile, out=out) == 130
    assert "run the same command to continue" in capsys.readouterr().err
    with (out / ".sorting" / "measurements.jsonl").open("a") as file:
        file.write(rest)
    networks.interrupt_at = -1
    assert sort(pile, out=out) == 0
    assert networks.looked_at == 10
    assert sort(pile, out=out) == 0
    assert networks.looked_at == 10


def sources_of_tests(out: Path) -> set[str]:
    return {record["source"] for record in read_records(out / "images.jsonl") if record["split"] == "test"}


def test_a_set_that_was_not_finished_is_finished(pile, tmp_path, networks):
    out = tmp_path / "set"
    assert sort(pile, out=out) == 0
    files = files_below(out)
    (out / "dataset.json").unlink()
    next((out / "train").rglob("*.png")).unlink()
    assert sort(pile, out=out) == 0
    assert files_below(out) == files


def test_a_difference_that_remains_is_reported(pile, tmp_path, networks, capsys):
    out = tmp_path / "set"
    assert run(["data", "sort", str(pile), "--out", str(out), "--size", "32", "--keep", "0.9"]) == 0
    output = capsys.readouterr().out
    assert "note: the domains still differ in more than the expression" in output
    assert re.search(r"in standard deviations: [1-9].* before balancing", output)
    assert "<td>skin redness</td>" in (report := (out / "report.html").read_text())
    assert "More images cannot be left out" in report


def test_folders_that_are_sorted_need_no_classifier(tmp_path, networks, capsys):
    for person in range(6):
        name = "with" if person % 2 else "without"
        photograph(tmp_path / name / "sub" / f"{person}.png", person, 0.5)
    domains = (f"glasses={tmp_path / 'with'}", f"none={tmp_path / 'without'}")
    assert sort("--domains", *domains, out=tmp_path / "set") == 0
    before = read_pixels(next((tmp_path / "set").rglob("1.png")))
    photograph(tmp_path / "with" / "sub" / "1.png", 1, 0.5, seed=1)
    capsys.readouterr()
    assert sort("--domains", *domains, out=tmp_path / "set") == 0
    assert (read_pixels(next((tmp_path / "set").rglob("1.png"))) != before).any()
    assert networks.expressions == [False, False]
    assert "train: 2 glasses, 2 none\ntest: 1 glasses, 1 none\n" in capsys.readouterr().out
    assert {record["source"][:3] for record in read_records(tmp_path / "set" / "images.jsonl")} == {"sub"}


def test_files_of_one_name_stay_apart(pile, tmp_path, networks):
    photograph(tmp_path / "pile" / "more" / "1.png", 12, 1)
    assert sort(pile, pile / "1.png", out=tmp_path / "set") == 0
    names = [Path(record["file"]).name for record in read_records(tmp_path / "set" / "images.jsonl")]
    assert {"1.png", "more-1.png"} <= set(names)
    assert len(names) == 11


def test_names_are_unique_in_any_case_and_have_no_dots():
    inputs = [("a", "x"), ("b/c", "X"), ("b/c", "x"), ("d.e", "x.mask"), ("d.e", "x.mask")]
    assert unique_names(inputs) == ["x", "b-c-X", "x-2", "x_mask", "d_e-x_mask"]


# --- what users do wrong -----------------------------------------------------------------------------


def test_what_cannot_be_sorted_is_one_sentence(pile, tmp_path, networks, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    faceless = photograph(tmp_path / "faceless" / "a.png", 1, 1, NO_FACE).parent
    domains = ("--domains", f"a={pile}", f"b={pile}")
    for inputs, message in {
        (): "name either PHOTOS to sort or --domains",
        (pile, *domains): "name either PHOTOS to sort or --domains",
        (empty,): f"no photographs in {empty}: name folders or files",
        (tmp_path / "nowhere",): f"{tmp_path / 'nowhere'}: no such file or folder",
        (faceless,): "no usable face in 1 photographs (1 no face)",
        (
            *(pile / f"{person}.png" for person in (1, 3, 5)),
        ): "neutral has no photographs (0 neutral, 3 smiling; left out: nothing)",
        ("--domains", f"a={pile}"): "--domains needs two domains or more",
        ("--domains", "a", "b"): "--domains takes NAME=FOLDER, such as smiling=photos/smiling, not 'a'",
        domains: "lies in the domains a and b",
        ("--domains", f"a={pile}", f"b={empty}"): "b has no photographs (10 a, 0 b; left out: nothing)",
        (pile, "--smiling", "0.1"): "--neutral 0.2 and --smiling 0.1 must be probabilities",
        (pile, "--test-share", "1"): "--test-share must be from 0 to below 1",
        (pile, "--margin", "-1"): "--margin must not be negative",
    }.items():
        assert message in error_of(capsys, sort(*inputs, out=tmp_path / "set"))
    assert (tmp_path / "set" / "left-out.csv").exists()


def test_nothing_of_the_users_is_overwritten(pile, tmp_path, networks, capsys):
    assert "lies in" in error_of(capsys, sort(pile, out=pile / "set"))
    foreign = tmp_path / "foreign"
    photograph(foreign / "train" / "mine.png", 1, 1)
    assert "holds train, which this command did not write" in error_of(capsys, sort(pile, out=foreign))
    assert "is a file" in error_of(capsys, sort(pile, out=photograph(tmp_path / "file.png", 1, 1)))
    out = tmp_path / "set"
    assert sort(pile, out=out) == 0
    capsys.readouterr()
    assert "lies in --out" in error_of(capsys, sort(out / "train", out=out))
    mine = photograph(out / "train" / "neutral" / "mine.png", 1, 1)
    message = error_of(capsys, sort(pile, out=out, more=("--neutral", "0.1")))
    assert "holds train/neutral/mine.png, which this command did not write" in message
    assert mine.exists()


# --- parts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("margin", [0.0, 0.1])
def test_crops_are_those_of_a_translation(margin):
    image = torch.rand(1, 3, 90, 120) * 2 - 1
    landmarks = ALIGNMENT @ np.array([[50, 9], [-9, 50]]) + 20
    inputs: list[torch.Tensor] = []

    class Backend:
        size, fixed_size = 32, False

        def __call__(self, images: torch.Tensor) -> Translation:
            inputs.append(images)
            return Translation(images)

    alignment = tuple((float(x), float(y)) for x, y in (ALIGNMENT + margin) / (1 + 2 * margin))
    Faces(lambda pixels: [landmarks], alignment)(image, Backend())
    assert np.array_equal(crop(image, landmarks, 32, margin), to_pixels(inputs[0][0]))


def test_people_are_joined_by_chains_of_near_vectors():
    angles = np.array([0, 0.2, 0.4, 2, 2.1, 4])
    vectors = np.stack((np.cos(angles), np.sin(angles)), axis=1)
    assert group_people(vectors, 0.25).tolist() == [0, 0, 0, 1, 1, 2]
    assert group_people(vectors, 0.15).tolist() == [0, 1, 2, 3, 3, 4]


def test_of_copies_the_largest_face_stays():
    random = np.random.default_rng(0)
    original, other = random.integers(0, 256, (2, 256)).astype(float)
    thumbnails = np.stack((original * 0.5 + 20, original, other, original))
    assert find_copies(thumbnails, [0, 0, 0, 1], np.array([50.0, 80, 60, 90])) == {0: 1}


def test_people_of_both_domains_go_where_images_are_rare():
    people = [1, 1, 1, 2, 3, 3, 4, 4]
    domains = ["smiling", "smiling", "smiling", "neutral", "neutral", "smiling", "neutral", "smiling"]
    assert choose_domains(people, domains) == {1: "smiling", 2: "neutral", 3: "neutral", 4: "neutral"}


def test_balancing_leaves_out_few_images_of_the_larger_domain():
    random = np.random.default_rng(0)
    labels = np.repeat((0, 1), (100, 300))
    values = random.normal(size=(400, 5))
    values[labels == 1, 0] += 0.5
    assert choose_subset(values, labels, float("inf"), 0.5).all()
    kept = choose_subset(values, labels, 0.1, 0.5)
    differences = values[kept & (labels == 0)].mean(axis=0) - values[kept & (labels == 1)].mean(axis=0)
    assert np.abs(differences).max() <= 0.1
    assert kept[labels == 0].sum() >= 95
    assert 200 <= kept[labels == 1].sum() < 300


def test_balancing_keeps_a_share_of_each_domain():
    labels = np.repeat((0, 1, 2), 20)
    kept = choose_subset(np.eye(3)[labels] + np.random.default_rng(0).normal(0, 0.1, (60, 3)), labels, 0.1, 0.7)
    assert np.bincount(labels[kept]).tolist() == [14, 14, 14]


def test_small_piles_are_not_balanced_beyond_chance():
    random = np.random.default_rng(0)
    photographs = [
        Photograph(
            Measurement(
                f"{index}", (0, 0), side=80.0, sharpness=[1.0, random.normal()], identity=list(random.normal(size=8))
            ),
            source=("a", "b")[index % 3 == 0],
            domain=("neutral", "smiling")[index % 2],
        )
        for index in range(40)
    ]
    balanced = leave_out_for_balance(photographs, SortSettings())
    assert balanced.limit == pytest.approx(2 * (2 / 20) ** 0.5)
    assert len(balanced.choice.left_out) <= 12  # a limit of 0.1 would leave out half of them
    assert balanced.features[0].name == "folder a"
    assert balanced.features[-1].name.endswith("along 8 directions, the mean")
    assert {feature.after for feature in balanced.features if feature.name == "nodding"} == {0}
    assert Feature("", 0.6, 0.05).words == "medium, now negligible"


def test_colours_are_cielab():
    red, white = to_lab(np.array([[255, 0, 0], [255, 255, 255]]))
    assert red == pytest.approx((53.24, 80.09, 67.20), abs=0.02)
    assert white == pytest.approx((100, 0, 0), abs=0.01)


def test_appearance_tells_backdrops_and_glasses_apart():
    face = np.full((SIDE, SIDE, 3), (200, 160, 140), np.uint8)
    face[90:100] = 120
    face[SIDE // 2 :, ::2] = 100
    changed = face.copy()
    changed[:, : SIDE // 6] = changed[:, -SIDE // 6 :] = (20, 20, 200)
    bridge = round((0.4 + MARGIN) / (1 + 2 * MARGIN) * SIDE)
    changed[bridge : bridge + 4] = 20
    before, after = appearance(face), appearance(changed)
    assert {name for name in before if abs(after[name] - before[name]) > 0.01} == {
        "backdrop lightness",
        "backdrop redness",
        "backdrop yellowness",
        "edge on the bridge of the nose (glasses)",
    }
    assert after["backdrop yellowness"] < -50
    assert sum(after.values()) != 0


def test_blur_lowers_sharpness():
    noise = Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    assert sharpness(np.array(noise.filter(ImageFilter.GaussianBlur(2)))) < 0.5 * sharpness(np.array(noise))


def test_pose_is_where_the_nose_lies_from_the_eyes():
    assert pose(ALIGNMENT) == pytest.approx((0, 0.753), abs=0.002)
    rotated = ALIGNMENT @ np.array([[0, 70], [-70, 0]]) + 5
    assert pose(rotated) == pytest.approx((0, 0.753), abs=0.002)
    assert pose(ALIGNMENT + np.array([[0, 0]] * 4 + [[0.1, 0]]))[0] == pytest.approx(0.275, abs=0.002)


def test_rendered_faces_are_sorted_with_the_real_networks(tmp_path):
    pytest.importorskip("dlib")
    with zipfile.ZipFile(PACK) as pack:
        for name, number in (("neutral", 0), ("happy", 1)):
            (tmp_path / name).mkdir()
            for file in sorted(file for file in pack.namelist() if file.startswith(f"train/{name}/"))[number:8:2]:
                (tmp_path / name / Path(file).name).write_bytes(pack.read(file))
    domains = (f"neutral={tmp_path / 'neutral'}", f"happy={tmp_path / 'happy'}")
    options = ("--size", "64", "--margin", "0", *UNBALANCED)
    assert run(["data", "sort", "--domains", *domains, "--out", str(tmp_path / "set"), *options]) == 0
    records = read_records(tmp_path / "set" / "images.jsonl")
    assert len(records) >= 6
    assert len({record["person"] for record in records}) == len(records)
    images = [Pillow.open(tmp_path / "set" / record["file"]) for record in records]
    landmarks = np.median([FaceFinder()(np.array(image))[0] / 64 for image in images], axis=0)
    assert np.abs(landmarks - ALIGNMENT).max() < 0.04
