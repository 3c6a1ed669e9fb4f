"""How good translations are: a row of means with intervals for them, and always one for copying the input."""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image as Pillow

from aggan.data.expressions import EXPRESSIONS
from aggan.evaluation import metrics
from aggan.evaluation.classifiers import Features, Judges, in_batches
from aggan.evaluation.test_set import HeldOut, Says, read_held_out
from aggan.images.convert import to_pixels, to_tensor
from aggan.inference.translator import Translator
from aggan.io import write_whole
from aggan.stats import wilson

Row = dict[str, Any]
"""Figures by measure, None for what cannot be measured; `pictures`; and `intervals`, of 95 %, by measure."""
Values = dict[str, np.ndarray]
"""Every measure of each picture, (n,) by its name."""
SHARES = ("judged", "rank-1")
"""Measures that are 0 or 1 for each picture."""
FEW = 10
"""Sets of fewer pictures are not compared as sets."""


@dataclass(frozen=True)
class Measured:
    """What is to be measured: aligned uint8 arrays (n, height, width, 3)."""

    inputs: np.ndarray
    outputs: np.ndarray
    answers: np.ndarray | None
    """The true answers; without pairs there are none, and no measure that needs them."""
    masks: np.ndarray | None = None
    """Attention masks (n, height, width) in [0, 1]."""
    real: np.ndarray | None = None
    """Real pictures (m, height, width, 3) of the domain that was translated to."""
    back: np.ndarray | None = None
    """The outputs, translated back to where they came from."""


def table(measured: Measured, judges: Judges, target: str, values: Values | None = None) -> dict[str, Row]:
    """Rows by name: the translation, copy the input, and the true answer where it is known.

    `values` are the translation's by `each`, where they are there already.
    """
    rows = {
        "translation": row(measured, judges, target, values),
        "copy the input": row(replace(measured, outputs=measured.inputs, masks=None, back=None), judges, target),
    }
    # Of the answers no distance from real pictures is told: as a rule they are these pictures.
    if measured.answers is not None:
        rows["true answer"] = row(Measured(measured.inputs, measured.answers, measured.answers), judges, target)
    return rows


def row(measured: Measured, judges: Judges, target: str, values: Values | None = None) -> Row:
    """Means over the pictures of each measure, with their intervals."""
    found: Row = {"pictures": len(measured.inputs)}
    values = each(measured, judges, target) if values is None else values
    distances = _distances(measured, judges.features)
    found |= {name: float(known.mean()) if len(known := _known(some)) else None for name, some in values.items()}
    if "mse" in values:
        errors = values["mse"]
        found["psnr pooled"] = metrics.psnr(errors.mean(keepdims=True)).item() if errors.any() else None
        found["identical"] = int((errors == 0).sum())
    intervals = {name: _interval(name, known) for name, some in values.items() if len(known := _known(some))}
    intervals |= {name: ends for name, (_, ends) in distances.items()}
    return found | {name: value for name, (value, _) in distances.items()} | {"intervals": intervals}


def columns(values: Values) -> dict[str, list[float | None]]:
    """What `each` gives, for JSON: None where a measure is not defined."""
    return {
        name: [float(f"{value:.6g}") if np.isfinite(value) else None for value in some] for name, some in values.items()
    }


def each(measured: Measured, judges: Judges, target: str) -> Values:
    """Every measure of each picture, (n,) by its name; nan or infinite where it is not defined or not known."""
    inputs, outputs = measured.inputs, measured.outputs
    found = {"change": metrics.change(inputs, outputs)}
    if target in EXPRESSIONS:
        seen = judges.expression.says(outputs) == EXPRESSIONS.index(target)
        found["judged"] = np.where(target in judges.expression.knows, seen, np.nan)
    likeness = judges.identity.identities(outputs) @ judges.identity.identities(inputs).T
    found |= {"identity": np.diag(likeness), "rank-1": metrics.rank_one(likeness)}
    if measured.masks is not None:
        found["mask mean"] = measured.masks.mean(axis=(1, 2))
        found["mask spread"] = measured.masks.std(axis=(1, 2))
    if measured.back is not None:
        found["cycle error"] = metrics.change(inputs, measured.back)
    if measured.answers is not None and judges.perceptual:
        found["lpips"] = judges.perceptual(outputs, measured.answers)
    return found | (_paired(measured, measured.answers) if measured.answers is not None else {})


def _paired(measured: Measured, answers: np.ndarray) -> dict[str, np.ndarray]:
    inputs, outputs, masks = measured.inputs, measured.outputs, measured.masks
    errors, still = metrics.mse(outputs, answers), metrics.still(inputs, answers)
    found = {
        "mse": errors,
        "psnr": metrics.psnr(errors),
        "ssim": metrics.ssim(outputs, answers),
        "ms-ssim": metrics.ms_ssim(outputs, answers),
        "change where still": metrics.change_where(still, inputs, outputs),
    }
    return found | ({"mask where changed": metrics.share_inside(~still, masks)} if masks is not None else {})


def _distances(measured: Measured, features: Features | None) -> dict[str, tuple[float, tuple[float, float]]]:
    """How far the outputs as a set are from real pictures, each with its interval."""
    if measured.real is None or features is None or min(len(measured.real), len(measured.outputs)) < FEW:
        return {}
    made, real = features.of(measured.outputs), features.of(measured.real)
    kinds = {"kernel distance": metrics.kernel, "frechet distance": metrics.frechet}
    return {name: (kind(made, real), metrics.interval_of(kind, made, real)) for name, kind in kinds.items()}


def _interval(name: str, values: np.ndarray) -> tuple[float, float]:
    return wilson(int(values.sum()), len(values)) if name in SHARES else metrics.interval(values)


def _known(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


# --- '"""A model, a folder of held-out pictures and perhaps their true answers: `results.json`."""'
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
