"""Architectures: layers in order, parameters to the last one, sizes, and what surrounds them."""

import copy

import pytest
import torch
from torch import nn
from worlds import shrunk

from aggan.errors import UserError
from aggan.methods import aggan
from aggan.methods.base import Task
from aggan.methods.registry import CATALOGUE
from aggan.nn.activation_checkpointing import save_memory
from aggan.nn.diffaug import Augmented
from aggan.nn.discriminators import DomainDiscriminator, verdicts
from aggan.nn.freeze import frozen
from aggan.nn.generators import resnet
from aggan.nn.image_pool import Pool
from aggan.nn.init import initialise
from aggan.nn.layer_spec import NORMS, InstanceNorm, Style, layers
from aggan.ops.dispatch import QuickConv2d, QuickConvTranspose2d, quicken
from aggan.ops.im2col import FILTERS_A_PIXEL

TASK = Task(("x", "y"), 256)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


CONFIGS = {name: config for name, config in CATALOGUE.items() if isinstance(config, aggan.Config)}


@pytest.fixture(scope="module", params=list(CONFIGS))
def built(request):
    return request.param, CATALOGUE[request.param].build(TASK)


def test_parameters_of_every_entry(built):
    name, system = built
    generator = {"aggan-released": 7_931_332, "aggan-no-ad-ag": 7_837_699}.get(name, 7_840_836)
    affine = 2 * (64 + 128 + 256 + 512) if name == "aggan-released" else 0
    assert count(system.G_xy) == count(system.G_yx) == generator
    assert count(system.D_x) == count(system.D_y) == 6_951_873 + affine
    assert name != "aggan-released" or count(system.D_x) == 6_953_793
    assert hasattr(system, "D_ya") == (name == "aggan")
    if name == "aggan":
        assert count(system.D_ya) == count(system.D_xa) == 6_952_897


@pytest.mark.parametrize(("blocks", "expected"), [(5, 6_660_676), (6, 7_840_836), (9, 11_381_316)])
def test_generators_of_five_six_and_nine_blocks(blocks, expected):
    config = aggan.Config().model_copy(update={"generator_blocks": blocks})
    assert count(config.generator()) == expected


def test_batch_norm_discriminators_have_the_papers_counts():
    config = aggan.Config().model_copy(update={"discriminator_norm": "batch"})
    assert (count(config.critic(3)), count(config.critic(4))) == (6_953_793, 6_954_817)


def test_notation_gives_the_papers_layers():
    trunk, channels = layers(resnet(64, 2), 3, Style(NORMS["batch"]))
    assert channels == 64
    convolutions = [
        (type(m).__name__, m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0])
        for m in trunk.modules()
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    ]
    assert convolutions == [
        ("Conv2d", 3, 64, 7, 1),
        ("Conv2d", 64, 128, 3, 2),
        ("Conv2d", 128, 256, 3, 2),
        *[("Conv2d", 256, 256, 3, 1)] * 4,
        ("ConvTranspose2d", 256, 128, 3, 2),
        ("ConvTranspose2d", 128, 64, 3, 2),
    ]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in trunk.modules()) == len(convolutions)


def test_notation_of_the_papers_discriminator():
    tower, channels = layers("C64 C128 C256 C512 C512s1+", 4, Style(NORMS["batch"], slope=0.2))
    assert channels == 512
    kinds = [[type(m).__name__ for m in part] for part in tower if isinstance(part, nn.Sequential)]
    assert kinds[0] == ["Conv2d", "BatchNorm2d", "LeakyReLU"]
    assert kinds[-1] == ["Conv2d", "Identity", "LeakyReLU"]
    strides = [m.stride[0] for m in tower.modules() if isinstance(m, nn.Conv2d)]
    assert strides == [2, 2, 2, 2, 1]


def test_a_word_that_is_no_layer_is_refused():
    with pytest.raises(ValueError, match="'x9'"):
        layers("c7s1-8 x9", 3, Style())


@pytest.mark.parametrize("upsampling", ["transposed", "pixelshuffle", "nearest"])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (36, 64)])
def test_a_translation_has_the_size_and_range_of_a_picture(small, upsampling, height, width):
    generator = small.model_copy(update={"upsampling": upsampling}).generator()
    initialise(generator, 0.5)
    made = generator(torch.rand(2, 3, height, width) * 2 - 1)
    assert made.image.shape == made.content.shape == (2, 3, height, width)
    assert made.mask.shape == (2, 1, height, width)
    assert made.image.abs().max() <= 1
    assert 0 <= made.mask.min() <= made.mask.max() <= 1


