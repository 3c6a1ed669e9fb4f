"""Modules that only some users need: an extra of the package brings them."""

import importlib
from typing import Any

from aggan.errors import UserError


def needed(module: str, extra: str, doing: str) -> Any:
    """The module, imported; raises `UserError` that says which extra brings it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise missing(module, extra, doing) from None


def missing(module: str, extra: str, doing: str) -> UserError:
    """What to tell a user who lacks a module."""
    return UserError(f"{doing} needs {module.split('.')[0]}, which is missing: pip install 'aggan[{extra}]'")
