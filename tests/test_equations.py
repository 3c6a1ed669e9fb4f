"""Every equation of the paper against numbers computed by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from aggan.losses import l1, least_squares, outside_band, total_variation
from aggan.methods.aggan import AGGAN, Attended, Config, attend
from aggan.methods.base import Clock, Task
from aggan.nn.generators import OpenSigmoid, fuse
from aggan.types import Translation, Unpaired


def full(value: float, channels: int = 3) -> Tensor:
    return torch.full((1, channels, 2, 2), value)


class Says(nn.Module):
    """A discriminator that says the mean of what it sees."""

    def forward(self, image: Tensor) -> Tensor:
        return image.mean((1, 2, 3), keepdim=True)


@pytest.fixture
def system(small) -> AGGAN:
    """AGGAN whose discriminators only average, so that its losses can be computed by hand."""
    built = small.model_copy(update={"curriculum_epochs": 10, "lambda_tv": 0.1}).build(Task(("a", "b"), 32))
    for name in ("D_x", "D_y", "D_xa", "D_ya"):
        setattr(built, name, Says())
    return built


MADE = Attended(
    y=Translation(image=full(0.4), mask=full(0.25, 1), content=full(0.0)),
    x=Translation(image=full(-0.2), mask=full(0.75, 1), content=full(0.0)),
    x_again=full(0.3),
    y_again=full(-0.7),
)
REAL = Unpaired(x=full(0.5), y=full(-0.5))


def numbers(terms: dict[str, Tensor]) -> dict[str, Any]:
    return {name: pytest.approx(float(value.detach()), rel=1e-5) for name, value in terms.items()}


def test_eq_1_fuses_content_and_source_by_the_mask():
    content, source = full(1.0), full(-1.0)
    mask = torch.tensor([[[[0.0, 1.0], [0.25, 0.5]]]])
    expected = torch.tensor([[-1.0, 1.0], [-0.5, 0.0]])
    assert torch.equal(fuse(content, mask, source)[0, 0], expected)
    assert torch.equal(fuse(content, mask, source)[0, 2], expected)


def test_least_squares_of_eqs_2_and_3():
    real, fake = torch.tensor([0.8, 0.6]), torch.tensor([0.3, -0.1])
    # ((-.2)^2 + (-.4)^2) / 2 + (.3^2 + .1^2) / 2 and ((-.7)^2 + (-1.1)^2) / 2
    assert float(least_squares.judge(real, fake)) == pytest.approx(0.1 + 0.05)
    assert float(least_squares.fool(fake)) == pytest.approx(0.85)


def test_eq_6_sums_the_differences_of_neighbours():
    mask = torch.tensor([[[[0.0, 1.0, 0.5], [0.25, 0.25, 0.25]]]])
    # across: 1 + .5 + 0 + 0; down: .25 + .75 + .25
    assert float(total_variation(mask)) == pytest.approx(2.75)
    assert float(total_variation(mask.expand(5, 1, 2, 3).contiguous())) == pytest.approx(2.75)


def test_eqs_7_and_9_weigh_every_term_of_the_generators(system):
    system.clock = Clock(step=5, steps_per_epoch=1)
    assert numbers(system.generator_loss(REAL, MADE)) == {
        "gan": 0.99 * 0.5 * (0.6**2 + 1.2**2),  # Eq. 2
        # the masks are seen too: (.25 + 3 * .4) / 4 = .3625 and (.75 - 3 * .2) / 4 = .0375
        "agan": 0.99 * 0.5 * (0.6375**2 + 0.9625**2),  # Eq. 3
        "cycle": 0.01 * 10 * (0.2 + 0.2),  # Eq. 4
        "pixel": 0.01 * 1 * (0.1 + 0.3),  # Eq. 5
        "tv": 0.0,  # Eq. 6, of flat masks
    }


def test_eq_9_turns_the_weights_round_after_the_curriculum(system):
    system.clock = Clock(step=10, steps_per_epoch=1)
    terms = numbers(system.generator_loss(REAL, MADE))
    assert terms["gan"] == 0.5 * 0.5 * (0.6**2 + 1.2**2)
    assert terms["cycle"] == 0.5 * 10 * 0.4
    assert terms["pixel"] == 0.5 * 0.4


def test_attention_loss_is_weighted_by_lambda_tv_and_one_minus_r(system):
    mask = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])
    made = MADE._replace(y=MADE.y._replace(mask=mask))
    assert numbers(system.generator_loss(REAL, made))["tv"] == 0.99 * 0.1 * 2.0


def test_contents_are_held_to_the_inputs_only_if_asked(system):
    assert "content" not in system.generator_loss(REAL, MADE)
    system.config = system.config.model_copy(update={"lambda_content": 2.0})
    assert numbers(system.generator_loss(REAL, MADE))["content"] == 2 * (0.5 + 0.5)


def test_discriminators_are_halved_and_see_the_same_mask_with_real_and_fake(system):
    assert numbers(system.discriminator_loss(REAL, MADE)) == {
        "D_y": ((-0.5 - 1) ** 2 + 0.4**2) / 2,  # Eq. 2
        "D_x": ((0.5 - 1) ** 2 + 0.2**2) / 2,
        # with M_y = .25: real (.25 - 1.5) / 4 = -.3125, fake .3625; with M_x = .75: .5625 and .0375
        "D_ya": (1.3125**2 + 0.3625**2) / 2,  # Eq. 3
        "D_xa": (0.4375**2 + 0.0375**2) / 2,
    }


def test_attended_pictures_are_mask_then_picture():
    assert attend(full(0.25, 1), full(0.5)).mean((0, 2, 3)).tolist() == [0.25, 0.5, 0.5, 0.5]


def test_eqs_4_and_5_are_mean_absolute_differences():
    assert float(l1(full(0.5), full(-0.25))) == 0.75


@pytest.mark.parametrize(
    ("step", "settings", "expected"),
    [
        (0, {}, 0.01),
        (999, {}, 0.01),
        (1000, {}, 0.5),
        (49, {"curriculum_steps": 50}, 0.01),
        (50, {"curriculum_steps": 50}, 0.5),
        (60, {"curriculum_steps": 50, "ramp_steps": 40}, 0.01 + 0.49 * 0.25),
        (500, {"curriculum_steps": 50, "ramp_steps": 40}, 0.5),
    ],
)
def test_curriculum_in_epochs_and_in_steps(step, settings, expected):
    config = Config.model_validate(settings)
    assert config.curriculum(Clock(step, steps_per_epoch=100)) == pytest.approx(expected)


def test_band_pulls_only_from_outside():
    assert float(outside_band(full(0.3, 1), 0.1, 0.5)) == 0
    assert float(outside_band(full(0.05, 1), 0.1, 0.5)) == pytest.approx(0.25)
    assert float(outside_band(full(0.9, 1), 0.1, 0.5)) == pytest.approx(0.64)
    assert float(outside_band(full(0.0, 1), 0.1, 0.5)) == float(outside_band(full(1.0, 1), 0.1, 0.5)) == 1


def test_floor_under_the_masks_gradient_only_acts_where_the_slope_is_smaller():
    logits = torch.tensor([-9.0, 0.0], requires_grad=True)
    OpenSigmoid.apply(logits, 0.05).sum().backward()
    assert logits.grad is not None
    assert logits.grad.tolist() == pytest.approx([0.05, 0.25])


def test_the_attention_guided_discriminators_teach_the_mask(small):
    system = small.build(Task(("a", "b"), 32))
    batch = Unpaired(torch.rand(1, 3, 32, 32) * 2 - 1, torch.rand(1, 3, 32, 32) * 2 - 1)
    made = system(batch)
    mask = made.y.mask
    (gradient,) = torch.autograd.grad(system.generator_loss(batch, made)["agan"], mask)
    assert gradient.abs().sum() > 0
    assert not system.past_y(mask, made.y.image)[0].requires_grad
