"""The score that chooses the best model of a run."""

from collections.abc import Callable, Sequence

import numpy as np

from aggan.evaluation.classifiers import in_batches, load_judge
from aggan.evaluation.metrics import frechet
from aggan.images.convert import to_pixels, to_tensor
from aggan.methods.base import System


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
