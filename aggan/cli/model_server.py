"""What the verbs that serve models share: their options, and the models' names."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from aggan.errors import UserError


@dataclass
class ModelServer:
    """Options of a server of models."""

    models: Annotated[list[str], tyro.conf.Positional, tyro.conf.arg(metavar="[MODEL ...]")] = field(
        default_factory=lambda: ["faces128"]
    )
    """Run folders, model folders, or models that ship."""
    megapixels: float = 12.0
    """Larger images are refused."""
    threads: int | None = None
    """CPU threads. Default: all cores."""

    def check(self, port: int) -> None:
        """Raise `UserError` if an option is out of range."""
        if not self.megapixels > 0:
            raise UserError(f"--megapixels must be above 0, not {self.megapixels:g}")
        if not 0 < port < 2**16:
            raise UserError(f"--port must be between 1 and 65535, not {port}")
        if self.threads is not None and self.threads < 1:
            raise UserError(f"--threads must be 1 or more, not {self.threads}")


def display_names(models: Sequence[str]) -> list[str]:
    """The names of the models' folders, with as many parent folders as it takes to tell them apart."""
    paths = [Path(model).resolve().parts if Path(model).exists() else (model,) for model in models]
    for length in range(1, max(map(len, paths)) + 1):
        names = ["/".join(path[-length:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    raise UserError("a model is named twice: name each model once")
