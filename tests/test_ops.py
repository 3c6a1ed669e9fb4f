"""CPU kernels: each against PyTorch's convolutions, in values, gradients and second derivatives; and their switch."""

import copy
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from tiny_models import shrunk
from torch import Tensor, nn

from aggan.methods.base import Task
from aggan.nn.layer_spec import nearest, no_norm
from aggan.ops import windows
from aggan.ops.derived import cast, derived, unchanged_weights
from aggan.ops.dispatch import (
    FastConv2d,
    FastConvTranspose2d,
    FastUpsampledConv2d,
    plain_convolutions,
    use_fast_convolutions,
)
from aggan.ops.im2col import MIN_CHANNEL_PRODUCTS_PER_PIXEL
from aggan.types import Translation

FUNCTIONS = {
    "im2col": ("conv2d", "conv_transpose2d"),
    "small_output": ("conv2d",),
    "winograd": ("conv2d",),
    "windows": ("convolution",),
    "upsampled": ("conv2d",),
}
"""The functions of each kernel."""
ALWAYS = {
    "im2col": {"MIN_CHANNEL_PRODUCTS_PER_PIXEL": 0},
    "small_output": {"MIN_PRODUCTS": 0},
    "winograd": {"MIN_PIXELS": 0, "MIN_CHANNELS": 0},
    "windows": {
        "has_avx2_only": lambda: False,
        "has_avx512": lambda: True,
        "FORWARD_PIXELS": 9999,
        "GRADIENT_PIXELS": 9999,
    },
    "windows with AVX2": {"MIN_CHANNELS": 0, "MAX_BAND_NUMEL": 1, "has_avx2_only": lambda: True},
}
"""Settings that choose a kernel whatever the shapes, as far as it supports them."""


def always(kernel: str, monkeypatch) -> None:
    for name, value in ALWAYS[kernel].items():
        monkeypatch.setattr(f"aggan.ops.{kernel.split()[0]}.{name}", value)


def channels_last(module: nn.Module) -> nn.Module:
    return module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def derivatives(layer: nn.Module, images: int, side: int, twice: bool) -> list[Tensor]:
    """The output, its gradients, and with `twice` second derivatives as in a gradient penalty."""
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    x = torch.linspace(-1, 1, images * layer.in_channels * side * side, dtype=torch.float64).sin()
    x = x.view(images, layer.in_channels, side, side).requires_grad_()
    y = layer(x)
    first = torch.autograd.grad(y.pow(3).sum(), (x, *layer.parameters()), create_graph=twice)
    second = torch.autograd.grad(first[0].square().sum(), (x, layer.weight)) if twice else ()
    return [y, *first, *second]


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize(
    ("kernel", "layer", "side"),
    [
        ("im2col", nn.Conv2d(48, 64, 4, 2, 1), 2),
        ("im2col", nn.Conv2d(48, 64, 4, 1, 1), 3),
        ("im2col", nn.Conv2d(48, 64, 3, 2, 1, bias=False), 5),
        ("im2col", nn.Conv2d(48, 64, 3, padding=1, padding_mode="reflect"), 2),
        ("im2col", nn.ConvTranspose2d(64, 48, 4, 2, 1), 1),
        ("im2col", nn.ConvTranspose2d(64, 48, 3, 2, 1, output_padding=1), 3),
        ("im2col", nn.ConvTranspose2d(64, 48, 5, 2, 2, output_padding=1, bias=False), 2),
        ("small_output", nn.Conv2d(5, 4, 7, padding=3, padding_mode="reflect"), 8),
        ("small_output", nn.Conv2d(5, 3, 7, padding=3, bias=False), 6),
        ("small_output", nn.Conv2d(6, 1, 4, padding=1), 9),
        ("small_output", nn.Conv2d(6, 1, 4), 7),
        ("winograd", nn.Conv2d(5, 7, 3, padding=1, padding_mode="reflect"), 8),
        ("winograd", nn.Conv2d(7, 5, 3, padding=1, bias=False), 6),
        ("winograd", nn.Conv2d(4, 8, 3), 8),
        ("windows", nn.Conv2d(5, 7, 4, 2, 1), 9),
        ("windows", nn.Conv2d(5, 1, 4, 1, 1), 7),
        ("windows", nn.Conv2d(5, 7, 3, padding=1, padding_mode="reflect", bias=False), 7),
        ("windows", nn.ConvTranspose2d(5, 7, 4, 2, 1), 5),
        ("windows with AVX2", nn.Conv2d(5, 7, 4, 2, 1), 9),
        ("windows with AVX2", nn.Conv2d(5, 7, 3, padding=1, padding_mode="reflect", bias=False), 7),
        ("windows with AVX2", nn.ConvTranspose2d(5, 7, 3, 2, 1, output_padding=1), 6),
        ("windows with AVX2", nn.ConvTranspose2d(5, 7, 4, 2, 1, bias=False), 5),
    ],
)
def test_fast_convolutions_equal_pytorchs(kernel, layer, side, images, monkeypatch):
    always(kernel, monkeypatch)
    torch.manual_seed(0)
    layer = channels_last(copy.deepcopy(layer).double())  # the cases share their layers
    orders = (False,) if kernel == "winograd" else (False, True)
    expected = {twice: derivatives(layer, images, side, twice) for twice in orders}
    use_fast_convolutions(layer)
    assert type(layer) in (FastConv2d, FastConvTranspose2d)
    monkeypatch.setattr(nn.Conv2d, "forward", None)  # PyTorch's convolutions are not called
    monkeypatch.setattr(nn.ConvTranspose2d, "forward", None)
    for twice, tensors in expected.items():
        for fast, plain in zip(derivatives(layer, images, side, twice), tensors, strict=True):
            torch.testing.assert_close(fast, plain)


