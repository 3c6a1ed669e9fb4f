"""Every equation of the paper against numbers computed by hand."""

from functools import partial

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from aggan.losses import l1, least_squares, outside_band, total_variation
from aggan.methods.aggan import AGGAN, AGGANOutputs, Config, Remedies
from aggan.methods.base import Progress, Task
from aggan.nn.discriminators import Discriminator, concat_mask
from aggan.nn.generators import fuse
from aggan.types import Translation, UnpairedBatch


def full(value: float, channels: int = 3) -> Tensor:
    return torch.full((1, channels, 2, 2), value)


class Mean(Discriminator):
    """A discriminator whose score is the mean of its input."""

    def forward(self, image: Tensor) -> Tensor:
        return image.mean((1, 2, 3), keepdim=True)


@pytest.fixture
def method(small) -> AGGAN:
    """AGGAN with discriminators that only average, so its losses can be computed by hand."""
    method = small.model_copy(update={"curriculum_epochs": 10, "lambda_tv": 0.1}).build(Task(("a", "b"), 32))
    for name in ("D_x", "D_y", "D_xa", "D_ya"):
        setattr(method, name, Mean())
    return method


OUTPUTS = AGGANOutputs(
    y=Translation(image=full(0.4), mask=full(0.25, 1), content=full(0.0)),
    x=Translation(image=full(-0.2), mask=full(0.75, 1), content=full(0.0)),
    C_x=full(0.3),
    C_y=full(-0.7),
)
REAL = UnpairedBatch(x=full(0.5), y=full(-0.5))


@pytest.fixture
def noise() -> UnpairedBatch:
    return UnpairedBatch(torch.rand(1, 3, 32, 32) * 2 - 1, torch.rand(1, 3, 32, 32) * 2 - 1)


def values(terms: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(term.detach()) for name, term in terms.items()}


approx = partial(pytest.approx, rel=1e-5)


def test_eq_1_fuses_content_and_source_by_the_mask():
    content, source = full(1.0), full(-1.0)
    mask = torch.tensor([[[[0.0, 1.0], [0.25, 0.5]]]])
    expected = torch.tensor([[-1.0, 1.0], [-0.5, 0.0]])
    assert torch.equal(fuse(content, mask, source)[0, 0], expected)
    assert torch.equal(fuse(content, mask, source)[0, 2], expected)


def test_least_squares_of_eqs_2_and_3():
    real, fake = torch.tensor([0.8, 0.6]), torch.tensor([0.3, -0.1])
    # ((-.2)^2 + (-.4)^2) / 2 + (.3^2 + .1^2) / 2 and ((-.7)^2 + (-1.1)^2) / 2
    assert float(least_squares.discriminator_loss(real, fake)) == pytest.approx(0.1 + 0.05)
    assert float(least_squares.generator_loss(fake)) == pytest.approx(0.85)


def test_eq_6_sums_the_differences_of_neighbours():
    mask = torch.tensor([[[[0.0, 1.0, 0.5], [0.25, 0.25, 0.25]]]])
    # horizontal: 1 + .5 + 0 + 0; vertical: .25 + .75 + .25
    assert float(total_variation(mask)) == pytest.approx(2.75)
    assert float(total_variation(mask.expand(5, 1, 2, 3).contiguous())) == pytest.approx(2.75)


def test_eqs_7_and_9_weigh_every_term_of_the_generators(method):
    method.progress = Progress(step=5, steps_per_epoch=1)
    assert values(method.generator_loss(REAL, OUTPUTS)) == approx(
        {
            "gan": 0.99 * 0.5 * (0.6**2 + 1.2**2),  # Eq. 2
            # with the masks the means are (.25 + 3 * .4) / 4 = .3625 and (.75 - 3 * .2) / 4 = .0375
            "agan": 0.99 * 0.5 * (0.6375**2 + 0.9625**2),  # Eq. 3
            "cycle": 0.01 * 10 * (0.2 + 0.2),  # Eq. 4
            "pixel": 0.01 * 1 * (0.1 + 0.3),  # Eq. 5
            "tv": 0.0,  # Eq. 6, of constant masks
        }
    )


def test_eq_9_changes_the_weights_after_the_curriculum(method):
    method.progress = Progress(step=10, steps_per_epoch=1)
    terms = values(method.generator_loss(REAL, OUTPUTS))
    assert terms["gan"] == approx(0.5 * 0.5 * (0.6**2 + 1.2**2))
    assert terms["cycle"] == approx(0.5 * 10 * 0.4)
    assert terms["pixel"] == approx(0.5 * 0.4)


