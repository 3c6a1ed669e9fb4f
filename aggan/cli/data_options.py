"""The folders of images on a command line, checked before anything slow is imported."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from aggan.data.folders import DataConfig, find_folders
from aggan.training.config import load_recipe

PLACES = ("x", "y", "root", "pairs")
LAYOUT = (*PLACES, "names", "direction")
"""The data settings that `find_folders` depends on."""


def require_folders(argv: Sequence[str]) -> None:
    """Raise `UserError` if the folders of a new training are missing, or their layout is ambiguous.

    What a run or a recipe says about the folders of single methods is left to the training.
    """
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    for name in PLACES:
        parser.add_argument(f"--data.{name}", dest=name, type=Path)
    parser.add_argument("--data.names", dest="names", nargs="*")
    parser.add_argument("--data.direction", dest="direction")
    parser.add_argument("--recipe")
    parser.add_argument("--resume")
    try:
        args = vars(parser.parse_known_args(argv)[0])
    except argparse.ArgumentError:
        return  # the parser of the training reports it
    if args["resume"] or not any(args[name] for name in PLACES):
        return
    recipe = load_recipe(args["recipe"]) if args["recipe"] else {}
    if any(set(LAYOUT) & set(section.get("data", {})) for section in recipe.get("for", {}).values()):
        return
    settings = {name: args[name] or recipe.get("data", {}).get(name) for name in LAYOUT}
    try:
        data = DataConfig.model_validate({name: value for name, value in settings.items() if value})
    except ValidationError:
        return  # as above
    find_folders(data)
