"""Small models and pictures, and what the command makes of them."""

from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from aggan.cli.main import run
from aggan.methods.pretrained import ModelCard, save_model

DOMAINS = ("neutral", "happy")


def saved(folder: Path, small, mask_bias: float | None = None) -> Path:
    card = ModelCard(system=small, domains=DOMAINS, size=32)
    state = card.build().translators_state()
    if mask_bias is not None:
        for name in ("G_xy", "G_yx"):
            state[f"{name}.head.bias"][0] = mask_bias
    save_model(folder, card, state)
    return folder


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def picture(file: Path, height: int = 20, width: int = 30) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(noise(height, width)).save(file)
    return file


def pixels(file: Path) -> np.ndarray:
    with Pillow.open(file) as image:
        return np.array(image)


def translate(model: Path, *inputs: object, to: str = "happy", out: Path, more: tuple[str, ...] = ()) -> int:
    return run(["translate", str(model), *map(str, inputs), "--to", to, "--out", str(out), *more])


def below(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def refused(capsys, code: int) -> str:
    """The one line that says why."""
    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (2, 1), error
    return error
