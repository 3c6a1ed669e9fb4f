"""AGGAN: attention-guided GANs for unpaired image-to-image translation.

import aggan

translator = aggan.load("faces128")
translated = translator(image, to="happy")  # .image, .mask, .content
aggan.translate_files("faces128", "photos", to="happy", out="happy", options=aggan.TranslateOptions(faces=True))
"""

from importlib import import_module
from typing import TYPE_CHECKING

from aggan.version import __version__

if TYPE_CHECKING:
    from aggan.inference.options import TranslateOptions
    from aggan.inference.pipeline import Summary, translate_files
    from aggan.inference.translator import Translated, Translator, load

__all__ = ["Summary", "TranslateOptions", "Translated", "Translator", "__version__", "load", "translate_files"]

_MODULES = {
    "Summary": "pipeline",
    "TranslateOptions": "options",
    "Translated": "translator",
    "Translator": "translator",
    "load": "translator",
    "translate_files": "pipeline",
}


def __getattr__(name: str) -> object:
    # Lazy, so that `aggan --help` does not import torch.
    if name in _MODULES:
        return getattr(import_module(f"aggan.inference.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'aggan' has no attribute {name!r}")
