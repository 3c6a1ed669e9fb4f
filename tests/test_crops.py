"""Random crops of training images: `--data.load-size`."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from rich.console import Console
from tiny_models import shrunk

from aggan.cli.main import run
from aggan.data import datasets
from aggan.data.cache import DecodedDomain, decode_domain
from aggan.data.datasets import DATASETS, LabelledDataset, MaskedDataset, PairedDataset, Sampler, UnpairedDataset
from aggan.data.folders import DataConfig, find
from aggan.data.index import INDEX, write_records
from aggan.images.convert import square, to_pixels, to_tensor
from aggan.methods.registry import METHODS
from aggan.training import checkpoint
from aggan.training.config import TrainingConfig
from aggan.training.experiment import Experiment
from aggan.training.run import train
from aggan.training.trainer import Trainer

SIDE, MARGIN, IMAGES = 8, 4, 12
QUIET = Console(quiet=True)
KINDS = sorted(set(DATASETS.values()), key=lambda kind: kind.__name__)


def located(images: int = IMAGES) -> np.ndarray:
    """Images whose pixels hold the number of the image, their row and their column."""
    side = SIDE + MARGIN
    pixels = np.empty((images, side, side, 3), np.uint8)
    pixels[..., 0] = np.arange(images)[:, None, None]
    pixels[..., 1], pixels[..., 2] = np.arange(side)[:, None], np.arange(side)
    return pixels


def domain(name: str, pixels: np.ndarray) -> DecodedDomain:
    return DecodedDomain(name, tuple(Path(f"{name}/{k}.png") for k in range(len(pixels))), pixels, folder=Path(name))


def two_domains() -> list[DecodedDomain]:
    return [domain(name, located()) for name in ("x", "y")]


def sampler(
    flip: bool = True, margin: int = MARGIN, rank: int = 0, world_size: int = 1, batch_size: int = 3
) -> Sampler:
    return Sampler(batch_size, 5, flip, rank, world_size, margin=margin)


def corners(images: torch.Tensor) -> list[tuple[int, int]]:
    """Row and column of the first pixel of each crop; that of a mirrored one is its last."""
    pixels = to_pixels(images)
    return list(zip(pixels[:, 0, 0, 1].tolist(), pixels[..., 2].min((1, 2)).tolist(), strict=True))


# --- the batches ------------------------------------------------------------------------------------


def test_crops_have_the_size_and_every_corner_occurs():
    dataset = UnpairedDataset([domain(name, located(400)) for name in ("x", "y")], sampler(batch_size=400))
    x, y = dataset.batch(0)
    assert x.shape == (400, 3, SIDE, SIDE)
    assert set(corners(x)) == {(row, column) for row in range(MARGIN + 1) for column in range(MARGIN + 1)}
    assert corners(x) != corners(y)
    pixels = to_pixels(x).astype(int)
    assert np.array_equal(np.abs(np.diff(pixels[..., 2], axis=2)), np.ones((400, SIDE, SIDE - 1)))
    assert np.array_equal(np.diff(pixels[..., 1], axis=1), np.ones((400, SIDE - 1, SIDE)))


def test_crops_differ_by_step_and_are_the_same_for_a_new_data_set():
    dataset = UnpairedDataset(two_domains(), sampler())
    steps = [corners(dataset.batch(step).x) for step in range(8)]
    assert len(set(map(tuple, steps))) == len(steps)
    datasets._corners.cache_clear()
    later = UnpairedDataset(two_domains(), sampler())
    assert [corners(later.batch(step).x) for step in reversed(range(8))] == steps[::-1]


def test_two_processes_crop_what_one_with_twice_the_batch_size_crops():
    alone = UnpairedDataset(two_domains(), sampler(batch_size=4))
    ranks = [UnpairedDataset(two_domains(), sampler(rank=rank, world_size=2, batch_size=2)) for rank in (0, 1)]
    for step in (0, 1, 5):
        for side in (0, 1):
            assert torch.equal(torch.cat([rank.batch(step)[side] for rank in ranks]), alone.batch(step)[side])


@pytest.mark.parametrize("flip", [False, True])
def test_without_crops_batches_are_the_permutation_and_flips_of_before(flip):
    dataset = UnpairedDataset(two_domains(), sampler(flip=flip, margin=0))
    for step in (0, 3, 4, 9):
        epoch, batch = divmod(step, IMAGES // 3)
        for stream, images in enumerate(dataset.batch(step)):
            random = np.random.default_rng((5, epoch, stream))
            order, mirrored = random.permutation(IMAGES), random.random(IMAGES) < 0.5
            these = slice(3 * batch, 3 * batch + 3)
            expected = [
                located()[index, :, ::-1] if flip and mirror else located()[index]
                for index, mirror in zip(order[these], mirrored[these], strict=True)
            ]
            assert torch.equal(images, to_tensor(np.stack(expected)))


@pytest.mark.parametrize("kind", KINDS)
def test_crops_are_cut_out_of_the_batches_that_there_are_without_them(kind):
    cropped, whole = (kind(two_domains(), sampler(margin=margin)) for margin in (MARGIN, 0))
    for step in range(4):
        for crops, images in zip(cropped.batch(step), whole.batch(step), strict=True):
            if not isinstance(images, torch.Tensor) or images.ndim != 4:
                assert torch.equal(torch.as_tensor(crops), torch.as_tensor(images))
                continue
            for crop, image in zip(crops, images, strict=True):
                places = [image[:, i : i + SIDE, j : j + SIDE] for i in range(MARGIN + 1) for j in range(MARGIN + 1)]
                assert any(torch.equal(crop, place) for place in places)


def test_the_two_images_of_a_pair_are_cropped_alike():
    dataset = PairedDataset(two_domains(), sampler())
    for step in range(6):
        x, y = dataset.batch(step)
        assert torch.equal(x, y)
    assert len(set(corners(dataset.batch(0).x))) > 1


def test_an_image_and_its_mask_are_cropped_alike(tmp_path):
    for name in ("x", "y"):
        for number, image in enumerate(np.random.default_rng(1).integers(0, 256, (4, 24, 24), np.uint8)):
            for file in (tmp_path / name / f"{number}.png", tmp_path / "masks" / "face" / name / f"{number}.png"):
                file.parent.mkdir(parents=True, exist_ok=True)
                Pillow.fromarray(image).convert("RGB").save(file)
    write_records(tmp_path / INDEX, [{"file": f"{name}/{k}.png"} for name in ("x", "y") for k in range(4)])
    domains = [
        decode_domain(each, 24, True, pytest.fail) for each in find(DataConfig(root=tmp_path, names=("x", "y"))).train
    ]
    dataset = MaskedDataset(domains, Sampler(2, 0, True, margin=16))
    for step in range(4):
        batch = dataset.batch(step)
        assert batch.x.shape[-1] == batch.x_mask.shape[-1] == 8
        torch.testing.assert_close((batch.x[:, :1] + 1) / 2, batch.x_mask)
        torch.testing.assert_close((batch.y[:, :1] + 1) / 2, batch.y_mask)


def test_balanced_draws_are_cropped_too():
    domains = [domain("many", located(40)), domain("few", located(3))]
    batch = LabelledDataset(domains, Sampler(20, 0, True, balance=True, margin=MARGIN)).batch(0)
    assert batch.image.shape == (20, 3, SIDE, SIDE)
    assert len(set(corners(batch.image))) > 5


# --- the setting ------------------------------------------------------------------------------------


def test_a_size_that_is_smaller_than_its_crops_is_refused(tmp_path, faces, capsys):
    argv = ["train", "--data.root", str(faces), "--out", str(tmp_path / "run")]
    assert run([*argv, "--data.load-size", "64", "--data.size", "128"]) == 2
    error = capsys.readouterr().err
    assert error == "aggan train: --data.load-size 64 is smaller than --data.size 128, which is cropped from it\n"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data: {size: 128, load_size: 64}")
    assert run([*argv, "--recipe", str(recipe)]) == 2
    assert "--data.load-size 64 is smaller than --data.size 128" in capsys.readouterr().err
    assert run([*argv, "--data.load-size", "0"]) == 2
    assert "--data.load-size 0 is smaller than --data.size 256" in capsys.readouterr().err
    assert DataConfig(size=64, load_size=64).margin == 0


def test_images_are_cropped_under_native_where_the_released_code_does():
    data = {name: Experiment.of(name, "native").data for name in METHODS}
    cropped = {name for name, each in data.items() if each.load_size}
    families = {"cyclegan", "pix2pix", "bicyclegan", "combogan", "distancegan"}
    assert cropped == families | {"encoder-decoder", "distance-cycle", "self-distance"}
    assert {(data[name].load_size, data[name].size) for name in cropped} == {(286, 256)}


@pytest.mark.parametrize(
    ("options", "load_size"),
    [
        ((), 286),
        (("--data.size", "128"), 143),
        (("--data.size=512",), 572),
        (("--data.size", "128", "--data.load-size", "286"), 286),
        (("--data.size", "128", "--data.load_size=150"), 150),
        (("--data.load-size", "300"), 300),
    ],
)
def test_another_size_on_the_command_line_keeps_the_ratio_of_the_recipe(
    tmp_path, monkeypatch, faces, options, load_size
):
    trained: list[Experiment] = []
    monkeypatch.setattr("aggan.training.run.train", lambda experiment, *_, **__: trained.append(experiment) or True)
    argv = ["train", "cyclegan", "--recipe", "native", "--data.root", str(faces), "--out", str(tmp_path / "run")]
    assert run([*argv, *options]) == 0
    assert trained[0].data.load_size == load_size


def test_the_spelling_of_other_programs_is_answered(tmp_path, capsys):
    assert run(["train", "--load_size", "286", "--out", str(tmp_path / "run")]) == 2
    assert "there is no option --load_size: here it is --data.load-size" in capsys.readouterr().err


# --- a training -------------------------------------------------------------------------------------


def cropping(faces: Path, name: str = "cyclegan", **data: object) -> Experiment:
    settings = {"root": faces, "names": ("neutral", "happy"), "size": 64, "load_size": 72, **data}
    training = {"batch": 2, "steps": 6, "save_every": 3, "sample_every": 6, "accelerator": "cpu", "threads": 1}
    return Experiment(
        method=shrunk(name),
        data=DataConfig.model_validate(settings),
        training=TrainingConfig.model_validate(training),
    )


def weights(folder: Path) -> bytes:
    return (folder / "last" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["cyclegan", "contrastgan"])
def test_an_interrupted_run_with_crops_ends_where_an_uninterrupted_one_does(faces, tmp_path, monkeypatch, name):
    experiment, original = cropping(faces, name), Trainer.step

    def interrupted(trainer: Trainer) -> None:
        original(trainer)
        if trainer.steps == 4:
            signal.raise_signal(signal.SIGTERM)

    assert train(experiment, tmp_path / "whole", QUIET)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", interrupted)
        assert not train(experiment, tmp_path / "parts", QUIET)
    assert checkpoint.load(tmp_path / "parts")["steps"] == 4
    datasets._corners.cache_clear()
    assert train(experiment, tmp_path / "parts", QUIET, resume=True)
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    assert train(cropping(faces, name, load_size=None), tmp_path / "uncropped", QUIET)
    assert weights(tmp_path / "uncropped") != weights(tmp_path / "whole")


def test_a_start_says_that_images_are_cropped_and_the_cache_lists_both_sizes(faces, tmp_path, capsys):
    console = Console(record=True, width=200, quiet=False, file=None)
    assert train(cropping(faces), tmp_path / "run", console)
    sentence = "training images are resized to 72 px and cropped to 64 px at random"
    assert sentence in console.export_text()
    capsys.readouterr()
    assert run(["data", "cache"]) == 0
    listed = capsys.readouterr().out
    for split, side in (("train", 72), ("test", 64)):
        for name in ("neutral", "happy"):
            assert f"images of {faces / split / name} at {side} px" in listed
    assert json.loads((tmp_path / "run" / "experiment.json").read_text())["data"]["load_size"] == 72
    assert json.loads((tmp_path / "run" / "last" / "config.json").read_text())["size"] == 64


def test_samples_show_whole_images_at_the_size_of_the_crops(faces, tmp_path, monkeypatch):
    for file in faces.glob("test/*/*.png"):
        file.unlink()
    for folder in (*faces.glob("test/*"), faces / "test"):
        folder.rmdir()
    shown: list[torch.Tensor] = []
    monkeypatch.setattr(Trainer, "run", lambda trainer, display, samples, score: shown.extend(samples) or True)
    train(cropping(faces), tmp_path / "run", QUIET)
    for name, images in zip(("neutral", "happy"), shown, strict=True):
        assert images.shape[1:] == (3, 64, 64)
        with Pillow.open(faces / "train" / name / "00.png") as file:
            expected = square(Pillow.fromarray(square(file.convert("RGB"), 72)), 64)
        assert np.array_equal(to_pixels(images[0]), expected)


def test_a_run_cannot_be_resumed_with_other_crops(faces, tmp_path, capsys):
    experiment = cropping(faces)
    experiment.save(tmp_path)
    assert run(["train", "--resume", str(tmp_path), "--data.load-size", "80"]) == 2
    assert "a resumed run keeps its method and data" in capsys.readouterr().err
