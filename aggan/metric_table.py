"""Every metric and every row of `results.json`: keys, labels, units, formats and meaning. Imports no torch.

The command line, reports, tables, model cards and docs/measures.md take names and formats from here.
"""

from typing import Any, Final, Literal, NamedTuple

from aggan.errors import UserError

RESULTS_VERSION: Final = 3
"""Of results.json, which `aggan evaluate` writes."""


class Metric(NamedTuple):
    """How a metric is called, printed and explained."""

    key: str
    """In results.json."""
    label: str
    """May hold `{target}`, the target domain, and `{features}`, the network whose features are compared."""
    direction: Literal[-1, 0, 1]
    """1 if larger is better, -1 if smaller is better, 0 if neither is."""
    unit: str
    """`%` multiplies the value by 100 in print."""
    form: str
    """Format of the printed number."""
    interval: Literal["bootstrap", "Wilson", "jackknife", "study", ""]
    """How the 95 % interval is computed; empty if there is none."""
    explanation: str
    """One sentence."""

    def heading(self, target: str, features: str) -> str:
        """Label and unit."""
        label = self.label.format(target=target, features=features)
        return f"{label}, {self.unit}" if self.unit else label

    def difference_text(self, value: float) -> str:
        """A difference of two values, with its sign."""
        return self.form.replace("{:", "{:+").format(100 * value if self.unit == "%" else value)

    def text(self, value: float | int | None) -> str:
        """The value in the metric's unit, without it; `-` for None."""
        return "-" if value is None else self.form.format(100 * value if self.unit == "%" else value)


# fmt: off
_ALL = (
    Metric("fooled", "people fooled", 1, "%", "{:.1f}", "study",
           "Share of translations that people took for real in `aggan study`."),
    Metric("classified", "classified as {target}", 1, "%", "{:.1f}", "Wilson",
           "Share of images that the classifier (`--classifier`) assigns to the target class."),
    Metric("background_change", "background change", -1, "of 255", "{:.2f}", "bootstrap",
           "Mean absolute difference from the input over the background: the pixels whose ground truth equals the "
           "input within two levels in each channel."),
    Metric("change", "change", 0, "of 255", "{:.2f}", "bootstrap",
           "Mean absolute difference from the input over the whole image."),
    Metric("kernel_distance", "kernel distance ({features})", -1, "", "{:.3f}", "jackknife",
           "Squared distance between the features of all translations and of real images of the target domain, with an "
           "unbiased cubic kernel (Binkowski et al., 2018)."),
    Metric("frechet_distance", "Frechet distance ({features})", -1, "", "{:.1f}", "jackknife",
           "Distance between Gaussians fitted to the features of all translations and of real images of the target "
           "domain (Heusel et al., 2017)."),
    Metric("psnr", "PSNR", 1, "dB", "{:.2f}", "bootstrap",
           "Peak signal-to-noise ratio of each image against its ground truth on 0-255, then averaged; identical "
           "images have none."),
    Metric("psnr_pooled", "pooled PSNR", 1, "dB", "{:.2f}", "",
           "Peak signal-to-noise ratio of the mean squared error of all images."),
    Metric("mse", "MSE", -1, "", "{:.1f}", "bootstrap",
           "Mean squared error of each image against its ground truth on 0-255, then averaged."),
    Metric("identical", "identical images", 0, "", "{:.0f}", "",
           "Number of images that equal their ground truth in every pixel."),
    Metric("ssim", "SSIM", 1, "", "{:.3f}", "bootstrap",
           "Structural similarity to the ground truth (Wang et al., 2004)."),
    Metric("ms_ssim", "MS-SSIM", 1, "", "{:.3f}", "bootstrap",
           "Structural similarity to the ground truth over as many scales as fit (Wang et al., 2003): three at 64 px, "
           "four at 128, five from 176."),
    Metric("lpips", "LPIPS", -1, "", "{:.3f}", "bootstrap",
           "Learned perceptual distance to the ground truth on AlexNet's features (Zhang et al., 2018), with "
           "`--lpips WEIGHTS`."),
    Metric("identity", "identity (cosine)", 1, "", "{:.3f}", "bootstrap",
           "Cosine similarity of the identity vectors of input and translation."),
    Metric("identity_rank1", "identity rank-1", 1, "%", "{:.1f}", "Wilson",
           "Share of translations whose most similar input, by identity vectors, is their own."),
    Metric("cycle_error", "cycle error", -1, "of 255", "{:.2f}", "bootstrap",
           "Mean absolute difference between the input and the translation translated back; one-way methods have "
           "none."),
    Metric("mask_mean", "mask mean", 0, "", "{:.3f}", "bootstrap",
           "Mean of the attention mask: 0 keeps the input, 1 replaces it."),
    Metric("mask_std", "mask std", 0, "", "{:.3f}", "bootstrap",
           "Standard deviation of the attention mask within an image."),
    Metric("mask_on_change", "mask on change", 1, "%", "{:.1f}", "bootstrap",
           "Share of the attention mask's sum that lies where the ground truth differs from the input."),
    Metric("mask_iou", "mask IoU", 1, "", "{:.3f}", "bootstrap",
           "Intersection over union of the pixels whose attention is 0.5 or more and those that the ground truth "
           "changes at least half as much as the pixel of the same image that it changes most."),
)
# fmt: on
METRICS: dict[str, Metric] = {metric.key: metric for metric in _ALL}
"""By key, in the order of columns."""

