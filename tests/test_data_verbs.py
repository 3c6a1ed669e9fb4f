"""Faults about data, met by users of the commands: by-products, layouts, names, the run folder, bits."""

import json
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import yaml
from cli_helpers import error_line, save_small_model, translate, write_image
from PIL import Image as Pillow

from aggan.cli.data_options import require_folders
from aggan.cli.main import run
from aggan.errors import UserError
from aggan.images.sixteen_bit import write_16bit
from aggan.inference.translator import load
from aggan.methods.pretrained import ModelCard, read_card, save_model
from aggan.training.experiment import Experiment

NFC, NFD = (unicodedata.normalize("NFC", "fröhlich"), unicodedata.normalize("NFD", "fröhlich"))


def evaluated(model: Path, inputs: Path, out: Path, *more: str) -> int:
    return run(["evaluate", str(model), "--inputs", str(inputs), "--to", "happy", "--out", str(out), *more])


def train(small_recipe: Path, *more: object) -> int:
    return run(["train", "aggan", "--recipe", str(small_recipe), *map(str, more)])


@pytest.fixture
def recipe(tmp_path, small) -> Path:
    """Two steps of a tiny training."""
    settings = {
        "method": small.model_dump(exclude_unset=True) | {"curriculum_epochs": 1},
        "data": {"size": 32},
        "training": {"steps": 2, "accelerator": "cpu", "threads": 1},
    }
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


# --- by-products ------------------------------------------------------------------------------------


def test_an_evaluation_after_a_translation_with_masks_sees_the_translations_only(tmp_path, model, capsys):
    for number in range(12):
        write_image(tmp_path / "in" / f"{number}.png", 32, 32)
    assert translate(model, tmp_path / "in", out=tmp_path / "out", more=("--masks",)) == 0
    assert len(list((tmp_path / "out").iterdir())) == 36
    capsys.readouterr()
    assert evaluated(model, tmp_path / "out", tmp_path / "results.json") == 0
    output = capsys.readouterr()
    assert '"images": 12' in (tmp_path / "results.json").read_text()
    assert "left out 24 (masks and contents of translations): " in " ".join((output.out + output.err).split())


