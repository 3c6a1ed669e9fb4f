"""Optional dependencies: modules that one of the package's extras installs."""

import importlib
from types import ModuleType

from aggan.errors import UserError


def require_module(module: str, extra: str, purpose: str) -> ModuleType:
    """Import a module that the extra `extra` installs. Raises `UserError` if it is not installed.

    The error reads `PURPOSE needs MODULE, which is not installed: ...`.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise missing_module(module, extra, purpose) from None


def missing_module(module: str, extra: str, purpose: str) -> UserError:
    """The error for a module that is not installed: it names the extra to install."""
    package = module.split(".")[0]
    return UserError(
        f"{purpose} needs {package}, which is not installed: run pip install '.[{extra}]' in a checkout of aggan"
    )
