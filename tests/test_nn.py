"""Architectures: layers in order, exact numbers of parameters, shapes, and the helpers around networks."""

import pytest
import torch
from tiny_models import noise_batch, shrunk
from torch import nn

from aggan.errors import UserError
from aggan.methods import aggan
from aggan.methods.base import Task
from aggan.methods.registry import METHODS
from aggan.nn import diffaug
from aggan.nn.activation_checkpointing import enable_checkpointing
from aggan.nn.diffaug import AdaptiveDiffAug, DiffAug, _recolour
from aggan.nn.discriminators import Discriminator, DomainDiscriminator, augment_discriminators, discriminate
from aggan.nn.freeze import frozen
from aggan.nn.generators import resnet_trunk
from aggan.nn.image_pool import ImagePool
from aggan.nn.init import init_normal
from aggan.nn.layer_spec import NORMS, InstanceNorm, Style, build_layers, no_norm
from aggan.nn.unet import UNet, UNetStyle

TASK = Task(("x", "y"), 256)
CONFIGS = {name: config for name, config in METHODS.items() if isinstance(config, aggan.Config)}


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


# --- AGGAN's networks


@pytest.fixture(scope="module", params=list(CONFIGS))
def named_method(request):
    return request.param, METHODS[request.param].build(TASK)


def test_numbers_of_parameters_of_every_variant(named_method):
    name, method = named_method
    generator = {"aggan-released": 7_931_332, "aggan-no-ad-ag": 7_837_699}.get(name, 7_840_836)
    affine = 2 * (64 + 128 + 256 + 512) if name == "aggan-released" else 0
    assert count(method.G_xy) == count(method.G_yx) == generator
    assert count(method.D_x) == count(method.D_y) == 6_951_873 + affine
    assert name != "aggan-released" or count(method.D_x) == 6_953_793
    assert hasattr(method, "D_ya") == (name == "aggan")
    if name == "aggan":
        assert count(method.D_ya) == count(method.D_xa) == 6_952_897


@pytest.mark.parametrize(("blocks", "expected"), [(5, 6_660_676), (6, 7_840_836), (9, 11_381_316)])
def test_generators_of_five_six_and_nine_blocks(blocks, expected):
    config = aggan.Config().model_copy(update={"generator_blocks": blocks})
    assert count(config.build_generator()) == expected


def test_batch_norm_discriminators_have_the_papers_numbers_of_parameters():
    config = aggan.Config().model_copy(update={"discriminator_norm": "batch"})
    assert (count(config.build_discriminator(3)), count(config.build_discriminator(4))) == (6_953_793, 6_954_817)


@pytest.mark.parametrize("upsampling", ["transposed", "pixelshuffle", "nearest"])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (36, 64)])
def test_a_translation_has_the_size_and_range_of_an_image(small, upsampling, height, width):
    generator = small.model_copy(update={"upsampling": upsampling}).build_generator()
    init_normal(generator, 0.5)
    translation = generator(torch.rand(2, 3, height, width) * 2 - 1)
    assert translation.image.shape == translation.content.shape == (2, 3, height, width)
    assert translation.mask.shape == (2, 1, height, width)
    assert translation.image.abs().max() <= 1
    assert 0 <= translation.mask.min() <= translation.mask.max() <= 1


@pytest.mark.parametrize("upsampling", ["transposed", "pixelshuffle", "nearest"])
@pytest.mark.parametrize("images", [1, 2])
def test_gradients_do_not_depend_on_the_memory_format(small, upsampling, images):
    generator = small.model_copy(update={"upsampling": upsampling}).build_generator()
    image = torch.rand(images, 3, 32, 32) * 2 - 1
    gradients = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        generator.to(memory_format=memory_format).zero_grad()
        generator(image.to(memory_format=memory_format)).image.square().mean().backward()
        gradients.append([p.grad.clone() for p in generator.parameters()])
    for contiguous, channels_last in zip(*gradients, strict=True):
        torch.testing.assert_close(contiguous, channels_last, atol=1e-7, rtol=1e-3)


def test_without_attention_there_is_no_mask(small):
    generator = small.model_copy(update={"attention_guided_generators": False}).build_generator()
    translation = generator(torch.rand(1, 3, 32, 32))
    assert translation.image.shape == (1, 3, 32, 32)
    assert translation.mask is None
    assert translation.content is None


@pytest.mark.parametrize(
    ("channels", "kind", "shape"),
    [(3, "pooled", (2, 1, 1, 1)), (4, "patch", (2, 1, 6, 6)), (3, "patch142", (2, 1, 2, 2))],
)
def test_discriminators_return_one_score_for_each_image_or_patch(small, channels, kind, shape):
    discriminator = small.model_copy(update={"discriminator": kind}).build_discriminator(channels)
    assert discriminator(torch.rand(2, channels, 64, 64)).shape == shape


