"""The contract of every method, and what is particular to each."""

from typing import Any

import pytest
import torch
import yaml
from tiny_models import noise_batch, shrunk
from torch import nn

from aggan import losses
from aggan.data.datasets import Dataset
from aggan.errors import UserError
from aggan.evaluation.capacity import TABLE_III, capacity
from aggan.methods import aggan, bicyclegan, contrastgan, discogan, dualgan, ganimation, icgan
from aggan.methods.base import Method, Progress, Task, during, every
from aggan.methods.pretrained import ModelCard, load_model, save_model
from aggan.methods.registry import METHODS
from aggan.nn.freeze import frozen
from aggan.nn.layer_spec import AffineInstanceNorm, PadBehind
from aggan.nn.unet import AlwaysDropout
from aggan.training.config import RECIPES
from aggan.training.experiment import Experiment
from aggan.training.fabric import Engine
from aggan.training.trainer import Trainer
from aggan.types import CrossDomainBatch, Needs, UnpairedBatch

TWO = Task(("neutral", "happy"), 64)
THREE = Task(("neutral", "happy", "sad"), 64)


def build(name: str, task: Task = TWO, **settings) -> Any:
    return shrunk(name).model_copy(update=settings).build(task)


@pytest.fixture(params=METHODS)
def method(request) -> Any:
    return build(request.param)


# --- the contract ---------------------------------------------------------------------------------


def test_an_update_trains_all_of_its_networks_and_no_others(method):
    batch = noise_batch(method.config, method.task)
    method.progress = Progress(5, 100)
    outputs = method(batch)
    trained = {name for update in method.updates() for name in update.networks}
    for update in method.updates():
        others = trained - set(update.networks)
        with frozen(*(method.get_submodule(name) for name in others)):
            terms = update.loss(batch, outputs)
        loss = torch.stack(list(terms.values())).sum()
        assert all(term.ndim == 0 and torch.isfinite(term) for term in terms.values()), terms
        learning = {f"{name}.{key}": p for name in update.networks for key, p in parameters(method, name)}
        gradients = torch.autograd.grad(loss, list(learning.values()), retain_graph=True, allow_unused=True)
        without_gradient = {key for key, g in zip(learning, gradients, strict=True) if g is None}
        assert without_gradient == unused(update.name, learning)
        frozen_parameters = [p for name in others for _, p in parameters(method, name)]
        if "discriminator" in update.name and frozen_parameters:
            assert all(g is None for g in torch.autograd.grad(loss, frozen_parameters, allow_unused=True))


def unused(update: str, learning) -> set[str]:
    """Weights that an update does not use: the gradient penalty depends on the scores alone."""
    return {key for key in learning if key.startswith("D.classifier")} if update == "penalty" else set()


def parameters(method: Method, name: str):
    return method.get_submodule(name).named_parameters()


def test_a_translation_is_an_image_in_range(method):
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    for to in method.targets:
        image, mask, content = method.eval().translate(images, to)
        assert image.shape == images.shape
        bounded = getattr(method.config, "content", "tanh") != "linear"
        assert image.abs().max() <= 1 or not bounded
        assert (mask is None) == (content is None)
        if mask is not None:
            assert content.shape == images.shape
            assert mask.shape == (2, 1, 64, 64)
            assert 0 <= mask.min() <= mask.max() <= 1


@pytest.mark.parametrize("name", METHODS)
def test_a_translation_has_a_mask_if_the_method_has_attention(name):
    method = build(name).eval()
    mask = method.translate(torch.rand(1, 3, 64, 64) * 2 - 1, method.targets[-1]).mask
    attention = name.startswith("aggan") or name in ("contrastgan", "ganimation")
    assert (mask is not None) == (attention and name != "aggan-no-ad-ag")


def test_a_model_file_translates_as_its_training_did(method, tmp_path):
    card = ModelCard(method=method.config, domains=TWO.domains, size=64)
    save_model(tmp_path, card, method.inference_state_dict())
    loaded, _ = load_model(tmp_path)
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    translations = []
    for model in (method.eval(), loaded):
        torch.manual_seed(0)
        translations.append(model.translate(images, "happy").image)
    assert torch.equal(*translations)


@pytest.mark.parametrize("name", [name for name, config in METHODS.items() if not config.needs.many_domains])
def test_methods_for_two_domains_refuse_three(name):
    message = r"between two domains, but there are neutral, happy, sad: choose with --data.names"
    with pytest.raises(UserError, match=message):
        METHODS[name].build(THREE)


