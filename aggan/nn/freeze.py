"""Look through networks without teaching them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Inside, the modules pass gradients on to their input but collect none themselves."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    _require(parameters, False)
    try:
        yield
    finally:
        _require(parameters, True)


def _require(parameters: Iterable[nn.Parameter], wanted: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(wanted)
