"""The `aggan-released` profile against the released layers, written down here a second time, plainly."""

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from aggan.cli.main import run
from aggan.errors import UserError
from aggan.inference.translator import load
from aggan.methods.pretrained import read_state
from aggan.methods.registry import RELEASED
from aggan.methods.released import load_discriminator, load_generator


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


def up(before: int, after: int) -> list[nn.Module]:
    return [
        *(nn.ReflectionPad2d(1), nn.Conv2d(before, after, 3), nn.BatchNorm2d(after), nn.ReLU()),
        *(nn.Conv2d(after, 4 * after, 1), nn.PixelShuffle(2), nn.BatchNorm2d(after), nn.ReLU()),
    ]


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(
            *(nn.ReflectionPad2d(3), nn.Conv2d(3, 64, 7), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.Conv2d(64, 128, 3, 2, 1), nn.BatchNorm2d(128), nn.ReLU()),
            *(nn.Conv2d(128, 256, 3, 2, 1), nn.BatchNorm2d(256), nn.ReLU()),
            *(Block() for _ in range(6)),
            *up(256, 128),
            *up(128, 64),
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
        for before, after in ((3, 64), (64, 128), (128, 256), (256, 512)):
            layers += [nn.Conv2d(before, after, 4, 2), nn.BatchNorm2d(after), nn.LeakyReLU()]
        layers += [nn.Conv2d(512, 512, 4, 1), nn.LeakyReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(512, 1, 1)]
        self.conv_tower = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_tower(x)


def lively(network: nn.Module) -> nn.Module:
    """Weights and statistics that leave no layer without effect, in eval mode."""
    generator = torch.Generator().manual_seed(5)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            low, high = (0.5, 1.5) if name.endswith("running_var") else (-0.06, 0.06)
            tensor.uniform_(low, high, generator=generator)
    return network.eval()


@pytest.fixture(scope="module")
def theirs() -> Generator:
    generator = lively(Generator())
    assert isinstance(generator, Generator)
    return generator


@torch.no_grad()
def test_the_generator_is_theirs_layer_for_layer(theirs):
    ours = RELEASED.generator().eval()
    load_generator(ours, theirs.state_dict(), "file")
    picture = torch.linspace(-1, 1, 3 * 96 * 96).view(1, 3, 96, 96).sin()
    image, mask, content = theirs(picture)
    made = ours(picture)
    torch.testing.assert_close(made.image, image)
    torch.testing.assert_close(made.mask, mask[:, :1])
    torch.testing.assert_close(made.content, content)
    assert made.mask.std() > 1e-4
    assert sum(p.numel() for p in ours.parameters()) == 7_931_332


@torch.no_grad()
def test_the_discriminator_is_theirs_layer_for_layer():
    theirs, ours = lively(Discriminator()), RELEASED.critic(3).eval()
    load_discriminator(ours, theirs.state_dict(), "file")
    picture = torch.linspace(-1, 1, 3 * 96 * 96).view(1, 3, 96, 96).cos()
    torch.testing.assert_close(ours(picture), theirs(picture))
    assert sum(p.numel() for p in ours.parameters()) == 6_953_793


def test_import_makes_a_model_that_translates_as_theirs(theirs, tmp_path):
    there, back = tmp_path / "there.pth", tmp_path / "back.safetensors"
    torch.save({f"module.{key}": value for key, value in theirs.state_dict().items()}, there)
    save_file(theirs.state_dict(), back)
    options = [
        "--there",
        str(there),
        "--back",
        str(back),
        "--out",
        str(tmp_path / "model"),
        "--domains",
        "old",
        "young",
    ]
    assert run(["import", *options]) == 0
    translator = load(tmp_path / "model")
    picture = torch.rand(1, 3, 96, 96) * 2 - 1
    with torch.no_grad():
        expected = theirs(picture)[0]
    assert translator.domains == ("old", "young")
    torch.testing.assert_close(translator.batch(picture, "young").image, expected)


def test_states_from_before_the_batch_counters_load_too(theirs):
    old = {key: value for key, value in theirs.state_dict().items() if "num_batches" not in key}
    ours = RELEASED.generator()
    load_generator(ours, old, "file")
    assert torch.equal(ours.state_dict()["head.weight"], list(old.values())[-2])


def wrong_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.replace("model", "conv_tower"): value for key, value in state.items()}


def wrong_shape(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return state | {"model.4.weight": torch.zeros(96, 64, 3, 3)}


def too_short(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return dict(list(state.items())[:-1])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (wrong_prefix, "not a released generator"),
        (wrong_shape, r"'model.4.weight' has shape \(96, 64, 3, 3\), where \(128, 64, 3, 3\)"),
        (too_short, "tensors, where"),
    ],
)
def test_a_wrong_state_says_what_differs_and_changes_nothing(theirs, spoil, says):
    ours = RELEASED.generator()
    before = ours.state_dict()["head.weight"].clone()
    with pytest.raises(UserError, match=says):
        load_generator(ours, spoil(theirs.state_dict()), "file")
    assert torch.equal(ours.state_dict()["head.weight"], before)


class Pickled:
    """Something that only a pickle could hold."""


@pytest.mark.parametrize("content", [{"a": Pickled()}, [1, 2], {}, {"a": 1}])
def test_a_file_with_anything_but_weights_is_refused(tmp_path, content):
    path = tmp_path / "x.pth"
    torch.save(content, path)
    with pytest.raises(UserError, match=str(path)):
        read_state(path)


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_garbage_and_nothing_are_refused(tmp_path, name):
    with pytest.raises(UserError, match="no such file"):
        read_state(tmp_path / name)
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match=name):
        read_state(tmp_path / name)
