"""Does each system learn? On cartoon faces it must paint better mouths than a copy of its input has.

python -m pytest -m learning      (about a minute of one core a system)
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from rich.console import Console
from worlds import shrunk

from aggan.data.folders import Data
from aggan.images.convert import to_pixels, to_tensor
from aggan.inference.translator import load
from aggan.methods.registry import CATALOGUE
from aggan.training.config import Recipe
from aggan.training.experiment import Experiment
from aggan.training.run import train

SIZE, PEOPLE, HELD_OUT = 64, 48, 16
MOUTH = (slice(42, 52), slice(18, 46))
WIDTHS = {"generator_width": 8, "discriminator_width": 8, "generator_blocks": 1, "encoder_width": 16, "noise": 16}
SETTINGS = {
    "aggan": {"r_early": 0.05, "r_late": 0.05},
    "aggan-domains": {"r_early": 0.1, "r_late": 0.1, "critic_steps": 2},
    "discogan": {"curriculum_steps": 0},
    "stargan": {"critic_steps": 2},
    "ganimation": {"critic_steps": 2, "discriminator_width": 16},
}
"""Curricula are made short, and critics' leads small, to suit a minute."""
STEPS = 150


def face(person: int, smiling: bool) -> np.ndarray:
    """A disc of a person's colours; the mouth is dark, or white."""
    random = np.random.default_rng(person)
    picture = np.empty((SIZE, SIZE, 3), np.uint8)
    picture[:] = random.integers(40, 120, 3)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    picture[(rows - 32) ** 2 + (columns - 32) ** 2 < 28**2] = random.integers(110, 180, 3)
    picture[MOUTH] = 245 if smiling else 20
    return picture


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("people")
    for name in ("neutral", "happy"):
        (root / name).mkdir()
        for person in range(PEOPLE):
            Pillow.fromarray(face(person, name == "happy")).save(root / name / f"{person}.png")
    return root


def error(pictures: np.ndarray, wanted: np.ndarray) -> float:
    """Mean squared error of the mouths."""
    return float(((pictures[:, *MOUTH].astype(float) - wanted[:, *MOUTH]) ** 2).mean())


@pytest.mark.learning
@pytest.mark.parametrize("name", CATALOGUE)
def test_it_paints_better_mouths_than_a_copy_has(name, people, tmp_path):
    system = shrunk(name)
    own = {k: v for k, v in (WIDTHS | SETTINGS.get(system.system, {})).items() if k in type(system).model_fields}
    system = system.model_copy(update={k: v for k, v in own.items() if k not in CATALOGUE[name].model_fields_set})
    recipe = Recipe(
        steps=STEPS,
        batch=4,
        learning_rate=1e-3,
        ema=0.9,
        threads=1,
        sample_every=0,
        save_every=STEPS,
        accelerator="cpu",
    )
    data = Data(root=people, names=("neutral", "happy"), size=SIZE)
    assert train(Experiment(system=system, data=data, training=recipe), tmp_path / "run", Console(quiet=True))
    strangers = range(PEOPLE, PEOPLE + HELD_OUT)
    given, wanted = (np.stack([face(person, smiling) for person in strangers]) for smiling in (False, True))
    made = to_pixels(load(tmp_path / "run").batch(to_tensor(given), "happy").image)
    assert error(made, wanted) < error(given, wanted) / 2