@pytest.mark.parametrize("name", METHODS)
def test_every_setting_is_described_in_a_sentence(name):
    settings = type(METHODS[name]).model_fields | aggan.Remedies.model_fields
    for key in settings.keys() - {"method", "remedies"}:
        assert (settings[key].description or "").endswith("."), key


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
def test_a_size_that_does_not_fit_is_refused_with_those_that_do(name, size):
    with pytest.raises(UserError, match=rf"{name} needs images of .* px, not {size}: set --data.size"):
        METHODS[name].build(TWO._replace(size=size))


@pytest.mark.parametrize("name", ["distancegan", "icgan", "bicyclegan"])
def test_a_batch_size_that_does_not_fit_is_refused_with_those_that_do(name):
    with pytest.raises(UserError, match=r"set --training.batch to"):
        METHODS[name].require_batch(1)
    METHODS[name].require_batch(2)


def test_attention_guided_discriminators_for_many_domains_need_the_mask_of_another_image():
    config = METHODS["aggan-domains"].model_copy(update={"attention_guided_discriminators": True})
    with pytest.raises(UserError, match=r"set --training.batch to 2 or more"):
        config.require_batch(1)
    METHODS["aggan-domains"].require_batch(1)


def test_attention_guided_discriminators_without_attention_are_refused():
    with pytest.raises(UserError, match=r"need a mask: turn --method\.attention-guided-generators on"):
        build("aggan", attention_guided_generators=False)


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
    ("contrastgan", 256, 2): {"G": 11_384_451, "discriminators": 2 * 2_764_737, "total": 16_913_925},
    ("diat", 256, 2): {"G": 6_657_539, "D": 2_764_737, "total": 9_422_276},
    ("icgan", 64, 18): {"G": 3_725_123, "D": 2_803_393, "E_z": 18_278_244, "E_y": 3_186_962, "total": 27_993_722},
    ("ganimation", 128, 8): {"G": 8_471_296, "D": 44_860_352, "total": 53_331_648},
    ("ganimation", 256, 8): {"D": 45_278_144, "total": 53_749_440},
    ("pix2pix", 256, 2): {"G": 54_413_955, "D": 2_768_705, "total": 57_182_660},
    ("encoder-decoder", 256, 2): {"G": 39_080_963, "D": 2_769_601, "total": 41_850_564},
    ("bicyclegan", 256, 2): {"G": 54_794_627, "D": 3_458_978, "D_2": 3_458_978, "E": 2_590_032, "total": 64_302_615},
    ("aggan-domains", 128, 8): {"G": 7_865_924, "D": 44_786_624, "total": 52_652_548},
    ("aggan-domains-released", 128, 8): {"G": 8_443_072, "total": 53_229_696},
    ("aggan-domains-released", 256, 8): {"total": 53_426_304},
}


@pytest.mark.parametrize(("task", "expected"), COUNTS.items(), ids=[f"{n}-{s}-{m}" for n, s, m in COUNTS])
def test_parameters_are_counted_to_the_last_one(task, expected):
    row = capacity(*task)
    assert row.networks | {"total": row.total} == (row.networks | expected)


def test_table_iii_has_our_counts_where_its_figures_can_be_reproduced():
    reproduced = {
        name
        for name in TABLE_III
        if (row := capacity(name, 256, 8)).printed and abs(row.compared / 1e6 - row.printed) < 0.06
    }
    assert reproduced == {"pix2pix", "encoder-decoder", "bicyclegan", "dualgan", "discogan", "combogan"}
    assert capacity("stargan", 128, 8).compared / 1e6 == pytest.approx(53.2, abs=0.05)


# --- recipes --------------------------------------------------------------------------------------

RECIPE_NAMES = sorted(path.stem for path in RECIPES.glob("*.yaml"))
PAPERS_DATA_SETS = ("arface", "bu3dfe", "celeba", "rafd")


class NoiseData(Dataset[Any]):
    """As many images in a step as the recipe wants."""

    def __init__(self, method: Any, images: int) -> None:
        self.method, self.images = method, images

    @property
    def steps_per_epoch(self) -> int:
        return 10

    def batch(self, step: int) -> Any:
        return noise_batch(self.method.config, self.method.task, self.images)


