"""The promises of every system, and what makes each of them itself."""

from typing import Any

import pytest
import torch
from worlds import noise_batch, shrunk

from aggan import losses
from aggan.errors import UserError
from aggan.evaluation.capacity import TABLE_III, capacity
from aggan.methods import bicyclegan, contrastgan, discogan, dualgan, ganimation, icgan
from aggan.methods.base import Clock, System, Task, during, every
from aggan.methods.pretrained import ModelCard, load_model, save_model
from aggan.methods.registry import CATALOGUE
from aggan.types import Crossing, Labelled, Masked, Paired, Unpaired

TWO = Task(("neutral", "happy"), 64)
THREE = Task(("neutral", "happy", "sad"), 64)


def built(name: str, task: Task = TWO, **settings) -> Any:
    return shrunk(name).model_copy(update=settings).build(task)


@pytest.fixture(params=CATALOGUE)
def system(request) -> Any:
    return built(request.param)


# --- the contract ---------------------------------------------------------------------------------


def test_a_turn_teaches_its_networks_all_of_them_and_no_others(system):
    batch = noise_batch(system)
    system.clock = Clock(5, 100)
    made = system(batch)
    every_one = {name for turn in system.turns() for name in turn.networks}
    for turn in system.turns():
        spectators = every_one - set(turn.networks)
        with frozen(system, spectators):
            terms = turn.loss(batch, made)
        loss = torch.stack(list(terms.values())).sum()
        assert all(term.ndim == 0 and torch.isfinite(term) for term in terms.values()), terms
        learners = {f"{name}.{key}": p for name in turn.networks for key, p in parameters(system, name)}
        gradients = torch.autograd.grad(loss, list(learners.values()), retain_graph=True, allow_unused=True)
        untouched = {key for key, g in zip(learners, gradients, strict=True) if g is None}
        assert untouched == unread(system, turn.name, learners)
        others = [p for name in spectators for _, p in parameters(system, name)]
        if "discriminator" in turn.name and others:
            assert all(g is None for g in torch.autograd.grad(loss, others, allow_unused=True))


def unread(system: System, turn: str, learners) -> set[str]:
    """Weights that a turn has no use for: the penalty sees the critic's verdict only."""
    return {key for key in learners if key.startswith("D.read")} if turn == "penalty" else set()


def frozen(system: System, names):
    from aggan.nn.freeze import frozen as look_through

    return look_through(*(system.get_submodule(name) for name in names))


def parameters(system: System, name: str):
    return system.get_submodule(name).named_parameters()


def test_a_translation_is_a_picture_in_range(system):
    pictures = torch.rand(2, 3, 64, 64) * 2 - 1
    for to in system.targets:
        made = system.eval().translate(pictures, to)
        assert made.image.shape == made.content.shape == pictures.shape
        assert made.mask.shape == (2, 1, 64, 64)
        assert 0 <= made.mask.min() <= made.mask.max() <= 1
        bounded = getattr(system.config, "content", "tanh") != "linear"
        assert made.image.abs().max() <= 1 or not bounded


def test_a_model_file_translates_as_its_training_did(system, tmp_path):
    card = ModelCard(system=system.config, domains=TWO.domains, size=64)  # type: ignore[arg-type]
    save_model(tmp_path, card, system.translators_state())
    loaded, _ = load_model(tmp_path)
    pictures = torch.rand(1, 3, 64, 64) * 2 - 1
    made = []
    for each in (system.eval(), loaded):
        torch.manual_seed(0)
        made.append(each.translate(pictures, "happy").image)
    assert torch.equal(*made)


@pytest.mark.parametrize("name", [name for name, c in CATALOGUE.items() if "domains" not in c.about.needs.split(", ")])
def test_systems_of_two_domains_refuse_three(name):
    with pytest.raises(UserError, match=r"between two domains, here are neutral, happy, sad: choose with --data.names"):
        CATALOGUE[name].build(THREE)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("aggan", 98),
        ("stargan", 96),
        ("icgan", 128),
        ("pix2pix", 96),
        ("bicyclegan", 32),
        ("discogan", 32),
        ("cyclegan", 30),
    ],
)
def test_a_size_that_does_not_suit_is_told_with_those_that_do(name, size):
    with pytest.raises(UserError, match=rf"{name} needs pictures of .* px, not {size}: set --data.size"):
        CATALOGUE[name].build(TWO._replace(size=size))