def test_a_resumed_run_beside_its_domains_does_not_learn_from_its_samples(tmp_path, faces, recipe, capsys):
    root = tmp_path / "root"
    shutil.copytree(faces / "train", root)
    run_folder = tmp_path / "run"
    assert train(recipe, "--data.root", root, "--training.sample-every", 1, "--out", run_folder) == 0
    shutil.copytree(run_folder, root / "copy of a run")
    capsys.readouterr()
    assert run(["train", "--resume", str(run_folder), "--training.steps", "3"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "6 happy, 6 neutral" in output
    assert "left out 1 (runs): " in output


# --- layouts and the run folder ---------------------------------------------------------------------


def test_a_training_says_what_it_understood_of_another_spelling(tmp_path, faces, recipe, capsys):
    (faces / "train").rename(faces / "Train")
    (faces / "test").rename(faces / "Validation")
    assert train(recipe, "--data.root", faces, "--out", tmp_path / "run") == 0
    output = " ".join(capsys.readouterr().out.split())
    assert f"training images: 6 happy, 6 neutral in {faces / 'Train'}" in output
    assert f"test images: 6 happy, 6 neutral in {faces / 'Validation'}" in output


@pytest.mark.parametrize("out", [".", "train/run", "test/happy", "../run/../faces/train/happy/run"])
def test_a_training_refuses_a_run_folder_inside_its_images(faces, recipe, out, capsys):
    code = train(recipe, "--data.root", faces, "--out", faces / out)
    assert "the training images" in error_line(capsys, code)
    assert not list(faces.rglob("experiment.json"))


def test_side_by_side_images_are_learned_from(tmp_path, recipe, capsys):
    for split in ("train", "test"):
        for number in range(3):
            write_image(tmp_path / "facades" / split / f"{number}.jpg", 32, 64)
    names = ("--data.names", "photo", "labels")
    assert train(recipe, "--data.pairs", tmp_path / "facades", *names, "--out", tmp_path / "run") == 0
    assert "3 pairs in" in " ".join(capsys.readouterr().out.split())
    assert read_card(tmp_path / "run" / "last" / "config.json").domains == ("photo", "labels")


MISTAKES = {
    "a domain that is not there": ("{root}", ("neutral", "hapy"), r"no folder for the domain 'hapy'"),
    "a root that is not there": ("{root}/gone", (), "gone: no such folder"),
}


@pytest.mark.parametrize(("root", "names", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_folders_is_reported_before_torch_is_imported(faces, root, names, expected):
    argv = ["train", "--data.root", root.format(root=faces), "--out", str(faces / "run")]
    argv += ["--data.names", *names] if names else []
    program = f"import sys; from aggan.cli.main import run; code = run({argv}); print('torch' in sys.modules, code)"
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert process.stdout == "False 2\n"
    assert expected in process.stderr
    assert process.stderr.count("\n") == 1


def test_folders_are_checked_with_the_names_of_the_recipe(tmp_path, faces):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({"data": {"names": ["neutral", "sad"]}}))
    options = ["--recipe", str(path), "--data.root", str(faces)]
    with pytest.raises(UserError, match="no folder for the domain 'sad'"):
        require_folders(options)
    require_folders([*options, "--data.names", "happy", "neutral"])
    path.write_text(yaml.safe_dump({"for": {"aggan": {"data": {"names": ["a", "b"]}}}}))
    require_folders(options)


@pytest.mark.parametrize(
    "argv", [[], ["--resume", "run"], ["--data.root"], ["--data.direction", "up", "--data.x", "a"]]
)
def test_other_command_lines_are_left_to_the_training(argv):
    require_folders(argv)


# --- names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("known", "typed"), [(NFC, NFD), (NFD, NFC)])
def test_a_domain_is_known_in_any_unicode_form(tmp_path, small, known, typed):
    card = ModelCard(method=small, domains=("neutral", known), size=32)
    save_model(tmp_path / "model", card, card.build().inference_state_dict())
    backend = load(tmp_path / "model").backend(typed, "neutral")
    assert backend.to == known


def test_inputs_and_ground_truth_pair_in_any_unicode_form(tmp_path, model):
    write_image(tmp_path / "in" / f"{NFC}.png", 32, 32)
    write_image(tmp_path / "truth" / f"{NFD}.png", 32, 32)
    truth = ("--ground-truth", str(tmp_path / "truth"))
    assert evaluated(model, tmp_path / "in", tmp_path / "results.json", *truth) == 0


# --- bits -------------------------------------------------------------------------------------------


def test_a_model_that_learned_from_12_bits_translates_and_is_evaluated_with_them(tmp_path, recipe, capsys):
    pixels = np.linspace(0, 4095, 32 * 32 * 3).astype(np.uint16).reshape(32, 32, 3)
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        for number in range(2):
            write_16bit(tmp_path / folder / f"{number}.png", pixels, "PNG", {})
    data = ("--data.x", tmp_path / "x", "--data.y", tmp_path / "y", "--data.names", "neutral", "happy")
    code = train(recipe, *data, "--out", tmp_path / "refused")
    assert "pass --data.bits 12, or --data.bits 16 if they are only dark" in error_line(capsys, code)
    assert train(recipe, *data, "--data.bits", 12, "--out", tmp_path / "run") == 0
    assert Experiment.load(tmp_path / "run").data.bits == 12
    assert read_card(tmp_path / "run" / "last" / "config.json").bits == 12
    assert translate(tmp_path / "run", tmp_path / "x", out=tmp_path / "out") == 0
    assert evaluated(tmp_path / "run", tmp_path / "x", tmp_path / "results.json") == 0


def test_an_image_of_unclear_range_is_no_image_for_a_study(tmp_path, capsys):
    for folder in ("real", "fake"):
        (tmp_path / folder).mkdir()
        for number in range(4):
            write_16bit(tmp_path / folder / f"{number}.png", np.full((32, 32, 3), 4000, np.uint16), "PNG", {})
    options = ["--trials", "2", "--practice", "1", "--checks", "1", "--out", str(tmp_path / "study")]
    code = run(["study", "create", "--real", str(tmp_path / "real"), "--fake", f"a={tmp_path / 'fake'}", *options])
    assert "no value above 4095, so its range is unclear: convert it to 8 bits" in error_line(capsys, code)


def test_heic_images_are_translated_to_png(tmp_path, small):
    pytest.importorskip("pi_heif")
    model = save_small_model(tmp_path / "model", small, mask_bias=-100)
    (tmp_path / "in").mkdir()
    shutil.copyfile(Path(__file__).with_name("red.heic"), tmp_path / "in" / "a.heic")
    assert translate(model, tmp_path / "in", out=tmp_path / "out") == 0
    with Pillow.open(tmp_path / "out" / "a.png") as output:
        assert output.size == (64, 48)


def test_an_export_is_checked_on_images_of_the_bits_of_its_model(tmp_path, small):
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    model = save_small_model(tmp_path / "model", small)
    config = json.loads((model / "config.json").read_text()) | {"bits": 12}
    (model / "config.json").write_text(json.dumps(config))
    (tmp_path / "in").mkdir()
    pixels = np.random.default_rng(0).integers(0, 4000, (32, 32, 3), dtype=np.uint16)
    write_16bit(tmp_path / "in" / "a.png", pixels, "PNG", {})
    options = ["--to", "onnx", "--domain", "happy", "--images", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    assert run(["export", str(model), *options]) == 0
