"""Small fakes of the original data sets, with their real file names."""

import csv
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import numpy as np
from conftest import draw_face
from PIL import Image as Pillow

from aggan.data.originals import london, rafd
from aggan.data.originals.openface import COLUMNS, LANDMARKS

POPULATIONS = ("Caucasian", "Moroccan", "Kid")
ATTRIBUTES = "5_o_Clock_Shadow Male Smiling Young"


def make_rafd(root: Path, people: int = 3) -> Path:
    root.mkdir()
    for person, angle, gaze in product(range(1, people + 1), (0, 90, 135), ("frontal", "left")):
        for expression in rafd.EXPRESSIONS:
            subject = f"{person:02}_{POPULATIONS[person % 3]}_{'male' if person % 2 else 'female'}"
            face = draw_face(12, expression == "happy", person)
            face.save(root / f"Rafd{angle:03}_{subject}_{expression}_{gaze}.jpg")
    return root


def make_arface(root: Path, people: Iterable[str] = ("m-001", "w-001", "w-002")) -> Path:
    root.mkdir()
    for person in people:
        for number in range(1, 27):
            draw_face(12, number in (2, 15), number).save(root / f"{person}-{number}.bmp")
    return root


def make_bu3dfe(root: Path, people: Iterable[str] = ("F0001", "F0002", "M0001")) -> Path:
    for person in people:
        (root / person).mkdir(parents=True)
        levels = [f"{code}{level:02}" for code, level in product(("AN", "DI", "FE", "HA", "SA", "SU"), range(1, 5))]
        for expression, view in product((*levels, "NE00"), ("F2D", "F3D")):
            draw_face(12, expression[:2] == "HA", 7).save(root / person / f"{person}_{expression}WH_{view}.bmp")
    return root


def make_celeba(root: Path, count: int = 40) -> Path:
    """Two images a person; every second person smiles; six tenths to train, two to validate, two to test."""
    (root / "img_align_celeba").mkdir(parents=True)
    names = [f"{number:06}.jpg" for number in range(1, count + 1)]
    for index, name in enumerate(names):
        draw_face(24, index // 2 % 2 == 1, index).resize((18, 22)).save(root / "img_align_celeba" / name)
    lines = [f"{name} -1  1 {' 1' if index // 2 % 2 else '-1'} -1" for index, name in enumerate(names)]
    (root / "list_attr_celeba.txt").write_text("\n".join([str(count), f"{ATTRIBUTES} ", *lines, ""]))
    parts = [0 if index < 0.6 * count else 1 if index < 0.8 * count else 2 for index in range(count)]
    write_list(root / "list_eval_partition.txt", dict(zip(names, parts, strict=True)))
    write_list(root / "identity_CelebA.txt", {name: index // 2 for index, name in enumerate(names)})
    return root


def make_london(root: Path, people: Iterable[str] = (*london.PEOPLE[:3], "003")) -> Path:
    """A checkout of webmorphR.stim; 003 is not one of our people."""
    for folder, number in (("neutral_front", "03"), ("smiling_front", "08")):
        (root / "inst" / folder).mkdir(parents=True)
        for person in people:
            draw_face(64, number == "08", int(person)).save(root / "inst" / folder / f"{person}_{number}.jpg")
            (root / "inst" / folder / f"{person}_{number}.tem").touch()
    (root / "data-raw").mkdir()
    lines = ["face_id,face_age,face_gender,face_eth", "001,24,female,white", "002,NA,male,east_asian/white"]
    (root / "data-raw" / "london_info.csv").write_text("\n".join([*lines, "003,38,female,white", ""]))
    return root


def make_portraits(root: Path) -> list[Path]:
    """Checkouts of the three repositories with official portraits, and with images that are none."""
    files = {
        "theyworkforyou/www/docs/images": ["mpsOfficial/10001.jpg", "mpsOfficial/10009.jpg", "mps/10002.jpg"],
        "congress-images-225x275": ["images/A000014.jpg", "images/unknown.jpg"],
        "webmorphR.stim/inst": ["canada/003f.jpg", "canada/095m.jpg", "neutral_front/001_03.jpg"],
    }
    for number, (folder, names) in enumerate(files.items()):
        for name in names:
            (root / folder / name).parent.mkdir(parents=True, exist_ok=True)
            draw_face(24, False, number).save(root / folder / name)
    return [root / "theyworkforyou", root / "congress-images-225x275", root / "webmorphR.stim"]


def write_list(path: Path, values: dict) -> None:
    path.write_text("".join(f"{name} {value}\n" for name, value in values.items()))


def write_raw(path: Path, planes: np.ndarray) -> None:
    """An AR image without a header; `planes` is (3, 576, 768)."""
    path.write_bytes(planes.astype(np.uint8).tobytes())


def write_openface(path: Path, rows: list[dict], first: str = "face") -> None:
    """A CSV as OpenFace 2 writes it: blanks after the commas of the header and before the values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = {key for row in rows for key in row}
    columns = [first, "confidence", "gaze_0_x", *COLUMNS, "AU45_c", *sorted({"success"} & keys)]
    if "x_0" in keys:  # capital letters are the same points in space
        columns += [name for axis in zip(*LANDMARKS, strict=True) for name in (*axis, *(c.upper() for c in axis))]
        columns = [column for column in columns if column in keys or not column.startswith(("x_", "y_"))]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([columns[0], *(f" {column}" for column in columns[1:])])
        for row in rows:
            writer.writerow([f" {row.get(column, 0)}" if column != first else row.get(first, 0) for column in columns])


def cut_short(path: Path) -> None:
    """Keep the first half, as an interrupted copy does."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])


def white(size: tuple[int, int]) -> Pillow.Image:
    return Pillow.new("RGB", size, "white")