@pytest.mark.parametrize("name", ["distancegan", "icgan", "aggan-domains", "bicyclegan"])
def test_a_batch_that_does_not_suit_is_told_with_those_that_do(name):
    with pytest.raises(UserError, match=r"set --training.batch to"):
        CATALOGUE[name].require_batch(1)
    CATALOGUE[name].require_batch(2)


# --- sizes ----------------------------------------------------------------------------------------

COUNTS = {
    ("cyclegan", 256, 2): {"G_xy": 11_378_179, "D_x": 2_764_737, "total": 28_285_832},
    ("cyclegan", 128, 2): {"G_xy": 7_837_699, "D_x": 2_764_737, "total": 21_204_872},
    ("dualgan", 256, 2): {"G_xy": 85_022_787, "D_x": 4_321_153, "total": 178_687_880},
    ("discogan", 256, 2): {"G_xy": 5_513_856, "D_x": 2_765_568, "total": 16_558_848},
    ("distancegan", 256, 2): {"G_xy": 11_388_675, "D_x": 2_766_529, "total": 28_310_408},
    ("distance-cycle", 256, 2): {"total": 28_310_408},
    ("self-distance", 256, 2): {"total": 28_310_408},
    ("combogan", 256, 3): {"encoders": 3 * 5_099_136, "decoders": 3 * 6_565_763, "total": 3 * 14_429_636},
    ("stargan", 128, 8): {"G": 8_439_936, "D": 44_786_624, "total": 53_226_560},
    ("stargan", 256, 8): {"D": 44_983_232, "total": 53_423_168},
    ("contrastgan", 256, 2): {"G": 11_384_451, "critics": 2 * 2_764_737, "total": 16_913_925},
    ("diat", 256, 2): {"G": 6_657_539, "D": 2_764_737, "total": 9_422_276},
    ("icgan", 64, 18): {"G": 3_725_123, "D": 2_803_393, "E_z": 18_278_244, "E_y": 3_186_962, "total": 27_993_722},
    ("ganimation", 128, 8): {"G": 8_471_296, "D": 44_860_352, "total": 53_331_648},
    ("ganimation", 256, 8): {"D": 45_278_144, "total": 53_749_440},
    ("pix2pix", 256, 2): {"G": 54_413_955, "D": 2_768_705, "total": 57_182_660},
    ("encoder-decoder", 256, 2): {"G": 39_080_963, "D": 2_769_601, "total": 41_850_564},
    ("bicyclegan", 256, 2): {"G": 54_794_627, "D": 3_458_978, "D_2": 3_458_978, "E": 2_590_032, "total": 64_302_615},
    ("aggan-domains-released", 128, 8): {"G": 8_443_072, "total": 53_229_696},
    ("aggan-domains-released", 256, 8): {"total": 53_426_304},
}


@pytest.mark.parametrize(("asked", "expected"), COUNTS.items(), ids=[f"{n}-{s}-{m}" for n, s, m in COUNTS])
def test_parameters_to_the_last_one(asked, expected):
    row = capacity(*asked)
    assert row.networks | {"total": row.total} == (row.networks | expected)


def test_table_iii_is_met_where_its_figure_can_be_reproduced():
    met = {
        name
        for name in TABLE_III
        if (row := capacity(name, 256, 8)).printed and abs(row.compared / 1e6 - row.printed) < 0.06
    }
    assert met == {"pix2pix", "encoder-decoder", "bicyclegan", "dualgan", "discogan", "combogan"}
    assert capacity("stargan", 128, 8).compared / 1e6 == pytest.approx(53.2, abs=0.05)


