"""A model, a folder of held-out pictures and perhaps their true answers: `results.json`."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aggan.data.folders import pictures
from aggan.data.images import Unreadable, read, square, to_pixels, to_tensor
from aggan.errors import UserError
from aggan.evaluation.judges import Judges, in_batches, load_judge
from aggan.evaluation.metrics import frechet
from aggan.evaluation.scores import Measured, table
from aggan.inference.translator import Translator
from aggan.system import System
from aggan.writing import write_whole

VERSION = 1
Says = Callable[[str], None]


@dataclass(frozen=True)
class HeldOut:
    """Pictures that were kept out of training, and where they are to be translated to."""

    to: str
    inputs: Path
    answers: Path | None = None
    """True answers of the same names."""
    source: str | None = None
    """The domain of the inputs, for systems that ask."""
    expression: str = ""
    """What the judge should see; nothing is judged where it is no expression."""


def evaluate(translator: Translator, asked: HeldOut, judges: Judges, say: Says) -> dict[str, Any]:
    """Translate the inputs at the model's size and measure them, against the answers of the same name if there are any.

    `say` is told of each file that was left out. Raises `UserError`.
    """
    size, answers = translator.card.size, asked.answers
    files = _by_name(asked.inputs, say)
    known: dict[Path, Path] = {}
    if answers is not None:
        known = _by_name(answers, say)
        files = {name: file for name, file in files.items() if _paired(name, known, say)}
        if not files:
            raise UserError(f"no picture in {answers} has the name of one in {asked.inputs}, so there are no pairs")
    sources, kept = _read(files, size, say)
    truth = _read({name: known[name] for name in kept}, size, _refuse)[0] if answers is not None else None
    outputs, masks = translate(translator, sources, asked.to, asked.source)
    return {
        "version": VERSION,
        "to": asked.to,
        "expression": asked.expression,
        "size": size,
        "steps": translator.card.steps,
        "inputs": str(asked.inputs),
        "answers": str(answers) if answers else None,
        "rows": table(Measured(sources, outputs, truth, masks), judges, asked.expression),
    }


def translate(
    translator: Translator, sources: np.ndarray, to: str, source: str | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Translations (n, size, size, 3) of uint8 pictures and their masks (n, size, size), None from systems without."""
    made = [translator.batch(to_tensor(some), to, source) for some in in_batches(sources)]
    images = np.concatenate([to_pixels(some.image) for some in made])
    masks = torch.cat([some.mask[:, 0] for some in made]).numpy()
    return images, masks if (masks < 1).any() else None


def save_results(path: Path, results: dict[str, Any]) -> None:
    """Write `results.json`."""
    write_whole(path, lambda partial: partial.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8"))


def frechet_score(held_out: Sequence[np.ndarray]) -> Callable[[System], dict[str, float]]:
    """The score that chooses the best model of a run: how far translations are from held-out pictures.

    A Frechet distance on the judge's features, averaged over the ways from each domain to the next.
    Copying the input does not win it, and no pairs are needed.
    """
    judge = load_judge()
    real = [judge.features(pictures) for pictures in held_out]

    def score(system: System) -> dict[str, float]:
        device = next(system.parameters()).device
        distances = []
        for k, source in enumerate(held_out):
            answer = (k + 1) % len(held_out)
            source_name, to = system.task.domains[k], system.task.domains[answer]
            if to in system.targets:
                inputs = [to_tensor(some).to(device) for some in in_batches(source)]
                made = [to_pixels(system.translate(some, to, source_name).image) for some in inputs]
                distances.append(frechet(judge.features(np.concatenate(made)), real[answer]))
        return {"distance": sum(distances) / len(distances)}

    return score


def _by_name(folder: Path, say: Says) -> dict[Path, Path]:
    found: dict[Path, Path] = {}
    for file in pictures(folder):
        name = file.relative_to(folder).with_suffix("")
        if found.setdefault(name, file) != file:
            say(f"left out {file}: {found[name].name} has that name too")
    return found


def _paired(name: Path, known: dict[Path, Path], say: Says) -> bool:
    if name not in known:
        say(f"left out {name}: no answer of that name")
    return name in known


def _read(files: dict[Path, Path], size: int, say: Says) -> tuple[np.ndarray, list[Path]]:
    found, kept = [], []
    for name, file in files.items():
        try:
            found.append(square(read(file), size))
            kept.append(name)
        except Unreadable as why:
            say(f"left out {why}")
    if not found:
        raise UserError("none of the pictures could be read")
    return np.stack(found), kept


def _refuse(failure: str) -> None:
    raise UserError(f"an answer cannot be used: {failure}")
