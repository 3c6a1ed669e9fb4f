"""Evaluation of a model on test images: `results.json`.

    n, m       number of test images, of real images of the target domain
    h, w       height and width in pixels

Most metrics are means over the images, with a 95 % interval. The identity baseline, a copy of the input, is always
measured beside the translations, and so is the ground truth if there is one. `aggan.metric_table` explains the metrics.
"""

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image as Pillow

from aggan.data.cache import OnProgress
from aggan.evaluation import metrics
from aggan.evaluation.classifiers import EvaluationModels, Features, ImageClassifier, Images, batches
from aggan.evaluation.test_set import TestFiles, TestSet, Warn, find_test_set, read_test_set
from aggan.images.convert import to_pixels, to_tensor
from aggan.inference.translator import Translator
from aggan.io import (
    require_not_below,
    require_output_folder,
    require_space,
    unwritable_reason,
    write_atomic,
    write_json_atomic,
)
from aggan.metric_table import GROUND_TRUTH, IDENTITY_BASELINE, METRICS, RESULTS_VERSION, TRANSLATION
from aggan.stats import bootstrap_interval, wilson_interval

Row = dict[str, Any]
"""Means by metric, None if a metric is not defined for any image; `images`, their number; `intervals` by metric."""
ImageValues = dict[str, Float[np.ndarray, " n"]]
"""The value of each image by metric, not finite if it is not defined."""
MIN_SET = 10
"""Distances between sets need at least this many images in each."""
BYTES_PER_PIXEL = 1.0
"""Of a saved translation: an estimate for the check of free space, which photographs exceed."""


@dataclass(frozen=True)
class Outputs:
    """Images to measure, aligned with their inputs."""

    inputs: UInt8[np.ndarray, "n h w 3"]
    outputs: UInt8[np.ndarray, "n h w 3"]
    ground_truth: UInt8[np.ndarray, "n h w 3"] | None = None
    """Without it, the metrics that need it are left out."""
    masks: Float[np.ndarray, "n h w"] | None = None
    """Attention in [0, 1], of methods with attention."""
    real: UInt8[np.ndarray, "m h w 3"] | None = None
    """Real images of the target domain."""
    cycled: UInt8[np.ndarray, "n h w 3"] | None = None
    """The outputs, translated back to the domain of the inputs."""


class Translations(NamedTuple):
    """A model's translations of n images."""

    images: UInt8[np.ndarray, "n h w 3"]
    masks: Float[np.ndarray, "n h w"] | None
    """Attention in [0, 1]; None without attention."""
    contents: UInt8[np.ndarray, "n h w 3"] | None
    """What the masks blend in; None without attention."""
    seconds_per_image: float