# --- losses, by hand ------------------------------------------------------------------------------


def test_cross_entropy_judges_logits():
    real, fake = torch.tensor([0.0, 2.0]), torch.tensor([0.0])
    expected = (torch.log(torch.tensor(2.0)) + torch.log1p(torch.exp(torch.tensor(-2.0)))) / 2 + torch.log(
        torch.tensor(2.0)
    )
    torch.testing.assert_close(losses.cross_entropy.judge(real, fake), expected)
    torch.testing.assert_close(losses.cross_entropy.fool(fake), torch.log(torch.tensor(2.0)))


def test_the_wasserstein_game_is_a_difference_of_means():
    real, fake = torch.tensor([3.0, 5.0]), torch.tensor([1.0])
    assert losses.wasserstein.judge(real, fake) == 1 - 4
    assert losses.wasserstein.fool(fake) == -1


def test_the_penalty_of_a_linear_critic_is_its_slope_against_one():
    pictures = torch.zeros(2, 3, 2, 2)  # 12 numbers, each with the slope 2: a gradient of length sqrt(48)
    penalty = losses.gradient_penalty(lambda x: 2 * x.sum((1, 2, 3)), pictures, pictures + 1)
    assert penalty.item() == pytest.approx((48**0.5 - 1) ** 2, rel=1e-5)


def test_distances_within_and_across_pictures():
    pictures = torch.zeros(3, 3, 4, 4)
    pictures[1], pictures[2] = 1, 3
    assert losses.across(pictures).tolist() == [1, 3, 2]
    pictures[1, :, 2:] = -1
    assert losses.within(pictures).tolist() == [0, 2, 0]


def test_feature_losses():
    real, fake = [torch.tensor([[1.0, 3.0], [3.0, 3.0]])], [torch.tensor([[0.0, 0.0], [0.0, 2.0]])]
    assert losses.matching(real, fake) == (2**2 + 2**2) / 2
    assert losses.perceived(real, fake) == (1 + 9 + 9 + 1) / 4
    made, aim, source = (torch.full((1, 2), value) for value in (0.0, 1.0, 3.0))
    assert losses.contrasting(made, aim, source).item() == pytest.approx(
        torch.log1p(torch.exp(torch.tensor(-2.0))).item()
    )


def test_code_losses():
    logits, code = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert losses.classification(logits, code).item() == pytest.approx(0.6931, abs=1e-4)
    assert losses.regression(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 0.0]])) == 5
    mean, log_variance = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    assert losses.to_standard_normal(mean, log_variance) == 0.5


@pytest.mark.parametrize("name", CATALOGUE)
def test_systems_that_draw_random_numbers_say_so(name):
    system, image = built(name).eval(), torch.rand(1, 3, 64, 64) * 2 - 1
    answers = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        with torch.inference_mode():
            answers.append(system.translate(image, system.targets[-1], system.task.domains[0]).image)
    assert torch.equal(*answers) != system.noisy


# --- peculiarities --------------------------------------------------------------------------------


def test_critics_take_many_steps_to_one_of_the_generator():
    for name in ("stargan", "ganimation", "aggan-domains"):
        generator = next(turn for turn in built(name).turns() if turn.name == "generator")
        assert [step for step in range(12) if generator.due(Clock(step))] == [4, 9]
    assert [step for step in range(6) if every(3)(Clock(step))] == [2, 5]


def test_one_step_in_three_is_the_discriminators_in_discogan():
    discriminators, generators = built("discogan").turns()
    assert [discriminators.due(Clock(step)) for step in range(4)] == [True, False, False, True]
    assert [generators.due(Clock(step)) for step in range(4)] == [False, True, True, False]


def test_discogan_has_the_curriculum_in_steps():
    config = discogan.Config()
    assert [config.curriculum(Clock(step)) for step in (0, 9_999, 10_000)] == [0.01, 0.01, 0.5]


