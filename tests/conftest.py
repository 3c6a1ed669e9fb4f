"""Small worlds that the tests share."""

from pathlib import Path

import numpy as np
import pytest
import torch
from cli_helpers import save_small_model
from PIL import Image as Pillow
from PIL import ImageDraw
from tiny_models import SMALL

from aggan.methods import aggan

# Several threads on a busy machine run ten times slower than one.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded(tmp_path, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setenv("AGGAN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def small() -> aggan.Config:
    return aggan.Config.model_validate(SMALL)


@pytest.fixture
def model(tmp_path, small) -> Path:
    return save_small_model(tmp_path / "model", small)


def draw_face(size: int, smiling: bool, seed: int) -> Pillow.Image:
    """A cartoon face whose mouth is a line or an arc, on a background of its own."""
    random = np.random.default_rng(seed)
    back, skin = (tuple(int(v) for v in random.integers(40, 220, 3)) for _ in range(2))
    face = Pillow.new("RGB", (64, 64), back)
    pen = ImageDraw.Draw(face)
    pen.ellipse((8, 4, 56, 60), fill=skin)
    for eye in (22, 42):
        pen.ellipse((eye - 3, 22, eye + 3, 28), fill="black")
    pen.arc((20, 30, 44, 52), 20, 160, fill="white", width=4) if smiling else pen.line((22, 46, 42, 46), "black", 3)
    return face.resize((size, size), Pillow.Resampling.BOX)


@pytest.fixture
def faces(tmp_path) -> Path:
    """`train` and `test`, `neutral` and `happy`: six cartoon people each, the test split paired."""
    root = tmp_path / "faces"
    for split, shift in (("train", 100), ("test", 0)):
        for name in ("neutral", "happy"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for person in range(6):
                seed = person + shift + (50 if split == "train" and name == "happy" else 0)
                draw_face(64, name == "happy", seed).save(folder / f"{person:02}.png")
    return root
