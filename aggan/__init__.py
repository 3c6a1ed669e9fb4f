"""AGGAN: attention-guided GANs for unpaired image-to-image translation.

import aggan
translator = aggan.load("faces128")
translated = translator(picture, to="happy")    # .image, .mask, .content
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Translated", "Translator", "load"]

if TYPE_CHECKING:
    from aggan.inference.translator import Translated, Translator, load


def __getattr__(name: str) -> Any:
    # Lazily: `aggan --help` must not wait for torch.
    if name in __all__:
        from aggan.inference import translator

        return getattr(translator, name)
    raise AttributeError(f"module 'aggan' has no attribute {name!r}")
