"""Every method learns: on cartoon faces its mouths are better than those of a copy of the input.

Run with `python -m pytest -m learning`. It takes about a minute per method on one core.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from rich.console import Console
from tiny_models import shrunk

from aggan.data.folders import DataConfig
from aggan.images.convert import to_pixels, to_tensor
from aggan.inference.translator import load
from aggan.methods.registry import METHODS
from aggan.training.config import TrainingConfig
from aggan.training.experiment import Experiment
from aggan.training.run import train

SIZE, TRAINING_PEOPLE, TEST_PEOPLE = 64, 48, 16
MOUTH = (slice(42, 52), slice(18, 46))
WIDTHS = {"generator_width": 8, "discriminator_width": 8, "generator_blocks": 1, "encoder_width": 16, "noise": 16}
SETTINGS = {
    "aggan": {"r_early": 0.05, "r_late": 0.05},
    "aggan-domains": {"r_early": 0.05, "r_late": 0.05},
    "aggan-domains-released": {"critic_steps": 2},
    "discogan": {"curriculum_steps": 0},
    "stargan": {"critic_steps": 2},
    "ganimation": {"critic_steps": 2, "discriminator_width": 16},
}
"""Short curricula and few critic steps, so a minute is enough."""
STEPS = 150


def face(person: int, smiles: bool) -> np.ndarray:
    """A disc in the colours of the person. The mouth is dark, or white if it smiles."""
    random = np.random.default_rng(person)
    image = np.empty((SIZE, SIZE, 3), np.uint8)
    image[:] = random.integers(40, 120, 3)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    image[(rows - 32) ** 2 + (columns - 32) ** 2 < 28**2] = random.integers(110, 180, 3)
    image[MOUTH] = 245 if smiles else 20
    return image


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("people")
    for name in ("neutral", "happy"):
        (root / name).mkdir()
        for person in range(TRAINING_PEOPLE):
            Pillow.fromarray(face(person, name == "happy")).save(root / name / f"{person}.png")
    return root


def mouth_error(images: np.ndarray, ground_truth: np.ndarray) -> float:
    """Mean squared error of the mouths."""
    return float(((images[:, *MOUTH].astype(float) - ground_truth[:, *MOUTH]) ** 2).mean())


@pytest.mark.learning
@pytest.mark.parametrize("name", METHODS)
def test_mouths_are_better_than_those_of_a_copy(name, people, tmp_path):
    method = shrunk(name)
    settings = WIDTHS | SETTINGS.get(method.method, {})
    fixed = METHODS[name].model_fields_set
    method = method.model_copy(
        update={k: v for k, v in settings.items() if k in type(method).model_fields and k not in fixed}
    )
    training = TrainingConfig(
        steps=STEPS,
        batch=4,
        learning_rate=1e-3,
        ema=0.9,
        threads=1,
        sample_every=0,
        save_every=STEPS,
        accelerator="cpu",
    )
    data = DataConfig(root=people, names=("neutral", "happy"), size=SIZE)
    assert train(Experiment(method=method, data=data, training=training), tmp_path / "run", Console(quiet=True))
    test_people = range(TRAINING_PEOPLE, TRAINING_PEOPLE + TEST_PEOPLE)
    inputs, ground_truth = (np.stack([face(person, smiles) for person in test_people]) for smiles in (False, True))
    outputs = to_pixels(load(tmp_path / "run").batch(to_tensor(inputs), "happy").image)
    assert mouth_error(outputs, ground_truth) < mouth_error(inputs, ground_truth) / 2