@pytest.mark.parametrize(("name", "size"), [("aggan", 31), ("aggan-released", 93)])
def test_images_that_are_too_small_raise_one_sentence(name, size):
    with pytest.raises(UserError, match="at least"):
        METHODS[name].build(Task(("x", "y"), size))


@pytest.mark.parametrize(("name", "size"), [("aggan", 32), ("aggan-released", 94)])
def test_the_smallest_images_pass_through(name, size):
    discriminator = CONFIGS[name].build_discriminator(3)
    assert discriminator(torch.rand(1, 3, size, size)).shape == (1, 1, 1, 1)


@pytest.mark.parametrize(("padding", "size"), [(0, 142), (1, 48)])
def test_the_smallest_images_of_large_patches(small, padding, size):
    config = small.model_copy(update={"discriminator": "patch142", "discriminator_padding": padding})
    assert config.build_discriminator(3)(torch.rand(2, 3, size, size)).shape == (2, 1, 1, 1)
    with pytest.raises(UserError, match=f"at least {size} px"):
        config.build(Task(("x", "y"), size - 1))


def test_batch_norm_has_weights_that_instance_norm_lacks():
    """Decision 2: also with a batch size of 1 the two differ by these scales and shifts."""
    batch = aggan.Config(generator_norm="batch").build_generator()
    assert count(batch) - count(aggan.Config().build_generator()) == 7_424


def test_more_than_two_domains_raise():
    with pytest.raises(UserError, match="two domains"):
        METHODS["aggan"].build(Task(("a", "b", "c"), 64))


# --- layer specs and norms


def test_a_spec_gives_the_layers_of_the_papers_generator():
    trunk, channels = build_layers(resnet_trunk(64, 2), 3, Style(NORMS["batch"]))
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


def test_a_spec_gives_the_layers_of_the_papers_discriminator():
    tower, channels = build_layers("C64 C128 C256 C512 C512s1+", 4, Style(NORMS["batch"], slope=0.2))
    assert channels == 512
    kinds = [[type(m).__name__ for m in layer] for layer in tower if isinstance(layer, nn.Sequential)]
    assert kinds[0] == ["Conv2d", "BatchNorm2d", "LeakyReLU"]
    assert kinds[-1] == ["Conv2d", "Identity", "LeakyReLU"]
    strides = [m.stride[0] for m in tower.modules() if isinstance(m, nn.Conv2d)]
    assert strides == [2, 2, 2, 2, 1]


def test_a_word_that_is_not_a_layer_raises():
    with pytest.raises(ValueError, match="'x9'"):
        build_layers("c7s1-8 x9", 3, Style())


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("images", [1, 3])
def test_instance_norm_equals_torchs(images, memory_format):
    x = torch.randn(images, 4, 5, 6) * 3 + 1
    y = InstanceNorm(4)(x.to(memory_format=memory_format))
    torch.testing.assert_close(y, nn.InstanceNorm2d(4)(x))
    assert y.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("images", [1, 2])
def test_statistics_of_instance_norm_are_not_rounded_to_bfloat16(images):
    image = (torch.randn(images, 8, 32, 32, generator=torch.Generator().manual_seed(0)) / 10 + 3).bfloat16()
    x = image.contiguous(memory_format=torch.channels_last)
    exact = torch.nn.functional.instance_norm(x.double())
    assert (InstanceNorm(8)(x) - exact).abs().mean() < 0.003  # with rounded statistics 0.04


def test_instance_norm_has_second_derivatives():
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64).to(memory_format=torch.channels_last).requires_grad_()
    assert torch.autograd.gradgradcheck(InstanceNorm(3), x)