@pytest.mark.parametrize("recipe", RECIPE_NAMES)
@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_a_step_under_every_recipe(name, recipe, tmp_path):
    experiment = Experiment.of(name, recipe)
    config, training = experiment.method, experiment.training
    config.require_batch(training.batch)
    with torch.device("meta"):  # the size of the recipe and the full widths, without any memory
        config.build(TWO._replace(size=experiment.data.size))
    narrow = {key: value for key, value in dict(shrunk(name)).items() if "width" in key or "block" in key}
    config = config.model_copy(update=narrow | ({"discriminator_padding": 1} if config.method == "aggan" else {}))
    training = training.model_copy(update={"accelerator": "cpu", "precision": "32-true"})
    method: Any = config.build(TWO)
    small = Experiment(method=config, training=training)
    trainer = Trainer(small, method.train(), NoiseData(method, training.batch), Engine(training), tmp_path)
    before = {key: value.detach().clone() for key, value in method.named_parameters()}
    trainer.steps = 4  # critics give their generators a turn
    trainer.step()
    assert all(torch.isfinite(value).all() for value in method.parameters())
    assert any(not torch.equal(before[key], value) for key, value in method.named_parameters())


@pytest.mark.parametrize("recipe", PAPERS_DATA_SETS)
def test_the_papers_recipes_have_the_same_exceptions_for_single_methods(recipe):
    exceptions, paper = (yaml.safe_load((RECIPES / f"{name}.yaml").read_text())["for"] for name in (recipe, "paper"))
    assert exceptions == paper


@pytest.mark.parametrize("name", METHODS)
def test_celebas_eighty_epochs_hold_for_every_method(name):
    training = Experiment.of(name, "celeba").training
    assert (training.epochs, training.decay_after, training.learning_rate) == (80, 40, 1e-4)


def test_native_has_the_lengths_and_flips_of_the_released_code():
    dualgan, discogan = (Experiment.of(name, "native") for name in ("dualgan", "discogan"))
    assert (dualgan.training.epochs, dualgan.training.decay_after, dualgan.data.flip) == (50, 50, False)
    assert (discogan.training.epochs, discogan.training.decay_after, discogan.data.flip) == (5000, 5000, False)


def test_native_follows_the_released_code_where_the_defaults_do_not():
    assert {name for name in METHODS if getattr(Experiment.of(name, "native").method, "released_init", False)} == {
        "stargan",
        "ganimation",
        "discogan",
        "icgan",
        "aggan-domains-released",
    }
    bicycle = Experiment.of("bicyclegan", "native").method
    assert isinstance(bicycle, bicyclegan.Config)
    assert bicycle.dropout
    assert not any(
        getattr(config, "released_init", False) or getattr(config, "dropout", False) for config in METHODS.values()
    )


# --- initial weights (decision 7) -----------------------------------------------------------------


def std(layer: nn.Conv2d | nn.Linear) -> float:
    return layer.weight.std().item()


def default_std(layer: nn.Conv2d | nn.Linear) -> float:
    """Of PyTorch's U(-1 / sqrt(fan in), 1 / sqrt(fan in))."""
    return (3 * layer.weight[0].numel()) ** -0.5


def he_std(layer: nn.Conv2d, slope: float) -> float:
    return (2 / (1 + slope**2) / layer.weight[0].numel()) ** 0.5


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [part for part in network.modules() if isinstance(part, nn.Conv2d) and part.weight.numel() > 500]


def norms(network: nn.Module) -> list[AffineInstanceNorm]:
    return [part for part in network.modules() if isinstance(part, AffineInstanceNorm)]


WIDE: dict[str, Any] = {"generator_width": 16, "discriminator_width": 16}


@pytest.mark.parametrize("name", ["stargan", "ganimation", "aggan-domains-released"])
def test_initial_deviations_of_decision_7_and_of_the_released_code(name):
    tuned, released = (build(name, released_init=flag, **WIDE) for flag in (False, True))
    for layer in convolutions(tuned.D):
        assert std(layer) == pytest.approx(he_std(layer, 0.01), rel=0.15)
    for layer in convolutions(tuned.G):
        assert std(layer) == pytest.approx(0.02, rel=0.15)
    for layer in convolutions(released):
        expected = 0.02 if name == "ganimation" else default_std(layer)
        assert std(layer) == pytest.approx(expected, rel=0.15)
    assert {norm.weight.std().item() for norm in norms(released)} == {0}
    assert all(0.005 < norm.weight.std() < 0.05 for norm in norms(tuned))