@pytest.mark.parametrize("images", [1, 3])
def test_the_convolution_of_a_doubled_map_equals_pytorchs(images):
    torch.manual_seed(0)
    layers = channels_last(nearest(5, 7, no_norm).double())
    x = torch.randn(images, 5, 3, 4, dtype=torch.float64, requires_grad=True)
    results = []
    for fast in (False, True):
        if fast:
            use_fast_convolutions(layers)
            assert any(isinstance(layer, FastUpsampledConv2d) for layer in layers.children())
        y = layers(x)
        first = torch.autograd.grad(y.pow(3).sum(), (x, *layers.parameters()), create_graph=True)
        second = torch.autograd.grad(first[0].square().sum(), (x, *layers.parameters()))
        results.append((y, *first, *second))
    for plain, fast in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain)
    with plain_convolutions():
        assert layers(x).equal(results[0][0])


def test_only_a_reflecting_convolution_after_doubling_is_computed_before_it():
    doubled = nn.Upsample(scale_factor=2, mode="nearest")
    others = [
        (doubled, nn.Conv2d(5, 7, 3, padding=1)),
        (doubled, nn.Conv2d(5, 7, 5, padding=2, padding_mode="reflect")),
        (nn.Upsample(scale_factor=3), nn.Conv2d(5, 7, 3, padding=1, padding_mode="reflect")),
        (nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(5, 7, 3, padding=1, padding_mode="reflect")),
    ]
    for first, second in others:
        layers = nn.Sequential(first, second)
        use_fast_convolutions(layers)
        assert [type(layer) for layer in layers] == [nn.Upsample, FastConv2d]


def test_what_follows_from_a_weight_is_computed_once_while_no_weight_changes():
    weight, calls = nn.Parameter(torch.ones(2)), []

    def half(weight: Tensor, dtype: torch.dtype) -> Tensor:
        calls.append(dtype)
        return cast(weight / 2, dtype)

    with unchanged_weights():
        for _ in range(2):
            assert derived(half, weight, torch.bfloat16).tolist() == [0.5, 0.5]
    assert calls == [torch.bfloat16]
    with torch.no_grad():
        weight.mul_(2)
    for _ in range(2):
        assert derived(half, weight, torch.bfloat16).tolist() == [1, 1]
    assert len(calls) == 3
    assert not derived(half, weight, torch.float32).requires_grad


@pytest.mark.parametrize("side", [32, 12])  # Winograd's, and windows'
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
def test_fast_convolutions_in_bfloat16_are_close_to_pytorchs(padding_mode, side, monkeypatch):
    set_capability(monkeypatch, "AVX512")
    torch.manual_seed(0)
    layer = channels_last(nn.Conv2d(128, 128, 3, padding=1, padding_mode=padding_mode))
    x, results = torch.randn(1, 128, side, side).relu(), []
    for fast in (False, True):
        if fast:
            use_fast_convolutions(layer)
        with torch.autocast("cpu", torch.bfloat16):
            y = layer(x)
        assert y.dtype == torch.bfloat16
        results.append((y, *torch.autograd.grad(y.float().square().mean(), tuple(layer.parameters()))))
    for plain, fast in zip(*results, strict=True):
        assert (plain.float() - fast.float()).norm() < 0.01 * plain.float().norm()
        assert plain.dtype == fast.dtype


