"""Weights of the authors' released code (v1), whose layers are the catalogue's `aggan-released`.

Its generators keep their weights under `model.*`, its discriminators under `conv_tower.*`, in the
order in which the layers run; the numbers between depend on what has no weights, so the order and
the shapes decide.
"""

from torch import Tensor, nn

from aggan.errors import UserError

State = dict[str, Tensor]
GENERATOR, DISCRIMINATOR = "model.", "conv_tower."
COUNTER = "num_batches_tracked"
LEAVES = ("weight", "bias", "running_mean", "running_var", COUNTER)
"""A layer's tensors in the order in which PyTorch keeps them."""


def load_generator(network: nn.Module, state: State, origin: str) -> None:
    """Put a released generator's weights into `aggan-released`'s; `UserError` says what differs."""
    _load(network, state, GENERATOR, origin)


def load_discriminator(network: nn.Module, state: State, origin: str) -> None:
    """The same for a discriminator."""
    _load(network, state, DISCRIMINATOR, origin)


def _load(network: nn.Module, state: State, prefix: str, origin: str) -> None:
    given = {key.removeprefix("module."): state[key] for key in sorted(state, key=_place)}
    stray = next((key for key in given if not key.startswith(prefix)), None)
    if stray is not None:
        kind = "generator" if prefix == GENERATOR else "discriminator"
        raise UserError(f"{origin}: not a released {kind}: {stray!r} is not under {prefix!r}")
    own = network.state_dict()
    if not any(key.endswith(COUNTER) for key in given):  # files from before PyTorch 0.4.1 have none
        own = {place: value for place, value in own.items() if not place.endswith(COUNTER)}
    for (key, value), (place, target) in zip(given.items(), own.items(), strict=False):
        if value.shape != target.shape:
            raise UserError(
                f"{origin}: {key!r} has shape {tuple(value.shape)}, where {tuple(target.shape)} belongs ({place})"
            )
    if len(given) != len(own):
        raise UserError(f"{origin}: {len(given)} tensors, where {len(own)} belong")
    network.load_state_dict(network.state_dict() | dict(zip(own, given.values(), strict=True)))


def _place(key: str) -> list[tuple[int, str]]:
    """Sorts keys as their layers run: safetensors files do not keep the order of a state dict."""
    *path, leaf = key.split(".")
    numbers = [(int(part), "") if part.isdigit() else (0, part) for part in path]
    return [*numbers, (LEAVES.index(leaf) if leaf in LEAVES else len(LEAVES), leaf)]