def test_initial_deviations_of_discogan_and_of_icgans_encoders():
    for name, networks in (("discogan", ("G_xy", "D_x")), ("icgan", ("E_z", "E_y"))):
        tuned, released = (build(name, released_init=flag, **WIDE) for flag in (False, True))
        for network in networks:
            assert {round(std(layer), 2) for layer in convolutions(tuned.get_submodule(network))} == {0.02}
            for layer in convolutions(released.get_submodule(network)):
                assert std(layer) == pytest.approx(default_std(layer), rel=0.15)
    assert {round(std(layer), 2) for layer in convolutions(released.D)} == {0.02}


# --- losses, by hand ------------------------------------------------------------------------------


def test_cross_entropy_takes_logits():
    real, fake = torch.tensor([0.0, 2.0]), torch.tensor([0.0])
    expected = (torch.log(torch.tensor(2.0)) + torch.log1p(torch.exp(torch.tensor(-2.0)))) / 2 + torch.log(
        torch.tensor(2.0)
    )
    torch.testing.assert_close(losses.cross_entropy.discriminator_loss(real, fake), expected)
    torch.testing.assert_close(losses.cross_entropy.generator_loss(fake), torch.log(torch.tensor(2.0)))


def test_the_wasserstein_loss_is_a_difference_of_means():
    real, fake = torch.tensor([3.0, 5.0]), torch.tensor([1.0])
    assert losses.wasserstein.discriminator_loss(real, fake) == 1 - 4
    assert losses.wasserstein.generator_loss(fake) == -1


def test_the_gradient_penalty_of_a_linear_critic_is_the_distance_of_its_slope_from_one():
    images = torch.zeros(2, 3, 2, 2)  # 12 numbers, each with the slope 2: a gradient of length sqrt(48)
    penalty = losses.gradient_penalty(lambda x: 2 * x.sum((1, 2, 3)), images, images + 1)
    assert penalty.item() == pytest.approx((48**0.5 - 1) ** 2, rel=1e-5)


def test_distances_within_and_across_images():
    images = torch.zeros(3, 3, 4, 4)
    images[1], images[2] = 1, 3
    assert losses.pairwise_distances(images).tolist() == [1, 3, 2]
    images[1, :, 2:] = -1
    assert losses.half_distances(images).tolist() == [0, 2, 0]


def test_feature_losses():
    real, fake = [torch.tensor([[1.0, 3.0], [3.0, 3.0]])], [torch.tensor([[0.0, 0.0], [0.0, 2.0]])]
    assert losses.feature_matching(real, fake) == (2**2 + 2**2) / 2
    assert losses.perceptual(real, fake) == (1 + 9 + 9 + 1) / 4
    output, target, source = (torch.full((1, 2), value) for value in (0.0, 1.0, 3.0))
    assert losses.contrastive(output, target, source).item() == pytest.approx(
        torch.log1p(torch.exp(torch.tensor(-2.0))).item()
    )


def test_code_losses():
    logits, code = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert losses.classification(logits, code).item() == pytest.approx(0.6931, abs=1e-4)
    assert losses.regression(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 0.0]])) == 5
    mean, log_variance = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    assert losses.kl_to_standard_normal(mean, log_variance) == 0.5


@pytest.mark.parametrize("name", METHODS)
def test_stochastic_methods_are_marked(name):
    method, image = build(name).eval(), torch.rand(1, 3, 64, 64) * 2 - 1
    translations = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        with torch.inference_mode():
            translations.append(method.translate(image, method.targets[-1], method.task.domains[0]).image)
    assert torch.equal(*translations) != method.stochastic


# --- peculiarities --------------------------------------------------------------------------------


def test_critics_take_several_steps_per_generator_step():
    for name in ("stargan", "ganimation", "aggan-domains-released"):
        generator = next(update for update in build(name).updates() if update.name == "generator")
        assert [step for step in range(12) if generator.when(Progress(step))] == [4, 9]
    assert [step for step in range(6) if every(3)(Progress(step))] == [2, 5]


def test_every_third_step_of_discogan_trains_the_discriminators():
    discriminators, generators = build("discogan").updates()
    assert [discriminators.when(Progress(step)) for step in range(4)] == [True, False, False, True]
    assert [generators.when(Progress(step)) for step in range(4)] == [False, True, True, False]