def test_reflection_padding_stays_in_bfloat16():
    layer, saved = nn.Conv2d(3, 5, 3, padding=1, padding_mode="reflect"), []
    use_fast_convolutions(layer)
    x = torch.rand(1, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16), torch.autograd.graph.saved_tensors_hooks(saved.append, lambda t: t):
        y = layer(x.requires_grad_())
    assert {tensor.dtype for tensor in saved if tensor.shape[-1] == 10} == {torch.bfloat16}
    torch.testing.assert_close(y.float(), layer(x), atol=0.02, rtol=0.02)


@pytest.mark.parametrize(
    ("layer", "sides", "kernel", "kernel_with_avx2"),
    [
        (nn.Conv2d(64, 64, 4, 2, 1), (2, 2 * 64 * 64 // MIN_CHANNEL_PRODUCTS_PER_PIXEL), "im2col", "im2col"),
        (nn.Conv2d(64, 64, 4, 2, 1), (2, 2 * 64 * 64 // MIN_CHANNEL_PRODUCTS_PER_PIXEL + 2), "windows", "windows"),
        (nn.Conv2d(32, 4, 7, padding=3), (64, 64), "small_output", "small_output"),
        (nn.Conv2d(32, 4, 7, padding=3), (64, 63), "torch", "torch"),
        (nn.Conv2d(32, 5, 7, padding=3), (64, 64), "torch", "torch"),
        (nn.Conv2d(32, 4, 7, padding=3), (8, 8), "windows", "torch"),
        (nn.Conv2d(256, 256, 3, padding=1), (32, 32), "winograd", "winograd"),
        (nn.Conv2d(256, 256, 3, padding=1), (16, 16), "windows", "windows"),
        (nn.Conv2d(256, 256, 3, padding=1), (32, 33), "torch", "windows"),
        (nn.Conv2d(256, 256, 1), (16, 16), "torch", "windows"),
        (nn.Conv2d(256, 256, 3, 2, 1), (64, 64), "torch", "windows"),
        (nn.Conv2d(256, 64, 3, padding=1), (64, 64), "torch", "windows"),
        (nn.Conv2d(63, 128, 3, 2, 1), (64, 64), "torch", "torch"),
        (nn.Conv2d(64, 128, 3, 2, 1).requires_grad_(False), (64, 64), "torch", "torch"),
        (nn.Conv2d(64, 128, 3, 2, 1).requires_grad_(False), (8, 8), "windows", "torch"),
        (nn.ConvTranspose2d(128, 64, 3, 2, 1), (32, 32), "torch", "windows"),
        (nn.ConvTranspose2d(128, 64, 3, 2, 1), (16, 16), "windows", "windows"),
        (nn.ConvTranspose2d(128, 63, 3, 2, 1), (32, 32), "torch", "torch"),
    ],
)
def test_each_convolution_chooses_the_fastest_kernel(layer, sides, kernel, kernel_with_avx2, monkeypatch):
    monkeypatch.setattr("aggan.ops.winograd.MIN_PIXELS", 1024)  # of CPUs with AVX-512
    calls = record_kernels(monkeypatch, lambda x: x)
    for function in ("conv2d", "conv_transpose2d"):
        monkeypatch.setattr(nn.functional, function, lambda x, *_: calls.append("torch") or x)
    layer = copy.deepcopy(layer)
    use_fast_convolutions(layer)
    for capability in ("AVX512", "AVX2", "DEFAULT"):
        set_capability(monkeypatch, capability)
        layer(torch.zeros(1, layer.in_channels, *sides))
    assert calls[:2] == [kernel, kernel_with_avx2]
    assert calls[2] != "windows"  # nothing was measured there


def set_capability(monkeypatch, capability: str) -> None:
    """Let the kernels choose as on another CPU."""
    monkeypatch.setattr("aggan.ops.windows.has_avx2_only", lambda: capability == "AVX2")
    monkeypatch.setattr("aggan.ops.windows.has_avx512", lambda: capability == "AVX512")


@pytest.mark.parametrize(("pixels", "output", "weight_gradient"), [(256, True, True), (257, False, False)])
def test_in_bfloat16_products_with_windows_are_faster_up_to_twice_the_pixels(
    pixels, output, weight_gradient, monkeypatch
):
    set_capability(monkeypatch, "AVX512")
    weight = nn.Parameter(torch.zeros(128, 64, 3, 3))
    assert windows.choose(weight, pixels, torch.bfloat16) == (output, weight_gradient)
    assert windows.choose(weight, (pixels + 1) // 2, torch.float32).output == output
    with torch.no_grad():
        assert not windows.choose(weight, 1, torch.float32).weight_gradient


def record_kernels(monkeypatch, output: Callable[[Tensor], Tensor] | None = None) -> list[str]:
    """A list to which every kernel call appends the kernel's name; `output` replaces what the kernel returns."""
    calls: list[str] = []

    def recorded(kernel: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def record(x: Tensor, *args: object) -> Tensor:
            calls.append(kernel)
            return output(x) if output else function(x, *args)

        return record

    for kernel, functions in FUNCTIONS.items():
        module = sys.modules[f"aggan.ops.{kernel}"]
        for name in functions:
            monkeypatch.setattr(module, name, recorded(kernel, getattr(module, name)))
    return calls


def test_grouped_dilated_and_non_square_convolutions_stay_pytorchs():
    network = nn.Sequential(nn.Conv2d(8, 8, 3, dilation=2), nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(8, 8, (1, 3)))
    use_fast_convolutions(network)
    assert {type(layer) for layer in network} == {nn.Conv2d}


def test_a_second_derivative_of_a_winograd_convolution_raises():
    layer = nn.Conv2d(256, 256, 3, padding=1)
    use_fast_convolutions(layer)
    x = torch.rand(1, 256, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.square().sum().backward()


# --- the switch


def output_and_gradients(network: nn.Module, image: Tensor) -> tuple[Tensor, Tensor]:
    """The output, and the gradients with respect to the image and all parameters in one vector."""
    image = image.clone(memory_format=torch.channels_last).requires_grad_()
    output = network(image)
    y = output.image if isinstance(output, Translation) else output
    gradients = torch.autograd.grad(y.sin().sum(), (image, *network.parameters()))
    return y.detach(), torch.cat([gradient.flatten() for gradient in gradients])


@pytest.mark.parametrize("name", ["G_xy", "D_x"])
def test_plain_convolutions_agree_with_fast_ones_and_call_no_kernel(name, monkeypatch):
    for kernel in ALWAYS:
        always(kernel, monkeypatch)
    monkeypatch.setattr("aggan.ops.im2col.MIN_CHANNEL_PRODUCTS_PER_PIXEL", 4)  # for the last layers only
    network = channels_last(shrunk("aggan").build(Task(("x", "y"), 64)).get_submodule(name))
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    calls = record_kernels(monkeypatch)
    plain = output_and_gradients(network, image)

    with plain_convolutions():
        use_fast_convolutions(network)
        assert not any(isinstance(layer, FastConv2d | FastConvTranspose2d) for layer in network.modules())
    use_fast_convolutions(network)
    with plain_convolutions():
        switched_off = output_and_gradients(network, image)
    assert not calls
    fast = output_and_gradients(network, image)

    expected = {"G_xy": {"small_output", "winograd", "windows"}, "D_x": {"im2col", "small_output", "windows"}}
    assert set(calls) == expected[name]
    for before, off, on in zip(plain, switched_off, fast, strict=True):
        assert torch.equal(before, off)
        assert (on - off).norm() <= 1e-5 * off.norm()


@pytest.mark.parametrize(("value", "expected"), [("1", "Conv2d"), ("0", "FastConv2d"), (None, "FastConv2d")])
def test_the_environment_variable_switches_the_kernels_off(value, expected, monkeypatch):
    program = """
from torch import nn
from aggan.ops.dispatch import use_fast_convolutions
layer = nn.Conv2d(1, 1, 3)
use_fast_convolutions(layer)
print(type(layer).__name__)
"""
    monkeypatch.delenv("AGGAN_PLAIN_CONVOLUTIONS", raising=False)
    if value is not None:
        monkeypatch.setenv("AGGAN_PLAIN_CONVOLUTIONS", value)
    output = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert output.strip() == expected