@pytest.mark.parametrize("upsampling", ["transposed", "pixelshuffle", "nearest"])
@pytest.mark.parametrize("pictures", [1, 2])
def test_gradients_do_not_depend_on_the_memory_format(small, upsampling, pictures):
    generator = small.model_copy(update={"upsampling": upsampling}).generator()
    picture = torch.rand(pictures, 3, 32, 32) * 2 - 1
    found = []
    for memory in (torch.contiguous_format, torch.channels_last):
        generator.to(memory_format=memory).zero_grad()
        generator(picture.to(memory_format=memory)).image.square().mean().backward()
        found.append([p.grad.clone() for p in generator.parameters()])
    for plain, fast in zip(*found, strict=True):
        torch.testing.assert_close(plain, fast, atol=1e-7, rtol=1e-3)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("pictures", [1, 3])
def test_instance_norm_is_torchs(pictures, memory):
    x = torch.randn(pictures, 4, 5, 6) * 3 + 1
    made = InstanceNorm(4)(x.to(memory_format=memory))
    torch.testing.assert_close(made, nn.InstanceNorm2d(4)(x))
    assert made.is_contiguous(memory_format=memory)


def test_instance_norm_has_a_gradient_of_its_gradient():
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64).to(memory_format=torch.channels_last).requires_grad_()
    assert torch.autograd.gradgradcheck(InstanceNorm(3), x)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_real_and_fake_pictures_are_judged_as_if_alone(small, norm):
    discriminator = small.model_copy(update={"discriminator_norm": norm}).critic(channels=3)
    real, fake = torch.randn(2, 3, 64, 64), torch.randn(1, 3, 64, 64) - 1
    of_real, of_fake = verdicts(discriminator, real, fake)
    torch.testing.assert_close(of_real, discriminator(real))
    torch.testing.assert_close(of_fake, discriminator(fake))


def test_without_attention_the_mask_is_one(small):
    made = small.model_copy(update={"attention_guided_generators": False}).generator()(torch.rand(1, 3, 32, 32))
    assert torch.equal(made.image, made.content)
    assert torch.equal(made.mask, torch.ones(1, 1, 32, 32))


@pytest.mark.parametrize(
    ("channels", "kind", "shape"),
    [(3, "pooled", (2, 1, 1, 1)), (4, "patch", (2, 1, 6, 6)), (3, "patch142", (2, 1, 2, 2))],
)
def test_discriminators_say_one_number_a_picture_or_a_patch(small, channels, kind, shape):
    critic = small.model_copy(update={"discriminator": kind}).critic(channels)
    assert critic(torch.rand(2, channels, 64, 64)).shape == shape


@pytest.mark.parametrize(("name", "size"), [("aggan", 31), ("aggan-released", 93)])
def test_too_small_pictures_are_refused_in_one_sentence(name, size):
    with pytest.raises(UserError, match="at least"):
        CATALOGUE[name].build(Task(("x", "y"), size))


@pytest.mark.parametrize(("name", "size"), [("aggan", 32), ("aggan-released", 94)])
def test_the_smallest_pictures_pass_through(name, size):
    critic = CONFIGS[name].critic(3)
    assert critic(torch.rand(1, 3, size, size)).shape == (1, 1, 1, 1)


@pytest.mark.parametrize(("padding", "size"), [(0, 142), (1, 48)])
def test_the_smallest_pictures_of_large_patches(small, padding, size):
    config = small.model_copy(update={"discriminator": "patch142", "discriminator_padding": padding})
    assert config.critic(3)(torch.rand(2, 3, size, size)).shape == (2, 1, 1, 1)
    with pytest.raises(UserError, match=f"at least {size} px"):
        config.build(Task(("x", "y"), size - 1))


def test_more_than_two_domains_are_refused():
    with pytest.raises(UserError, match="two domains"):
        CATALOGUE["aggan"].build(Task(("a", "b", "c"), 64))