TRANSLATION, IDENTITY_BASELINE, GROUND_TRUTH = "translation", "identity_baseline", "ground_truth"
ROWS = {
    TRANSLATION: "translation",
    IDENTITY_BASELINE: "identity baseline (copy of the input)",
    GROUND_TRUTH: "ground truth",
}
"""Labels of the rows of results.json, by key."""

BETTER = {1: "larger", -1: "smaller", 0: ""}


def documentation() -> str:
    """The table of docs/measures.md."""
    lines = ["| metric | key | better | what it is | interval |", "|---|---|---|---|---|"]
    for metric in METRICS.values():
        heading = metric.heading("X", "features")
        cells = (heading, f"`{metric.key}`", BETTER[metric.direction], metric.explanation, metric.interval)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


RENAMED = {
    "judged": "classified",
    "change where still": "background_change",
    "kernel distance": "kernel_distance",
    "frechet distance": "frechet_distance",
    "psnr pooled": "psnr_pooled",
    "ms-ssim": "ms_ssim",
    "rank-1": "identity_rank1",
    "cycle error": "cycle_error",
    "mask mean": "mask_mean",
    "mask spread": "mask_std",
    "mask where changed": "mask_on_change",
    "copy the input": IDENTITY_BASELINE,
    "true answer": GROUND_TRUTH,
    "pictures": "images",
    "seconds a picture": "seconds_per_image",
    "answers": "ground_truth",
    "lpips sha256": "lpips_sha256",
}
"""Keys of results.json up to version 2, and those of today."""
FEATURES = {"judge": "rendered-faces"}
"""Networks whose features were compared, up to version 2, and their names of today."""


def migrate_results(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a results.json in today's keys. Content of version 3 is returned unchanged.

    Raises `UserError` if it is of a newer version.
    """
    version = content.get("version")
    if version == RESULTS_VERSION:
        return content
    if isinstance(version, int) and version > RESULTS_VERSION:
        raise UserError(f"the results were written by a newer aggan (version {version}): update aggan")
    results = {**rename_keys(content), "version": RESULTS_VERSION}
    features = results.get("features")
    if features and features["name"] in FEATURES:
        name = FEATURES[features["name"]]
        results |= {"classifier": name, "features": {**features, "name": name}}
    return results


def rename_keys(content: dict[str, Any]) -> dict[str, Any]:
    """The same JSON with the keys of today, at every depth of objects."""
    return {
        RENAMED.get(key, key): rename_keys(value) if isinstance(value, dict) else value
        for key, value in content.items()
    }
