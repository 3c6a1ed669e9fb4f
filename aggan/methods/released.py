"""Weights of the authors' released code. `aggan-released` and `aggan-domains-released` have the same layers.

A released generator (v1) keeps its weights under `model.*`, a discriminator under `conv_tower.*`, and the generator for
many domains under `main.*`, in the order in which the layers run. The numbers in between depend on layers without
weights, so tensors are matched by order and shape.
"""

from torch import Tensor, nn

from aggan.errors import UserError

StateDict = dict[str, Tensor]
GENERATOR, DISCRIMINATOR, DOMAIN_GENERATOR = "model.", "conv_tower.", "main."
KINDS = {GENERATOR: "generator", DISCRIMINATOR: "discriminator", DOMAIN_GENERATOR: "generator for many domains"}
COUNTER = "num_batches_tracked"
STATISTICS = ("running_mean", "running_var", COUNTER)
LEAVES = ("weight", "bias", *STATISTICS)
"""The tensors of a layer in PyTorch's order."""


def load_generator(network: nn.Module, state: StateDict, origin: str) -> None:
    """Load a released generator into that of `aggan-released`. Raises `UserError` if the two differ."""
    _load(network, _in_order(state, GENERATOR, origin), origin)


def load_discriminator(network: nn.Module, state: StateDict, origin: str) -> None:
    """Load a released discriminator into that of `aggan-released`. Raises `UserError` if the two differ."""
    _load(network, _in_order(state, DISCRIMINATOR, origin), origin)


def load_domain_generator(network: nn.Module, state: StateDict, origin: str) -> None:
    """Load a released generator for many domains into that of `aggan-domains-released`.

    Its instance norms also kept running statistics, which neither its training nor its translation used. They are left
    out. Raises `UserError` if the two differ.
    """
    released = _in_order(state, DOMAIN_GENERATOR, origin)
    released = {key: value for key, value in released.items() if not key.endswith(STATISTICS)}
    needed = next(network.parameters())
    first = next(iter(released.values()), needed)
    if first.ndim == 4 and first.shape[1] != needed.shape[1]:
        domains, ours = first.shape[1] - 3, needed.shape[1] - 3
        raise UserError(f"{origin}: the generator has {domains} domains, but {ours} are named: name all in its order")
    _load(network, released, origin)


def _in_order(state: StateDict, prefix: str, origin: str) -> StateDict:
    """The tensors in the order in which the layers run. Raises `UserError` if a name lacks the prefix."""
    released = {key.removeprefix("module."): state[key] for key in sorted(state, key=_layer_order)}
    stray = next((key for key in released if not key.startswith(prefix)), None)
    if stray is not None:
        raise UserError(f"{origin}: not a released {KINDS[prefix]}: {stray!r} is not under {prefix!r}")
    return released


def _load(network: nn.Module, released: StateDict, origin: str) -> None:
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