def test_initial_weights_have_a_std_of_two_hundredths():
    convolution, norm = nn.Conv2d(64, 64, 3), nn.BatchNorm2d(512)
    init_normal(nn.Sequential(convolution, norm))
    assert float(convolution.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert float(norm.weight.detach().mean()) == pytest.approx(1, abs=0.01)
    assert convolution.bias is not None
    assert not convolution.bias.any()


# --- TensorFlow's SAME padding


def seen_offsets(layer: nn.Module, conv: nn.Conv2d) -> list[int]:
    """Where the first and the last column of a kernel look, relative to twice the column of the output."""
    offsets = []
    image = torch.arange(16.0).expand(1, 1, 16, 16)
    for column in (0, conv.kernel_size[1] - 1):
        with torch.no_grad():
            conv.weight.zero_()
            conv.weight[:, :, 2, column] = 1
            offsets.append(int(layer(image)[0, 0, 3, 3]) - 2 * 3)
    return offsets


@pytest.mark.parametrize(("same_padding", "expected"), [(True, [-1, 3]), (False, [-2, 2])])
def test_same_padding_is_one_pixel_before_and_two_behind(same_padding, expected):
    layers, _ = build_layers("F1+", 1, Style(same_padding=same_padding, slope=1.0, bias_without_norm=False))
    conv = next(part for part in layers.modules() if isinstance(part, nn.Conv2d))
    assert seen_offsets(layers, conv) == expected
    assert layers(torch.rand(1, 1, 16, 16)).shape == (1, 1, 8, 8)


@pytest.mark.parametrize(("kernel", "expected"), [(4, [-1, 2]), (5, [-1, 3])])
def test_a_unet_pads_like_tensorflow_and_its_decoder_is_the_transpose_of_its_encoder(kernel, expected):
    unet = UNet(5, UNetStyle(no_norm, kernel=kernel, width=1, skips=False, bias=False))
    down, up = unet.down[1], unet.up[-2]
    (conv,) = (part for part in down.modules() if isinstance(part, nn.Conv2d))
    (transposed,) = (part for part in up.modules() if isinstance(part, nn.ConvTranspose2d))
    with torch.no_grad():
        transposed.weight.copy_(conv.weight)
    x, y = torch.rand(1, 1, 8, 8), torch.rand(1, 2, 4, 4)  # positive, so the activations change nothing
    torch.testing.assert_close((down(x) * y).sum(), (x * up(y)).sum())
    assert seen_offsets(down, conv) == expected


# --- real and fake in one pass


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_scores_of_real_and_fake_images_do_not_depend_on_each_other(small, norm):
    discriminator = small.model_copy(update={"discriminator_norm": norm}).build_discriminator(channels=3)
    real, fake = torch.randn(2, 3, 64, 64), torch.randn(1, 3, 64, 64) - 1
    real_scores, fake_scores = discriminate(discriminator, real, fake)
    torch.testing.assert_close(real_scores, discriminator(real))
    torch.testing.assert_close(fake_scores, discriminator(fake))


def test_scores_and_codes_of_real_and_fake_images_do_not_depend_on_each_other():
    torch.manual_seed(0)
    discriminator = DomainDiscriminator(64, 3, 2)
    real, fake = torch.rand(2, 3, 64, 64), torch.rand(3, 3, 64, 64)
    real_scores, fake_scores, codes = discriminator.compare(real, fake)
    torch.testing.assert_close((real_scores, codes), discriminator(real))
    torch.testing.assert_close(fake_scores, discriminator(fake)[0])


# --- frozen networks


def test_gradients_flow_through_frozen_networks_which_collect_none():
    network, x = nn.Linear(2, 1), torch.ones(1, 2, requires_grad=True)
    with frozen(network):
        loss = network(x).sum()
    loss.backward()
    assert x.grad is not None
    assert network.weight.grad is None
    assert network.weight.requires_grad


def test_parameters_that_were_frozen_before_stay_frozen():
    network = nn.Linear(2, 1)
    network.bias.requires_grad_(False)
    with frozen(network):
        pass
    assert not network.bias.requires_grad


# --- image pool


def test_the_pool_keeps_pairs_together_and_returns_past_ones():
    pool, swapped = ImagePool(5), 0
    for number in range(100):
        mask, image = torch.full((2, 1, 1, 1), float(number)), torch.full((2, 3, 1, 1), float(number))
        past_mask, past_image = pool(mask, image)
        assert torch.equal(past_mask.expand_as(past_image), past_image)
        swapped += int((past_mask != number).sum())
    assert len(pool.stored) == 5
    assert 60 < swapped < 140


def test_a_pool_of_size_zero_returns_the_new_images():
    (images,) = ImagePool(0)(torch.ones(2, 3, 1, 1))
    assert torch.equal(images, torch.ones(2, 3, 1, 1))


def test_the_pool_is_in_the_state_dict():
    pool, other = ImagePool(3), ImagePool(3)
    pool(torch.arange(3.0).view(3, 1, 1, 1))
    other.load_state_dict(pool.state_dict())
    assert [float(sample[0]) for sample in other.stored] == [0.0, 1.0, 2.0]


def test_stored_images_move_to_the_device_of_the_new_ones():
    pool = ImagePool(1)
    pool.set_extra_state([(torch.zeros(3, 1, 1),)])
    new = torch.zeros(1, 3, 1, 1, device="meta")
    assert {images.device.type for _ in range(8) for images in pool(new)} == {"meta"}


# --- augmentation


def test_augmentation_shifts_mask_and_image_alike():
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 12:20, 12:20] = 1
    augmented = diffaug._shift(_recolour(torch.cat((mask, mask.expand(1, 3, 32, 32)), 1), 1.0), 1.0)
    inside = augmented[:, :1] == 1
    assert inside.sum() == 64
    colours = augmented[:, 1:2]
    assert colours[inside].unique().numel() == 1
    assert not torch.equal(augmented[:, :1], mask)