def evaluate(
    translator: Translator,
    test_set: TestSet,
    models: EvaluationModels,
    warn: Warn,
    save_to: Path | None = None,
    announce: Warn | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Translate a test set at the model's size, measure the translations, and return the content of results.json.

    The translations are saved in the folder `save_to`. `warn` is called for each file that is left out, and if the
    classifier does not know the target class. `announce` is called before the work begins, with what will be measured,
    and `on_progress` after each image that is read. Raises `UserError` if the model has no domain `test_set.to`, if
    there is no image to translate, or if the images cannot be saved.
    """
    backend = translator.backend(test_set.to, test_set.source)  # raises before anything is read
    test_set = replace(test_set, to=backend.to, source=backend.source)  # in the spelling of the model
    card, target = translator.card, test_set.target_class
    known = models.classifier is not None and target in models.classifier.classes
    if models.classifier is not None and not known:
        classes = ", ".join(models.classifier.classes)
        warn(f"nothing is classified: the classifier {models.name} has no class {target!r}, only {classes}")
    classifier = models.classifier
    if models.accuracy and isinstance(classifier, ImageClassifier) and card.size < classifier.tower.size:
        sides = f"{classifier.tower.size} px, and the model works at {card.size}"
        warn(f"the classifier {models.name} was measured at {sides}: its accuracy on enlarged images is not known")
    files = find_test_set(test_set, warn)
    if save_to:
        _require_destination(save_to, test_set, files, card.size)
    if announce:
        announce(files.describe(test_set))
    names, inputs, ground_truth, real = read_test_set(files, card.size, test_set.bits or card.bits, warn, on_progress)
    translations = translate(translator, inputs, test_set.to, test_set.source)
    if save_to:
        save_images(save_to, names, translations, warn)
    cycled = _translate_back(translator, translations.images, test_set)
    outputs = Outputs(inputs, translations.images, ground_truth, translations.masks, real, cycled)
    values = measure_images(outputs, models, target)
    features, perceptual = models.features, models.perceptual
    return {
        "version": RESULTS_VERSION,
        "to": test_set.to,
        "expression": target if known else None,
        "size": card.size,
        "steps": card.steps,
        "inputs": str(test_set.inputs),
        "ground_truth": str(test_set.ground_truth) if test_set.ground_truth else None,
        "seconds_per_image": translations.seconds_per_image,
        "classifier": models.name,
        "features": {"name": features.name, "sha256": features.sha256} if features else None,
        "lpips_sha256": perceptual.sha256 if perceptual else None,
        "rows": measure_rows(outputs, models, target, values),
        "each": {"name": names, **_to_columns(values)},
    }


def measure_rows(
    outputs: Outputs, models: EvaluationModels, target: str, values: ImageValues | None = None
) -> dict[str, Row]:
    """The rows of results.json: translation, identity baseline, and ground truth if there is one.

    `values` are those of `measure_images`, if they have been computed already.
    """
    baseline = replace(outputs, outputs=outputs.inputs, masks=None, cycled=None)
    rows = {
        TRANSLATION: measure_row(outputs, models, target, values),
        IDENTITY_BASELINE: measure_row(baseline, models, target),
    }
    if outputs.ground_truth is not None:
        # It has no distance to the real images: usually it is these images.
        truth = Outputs(outputs.inputs, outputs.ground_truth, outputs.ground_truth)
        rows[GROUND_TRUTH] = measure_row(truth, models, target)
    return rows


def measure_row(outputs: Outputs, models: EvaluationModels, target: str, values: ImageValues | None = None) -> Row:
    """Mean and interval of each metric."""
    values = measure_images(outputs, models, target) if values is None else values
    finite = {key: column[np.isfinite(column)] for key, column in values.items()}
    row: Row = {"images": len(outputs.inputs)}
    row |= {key: float(column.mean()) if len(column) else None for key, column in finite.items()}
    intervals = {key: _interval(key, column) for key, column in finite.items() if len(column)}
    if "mse" in values:
        errors = values["mse"]
        row["psnr_pooled"] = metrics.psnr(errors.mean(keepdims=True)).item() if errors.any() else None
        row["identical"] = int((errors == 0).sum())
    for key, (distance, interval) in _distances(outputs, models.features).items():
        row[key], intervals[key] = distance, interval
    return row | {"intervals": intervals}


def measure_images(outputs: Outputs, models: EvaluationModels, target: str) -> ImageValues:
    """Every metric of each image, as far as its network and its data are there."""
    inputs, images = outputs.inputs, outputs.outputs
    values = {"change": metrics.change(inputs, images)}
    if models.classifier is not None and target in models.classifier.classes:
        classes = models.classifier.predict(images)
        values["classified"] = (classes == models.classifier.classes.index(target)).astype(np.float64)
    if models.identity is not None:
        similarity = models.identity.embed(images) @ models.identity.embed(inputs).T
        values |= {"identity": np.diag(similarity), "identity_rank1": metrics.rank_one(similarity)}
    if outputs.masks is not None:
        values["mask_mean"] = outputs.masks.mean(axis=(1, 2))
        values["mask_std"] = outputs.masks.std(axis=(1, 2))
    if outputs.cycled is not None:
        values["cycle_error"] = metrics.change(inputs, outputs.cycled)
    if outputs.ground_truth is not None:
        values |= _paired_values(inputs, images, outputs.ground_truth, outputs.masks)
        if models.perceptual:
            values["lpips"] = models.perceptual(images, outputs.ground_truth)
    return values


def _paired_values(
    inputs: Images, images: Images, ground_truth: Images, masks: Float[np.ndarray, "n h w"] | None
) -> ImageValues:
    """The metrics that need ground truth."""
    errors, background = metrics.mse(images, ground_truth), metrics.background(inputs, ground_truth)
    values = {
        "mse": errors,
        "psnr": metrics.psnr(errors),
        "ssim": metrics.ssim(images, ground_truth),
        "ms_ssim": metrics.ms_ssim(images, ground_truth),
        "background_change": metrics.change_where(background, inputs, images),
    }
    if masks is not None:
        values["mask_on_change"] = metrics.share_inside(~background, masks)
        changed = metrics.clearly_changed(inputs, ground_truth)
        values["mask_iou"] = metrics.intersection_over_union(changed, masks >= metrics.HALF)
    return values


def _distances(outputs: Outputs, features: Features | None) -> dict[str, tuple[float, tuple[float, float]]]:
    """Distances between the outputs and the real images as sets, each with its interval."""
    if outputs.real is None or features is None or min(len(outputs.real), len(outputs.outputs)) < MIN_SET:
        return {}
    fake, real = features.extract(outputs.outputs), features.extract(outputs.real)
    distances = {"kernel_distance": metrics.kernel, "frechet_distance": metrics.frechet}
    return {
        key: (distance(fake, real), metrics.jackknife_interval(distance, fake, real))
        for key, distance in distances.items()
    }


def _interval(key: str, values: Float[np.ndarray, " n"]) -> tuple[float, float]:
    if METRICS[key].interval == "Wilson":
        return wilson_interval(int(values.sum()), len(values))
    return bootstrap_interval(values)


def _to_columns(values: ImageValues) -> dict[str, list[float | None]]:
    """For JSON: rounded to six digits, None if a value is not finite."""
    return {
        key: [float(f"{value:.6g}") if np.isfinite(value) else None for value in column]
        for key, column in values.items()
    }


def translate(translator: Translator, images: Images, to: str, source: str | None = None) -> Translations:
    """Translate images of the model's size to the domain `to`. Raises `UserError` if the model has no such domain."""
    start = time.perf_counter()
    outputs = [translator.batch(to_tensor(batch), to, source) for batch in batches(images)]
    seconds = (time.perf_counter() - start) / len(images)
    fakes = np.concatenate([to_pixels(output.image) for output in outputs])
    if outputs[0].mask is None:
        return Translations(fakes, None, None, seconds)
    attended = [output.attended() for output in outputs]
    masks = np.concatenate([mask[:, 0].numpy() for _, mask, _ in attended])
    contents = np.concatenate([to_pixels(content) for _, _, content in attended])
    return Translations(fakes, masks, contents, seconds)


def _require_destination(folder: Path, test_set: TestSet, files: TestFiles, size: int) -> None:
    read = [path for path in (test_set.inputs, test_set.ground_truth, test_set.real) if path]
    require_not_below(folder, read, "--save-images")
    require_output_folder(folder, "--save-images")
    require_space(folder, BYTES_PER_PIXEL * len(files.inputs) * size**2, "saving the images")


def save_images(folder: Path, names: list[str], translations: Translations, warn: Warn) -> None:
    """Write NAME.png, and with attention NAME.mask.png and NAME.content.png.

    `warn` is called for each file whose name the file system cannot hold.
    """
    for index, name in enumerate(names):
        parts = {".png": translations.images[index]}
        if translations.masks is not None and translations.contents is not None:
            parts[".mask.png"] = (translations.masks[index] * 255).round().astype(np.uint8)
            parts[".content.png"] = translations.contents[index]
        for suffix, pixels in parts.items():
            path = folder / f"{name}{suffix}"
            if reason := unwritable_reason(path):
                warn(f"not saved: {path}: {reason}")
            else:
                _save(path, pixels)


def _save(path: Path, pixels: np.ndarray) -> None:
    write_atomic(path, partial(Pillow.fromarray(pixels).save, format="PNG"))


def _translate_back(translator: Translator, images: Images, test_set: TestSet) -> Images | None:
    """The translations, translated back; None if the source domain is unknown or cannot be translated to."""
    others = [domain for domain in translator.card.domains if domain != test_set.to]
    source = test_set.source or (others[0] if len(others) == 1 else None)
    if source not in translator.method.targets:
        return None
    return translate(translator, images, source, test_set.to).images


def save_results(path: Path, results: dict[str, Any]) -> None:
    """Write results.json."""
    write_json_atomic(path, results)
