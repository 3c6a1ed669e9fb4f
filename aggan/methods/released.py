"""Weights of the authors' released code (v1). `aggan-released` in the registry has the same layers.

A released generator keeps its weights under `model.*` and a discriminator under `conv_tower.*`, in the order in which
the layers run. The numbers in between depend on layers without weights, so tensors are matched by order and shape.
"""

from torch import Tensor, nn

from aggan.errors import UserError

StateDict = dict[str, Tensor]
GENERATOR, DISCRIMINATOR = "model.", "conv_tower."
COUNTER = "num_batches_tracked"
LEAVES = ("weight", "bias", "running_mean", "running_var", COUNTER)
"""The tensors of a layer in PyTorch's order."""


def load_generator(network: nn.Module, state: StateDict, origin: str) -> None:
    """Load a released generator into that of `aggan-released`. Raises `UserError` if the two differ."""
    _load(network, state, GENERATOR, origin)


def load_discriminator(network: nn.Module, state: StateDict, origin: str) -> None:
    """Load a released discriminator into that of `aggan-released`. Raises `UserError` if the two differ."""
    _load(network, state, DISCRIMINATOR, origin)


def _load(network: nn.Module, state: StateDict, prefix: str, origin: str) -> None:
    released = {key.removeprefix("module."): state[key] for key in sorted(state, key=_layer_order)}
    stray = next((key for key in released if not key.startswith(prefix)), None)
    if stray is not None:
        kind = "generator" if prefix == GENERATOR else "discriminator"
        raise UserError(f"{origin}: not a released {kind}: {stray!r} is not under {prefix!r}")
    ours = network.state_dict()
    if not any(key.endswith(COUNTER) for key in released):  # files from before PyTorch 0.4.1 have none
        ours = {key: value for key, value in ours.items() if not key.endswith(COUNTER)}
    for (key, value), (our_key, our_value) in zip(released.items(), ours.items(), strict=False):
        if value.shape != our_value.shape:
            shapes = f"{tuple(value.shape)}, but {our_key} needs {tuple(our_value.shape)}"
            raise UserError(f"{origin}: {key!r} has the shape {shapes}")
    if len(released) != len(ours):
        raise UserError(f"{origin}: {len(released)} tensors, but the network has {len(ours)}")
    network.load_state_dict(network.state_dict() | dict(zip(ours, released.values(), strict=True)))


def _layer_order(key: str) -> list[tuple[int, str]]:
    """Sorts keys in the order in which the layers run: safetensors files do not keep the order of a state dict."""
    *path, leaf = key.split(".")
    numbers = [(int(part), "") if part.isdigit() else (0, part) for part in path]
    return [*numbers, (LEAVES.index(leaf) if leaf in LEAVES else len(LEAVES), leaf)]
