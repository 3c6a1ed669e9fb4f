"""The released methods against the layers of the released code, written down a second time without the shorthand."""

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from aggan.cli.main import run
from aggan.errors import UserError
from aggan.inference.translator import load
from aggan.methods.base import Task
from aggan.methods.pretrained import read_state
from aggan.methods.registry import METHODS, RELEASED
from aggan.methods.released import load_discriminator, load_domain_generator, load_generator


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for last in (False, True):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(256, 256, 3), nn.BatchNorm2d(256)]
            layers += [] if last else [nn.ReLU()]
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def upsampling(in_channels: int, channels: int) -> list[nn.Module]:
    return [
        *(nn.ReflectionPad2d(1), nn.Conv2d(in_channels, channels, 3), nn.BatchNorm2d(channels), nn.ReLU()),
        *(nn.Conv2d(channels, 4 * channels, 1), nn.PixelShuffle(2), nn.BatchNorm2d(channels), nn.ReLU()),
    ]


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(
            *(nn.ReflectionPad2d(3), nn.Conv2d(3, 64, 7), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.Conv2d(64, 128, 3, 2, 1), nn.BatchNorm2d(128), nn.ReLU()),
            *(nn.Conv2d(128, 256, 3, 2, 1), nn.BatchNorm2d(256), nn.ReLU()),
            *(Block() for _ in range(6)),
            *upsampling(256, 128),
            *upsampling(128, 64),
            *(nn.ReflectionPad2d(3), nn.Conv2d(64, 4, 7)),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out = self.model(x)
        mask, content = torch.sigmoid(out[:, :1]).repeat(1, 3, 1, 1), out[:, 1:]
        return content * mask + x * (1 - mask), mask, content


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for in_channels, channels in ((3, 64), (64, 128), (128, 256), (256, 512)):
            layers += [nn.Conv2d(in_channels, channels, 4, 2), nn.BatchNorm2d(channels), nn.LeakyReLU()]
        layers += [nn.Conv2d(512, 512, 4, 1), nn.LeakyReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(512, 1, 1)]
        self.conv_tower = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_tower(x)


def instance_norm(channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=True, track_running_stats=True)


class DomainBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for last in (False, True):
            layers += [nn.Conv2d(256, 256, 3, padding=1, bias=False), instance_norm(256)]
            layers += [] if last else [nn.ReLU()]
        self.main = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.main(x)


class DomainGenerator(nn.Module):
    """StarGAN's generator with a fourth channel, the mask."""

    def __init__(self, domains: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *(nn.Conv2d(3 + domains, 64, 7, padding=3, bias=False), instance_norm(64), nn.ReLU()),
            *(nn.Conv2d(64, 128, 4, 2, 1, bias=False), instance_norm(128), nn.ReLU()),
            *(nn.Conv2d(128, 256, 4, 2, 1, bias=False), instance_norm(256), nn.ReLU()),
            *(DomainBlock() for _ in range(6)),
            *(nn.ConvTranspose2d(256, 128, 4, 2, 1, bias=False), instance_norm(128), nn.ReLU()),
            *(nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), instance_norm(64), nn.ReLU()),
            nn.Conv2d(64, 4, 7, padding=3, bias=False),
        )

    def forward(self, x: Tensor, code: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = code[:, :, None, None].expand(-1, -1, *x.shape[2:])
        out = self.main(torch.cat((x, maps), 1))
        mask, content = torch.sigmoid(out[:, :1]), out[:, 1:]
        return content * mask + x * (1 - mask), mask, content


def randomize(network: nn.Module) -> nn.Module:
    """Weights and statistics with which every layer has an effect, in eval mode."""
    generator = torch.Generator().manual_seed(5)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            low, high = (0.5, 1.5) if name.endswith("running_var") else (-0.06, 0.06)
            tensor.uniform_(low, high, generator=generator)
    return network.eval()


@pytest.fixture(scope="module")
def released() -> Generator:
    generator = randomize(Generator())
    assert isinstance(generator, Generator)
    return generator


@torch.no_grad()
def test_the_generator_equals_the_released_one(released):
    ours = RELEASED.build_generator().eval()
    load_generator(ours, released.state_dict(), "file")
    x = torch.linspace(-1, 1, 3 * 96 * 96).view(1, 3, 96, 96).sin()
    image, mask, content = released(x)
    translation = ours(x)
    torch.testing.assert_close(translation.image, image)
    torch.testing.assert_close(translation.mask, mask[:, :1])
    torch.testing.assert_close(translation.content, content)
    assert translation.mask.std() > 1e-4
    assert sum(p.numel() for p in ours.parameters()) == 7_931_332


@torch.no_grad()
def test_the_discriminator_equals_the_released_one():
    released, ours = randomize(Discriminator()), RELEASED.build_discriminator(channels=3).eval()
    load_discriminator(ours, released.state_dict(), "file")
    image = torch.linspace(-1, 1, 3 * 96 * 96).view(1, 3, 96, 96).cos()
    torch.testing.assert_close(ours(image), released(image))
    assert sum(p.numel() for p in ours.parameters()) == 6_953_793


def test_an_imported_model_translates_as_the_released_generator(released, tmp_path):
    xy, yx = tmp_path / "xy.pth", tmp_path / "yx.safetensors"
    torch.save({f"module.{key}": value for key, value in released.state_dict().items()}, xy)
    save_file(released.state_dict(), yx)
    options = ["--generator-xy", str(xy), "--generator-yx", str(yx), "--out", str(tmp_path / "model")]
    assert run(["import", *options, "--domains", "old", "young"]) == 0
    translator = load(tmp_path / "model")
    x = torch.rand(1, 3, 96, 96) * 2 - 1
    with torch.no_grad():
        expected = released(x)[0]
    assert translator.domains == ("old", "young")
    torch.testing.assert_close(translator.batch(x, "young").image, expected)


DOMAINS = ("angry", "contemptuous", "happy", "neutral")


@pytest.fixture(scope="module")
def released_for_domains() -> DomainGenerator:
    generator = randomize(DomainGenerator(len(DOMAINS)))
    assert isinstance(generator, DomainGenerator)
    return generator


@pytest.mark.parametrize("file", ["200000-G.ckpt", "G.safetensors"])
def test_an_imported_model_for_many_domains_translates_as_the_released_generator(released_for_domains, file, tmp_path):
    state = {key: value.clone() for key, value in released_for_domains.state_dict().items()}
    if file.endswith("safetensors"):
        save_file(state, tmp_path / file)
    else:
        torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / file)
    options = ["--generator", str(tmp_path / file), "--out", str(tmp_path / "model")]
    assert run(["import", *options, "--domains", *DOMAINS]) == 0
    translator = load(tmp_path / "model")
    assert translator.domains == DOMAINS
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    released_for_domains.train()  # as its authors translate: without the running statistics
    for k, name in enumerate(DOMAINS):
        with torch.no_grad():
            expected = released_for_domains(x, torch.eye(len(DOMAINS))[[k, k]])
        for ours, theirs in zip(translator.batch(x, name), expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
        assert expected[1].std() > 1e-4


def test_other_numbers_of_domains_are_refused_with_the_number_that_there_are(released_for_domains, tmp_path, capsys):
    file = tmp_path / "G.pth"
    torch.save(released_for_domains.state_dict(), file)
    command = ["import", "--generator", str(file), "--out", str(tmp_path / "model"), "--domains", "neutral", "happy"]
    assert run(command) == 2
    assert f"{file}: the generator has 4 domains, but 2 are named: name all" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give --generator-xy and --generator-yx, or --generator alone"),
        (("--generator-xy", "a.pth"), "give --generator-xy and --generator-yx, or --generator alone"),
        (("--generator", "a.pth", "--generator-yx", "b.pth"), "give --generator-xy and --generator-yx, or --generator"),
        (("--generator", "a.pth", "--domains", "a", "b", "a"), "two domains have the same name"),
        (
            ("--generator-xy", "a.pth", "--generator-yx", "b.pth", "--domains", "a", "b", "c"),
            "choose with --domains X Y",
        ),
        (("--generator", "a.pth", "--size", "100"), "set --size"),
        (("--generator", "a.pth"), "a.pth: no such file"),
    ],
)
def test_generators_that_make_no_model_are_refused_in_one_sentence(options, message, tmp_path, capsys):
    assert run(["import", *options, "--out", str(tmp_path / "model")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_a_generator_for_two_domains_is_none_for_many(released):
    network = METHODS["aggan-domains-released"].build(Task(DOMAINS, 64)).get_submodule("G")
    with pytest.raises(UserError, match=r"not a released generator for many domains: 'model.1.weight'"):
        load_domain_generator(network, released.state_dict(), "file")
    with pytest.raises(UserError, match="0 tensors, but the network has"):
        load_domain_generator(network, {"main.1.running_mean": torch.zeros(64)}, "file")


def test_states_without_batch_counters_load_too(released):
    old = {key: value for key, value in released.state_dict().items() if "num_batches" not in key}
    ours = RELEASED.build_generator()
    load_generator(ours, old, "file")
    assert torch.equal(ours.state_dict()["head.weight"], list(old.values())[-2])


def wrong_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.replace("model", "conv_tower"): value for key, value in state.items()}


def wrong_shape(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return state | {"model.4.weight": torch.zeros(96, 64, 3, 3)}


def too_short(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return dict(list(state.items())[:-1])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (wrong_prefix, "not a released generator"),
        (wrong_shape, r"'model.4.weight' has the shape \(96, 64, 3, 3\), but .* needs \(128, 64, 3, 3\)"),
        (too_short, "tensors, but the network has"),
    ],
)
def test_a_wrong_state_is_refused_with_what_differs_and_changes_nothing(released, spoil, message):
    ours = RELEASED.build_generator()
    before = ours.state_dict()["head.weight"].clone()
    with pytest.raises(UserError, match=message):
        load_generator(ours, spoil(released.state_dict()), "file")
    assert torch.equal(ours.state_dict()["head.weight"], before)


class Pickled:
    """An object that only a pickle can hold."""


@pytest.mark.parametrize("content", [{"a": Pickled()}, [1, 2], {}, {"a": 1}])
def test_a_file_with_anything_but_weights_is_refused(tmp_path, content):
    path = tmp_path / "x.pth"
    torch.save(content, path)
    with pytest.raises(UserError, match=str(path)):
        read_state(path)


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_missing_and_damaged_files_are_refused(tmp_path, name):
    with pytest.raises(UserError, match="no such file"):
        read_state(tmp_path / name)
    (tmp_path / name).write_bytes(b"not a file of weights")
    with pytest.raises(UserError, match=name):
        read_state(tmp_path / name)