def test_augmentation_changes_two_images_of_a_pair_alike():
    image = torch.rand(2, 3, 32, 32)
    first, second = DiffAug(1.0)(torch.cat((image, image), 1)).chunk(2, 1)
    assert torch.equal(first, second)
    assert not torch.equal(first, image)


def test_augmentation_recolours_as_the_formula_says():
    torch.manual_seed(0)
    image = torch.rand(1, 3, 8, 8)
    torch.manual_seed(1)
    augmented = _recolour(image, 1.0)
    torch.manual_seed(1)
    brightness, contrast, saturation = torch.rand(3) - 0.5
    grey = image.mean(1, keepdim=True)
    saturated = grey + (1 + 2 * saturation) * (image - grey)
    expected = image.mean() + (1 + contrast) * (saturated - image.mean()) + brightness
    assert torch.allclose(augmented, expected, atol=1e-6)


def test_augmentation_with_probability_zero_changes_nothing():
    image = torch.rand(4, 3, 32, 32)
    assert DiffAug(0.0)(image) is image


@pytest.mark.parametrize("name", METHODS)
def test_every_discriminator_of_every_method_is_augmented(name, monkeypatch):
    """In each update whose loss depends on a discriminator, it sees augmented inputs only."""
    config, task = shrunk(name), Task(("x", "y"), 64)
    method = config.build(task).train()
    augment_discriminators(method, 1.0)
    discriminators = [network for network in method.modules() if isinstance(network, Discriminator)]
    assert discriminators
    augmented: list[int] = []
    monkeypatch.setattr(diffaug, "_recolour", lambda inputs, p: inputs * 0 + 0.5)
    for network in discriminators:
        first = next(part for part in network.modules() if isinstance(part, nn.Conv2d))
        first.register_forward_pre_hook(lambda _, inputs: augmented.append(bool((inputs[0].abs() <= 0.5).all())))
    batch = noise_batch(config, task)
    outputs = method(batch)
    for update in method.updates():
        update.loss(batch, outputs)
    assert augmented
    assert all(augmented)


@pytest.mark.parametrize("name", METHODS)
def test_the_methods_that_say_so_adapt_their_augmentation(name):
    config, task = shrunk(name), Task(("x", "y"), 64)
    method = config.build(task).train()
    augment_discriminators(method, 0.5, target=0.3)
    batch = noise_batch(config, task)
    outputs = method(batch)
    for update in method.updates():
        update.loss(batch, outputs)
    probabilities = {network.probability for network in method.modules() if isinstance(network, AdaptiveDiffAug)}
    assert (0.5 not in probabilities) == method.adaptive_augmentation


def test_adaptive_augmentation_follows_what_the_discriminator_recognises():
    augment = AdaptiveDiffAug(0.0, target=0.3)
    for _ in range(200):
        augment.observe(torch.full((2, 1, 3, 3), 0.9))  # all are taken for real
    recognised = augment.probability
    for _ in range(400):
        augment.observe(torch.tensor([0.9, 0.1]).view(2, 1, 1, 1))  # it can only guess
    assert 0.05 < recognised < 0.09
    assert augment.probability < recognised
    resumed = AdaptiveDiffAug(0.0, target=0.3)
    resumed.load_state_dict(augment.state_dict())
    assert resumed.probability == augment.probability
    for _ in range(5000):
        augment.observe(torch.ones(1, 1, 1, 1))
    assert augment.probability == pytest.approx(0.9)


def test_a_turn_keeps_masks_with_their_images():
    torch.manual_seed(0)
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    turned = diffaug._turn(torch.cat((mask, mask.expand(1, 3, 32, 32)), 1), 1.0)
    assert torch.allclose(turned[:, 0], turned[:, 1])
    assert not torch.equal(turned[:, :1], mask)


# --- activation checkpointing


@pytest.mark.parametrize("name", ["aggan", "aggan-released", "stargan"])
def test_checkpointing_leaves_gradients_and_running_statistics_as_they_are(name):
    image, codes = torch.rand(2, 3, 32, 32) * 2 - 1, torch.eye(2)
    results = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        network = next(iter(shrunk(name).build(Task(("x", "y"), 64)).children()))
        assert not checkpointing or enable_checkpointing(network)
        output = network(image, codes) if name == "stargan" else network(image)
        output.image.square().mean().backward()
        buffers = {key: value.clone() for key, value in network.named_buffers()}
        results.append(({key: p.grad for key, p in network.named_parameters()}, buffers))
    for plain, checkpointed in zip(*results, strict=True):
        assert plain.keys() == checkpointed.keys()
        for key, value in plain.items():
            assert torch.equal(value, checkpointed[key]), key


def test_checkpointing_a_network_without_a_trunk_returns_false():
    assert not enable_checkpointing(shrunk("pix2pix").build(Task(("x", "y"), 64)))
