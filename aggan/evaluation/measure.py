"""A model, a folder of held-out pictures and perhaps their true answers: `results.json`."""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image as Pillow

from aggan.data.faces.expressions import EXPRESSIONS
from aggan.data.images import to_pixels, to_tensor
from aggan.evaluation.held_out import HeldOut, Says, read_held_out
from aggan.evaluation.judges import Judges, in_batches
from aggan.evaluation.scores import Measured, columns, each, table
from aggan.inference.translator import Translator
from aggan.writing import write_whole

VERSION = 2


class Translations(NamedTuple):
    """Of n pictures."""

    images: np.ndarray
    """uint8 (n, size, size, 3)."""
    masks: np.ndarray | None
    """Attention in [0, 1], (n, size, size); None from systems without."""
    contents: np.ndarray
    """uint8 (n, size, size, 3): what the masks let through."""
    seconds: float
    """How long the model took for one picture."""


def evaluate(
    translator: Translator, asked: HeldOut, judges: Judges, say: Says, keep: Path | None = None
) -> dict[str, Any]:
    """Translate the inputs at the model's size and measure them, against the answers of the same name if there are any.

    Translations are kept in the folder `keep`. `say` is told of each file that was left out, and of an expression that
    the judge does not know. Raises `UserError`.
    """
    if asked.expression in EXPRESSIONS and asked.expression not in (known := judges.expression.knows):
        say(f"nothing is judged: this judge does not know {asked.expression!r}, only {', '.join(known)}")
    card = translator.card
    names, inputs, answers, real = read_held_out(asked, card.size, say)
    made = translate(translator, inputs, asked.to, asked.source)
    if keep:
        save_pictures(keep, names, made)
    measured = Measured(inputs, made.images, answers, made.masks, real, _back(translator, made.images, asked))
    values = each(measured, judges, asked.expression)
    return {
        "version": VERSION,
        "to": asked.to,
        "expression": asked.expression,
        "size": card.size,
        "steps": card.steps,
        "inputs": str(asked.inputs),
        "answers": str(asked.answers) if asked.answers else None,
        "seconds a picture": made.seconds,
        "features": {"name": judges.features.name, "sha256": judges.features.sha256} if judges.features else None,
        "lpips sha256": judges.perceptual.sha256 if judges.perceptual else None,
        "rows": table(measured, judges, asked.expression, values),
        "each": {"name": names, **columns(values)},
    }


def translate(translator: Translator, sources: np.ndarray, to: str, source: str | None = None) -> Translations:
    """Translate uint8 pictures (n, size, size, 3)."""
    began = time.perf_counter()
    made = [translator.batch(to_tensor(some), to, source) for some in in_batches(sources)]
    seconds = (time.perf_counter() - began) / len(sources)
    images = np.concatenate([to_pixels(some.image) for some in made])
    contents = np.concatenate([to_pixels(some.content) for some in made])
    masks = np.concatenate([some.mask[:, 0].numpy() for some in made])
    return Translations(images, masks if (masks < 1).any() else None, contents, seconds)


def save_pictures(folder: Path, names: list[str], made: Translations) -> None:
    """NAME.png, and NAME.mask.png and NAME.content.png where there are masks."""
    for index, name in enumerate(names):
        parts = {"": made.images[index]}
        if made.masks is not None:
            parts |= {".mask": (made.masks[index] * 255).round().astype(np.uint8), ".content": made.contents[index]}
        for kind, pixels in parts.items():
            write_whole(folder / f"{name}{kind}.png", lambda path, of=pixels: Pillow.fromarray(of).save(path, "PNG"))


def _back(translator: Translator, images: np.ndarray, asked: HeldOut) -> np.ndarray | None:
    """The translations, translated back to where they came from; None where no way leads back."""
    others = [domain for domain in translator.card.domains if domain != asked.to]
    source = asked.source or (others[0] if len(others) == 1 else None)
    if source not in translator.system.targets:
        return None
    return translate(translator, images, source, asked.to).images


def save_results(path: Path, results: dict[str, Any]) -> None:
    """Write `results.json`."""
    write_whole(path, lambda partial: partial.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8"))
