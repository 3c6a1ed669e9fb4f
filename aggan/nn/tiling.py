"""Networks on tiles of an image: how far a pixel sees, and instance norms with the statistics of the whole image.

A pixel of a translation depends on the pixels around it that its receptive field covers, and on the mean and the
variance of each channel where an instance norm takes them from the image. A tile that is larger than its result by the
receptive field, and that is normalised as the whole image is, gives the same pixels as the whole image.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from aggan.nn.layer_spec import InstanceNorm, Statistics

Network = TypeVar("Network", bound=nn.Module)


def share_weights(network: Network) -> Network:
    """A copy with the same tensors. It needs no memory, and its hooks and statistics are its own."""
    return copy.deepcopy(network, {id(tensor): tensor for tensor in chain(network.parameters(), network.buffers())})


def fix_statistics(network: nn.Module, forward: Callable[[], object]) -> None:
    """Let all instance norms keep the statistics that they meet while `forward` runs the network.

    Several images of a batch have their statistics in common, as if they were parts of one image.
    """
    with _before_forward(network, InstanceNorm, _fix):
        forward()


def halo(network: nn.Module, forward: Callable[[], object], stride: int) -> int:
    """How many pixels around a square of `stride` x `stride` output pixels their receptive fields cover.

    Squares begin at multiples of `stride`, the factor by which the network reduces images inside. So does the
    result: it is rounded up to a multiple. `forward` runs the network once. Its layers count as a chain in the order
    in which they run, since a connection that skips layers sees less than these layers do.
    """
    layers: list[nn.Module] = []
    with _before_forward(network, nn.Module, lambda layer, _: layers.append(layer)):
        forward()
    first, last = 0, stride - 1
    for layer in reversed(layers):
        first, last = _inputs(layer, first, last)
    return -(-max(-first, last - stride + 1, 0) // stride) * stride


def _inputs(layer: nn.Module, first: int, last: int) -> tuple[int, int]:
    """The first and the last input row on which the output rows from `first` to `last` depend."""
    if isinstance(layer, nn.Conv2d):
        (size, *_), (stride, *_), (padding, *_) = layer.kernel_size, layer.stride, layer.padding
        return first * stride - int(padding), last * stride - int(padding) + size - 1
    if isinstance(layer, nn.ConvTranspose2d):
        (size, *_), (stride, *_), (padding, *_) = layer.kernel_size, layer.stride, layer.padding
        return -(-(first + int(padding) - size + 1) // stride), (last + int(padding)) // stride
    if isinstance(layer, nn.Upsample):
        factor = int(layer.scale_factor)  # pyright: ignore[reportArgumentType]
        return first // factor, last // factor
    if isinstance(layer, nn.PixelShuffle):
        return first // layer.upscale_factor, last // layer.upscale_factor
    return first, last  # norms, activations and containers


def _fix(norm: nn.Module, inputs: tuple[Any, ...]) -> None:
    (x,) = inputs
    assert isinstance(norm, InstanceNorm)
    assert isinstance(x, Tensor)
    variance, mean = torch.var_mean(x.detach().float(), dim=(0, 2, 3), correction=0)
    norm.statistics = Statistics(mean, variance)


@contextmanager
def _before_forward(
    network: nn.Module, kind: type[nn.Module], hook: Callable[[nn.Module, tuple[Any, ...]], None]
) -> Iterator[None]:
    """Inside, a hook is called before each layer of a kind computes."""
    handles = [layer.register_forward_pre_hook(hook) for layer in network.modules() if isinstance(layer, kind)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
