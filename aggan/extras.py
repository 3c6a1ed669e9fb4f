"""Optional dependencies: modules that one of the package's extras installs."""

import importlib
import os
import sys
from types import ModuleType

from aggan.errors import UserError

_NO_TELEMETRY = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Environment variables that keep libraries from reporting to their makers."""


def forbid_telemetry() -> None:
    """Keep optional libraries from reporting to their makers. They read these settings when they are imported."""
    os.environ.update(_NO_TELEMETRY)
    # OpenVINO's only setting is a file in the home folder. It reports nothing if this module has no content.
    sys.modules.setdefault("openvino_telemetry", ModuleType("openvino_telemetry"))


def require_module(module: str, extra: str, purpose: str) -> ModuleType:
    """Import a module that the extra `extra` installs, without its telemetry. Raises `UserError`.

    The error says that the module is not installed, or why it cannot be imported.
    """
    forbid_telemetry()
    try:
        return importlib.import_module(module)
    except Exception as error:  # a broken installation raises errors of many types
        raise import_failure(error, module, extra, purpose) from error


def import_failure(error: Exception, module: str, extra: str, purpose: str) -> UserError:
    """The error for a module that could not be imported: it is not installed, or it is broken for the reason named."""
    parts = module.split(".")
    itself = [".".join(parts[: count + 1]) for count in range(len(parts))]
    if isinstance(error, ModuleNotFoundError) and error.name in itself:
        return missing_module(module, extra, purpose)
    cause = " ".join(str(error).split()) or type(error).__name__
    return UserError(
        f"{purpose} needs {parts[0]}, which cannot be imported ({cause}): "
        f"repair it with pip install --force-reinstall '.[{extra}]' in a checkout of aggan"
    )


def missing_module(module: str, extra: str, purpose: str) -> UserError:
    """The error for a module that is not installed: it names the extra to install."""
    package = module.split(".")[0]
    return UserError(
        f"{purpose} needs {package}, which is not installed: run pip install '.[{extra}]' in a checkout of aggan"
    )