def test_weights_begin_at_a_deviation_of_two_hundredths():
    convolution, norm = nn.Conv2d(64, 64, 3), nn.BatchNorm2d(512)
    initialise(nn.Sequential(convolution, norm))
    assert float(convolution.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert float(norm.weight.detach().mean()) == pytest.approx(1, abs=0.01)
    assert convolution.bias is not None
    assert not convolution.bias.any()


def test_frozen_networks_pass_gradients_on_and_take_none():
    network, x = nn.Linear(2, 1), torch.ones(1, 2, requires_grad=True)
    with frozen(network):
        loss = network(x).sum()
    loss.backward()
    assert x.grad is not None
    assert network.weight.grad is None
    assert network.weight.requires_grad


def test_frozen_leaves_what_was_frozen_before():
    network = nn.Linear(2, 1)
    network.bias.requires_grad_(False)
    with frozen(network):
        pass
    assert not network.bias.requires_grad


def test_the_pool_keeps_pairs_together_and_gives_past_ones():
    pool, seen = Pool(5), 0
    for number in range(100):
        mask, image = torch.full((2, 1, 1, 1), float(number)), torch.full((2, 3, 1, 1), float(number))
        past_mask, past_image = pool(mask, image)
        assert torch.equal(past_mask.expand_as(past_image), past_image)
        seen += int((past_mask != number).sum())
    assert len(pool.stored) == 5
    assert 60 < seen < 140


def test_a_pool_of_nothing_hands_the_fresh_ones_back():
    (given,) = Pool(0)(torch.ones(2, 3, 1, 1))
    assert torch.equal(given, torch.ones(2, 3, 1, 1))


def test_the_pool_survives_a_state_dict():
    pool, other = Pool(3), Pool(3)
    pool(torch.arange(3.0).view(3, 1, 1, 1))
    other.load_state_dict(pool.state_dict())
    assert [float(part[0]) for part in other.stored] == [0.0, 1.0, 2.0]


def test_what_a_pool_kept_elsewhere_comes_to_where_the_fresh_ones_are():
    pool = Pool(1)
    pool.set_extra_state([(torch.zeros(3, 1, 1),)])
    assert {made.device.type for _ in range(8) for made in pool(torch.zeros(1, 3, 1, 1, device="meta"))} == {"meta"}


def test_augmentation_moves_mask_and_picture_alike():
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 12:20, 12:20] = 1
    seen = Augmented(nn.Identity(), 1.0)(torch.cat((mask, mask.expand(1, 3, 32, 32)), 1)).detach()
    inside = seen[:, :1] == 1
    assert inside.sum() == 64
    colours = seen[:, 1:2]
    assert colours[inside].unique().numel() == 1
    assert not torch.equal(seen[:, :1], mask)


def test_augmentation_with_probability_zero_changes_nothing():
    picture = torch.rand(4, 3, 32, 32)
    assert torch.equal(Augmented(nn.Identity(), 0.0)(picture), picture)


@pytest.mark.parametrize("name", ["aggan", "aggan-released", "stargan"])
def test_what_is_computed_twice_learns_the_same_and_counts_its_statistics_once(name):
    image, codes = torch.rand(2, 3, 32, 32) * 2 - 1, torch.eye(2)
    found = []
    for twice in (False, True):
        torch.manual_seed(0)
        network = next(iter(shrunk(name).build(Task(("x", "y"), 64)).children()))
        assert not twice or save_memory(network)
        made = network(image, codes) if name == "stargan" else network(image).image
        made.square().mean().backward()
        buffers = {key: value.clone() for key, value in network.named_buffers()}
        found.append(({key: p.grad for key, p in network.named_parameters()}, buffers))
    for once, again in zip(*found, strict=True):
        assert once.keys() == again.keys()
        for key, value in once.items():
            assert torch.equal(value, again[key]), key


def test_networks_without_such_layers_are_told_apart():
    assert not save_memory(shrunk("pix2pix").build(Task(("x", "y"), 64)))


def told_by(layer, pictures, side, twice):
    """What comes out, gradients, and with `twice` gradients of gradients, as a gradient penalty has them."""
    x = torch.linspace(-1, 1, pictures * layer.in_channels * side * side, dtype=torch.float64).sin()
    x = x.view(pictures, layer.in_channels, side, side).requires_grad_()
    out = layer(x)
    first = torch.autograd.grad(out.pow(3).sum(), (x, *layer.parameters()), create_graph=twice)
    return [out, *first, *(torch.autograd.grad(first[0].square().sum(), (x, layer.weight)) if twice else ())]


