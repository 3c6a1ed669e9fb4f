"""Small models and images, and calls of the command line."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image as Pillow

from aggan.cli.main import run
from aggan.methods.pretrained import ModelCard, save_model
from aggan.methods.registry import AnyMethodConfig

RDF, IPTC = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}", "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
DOMAINS = ("neutral", "happy")


def save_small_model(folder: Path, config: AnyMethodConfig, mask_bias: float | None = None, size: int = 32) -> Path:
    """Save an untrained model; a `mask_bias` makes AGGAN's masks empty or full."""
    card = ModelCard(method=config, domains=DOMAINS, size=size)
    state = card.build().inference_state_dict()
    if mask_bias is not None:
        for name in ("G_xy", "G_yx"):
            state[f"{name}.head.bias"][0] = mask_bias
    save_model(folder, card, state)
    return folder


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def write_image(file: Path, height: int = 20, width: int = 30) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(noise(height, width)).save(file)
    return file


def label_of(file: Path) -> str | None:
    """The DigitalSourceType of an image file, read without the code under test."""
    with Pillow.open(file) as image:
        image.load()
        xmp = image.info.get("xmp")
    if xmp is None:
        return None
    (rdf,) = ElementTree.fromstring(xmp.strip(b"\0 ")).iter(f"{RDF}RDF")
    attributes = [element.get(f"{IPTC}DigitalSourceType") for element in rdf.findall(f"{RDF}Description")]
    elements = [element.text for element in rdf.findall(f"{RDF}Description/{IPTC}DigitalSourceType")]
    values = [value for value in attributes + elements if value]
    assert len(values) < 2
    return values[0] if values else None


def read_pixels(file: Path) -> np.ndarray:
    with Pillow.open(file) as image:
        return np.array(image)


def translate(model: Path, *inputs: object, to: str = "happy", out: Path, more: tuple[str, ...] = ()) -> int:
    """`aggan translate`, and its exit code."""
    return run(["translate", str(model), *map(str, inputs), "--to", to, "--out", str(out), *more])


def files_below(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def error_line(capsys: pytest.CaptureFixture[str], code: int) -> str:
    """The one line on stderr of a command that exited with 2."""
    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (2, 1), error
    return error