def test_dualgan_clips_its_wasserstein_critics_and_no_others():
    clipping = built("dualgan", adversarial="wasserstein", clip=0.001)
    assert isinstance(clipping, dualgan.DualGAN)
    clipping.turns()[0].after()
    assert max(p.abs().max() for p in clipping.D_x.parameters()) <= 0.001
    plain = built("dualgan")
    before = plain.get_submodule("D_x").tower[0][0].weight.abs().max().item()
    plain.turns()[0].after()
    assert plain.get_submodule("D_x").tower[0][0].weight.abs().max().item() == before > 0.001


def test_the_norm_at_dualgans_bottleneck_lets_nothing_through():
    for closed in (True, False):
        bottom = built("dualgan", bottleneck_norm=closed).G_xy.down[-1]
        features = torch.rand(1, bottom[1].in_channels, 2, 2)
        assert torch.equal(bottom(features), bottom(features + 1)) == closed


def test_distancegan_measures_its_domains_once_and_compares_at_least_two():
    with pytest.raises(UserError, match=r"--training.batch to 2 or more"):
        CATALOGUE["distancegan"].require_batch(1)
    CATALOGUE["self-distance"].require_batch(1)
    system = built("distancegan")
    one, three = torch.ones(1, 3, 64, 64), 3 * torch.ones(1, 3, 64, 64)
    batches = [
        Unpaired(torch.cat((one, 2 * one)), torch.cat((one, three))),
        Unpaired(torch.cat((one, three)), torch.cat((one, one))),
    ]
    system.prepare(batches)  # distances 1 and 2 in X, 2 and 0 in Y
    torch.testing.assert_close(system.x_distance, torch.tensor((1.5, 0.5**0.5)))
    torch.testing.assert_close(system.y_distance, torch.tensor((1.0, 2**0.5)))
    made = system(batches[0])._replace(y=torch.cat((one, one)), x=torch.cat((one, one)))
    expected = abs(-0.5 / 0.5**0.5 - (0 - 1) / 2**0.5) + abs(1 / 2**0.5 - (0 - 1.5) / 0.5**0.5)
    assert system.generator_loss(batches[0], made)["distance"].item() == pytest.approx(expected, rel=1e-5)


def test_combogan_moves_only_the_two_domains_of_a_step_and_keeps_a_pool_each():
    system = built("combogan", THREE)
    pictures = torch.rand(1, 3, 64, 64)
    batch = Crossing(pictures, pictures, 2, 0)
    made = system(batch)
    loss = torch.stack(list(system.generator_loss(batch, made).values())).sum()
    system.discriminator_loss(batch, made)
    used = [{name for name, p in parameters(system, part) if gradient_of(loss, p)} for part in ("encoders", "decoders")]
    assert all({name.split(".")[0] for name in names} == {"0", "2"} for names in used)
    assert [len(pool.stored) for pool in system.past] == [1, 0, 1]
    with pytest.raises(UserError, match="--source"):
        system.translate(pictures, "happy")
    assert not torch.equal(*(system.translate(pictures, "happy", source).image for source in ("neutral", "sad")))


def gradient_of(loss, parameter) -> bool:
    (found,) = torch.autograd.grad(loss, parameter, retain_graph=True, allow_unused=True)
    return found is not None


@pytest.mark.parametrize("name", ["stargan", "ganimation", "aggan-domains", "contrastgan"])
def test_another_code_makes_another_picture(name):
    system = built(name, THREE).eval()
    pictures = torch.rand(1, 3, 64, 64) * 2 - 1
    happy, sad = (system.translate(pictures, to).image for to in ("happy", "sad"))
    assert (happy - sad).abs().max() > 1e-4


def test_contrastgan_changes_nothing_outside_the_mask():
    system = built("contrastgan")
    assert isinstance(system, contrastgan.ContrastGAN)
    pictures, mask = torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    mask[..., 16:48] = 1
    made = system.edit(pictures, mask, 1)
    assert torch.equal(made.image[..., :16], pictures[..., :16])
    assert not torch.equal(made.image[..., 16:48], pictures[..., 16:48])