ALWAYS = {
    "narrow": {"narrow.FILTERS_A_PIXEL": 0},
    "few": {"few.LEAST_PRODUCTS": 0},
    "winograd": {"winograd.LEAST_PIXELS": 0, "winograd.LEAST_CHANNELS": 0},
    "filters": {"filters.LEAST_CHANNELS": 0, "filters.MOST_NUMBERS": 1, "filters.stops_at_avx2": lambda: True},
}
"""What makes each way be taken whatever the size."""


@pytest.mark.parametrize("pictures", [1, 3])
@pytest.mark.parametrize(
    ("way", "layer", "side"),
    [
        ("narrow", nn.Conv2d(48, 64, 4, 2, 1), 2),
        ("narrow", nn.Conv2d(48, 64, 4, 1, 1), 3),
        ("narrow", nn.Conv2d(48, 64, 3, 2, 1, bias=False), 5),
        ("narrow", nn.Conv2d(48, 64, 3, padding=1, padding_mode="reflect"), 2),
        ("narrow", nn.ConvTranspose2d(64, 48, 4, 2, 1), 1),
        ("narrow", nn.ConvTranspose2d(64, 48, 3, 2, 1, output_padding=1), 3),
        ("narrow", nn.ConvTranspose2d(64, 48, 5, 2, 2, output_padding=1, bias=False), 2),
        ("few", nn.Conv2d(5, 4, 7, padding=3, padding_mode="reflect"), 8),
        ("few", nn.Conv2d(5, 3, 7, padding=3, bias=False), 6),
        ("few", nn.Conv2d(6, 1, 4, padding=1), 9),
        ("few", nn.Conv2d(6, 1, 4), 7),
        ("winograd", nn.Conv2d(5, 7, 3, padding=1, padding_mode="reflect"), 8),
        ("winograd", nn.Conv2d(7, 5, 3, padding=1, bias=False), 6),
        ("winograd", nn.Conv2d(4, 8, 3), 8),
        ("filters", nn.Conv2d(5, 7, 4, 2, 1), 9),
        ("filters", nn.Conv2d(5, 7, 3, padding=1, padding_mode="reflect", bias=False), 7),
        ("filters", nn.ConvTranspose2d(5, 7, 3, 2, 1, output_padding=1), 6),
        ("filters", nn.ConvTranspose2d(5, 7, 4, 2, 1, bias=False), 5),
    ],
)
def test_quick_convolutions_are_convolutions(way, layer, side, pictures, monkeypatch):
    for name, value in ALWAYS[way].items():
        monkeypatch.setattr(f"aggan.nn.{name}", value)
    torch.manual_seed(0)
    layer = copy.deepcopy(layer).double()  # parameters are shared by the cases
    layer.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    plain = {
        twice: told_by(layer, pictures, side, twice) for twice in ((False,) if way == "winograd" else (False, True))
    }
    quicken(layer)
    assert type(layer) in (QuickConv2d, QuickConvTranspose2d)
    monkeypatch.setattr(nn.Conv2d, "forward", None)  # the plain way is not taken
    monkeypatch.setattr(nn.ConvTranspose2d, "forward", None)
    for twice, told in plain.items():
        for one, other in zip(told_by(layer, pictures, side, twice), told, strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
def test_in_bfloat16_quick_convolutions_stay_near(padding_mode):
    torch.manual_seed(0)
    layer = nn.Conv2d(128, 128, 3, padding=1, padding_mode=padding_mode)
    layer.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    x, found = torch.randn(1, 128, 32, 32).relu(), []
    for quick in (False, True):
        if quick:
            quicken(layer)
        with torch.autocast("cpu", torch.bfloat16):
            out = layer(x)
        assert out.dtype == torch.bfloat16
        found.append((out, *torch.autograd.grad(out.float().square().mean(), tuple(layer.parameters()))))
    for plain, quick in zip(*found, strict=True):
        assert (plain.float() - quick.float()).norm() < 0.01 * plain.float().norm()
        assert plain.dtype == quick.dtype


def test_a_reflected_border_stays_in_bfloat16():
    layer, seen = nn.Conv2d(3, 5, 3, padding=1, padding_mode="reflect"), []
    quicken(layer)
    x = torch.rand(1, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16), torch.autograd.graph.saved_tensors_hooks(seen.append, lambda t: t):
        out = layer(x.requires_grad_())
    assert {tensor.dtype for tensor in seen if tensor.shape[-1] == 10} == {torch.bfloat16}
    torch.testing.assert_close(out.float(), layer(x), atol=0.02, rtol=0.02)


@pytest.mark.parametrize(
    ("layer", "side", "taken", "with_avx2"),
    [
        (nn.Conv2d(64, 64, 4, 2, 1), (2, 2 * 64 * 64 // FILTERS_A_PIXEL), "narrow", "narrow"),
        (nn.Conv2d(64, 64, 4, 2, 1), (2, 2 * 64 * 64 // FILTERS_A_PIXEL + 2), "plain", "filters"),
        (nn.Conv2d(32, 4, 7, padding=3), (64, 64), "few", "few"),
        (nn.Conv2d(32, 4, 7, padding=3), (64, 63), "plain", "plain"),
        (nn.Conv2d(32, 5, 7, padding=3), (64, 64), "plain", "plain"),
        (nn.Conv2d(32, 4, 7, padding=3), (8, 8), "plain", "plain"),
        (nn.Conv2d(256, 256, 3, padding=1), (32, 32), "winograd", "winograd"),
        (nn.Conv2d(256, 256, 3, padding=1), (16, 16), "plain", "filters"),
        (nn.Conv2d(256, 256, 3, padding=1), (32, 33), "plain", "filters"),
        (nn.Conv2d(256, 256, 3, 2, 1), (64, 64), "plain", "filters"),
        (nn.Conv2d(256, 64, 3, padding=1), (64, 64), "plain", "filters"),
        (nn.Conv2d(63, 128, 3, 2, 1), (64, 64), "plain", "plain"),
        (nn.Conv2d(64, 128, 3, 2, 1).requires_grad_(False), (64, 64), "plain", "plain"),
        (nn.ConvTranspose2d(128, 64, 3, 2, 1), (32, 32), "plain", "filters"),
        (nn.ConvTranspose2d(128, 63, 3, 2, 1), (32, 32), "plain", "plain"),
    ],
)
def test_each_convolution_goes_the_way_that_pays(layer, side, taken, with_avx2, monkeypatch):
    monkeypatch.setattr("aggan.ops.winograd.LEAST_PIXELS", 1024)  # of processors with AVX-512
    ways = []
    for way in ("narrow", "few", "winograd", "filters"):
        monkeypatch.setattr(f"aggan.nn.{way}.convolve", lambda x, *_, way=way: ways.append(way) or x)
    for plain in ("conv2d", "conv_transpose2d"):
        monkeypatch.setattr(nn.functional, plain, lambda x, *_: ways.append("plain") or x)
    layer = copy.deepcopy(layer)
    quicken(layer)
    for avx2 in (False, True):
        monkeypatch.setattr("aggan.ops.weight_grad.stops_at_avx2", lambda avx2=avx2: avx2)
        layer(torch.zeros(1, layer.in_channels, *side))
    assert ways == [taken, with_avx2]


def test_other_kinds_of_convolutions_stay_as_they_are():
    network = nn.Sequential(nn.Conv2d(8, 8, 3, dilation=2), nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(8, 8, (1, 3)))
    quicken(network)
    assert {type(layer) for layer in network} == {nn.Conv2d}


def test_a_gradient_of_a_winograd_gradient_is_refused_not_wrong():
    layer = nn.Conv2d(256, 256, 3, padding=1)
    quicken(layer)
    x = torch.rand(1, 256, 32, 32, requires_grad=True)
    (slope,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.square().sum().backward()


def test_real_and_fake_are_compared_as_if_each_were_alone():
    torch.manual_seed(0)
    critic, real, fake = DomainDiscriminator(64, 3, 2), torch.rand(2, 3, 64, 64), torch.rand(3, 3, 64, 64)
    told = critic.compare(real, fake)
    for one, alone in zip(told, (critic(real)[0], critic(fake)[0], critic(real)[1]), strict=True):
        torch.testing.assert_close(one, alone)