def test_attention_loss_is_weighted_by_lambda_tv_and_one_minus_r(method):
    mask = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])
    outputs = OUTPUTS._replace(y=OUTPUTS.y._replace(mask=mask))
    assert values(method.generator_loss(REAL, outputs))["tv"] == approx(0.99 * 0.1 * 2.0)


def test_contents_are_compared_with_the_inputs_only_with_lambda_content(method):
    assert "content" not in method.generator_loss(REAL, OUTPUTS)
    method.config = method.config.model_copy(update={"remedies": Remedies(lambda_content=2.0)})
    assert values(method.generator_loss(REAL, OUTPUTS))["content"] == approx(2 * (0.5 + 0.5))


def test_the_means_of_the_masks_are_weighted_by_lambda_mask_and_r(method):
    assert "mask" not in method.generator_loss(REAL, OUTPUTS)
    method.config = method.config.model_copy(update={"remedies": Remedies(lambda_mask=6.0)})
    assert values(method.generator_loss(REAL, OUTPUTS))["mask"] == approx(0.01 * 6 * (0.25 + 0.75))


def test_without_attention_there_is_no_mask_and_no_attention_loss(small, noise):
    switches = {"attention_guided_generators": False, "attention_guided_discriminators": False}
    method = small.model_copy(update=switches).build(Task(("a", "b"), 32))
    outputs = method(noise)
    assert outputs.y.mask is None
    assert outputs.y.content is None
    assert not method.masks(outputs)
    assert set(method.generator_loss(noise, outputs)) == {"gan", "cycle", "pixel"}


def test_discriminators_are_halved_and_see_the_same_mask_with_real_and_fake(method):
    assert values(method.discriminator_loss(REAL, OUTPUTS)) == approx(
        {
            "D_y": ((-0.5 - 1) ** 2 + 0.4**2) / 2,  # Eq. 2
            "D_x": ((0.5 - 1) ** 2 + 0.2**2) / 2,
            # with M_y = .25: real (.25 - 1.5) / 4 = -.3125, fake .3625; with M_x = .75: .5625 and .0375
            "D_ya": (1.3125**2 + 0.3625**2) / 2,  # Eq. 3
            "D_xa": (0.4375**2 + 0.0375**2) / 2,
        }
    )


def test_with_own_masks_a_real_image_meets_the_mask_of_the_generator_that_edits_it(method):
    method.config = method.config.model_copy(update={"remedies": Remedies(own_masks=True)})
    terms = values(method.discriminator_loss(REAL, OUTPUTS))
    # y with M_x = .75: (.75 - 1.5) / 4 = -.1875; x with M_y = .25: (.25 + 1.5) / 4 = .4375; the fakes as without
    assert terms["D_ya"] == approx((1.1875**2 + 0.3625**2) / 2)
    assert terms["D_xa"] == approx((0.5625**2 + 0.0375**2) / 2)


def test_the_mask_is_the_first_of_four_channels():
    assert concat_mask(full(0.25, 1), full(0.5)).mean((0, 2, 3)).tolist() == [0.25, 0.5, 0.5, 0.5]


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
        (60, {"curriculum_steps": 50, "remedies": {"ramp_steps": 40}}, 0.01 + 0.49 * 0.25),
        (500, {"curriculum_steps": 50, "remedies": {"ramp_steps": 40}}, 0.5),
    ],
)
def test_curriculum_in_epochs_and_in_steps(step, settings, expected):
    config = Config.model_validate(settings)
    assert config.curriculum(Progress(step, steps_per_epoch=100)) == pytest.approx(expected)


def test_the_band_penalises_means_outside_it_only():
    assert float(outside_band(full(0.3, 1), 0.1, 0.5)) == 0
    assert float(outside_band(full(0.05, 1), 0.1, 0.5)) == pytest.approx(0.25)
    assert float(outside_band(full(0.9, 1), 0.1, 0.5)) == pytest.approx(0.64)
    assert float(outside_band(full(0.0, 1), 0.1, 0.5)) == float(outside_band(full(1.0, 1), 0.1, 0.5)) == 1


@pytest.mark.parametrize("band", [(0, 0.5), (0.05, 1)])
def test_a_band_ends_inside_0_and_1_where_its_penalty_is_finite(band):
    with pytest.raises(ValidationError):
        Remedies(mask_band=band)


def test_the_mask_learns_from_the_attention_guided_discriminators(small, noise):
    method = small.build(Task(("a", "b"), 32))
    outputs = method(noise)
    mask = outputs.y.mask
    (gradient,) = torch.autograd.grad(method.generator_loss(noise, outputs)["agan"], mask)
    assert gradient.abs().sum() > 0
    assert not method.pool_y(mask, outputs.y.image)[0].requires_grad