def test_diat_goes_one_way_and_detaches_who_it_should_be():
    system = built("diat")
    assert system.targets == ("happy",)
    batch = noise_batch(system)
    pictures = batch.x.clone().requires_grad_()
    identity = system.generator_loss(batch._replace(x=pictures), system(batch))["identity"]
    assert identity > 0
    assert not gradient_of(identity, pictures)


def test_icgan_plays_its_acts_in_order():
    system = built("icgan")
    at = [[turn.name for turn in system.turns() if turn.due(Clock(0, 1, share))] for share in (0.0, 0.6, 0.7)]
    assert at == [["discriminator", "generator"], ["discriminator", "generator"], ["encoders"]]
    assert during(0.5, 1.0)(Clock(progress=0.5))
    wrong = icgan.other(torch.eye(3).repeat(40, 1))
    assert torch.equal(wrong.sum(1), torch.ones(120))
    assert not (wrong * torch.eye(3).repeat(40, 1)).any()


def test_ganimations_attention_is_what_is_kept():
    system = built("ganimation")
    batch = noise_batch(system)
    made, target = system(batch)
    attention = system.generator_loss(batch, (made, target))["attention"]
    again = system.G(made.image, batch.code)
    expected = 0.1 * ((1 - made.mask).mean() + (1 - again.mask).mean())
    torch.testing.assert_close(attention, expected)
    assert (target - batch.target).abs().max() <= ganimation.JITTER


def test_ganimation_takes_action_units_and_paths_between_expressions():
    codes_ = (tuple([0.0] * 17), tuple([0.2] * 17))
    system = built("ganimation", TWO._replace(codes=codes_))
    assert isinstance(system, ganimation.GANimation)
    code = system.code_of("AU6=3, AU12=5")
    assert [round(v, 3) for v in code[code > 0].tolist()] == [0.6, 1.0]
    torch.testing.assert_close(system.code_of("neutral>happy@0.25"), torch.full((17,), 0.05))
    for wrong in ("AU3=1", "AU6=x", "angry", "neutral>angry@1"):
        with pytest.raises(UserError, match=wrong.split("=")[0].rpartition(">")[2].split("@")[0]):
            system.require_target(wrong)
    with pytest.raises(UserError, match="learned expressions, not action units"):
        built("ganimation").require_target("AU6=1")


def test_pix2pix_shows_the_discriminator_both_pictures_and_keeps_its_noise():
    system = built("pix2pix", TWO)
    assert system.get_submodule("D").tower[0][0].in_channels == 6
    pictures = torch.rand(1, 3, 64, 64)
    first, second = (system.eval().translate(pictures, "happy").image for _ in range(2))
    assert not torch.equal(first, second)
    assert system.targets == ("happy",)


def test_an_encoder_decoder_cannot_look_across():
    across, straight = (built(name, TWO).G for name in ("pix2pix", "encoder-decoder"))
    assert across.up[-1][1].in_channels == 2 * straight.up[-1][1].in_channels


def test_bicyclegan_splits_its_batch_and_teaches_the_encoder_no_latent_code():
    with pytest.raises(UserError, match="even number"):
        CATALOGUE["bicyclegan"].require_batch(3)
    system = built("bicyclegan")
    assert isinstance(system, bicyclegan.BicycleGAN)
    batch = noise_batch(system, 4)
    made = system(batch)
    assert len(made.encoded) == len(made.random) == 2
    terms = system.generator_loss(batch, made)
    assert not any(gradient_of(terms["latent"], p) for p in system.E.parameters())
    assert any(gradient_of(terms["latent"], p) for p in system.G.parameters())
    assert all(gradient_of(terms["kl"], p) for p in system.E.mean.parameters())
    pictures = torch.rand(1, 3, 64, 64)
    assert not torch.equal(*(system.translate(pictures, "happy").image for _ in range(2)))


def test_every_kind_of_batch_has_a_system():
    kinds = {built(name).batch_type for name in CATALOGUE}
    assert kinds == {Unpaired, Paired, Labelled, Crossing, Masked}