def test_discogan_halves_the_discriminators_loss():
    method = build("discogan")
    for D in (method.D_x, method.D_y):
        nn.init.zeros_(D.head.weight)  # all logits are 0, so each cross-entropy is log 2
    batch = noise_batch(method.config, method.task)
    for term in method.discriminator_loss(batch, method(batch)).values():
        assert term.item() == pytest.approx((0.6931 + 0.6931) / 2, abs=1e-4)


def test_discogans_curriculum_is_in_steps():
    config = discogan.Config()
    assert [config.curriculum(Progress(step)) for step in (0, 9_999, 10_000)] == [0.01, 0.01, 0.5]


def test_dualgan_clips_wasserstein_critics_only():
    clipping = build("dualgan", adversarial="wasserstein", clip=0.001)
    assert isinstance(clipping, dualgan.DualGAN)
    clipping.updates()[0].after()
    assert max(p.abs().max() for p in clipping.D_x.parameters()) <= 0.001
    plain = build("dualgan")
    first_layer = next(plain.get_submodule("D_x").parameters())
    before = first_layer.abs().max().item()
    plain.updates()[0].after()
    assert first_layer.abs().max().item() == before > 0.001


def test_dualgans_generators_learn_twice_from_the_images_of_a_step():
    method = build("dualgan")
    discriminators, first, second = method.updates()
    assert all(update.when(Progress(step)) for update in (discriminators, first, second) for step in range(4))
    assert discriminators.networks == ("D_x", "D_y")
    assert first.networks == second.networks == ("G_xy", "G_yx")
    batch = noise_batch(method.config, method.task)
    outputs = method(batch)
    with torch.no_grad():
        for parameter in method.G_xy.parameters():  # as the first update does
            parameter.mul_(1.5)
    torch.manual_seed(1)  # for the dropout
    again = second.loss(batch, outputs)
    torch.manual_seed(1)
    expected = first.loss(batch, method(batch))
    assert again == expected != first.loss(batch, outputs)


def test_dualgans_norms_have_the_epsilon_of_the_released_code():
    assert {norm.eps for norm in norms(build("dualgan"))} == {1e-6}


def test_dualgans_discriminators_pad_like_tensorflow():
    for layer in build("dualgan").D_x.tower:
        (conv,) = (part for part in layer if isinstance(part, nn.Conv2d))
        assert any(isinstance(part, PadBehind) for part in layer) == (conv.stride == (2, 2))
        assert conv.padding == ((1, 1) if conv.stride == (2, 2) else (2, 2))


def dropout_after(name: str, kind: type[nn.Module] = AlwaysDropout, **settings: Any) -> list[int]:
    """Sides of the outputs of the decoder's layers with dropout, at 256 px."""
    method = build(name, TWO._replace(size=256), **settings)
    decoder = getattr(method, "G", None) or method.G_xy
    return [2 ** (k + 1) for k, layer in enumerate(decoder.up) if isinstance(layer[-1], kind)]


def test_dropout_follows_the_layers_of_the_released_code():
    assert dropout_after("pix2pix") == [4, 8, 16]
    assert dropout_after("encoder-decoder") == [2, 4, 8]
    assert dropout_after("dualgan") == [2, 4, 8]
    assert dropout_after("bicyclegan") == dropout_after("bicyclegan", nn.Dropout) == []
    assert dropout_after("bicyclegan", nn.Dropout, dropout=True) == [4, 8, 16]


def test_bicyclegans_dropout_ends_with_the_training():
    method = build("bicyclegan", dropout=True)
    image, z = torch.rand(1, 3, 64, 64), torch.rand(1, 8)
    assert not torch.equal(*(method.train().G(image, z) for _ in range(2)))
    assert torch.equal(*(method.eval().G(image, z) for _ in range(2)))


def test_the_norm_at_dualgans_bottleneck_passes_no_information():
    for closed in (True, False):
        bottom = build("dualgan", bottleneck_norm=closed).G_xy.down[-1]
        features = torch.rand(1, next(bottom.parameters()).shape[1], 2, 2)
        assert torch.equal(bottom(features), bottom(features + 1)) == closed


