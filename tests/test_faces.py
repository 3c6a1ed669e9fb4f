"""Faces are found, aligned, translated as the model knows them, and brought back where they were."""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from aggan.data.sample_faces import PACK
from PIL import Image as Pillow
from translating import below, noise, pixels, refused, translate

from aggan.images.convert import to_tensor
from aggan.inference.compositing import Layers, NothingSeen, paint
from aggan.inference.faces import Faces, Similarity, lay_over
from aggan.inference.landmarks import USUAL, FaceFinder, usual_place
from aggan.inference.translator import load
from aggan.types import Translation

SIDE = 32


class Red:
    """Paints the lower half of what it sees red."""

    size, square = SIDE, False

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def __call__(self, images: torch.Tensor) -> Translation:
        self.seen.append(images)
        mask = torch.zeros(1, 1, SIDE, SIDE)
        mask[:, :, SIDE // 2 :] = 1
        content = torch.tensor([1.0, -1.0, -1.0]).reshape(1, 3, 1, 1).expand(1, 3, SIDE, SIDE)
        return Translation(content, mask, content)


def placed(turn: complex, shift: complex) -> np.ndarray:
    """The usual landmarks of a crop, as they lie in a picture."""
    moved = turn * (np.array(USUAL) * SIDE @ (1, 1j)) + shift
    return np.stack((moved.real, moved.imag), axis=1)


@pytest.mark.parametrize("turn", [1, 2.5, 0.4 + 0.3j, -1j])
def test_a_similarity_is_found_again_from_its_points(turn):
    found = Similarity.between(np.array(USUAL) * SIDE, placed(turn, 7 - 3j))
    assert np.allclose(found, (turn, 7 - 3j))


def test_a_similarity_is_the_closest_one_where_none_fits():
    random = np.random.default_rng(0)
    crop = np.array(USUAL) * SIDE
    landmarks = placed(2j, 5) + random.normal(0, 2, (5, 2))
    best = Similarity.between(crop, landmarks)

    def apart(turn: complex, shift: complex) -> float:
        return float((np.abs(turn * (crop @ (1, 1j)) + shift - landmarks @ (1, 1j)) ** 2).sum())

    for change in (0.01, -0.01, 0.01j, -0.01j):
        assert apart(*best) < min(apart(best.turn + change, best.shift), apart(best.turn, best.shift + change))


def picture() -> np.ndarray:
    """Smooth: what a crop shows of it can be compared."""
    small = Pillow.fromarray(np.random.default_rng(0).integers(80, 170, (5, 6, 3), np.uint8))
    return np.array(small.resize((180, 150), Pillow.Resampling.BICUBIC))


def test_a_model_sees_an_upright_face_at_its_own_size():
    model, source = Red(), picture()
    Faces(lambda _: [placed(2, 40 + 30j)])(to_tensor(source)[None], model)
    expected = Pillow.fromarray(source).crop((40, 30, 104, 94)).resize((SIDE, SIDE), Pillow.Resampling.BOX)
    seen = model.seen[0][0].add(1).mul(127.5).movedim(0, -1).numpy()
    assert np.abs(seen - np.array(expected)).mean() < 1


def test_a_turned_face_is_seen_upright():
    model, source = Red(), picture()
    Faces(lambda _: [placed(2j, 120 + 30j)])(to_tensor(source)[None], model)  # its top points to the right
    expected = Pillow.fromarray(source).crop((56, 30, 120, 94)).resize((SIDE, SIDE), Pillow.Resampling.BOX)
    seen = model.seen[0][0].add(1).mul(127.5).movedim(0, -1).numpy()
    assert np.abs(seen - np.rot90(np.array(expected))).mean() < 1


def test_only_the_face_is_painted_and_its_edges_fade():
    source = picture()
    layers = Faces(lambda _: [placed(2, 40 + 30j)])(to_tensor(source)[None], Red())
    made = paint(source, layers)
    inside = np.zeros(source.shape[:2], bool)
    inside[30 + 30 : 94, 40:104] = True  # a pixel of the crop's mask above its half is interpolated
    assert np.array_equal(made[~inside], source[~inside])
    assert (made[70:82, 55:90] == (255, 0, 0)).all()
    steps = np.abs(np.diff(layers.mask[0, 0, 72].numpy()))
    assert steps.max() < 0.25


def test_faces_at_the_edge_and_outside_of_a_picture_are_no_trouble():
    source = picture()
    for shift in (-30 - 30j, 140 + 100j, 1000, -1000j):
        made = paint(source, Faces(lambda _, at=shift: [placed(2, at)])(to_tensor(source)[None], Red()))
        assert np.array_equal(made, source) == (abs(shift) >= 1000)


def test_where_crops_overlap_the_later_one_lies_over_the_earlier_one():
    source = to_tensor(picture())[None]
    layers = Layers(torch.zeros_like(source[:, :1]), source.clone())
    first, second = Red(), Red()
    for model, shift in ((first, 40 + 30j), (second, 50 + 30j)):
        lay_over(layers, source, Similarity(2, shift), model)
    assert layers.mask.max() <= 1
    one = Layers(torch.zeros_like(source[:, :1]), source.clone())
    lay_over(one, source, Similarity(2, 50 + 30j), Red())
    assert (layers.mask >= one.mask - 1e-6).all()
    assert torch.isfinite(layers.content).all()


def test_a_picture_without_a_face_says_so():
    with pytest.raises(NothingSeen, match="no face"):
        Faces(lambda _: [])(torch.zeros(1, 3, 20, 20), Red())


# From here on with the real detector.


def person(name: str = "test/neutral/0005.jpg") -> Pillow.Image:
    with zipfile.ZipFile(PACK) as file, Pillow.open(io.BytesIO(file.read(name))) as image:
        return image.convert("RGB")


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    pytest.importorskip("dlib")
    return FaceFinder()


def group(folder: Path) -> Path:
    """Two people, one of them turned, in front of a wall."""
    folder.mkdir(parents=True, exist_ok=True)
    wall = Pillow.new("RGB", (700, 420), (120, 130, 125))
    wall.paste(person().resize((220, 220)), (60, 120))
    turned = person().resize((260, 260)).rotate(12, resample=Pillow.Resampling.BICUBIC, fillcolor=(120, 130, 125))
    wall.paste(turned, (400, 60))
    wall.save(folder / "group.png")
    return folder / "group.png"


def test_every_face_is_found_where_it_is(tmp_path, finder):
    found = finder(pixels(group(tmp_path)))
    assert len(found) == 2
    noses = [landmarks[4] for landmarks in found]
    assert np.abs(noses[0] - (530, 200)).max() < 25
    assert np.abs(noses[1] - (170, 238)).max() < 20


def test_a_small_tight_crop_is_a_face_too(finder):
    (landmarks,) = finder(np.array(person().resize((64, 64))))
    place = dict(enumerate(load("faces64").card.face))
    assert all(np.abs(landmarks[k] / 64 - place[k]).max() < 0.1 for k in place)


def test_the_usual_place_is_learned_from_pictures(tmp_path, finder):
    for name in ("0005", "0012", "0018"):
        person(f"test/neutral/{name}.jpg").save(tmp_path / f"{name}.png")
    files = sorted(tmp_path.iterdir())
    place = usual_place(files, finder)
    assert place is not None
    assert np.abs(np.array(place) - load("faces64").card.face).max() < 0.04
    Pillow.fromarray(noise(64, 64)).save(tmp_path / "a.png")
    assert usual_place([tmp_path / "a.png"], finder) is None
    assert usual_place([], finder) is None


def test_faces_are_translated_and_pictures_without_one_are_copied_and_named(tmp_path, capsys):
    pytest.importorskip("dlib")
    group(tmp_path / "in")
    Pillow.new("RGB", (300, 300), "white").save(tmp_path / "in" / "wall.jpg")
    Pillow.new("RGB", (300, 300), "white").save(tmp_path / "in" / "old.bmp")
    out = tmp_path / "out"
    assert translate(Path("faces64"), tmp_path / "in", out=out, more=("--faces", "--masks")) == 0
    told = capsys.readouterr()
    assert told.out == f"1 translated to {out}, 2 copied unchanged\n"
    assert f"copied {tmp_path}/in/wall.jpg: no face\n" in told.err
    assert below(out) == {"group.png", "group.mask.png", "group.content.png", "wall.jpg", "old.png"}
    assert (out / "wall.jpg").read_bytes() == (tmp_path / "in" / "wall.jpg").read_bytes()
    assert np.array_equal(pixels(out / "old.png"), pixels(tmp_path / "in" / "old.bmp"))
    before, after = pixels(tmp_path / "in" / "group.png"), pixels(out / "group.png")
    changed = np.abs(before.astype(int) - after).max(axis=2)
    assert changed[:45].max() == 0
    assert changed[170:300, 100:240].max() > 20
    assert changed[100:280, 440:620].max() > 20


def test_faces_lie_as_in_the_pictures_of_a_folder_if_asked(tmp_path, model, capsys):
    pytest.importorskip("dlib")
    source = group(tmp_path / "in")
    person().save(tmp_path / "like.png")
    (tmp_path / "like").mkdir()
    (tmp_path / "like.png").rename(tmp_path / "like" / "a.png")
    more = ("--faces", "--like", str(tmp_path / "like"))
    assert translate(model, source, out=tmp_path / "out", more=more) == 0
    capsys.readouterr()
    Pillow.fromarray(noise(64, 64)).save(tmp_path / "like" / "a.png")
    code = translate(model, source, out=tmp_path / "out", more=more)
    assert f"{tmp_path}/like: no face was found in most of its pictures" in refused(capsys, code)


@pytest.mark.parametrize(
    ("more", "expected"),
    [(("--faces", "--tiles"), "--faces and --tiles are two ways"), (("--like", "."), "--like tells --faces how")],
)
def test_ways_to_look_that_do_not_go_together_are_refused(tmp_path, model, capsys, more, expected):
    code = translate(model, group(tmp_path), out=tmp_path / "out", more=more)
    assert expected in refused(capsys, code)


def test_without_the_extra_one_line_says_what_to_install(tmp_path, model, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    code = translate(model, group(tmp_path), out=tmp_path / "out", more=("--faces",))
    assert "finding faces needs dlib, which is missing: pip install 'aggan[faces]'" in refused(capsys, code)
