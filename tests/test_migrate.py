"""Files of earlier versions are read as if they had been written today."""

import json

import pytest
from cli_helpers import save_small_model
from tiny_models import SMALL

from aggan.cli.main import run
from aggan.errors import UserError
from aggan.methods import aggan
from aggan.methods.pretrained import load_model, read_card
from aggan.methods.registry import METHODS
from aggan.training import checkpoint, log
from aggan.training.experiment import Experiment

OLD_METHOD = {"system": "aggan", **SMALL, "lambda_pixel": 40.0, "ramp_steps": 7, "mask_floor": 0.0, "augment": 0.5}
OLD_EXPERIMENT = {
    "version": 1,
    "system": OLD_METHOD,
    "data": {"root": "/faces", "names": ["neutral", "happy"], "size": 32},
    "training": {"steps": 3, "begin_with": "faces64", "recompute": True},
}
METHOD = aggan.Config.model_validate(SMALL | {"lambda_pixel": 40, "remedies": {"ramp_steps": 7}})


def test_an_old_experiment_has_todays_names(tmp_path):
    (tmp_path / "experiment.json").write_text(json.dumps(OLD_EXPERIMENT))
    experiment = Experiment.load(tmp_path)
    assert experiment.version == 3
    assert experiment.method == METHOD
    assert experiment.data.names == ("neutral", "happy")
    assert str(experiment.training.init_from) == "faces64"
    assert experiment.training.activation_checkpointing
    assert experiment.training.augment == 0.5
    experiment.save(tmp_path)
    assert Experiment.load(tmp_path) == experiment


def test_augmentation_was_a_remedy_in_version_2(tmp_path):
    method = {"method": "aggan", **SMALL, "remedies": {"ramp_steps": 7, "augment": 0.25}}
    (tmp_path / "experiment.json").write_text(json.dumps({"version": 2, "method": method, "training": {"steps": 3}}))
    experiment = Experiment.load(tmp_path)
    assert experiment.training.augment == 0.25
    assert experiment.training.steps == 3
    assert isinstance(experiment.method, aggan.Config)
    assert experiment.method.remedies.ramp_steps == 7


def test_a_newer_experiment_asks_for_an_update(tmp_path):
    (tmp_path / "experiment.json").write_text(json.dumps({"version": 4}))
    with pytest.raises(UserError, match=r"experiment.json: written by a newer aggan \(version 4\): update aggan"):
        Experiment.load(tmp_path)


def test_an_old_model_loads_and_translates_alike(tmp_path):
    folder = save_small_model(tmp_path / "model", METHOD)
    weights = load_model(folder)[0].inference_state_dict()
    card = json.loads((folder / "config.json").read_text())
    old = {key: value for key, value in card.items() if key != "method"} | {"version": 1, "system": OLD_METHOD}
    (folder / "config.json").write_text(json.dumps(old))
    assert read_card(folder / "config.json").method == METHOD
    loaded = load_model(folder)[0].inference_state_dict()
    assert all((loaded[key] == value).all() for key, value in weights.items())


def test_an_old_model_for_many_domains_as_released_has_its_own_settings(tmp_path):
    small = {"generator_width": 4, "generator_blocks": 1}
    old = {"method": "aggan-domains", "content": "linear", "upsampling": "stargan", "critic_steps": 3, "lambda_tv": 0}
    expected = METHODS["aggan-domains-released"].model_copy(update=small | {"critic_steps": 3})
    card = {"version": 2, "method": old | small, "domains": ["happy", "sad"], "size": 64}
    (tmp_path / "config.json").write_text(json.dumps(card))
    assert read_card(tmp_path / "config.json").method == expected
    for version in (2, 3):
        (tmp_path / "experiment.json").write_text(json.dumps({"version": version, "method": old | small}))
        assert Experiment.load(tmp_path).method == expected


def test_an_old_journal_has_losses_and_masks_apart(tmp_path):
    old = {"step": 50, "epoch": 1, "seconds": 2.5, "gan": 0.4, "M_y mean": 0.1, "M_y spread": 0.2}
    (tmp_path / "journal.jsonl").write_text(json.dumps(old) + "\n" + json.dumps({"step": 50, "scores": {"d": 1.0}}))
    assert log.read(tmp_path) == [
        {"step": 50, "epoch": 1, "seconds": 2.5, "losses": {"gan": 0.4}, "masks": {"M_y": {"mean": 0.1, "std": 0.2}}},
        {"step": 50, "scores": {"d": 1.0}},
    ]


def test_an_old_checkpoint_names_the_way_on(tmp_path):
    checkpoint.save(tmp_path, {"version": 1, "system": {}})
    with pytest.raises(UserError, match=f"start a new one from its model with --training.init-from {tmp_path}"):
        checkpoint.load(tmp_path)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("systems", "aggan systems: this verb is called methods now: aggan methods"),
        ("train --system.lambda-pixel 3", "--system.lambda-pixel is called --method.lambda-pixel now"),
        ("train --system.augment=0.5", "--system.augment is called --training.augment now"),
        ("train --method.remedies.augment .5", "--method.remedies.augment is called --training.augment now"),
        ("train --method.mask_floor 0.1", "--method.mask-floor: it was removed"),
        ("train --training.begin_with faces64", "--training.begin-with is called --training.init-from now"),
    ],
)
def test_an_old_name_on_the_command_line_names_the_new_one(command, sentence, capsys):
    assert run(command.split()) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_an_old_section_of_a_recipe_names_the_new_one(tmp_path, capsys):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("system: {lambda_pixel: 3}")
    assert run(["train", "--recipe", str(recipe), "--out", str(tmp_path / "run")]) == 2
    assert "the section system is called method now" in capsys.readouterr().err