def test_distancegan_measures_distances_in_each_domain_and_needs_two_images():
    with pytest.raises(UserError, match=r"--training.batch to 2 or more"):
        METHODS["distancegan"].require_batch(1)
    METHODS["self-distance"].require_batch(1)
    method = build("distancegan")
    one, three = torch.ones(1, 3, 64, 64), 3 * torch.ones(1, 3, 64, 64)
    batches = [
        UnpairedBatch(torch.cat((one, 2 * one)), torch.cat((one, three))),
        UnpairedBatch(torch.cat((one, three)), torch.cat((one, one))),
    ]
    method.prepare(batches)  # distances 1 and 2 in X, 2 and 0 in Y
    torch.testing.assert_close(method.x_stats, torch.tensor((1.5, 0.5**0.5)))
    torch.testing.assert_close(method.y_stats, torch.tensor((1.0, 2**0.5)))
    outputs = method(batches[0])._replace(y=torch.cat((one, one)), x=torch.cat((one, one)))
    expected = abs(-0.5 / 0.5**0.5 - (0 - 1) / 2**0.5) + abs(1 / 2**0.5 - (0 - 1.5) / 0.5**0.5)
    assert method.generator_loss(batches[0], outputs)["distance"].item() == pytest.approx(expected, rel=1e-5)


def test_distancegans_deviation_is_that_of_single_pairs():
    method = build("distancegan")
    images = torch.tensor((0.0, 1.0, 3.0)).view(3, 1, 1, 1).expand(3, 3, 64, 64)
    method.prepare([UnpairedBatch(images, images)])  # distances 1, 2 and 3
    torch.testing.assert_close(method.x_stats, torch.tensor((2.0, 1.0)))


@pytest.mark.parametrize(("size", "side"), [(128, 19), (256, 35)])
def test_combogans_discriminators_answer_as_those_of_its_first_release(size, side):
    D = build("combogan", TWO._replace(size=size)).discriminators[0]
    assert D(torch.rand(1, 3, size, size)).shape == (1, 1, side, side)
    cyclegan = build("cyclegan", TWO._replace(size=size)).D_x
    assert cyclegan(torch.rand(1, 3, size, size)).shape == (1, 1, size // 8 - 2, size // 8 - 2)


def test_combogan_trains_only_the_two_domains_of_a_step_and_has_a_pool_for_each():
    method = build("combogan", THREE)
    images = torch.rand(1, 3, 64, 64)
    batch = CrossDomainBatch(images, images, 2, 0)
    outputs = method(batch)
    loss = torch.stack(list(method.generator_loss(batch, outputs).values())).sum()
    method.discriminator_loss(batch, outputs)
    used = [
        {name for name, p in parameters(method, part) if has_gradient(loss, p)} for part in ("encoders", "decoders")
    ]
    assert all({name.split(".")[0] for name in names} == {"0", "2"} for names in used)
    assert [len(pool.stored) for pool in method.pools] == [1, 0, 1]
    with pytest.raises(UserError, match="--source"):
        method.translate(images, "happy")
    assert not torch.equal(*(method.translate(images, "happy", source).image for source in ("neutral", "sad")))


def has_gradient(loss, parameter) -> bool:
    (gradient,) = torch.autograd.grad(loss, parameter, retain_graph=True, allow_unused=True)
    return gradient is not None


def test_icgans_encoder_learns_from_the_generator_in_eval_mode():
    method = build("icgan").train()
    batch = noise_batch(method.config, method.task, 8)
    first = method(batch)
    assert first.image.requires_grad
    method.progress = Progress(7, 10, 0.7)
    statistics = [value.clone() for key, value in method.G.named_buffers() if key.endswith("running_mean")]
    image, z, y = method(batch)
    refreshed = [value for key, value in method.G.named_buffers() if key.endswith("running_mean")]
    assert not any(torch.equal(old, new) for old, new in zip(statistics, refreshed, strict=True))
    assert method.G.training
    assert not image.requires_grad
    assert torch.equal(image, method.G.eval()(z, y))
    assert not torch.equal(image, method.G.train()(z, y))


@pytest.mark.parametrize("attention_guided", [False, True])
def test_many_domains_have_aggans_losses_and_the_classification(attention_guided):
    method = build("aggan-domains", THREE, attention_guided_discriminators=attention_guided, r_early=0.2, pool=0)
    c, batch = method.config, noise_batch(method.config, method.task)
    outputs = method(batch)
    G_c, M_c, _ = outputs
    method.progress = Progress(0)
    terms = method.generator_loss(batch, outputs)
    scores, logits = method.D(G_c)
    torch.testing.assert_close(terms["gan"], 0.8 * c.lambda_gan * (scores - 1).square().mean())
    torch.testing.assert_close(terms["cls"], 0.8 * c.lambda_cls * losses.classification(logits, batch.target))
    torch.testing.assert_close(terms["pixel"], 0.2 * c.lambda_pixel * (G_c - batch.image).abs().mean())
    torch.testing.assert_close(terms["tv"], 0.8 * c.lambda_tv * losses.total_variation(M_c))
    assert ("agan" in terms) == ("acls" in terms) == attention_guided
    terms = method.discriminator_loss(batch, outputs)
    real_scores, logits = method.D(batch.image)
    torch.testing.assert_close(terms["D"], ((real_scores - 1).square().mean() + scores.square().mean()) / 2)
    torch.testing.assert_close(terms["D cls"], c.lambda_cls * losses.classification(logits, batch.code))
    if attention_guided:
        others = torch.cat((M_c.flip(0), batch.image), 1)  # two images: the other's mask
        real_scores, fake_scores = method.D_a(others)[0], method.D_a(torch.cat((M_c, G_c), 1))[0]
        expected = ((real_scores - 1).square().mean() + fake_scores.square().mean()) / 2
        torch.testing.assert_close(terms["D_a"], expected)


def test_many_domains_have_aggans_remedies():
    remedies = aggan.Remedies(lambda_mask=2, lambda_band=3, lambda_content=5, discriminator_lr_scale=0.5)
    method = build("aggan-domains", THREE, r_early=0.2, remedies=remedies)
    batch = noise_batch(method.config, method.task)
    outputs = method(batch)
    _, M_c, R_c = outputs
    terms = method.generator_loss(batch, outputs)
    torch.testing.assert_close(terms["mask"], 0.2 * 2 * M_c.mean())
    torch.testing.assert_close(terms["band"], 3 * losses.outside_band(M_c, *remedies.mask_band))
    torch.testing.assert_close(terms["content"], 5 * (R_c - batch.image).abs().mean())
    assert [update.lr_scale for update in method.updates()] == [1, 0.5]


def test_a_real_image_meets_its_own_mask_if_asked():
    remedies = aggan.Remedies(own_masks=True)
    method = build("aggan-domains", THREE, attention_guided_discriminators=True, pool=0, remedies=remedies)
    batch = noise_batch(method.config, method.task)
    outputs = method(batch)
    G_c, M_c, _ = outputs
    real_scores, fake_scores = (method.D_a(torch.cat((M_c, image), 1))[0] for image in (batch.image, G_c))
    expected = ((real_scores - 1).square().mean() + fake_scores.square().mean()) / 2
    torch.testing.assert_close(method.discriminator_loss(batch, outputs)["D_a"], expected)


def test_a_score_for_each_domain_is_chosen_by_the_code():
    method = build("aggan-domains", THREE, domain_scores=True)
    images, codes = torch.rand(3, 3, 64, 64), torch.eye(3)
    all_scores, _ = method.D(images)
    scores, _ = method.D(images, codes)
    assert all_scores.shape == (3, 3, 1, 1)
    torch.testing.assert_close(scores[:, 0], torch.stack([all_scores[k, k] for k in range(3)]))


@pytest.mark.parametrize("label", ["input", "norm"])
def test_the_code_reaches_the_middle_of_the_image(label):
    method = build("aggan-domains", THREE, label=label, generator_blocks=4).eval()
    for part in method.G.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight)
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    happy, sad = (method.translate(images, to).image[..., 28:36, 28:36] for to in ("happy", "sad"))
    assert (happy - sad).abs().max() > 1e-5


