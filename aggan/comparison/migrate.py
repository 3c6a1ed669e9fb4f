"""Reads the files of a comparison as earlier versions wrote them.

Each function takes the parsed JSON of a file and returns it in today's names. Files of today are returned unchanged.
`aggan.metric_table.migrate_results` does the same for results.json.
"""

from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]

PLAN_VERSION: Final = 2
COMPARISON_VERSION: Final = 2
STUDY_VERSION: Final = 2
IMAGES, FORMER_IMAGES = "images", "pictures"
COMPARISON = {"systems": "methods", "unpaired": "without_ground_truth", "by_pairs": "learn_from_pairs"}


def migrate_plan(content: Json) -> Json:
    """The content of a plan.json."""
    if content.get("version") != 1:
        return content
    return {**_renamed(content, {"systems": "methods"}), "version": PLAN_VERSION}


def migrate_comparison(content: Json) -> Json:
    """The content of a comparison.json."""
    if content.get("version") != 1:
        return content
    return {**_renamed(content, COMPARISON), "version": COMPARISON_VERSION}


def migrate_capacity(content: Json) -> Json:
    """The content of a capacity.json."""
    if "systems" not in content:
        return content
    methods = [_renamed(method, {"verdict": "agreement"}) for method in content["systems"]]
    return {"domains": content["domains"], "methods": methods}


def migrate_study(content: Json) -> Json:
    """The content of a study.json."""
    return _renamed(content, {"systems": "methods"})


def migrate_failure(content: Json) -> Json:
    """The content of a failure.json."""
    return _renamed(content, {"why": "error"})


def images_folder(results_folder: Path) -> Path:
    """Where the images of a results.json lie: in `images`, or in `pictures` of an earlier version."""
    former = results_folder / FORMER_IMAGES
    return former if former.is_dir() and not (results_folder / IMAGES).is_dir() else results_folder / IMAGES


def _renamed(content: Json, names: dict[str, str]) -> Json:
    return {names.get(key, key): value for key, value in content.items()}
