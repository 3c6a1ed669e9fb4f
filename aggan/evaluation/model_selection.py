"""The score that chooses the best model of a training.

A score translates the test images of each domain to the next domain and returns named values, of which the first is
minimised. No score needs pairs, and a copy of the input minimises none of them.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from aggan.data.folders import DataConfig, find
from aggan.errors import UserError
from aggan.evaluation.classifier_choice import NONE, is_rendered, load_models
from aggan.evaluation.classifiers import RENDERED_FACES, Classifier, EvaluationModels, Features, Images, batches
from aggan.evaluation.metrics import frechet
from aggan.evaluation.swd import SlicedWasserstein
from aggan.images.convert import to_pixels, to_tensor
from aggan.methods.base import Method
from aggan.training.config import TrainingConfig
from aggan.training.run import Scorer
from aggan.training.trainer import Score

TestImages = Sequence[UInt8[np.ndarray, "_n size size 3"]]
"""Of each domain, in the order of the method's domains."""
Distance = Callable[[Images], float]
"""Of the translations to one domain; smaller is better."""


class ScoreChoice(NamedTuple):
    """How best/ is chosen."""

    description: str
    """One sentence."""
    scorer: Scorer | None
    """None if nothing is scored."""


def choose_score(training: TrainingConfig, data: DataConfig) -> ScoreChoice:
    """The score that `training.score` and `training.classifier` name.

    If they name none, a rendered data set is scored by the classifier of rendered faces, any other data by the sliced
    Wasserstein distance. Raises `UserError` if score and classifier contradict each other, if the classifier cannot be
    loaded, or if it does not know the domains.
    """
    score, classifier = training.score, training.classifier
    rendered = _is_rendered(data)
    if score is None:
        score = "classifier" if classifier or rendered else "swd"
    if score != "classifier" and classifier:
        raise UserError(f"the score {score} uses no classifier: leave out --training.classifier {classifier}")
    if score == "none":
        return ScoreChoice("nothing is scored, so there will be no best/", None)
    if score == "swd":
        return ScoreChoice("best/ is chosen by the sliced Wasserstein distance to test images", swd_score)
    classifier = classifier or (RENDERED_FACES if rendered else NONE)
    if classifier == NONE:
        raise UserError("the score classifier needs a classifier: name one with --training.classifier")
    return _score_by_classifier(classifier, data)


def _is_rendered(data: DataConfig) -> bool:
    folders = [folder for folder in (data.root, data.x, data.y) if folder]
    return bool(folders) and all(map(is_rendered, folders))


def _score_by_classifier(name: str, data: DataConfig) -> ScoreChoice:
    models = load_models(name)
    if name != RENDERED_FACES:
        _require_domains(models, data)
    if models.features:
        return ScoreChoice(
            f"best/ is chosen by the Frechet distance on features of the classifier {models.name}{_in_words(models)}",
            frechet_scorer(models.features),
        )
    assert models.classifier is not None
    return ScoreChoice(
        f"best/ is chosen by how many translations the classifier {models.name} assigns to their target domain",
        classification_scorer(models.classifier),
    )


def _in_words(models: EvaluationModels) -> str:
    return f", {models.accuracy}" if models.accuracy else ""


def _require_domains(models: EvaluationModels, data: DataConfig) -> None:
    """Raise `UserError` unless the classifier knows all domains."""
    assert models.classifier is not None
    for domain in find(data).train:
        if domain.name not in models.classifier.classes:
            classes = ", ".join(models.classifier.classes)
            raise UserError(
                f"the classifier {models.name} cannot score the domain {domain.name!r}: its classes are {classes}"
            )


def frechet_scorer(features: Features) -> Scorer:
    """Scores by the Frechet distance between the features of translations and of test images of the target domain."""

    def scorer(test_images: TestImages) -> Score:
        real = [features.extract(images) for images in test_images]

        def score(method: Method) -> dict[str, float]:
            distances = [lambda fakes, target=target: frechet(features.extract(fakes), target) for target in real]
            return {"frechet_distance": _mean_distance(method, test_images, distances)}

        return score

    return scorer


def swd_score(test_images: TestImages) -> Score:
    """The sliced Wasserstein distance between translations and test images of the target domain."""
    count = min(map(len, test_images))  # it compares sets of one size
    equal = [images[:count] for images in test_images]
    distances = [SlicedWasserstein(images) for images in equal]
    return lambda method: {"swd": _mean_distance(method, equal, distances)}


def classification_scorer(classifier: Classifier) -> Scorer:
    """Scores by the share of translations that the classifier does not assign to their target domain."""

    def distance(domain: str) -> Distance:
        index = classifier.classes.index(domain)
        return lambda fakes: 1 - float((classifier.predict(fakes) == index).mean())

    def scorer(test_images: TestImages) -> Score:
        def score(method: Method) -> dict[str, float]:
            distances = [distance(domain) for domain in method.task.domains]
            return {"misclassified": _mean_distance(method, test_images, distances)}

        return score

    return scorer


def _mean_distance(method: Method, test_images: TestImages, distances: Sequence[Distance]) -> float:
    """The mean of the target domain's distance over the directions from each domain to the next."""
    device, domains = next(method.parameters()).device, method.task.domains
    values = []
    for k, images in enumerate(test_images):
        target = (k + 1) % len(test_images)
        if domains[target] in method.targets:
            inputs = [to_tensor(batch).to(device) for batch in batches(images)]
            fakes = [to_pixels(method.translate(image, domains[target], domains[k]).image) for image in inputs]
            values.append(distances[target](np.concatenate(fakes)))
    return sum(values) / len(values)