def test_classification_as_released_has_stargans_weight():
    method = build("aggan-domains-released")
    batch = noise_batch(method.config, method.task)
    outputs = method(batch)
    for terms, key, image, code in (
        (method.discriminator_loss(batch, outputs), "D cls", batch.image, batch.code),
        (method.generator_loss(batch, outputs), "cls", outputs.image, batch.target),
    ):
        torch.testing.assert_close(terms[key], losses.classification(method.D(image)[1], code), rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", ["stargan", "ganimation", "aggan-domains", "contrastgan"])
def test_another_code_gives_another_image(name):
    method = build(name, THREE).eval()
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    happy, sad = (method.translate(images, to).image for to in ("happy", "sad"))
    assert (happy - sad).abs().max() > 1e-4


def test_contrastgans_ellipse_can_be_learned_with_after_it_was_used_to_translate():
    method = build("contrastgan", TWO._replace(size=72))
    images = torch.rand(1, 3, 72, 72)
    with torch.inference_mode():
        method.translate(images, "happy")
    method.translate(images, "happy").image.sum().backward()
    assert all(parameter.grad is not None for parameter in method.G.parameters())


def test_contrastgan_changes_nothing_outside_the_mask():
    method = build("contrastgan")
    assert isinstance(method, contrastgan.ContrastGAN)
    images, mask = torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    mask[..., 16:48] = 1
    edited = method.edit(images, mask, 1).image
    assert torch.equal(edited[..., :16], images[..., :16])
    assert not torch.equal(edited[..., 16:48], images[..., 16:48])


def test_diat_translates_one_way_and_detaches_the_source_features():
    method = build("diat")
    assert method.targets == ("happy",)
    batch = noise_batch(method.config, method.task)
    images = batch.x.clone().requires_grad_()
    identity = method.generator_loss(batch._replace(x=images), method(batch))["identity"]
    assert identity > 0
    assert not has_gradient(identity, images)


def test_icgan_trains_in_two_phases():
    method = build("icgan")
    scheduled = [
        [update.name for update in method.updates() if update.when(Progress(0, 1, fraction))]
        for fraction in (0.0, 0.6, 0.7)
    ]
    assert scheduled == [["discriminator", "generator"], ["discriminator", "generator"], ["encoders"]]
    assert during(0.5, 1.0)(Progress(fraction=0.5))
    others = icgan.draw_other_domain(torch.eye(3).repeat(40, 1))
    assert torch.equal(others.sum(1), torch.ones(120))
    assert not (others * torch.eye(3).repeat(40, 1)).any()


def test_ganimations_attention_is_what_is_kept():
    method = build("ganimation")
    batch = noise_batch(method.config, method.task)
    outputs = method(batch)
    translation, target = outputs
    attention = method.generator_loss(batch, outputs)["attention"]
    reconstruction = method.G(translation.image, batch.code)
    expected = 0.1 * ((1 - translation.mask).mean() + (1 - reconstruction.mask).mean())
    torch.testing.assert_close(attention, expected)
    assert (target - batch.target).abs().max() <= ganimation.JITTER


def test_ganimation_translates_to_action_units_and_between_expressions():
    codes = (tuple([0.0] * 17), tuple([0.2] * 17))
    method = build("ganimation", TWO._replace(codes=codes))
    assert isinstance(method, ganimation.GANimation)
    code = method.code_of("AU6=3, AU12=5")
    assert [round(v, 3) for v in code[code > 0].tolist()] == [0.6, 1.0]
    torch.testing.assert_close(method.code_of("neutral>happy@0.25"), torch.full((17,), 0.05))
    for wrong in ("AU3=1", "AU6=x", "angry", "neutral>angry@1"):
        with pytest.raises(UserError, match=wrong.split("=")[0].rpartition(">")[2].split("@")[0]):
            method.require_target(wrong)
    with pytest.raises(UserError, match="learned expressions, not action units"):
        build("ganimation").require_target("AU6=1")


def test_pix2pix_discriminates_pairs_and_keeps_its_dropout():
    method = build("pix2pix", TWO)
    assert method.get_submodule("D").tower[0][0].in_channels == 6
    images = torch.rand(1, 3, 64, 64)
    first, second = (method.eval().translate(images, "happy").image for _ in range(2))
    assert not torch.equal(first, second)
    assert method.targets == ("happy",)


def test_an_encoder_decoder_has_no_skip_connections():
    unet, plain = (build(name, TWO).G for name in ("pix2pix", "encoder-decoder"))
    assert unet.up[-1][1].in_channels == 2 * plain.up[-1][1].in_channels


def test_bicyclegan_halves_its_batch_and_its_encoder_does_not_learn_from_the_latent_loss():
    with pytest.raises(UserError, match="even number"):
        METHODS["bicyclegan"].require_batch(3)
    method = build("bicyclegan")
    assert isinstance(method, bicyclegan.BicycleGAN)
    batch = noise_batch(method.config, method.task, 4)
    outputs = method(batch)
    assert len(outputs.encoded) == len(outputs.random) == 2
    terms = method.generator_loss(batch, outputs)
    assert not any(has_gradient(terms["latent"], p) for p in method.E.parameters())
    assert any(has_gradient(terms["latent"], p) for p in method.G.parameters())
    assert all(has_gradient(terms["kl"], p) for p in method.E.mean.parameters())
    images = torch.rand(1, 3, 64, 64)
    assert not torch.equal(*(method.translate(images, "happy").image for _ in range(2)))


def test_every_kind_of_training_data_has_a_method():
    assert {config.needs for config in METHODS.values()} == set(Needs)
