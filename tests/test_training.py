"""The promises of training: updates, exact resume, averages, the watch, processes."""

import json
import signal
import subprocess
import sys
import threading
import time
from io import StringIO
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from rich.console import Console
from tiny_models import shrunk

from aggan.data.folders import DataConfig
from aggan.errors import UserError
from aggan.inference.translator import load
from aggan.io import exclusive_lock, write_atomic
from aggan.methods.base import Task
from aggan.methods.registry import METHODS
from aggan.training import checkpoint, log
from aggan.training.config import RECIPES, TrainingConfig
from aggan.training.ema import EMA
from aggan.training.experiment import Experiment
from aggan.training.fabric import Engine
from aggan.training.run import train
from aggan.training.trainer import Trainer, interruptible, step_seed
from aggan.training.watch import Diverged, MaskWatch, MetricAccumulator
from aggan.types import Image, Translation

QUIET = Console(quiet=True)
FAST = {"batch": 2, "journal_every": 2, "save_every": 3, "sample_every": 0, "accelerator": "cpu", "threads": 1}


def experiment(faces: Path, name: str = "aggan", **training) -> Experiment:
    method = shrunk(name)
    early = {"curriculum_epochs": 1} if "curriculum_epochs" in type(method).model_fields else {}
    method = method.model_copy(update=early)
    recipe = TrainingConfig.model_validate({**FAST, "epochs": 4, "decay_after": 1, **training})
    data = DataConfig(root=faces, names=("neutral", "happy"), size=32 if method.method == "aggan" else 64)
    return Experiment(method=method, data=data, training=recipe)


def weights(run: Path) -> dict[str, torch.Tensor]:
    state = checkpoint.load(run)
    flat = dict(state["method"])
    for name, optimizer in state["optimizers"].items():
        for index, moments in optimizer["state"].items():
            flat |= {f"{name}.{index}.{key}": value for key, value in moments.items()}
    flat |= {f"ema.{key}": value for key, value in state["ema"].items()}
    return flat


def assert_same(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    for key, value in a.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, b[key]), key
        else:  # a pool
            pairs = zip(value, b[key], strict=True)
            assert all(torch.equal(p, q) for past, other in pairs for p, q in zip(past, other, strict=True)), key


@pytest.fixture
def stop_at(monkeypatch):
    """Make the trainer believe that a signal came after so many steps."""
    original = Trainer.step

    def install(step: int) -> None:
        def counted(self: Trainer) -> None:
            original(self)
            if self.steps == step:
                signal.raise_signal(signal.SIGTERM)

        monkeypatch.setattr(Trainer, "step", counted)

    return install


# --- resume ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "precision"),
    [("aggan", "32-true"), ("aggan-released", "32-true"), *((name, "bf16-mixed") for name in METHODS)],
)
def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(faces, tmp_path, stop_at, name, precision):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    asked = experiment(faces, name, precision=precision, ema=0.9)
    assert train(asked, whole, QUIET)
    stop_at(5)
    assert not train(asked, parts, QUIET)
    assert checkpoint.load(parts)["steps"] == 5
    assert train(asked, parts, QUIET, resume=True)
    assert_same(weights(whole), weights(parts))
    assert (whole / "last" / "model.safetensors").read_bytes() == (parts / "last" / "model.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_killed_at_any_moment_goes_on_exactly(faces, tmp_path, number):
    asked = experiment(faces, epochs=40)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(asked, whole, QUIET)
    settings = tmp_path / "settings.yaml"
    settings.write_text(asked.model_dump_json(include={"method", "training"}))
    command = [sys.executable, "-m", "aggan", "train", "--recipe", str(settings), "--out", str(parts)]
    command += ["--data.root", str(faces), "--data.names", "neutral", "happy", "--data.size", "32"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (parts / checkpoint.FILE).exists() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(number)
    code = process.wait(60)
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    reached = checkpoint.load(parts)["steps"]
    assert 0 < reached < 120
    assert train(Experiment.load(parts), parts, QUIET, resume=True)
    assert_same(weights(whole), weights(parts))
    steps = [line["step"] for line in log.read(parts)]
    assert steps == sorted(set(steps))


def test_a_training_may_start_from_another_models_generators(faces, tmp_path, monkeypatch):
    train(experiment(faces), tmp_path / "first", QUIET)
    monkeypatch.setattr(Trainer, "step", lambda self: setattr(self, "steps", self.steps + 1))  # learns nothing
    train(experiment(faces, init_from=tmp_path / "first", seed=7), tmp_path / "second", QUIET)
    first, second = (load(tmp_path / name).method.inference_state_dict() for name in ("first", "second"))
    assert_same(first, second)
    with pytest.raises(UserError, match=r"its networks differ from those to be trained: .*head.weight"):
        train(experiment(faces, "cyclegan", init_from=tmp_path / "first"), tmp_path / "third", QUIET)
    with pytest.raises(UserError, match="no model here"):
        train(experiment(faces, init_from=tmp_path / "nowhere"), tmp_path / "fourth", QUIET)


def test_a_finished_run_resumed_stays_as_it_is(faces, tmp_path):
    asked = experiment(faces, steps=3)
    train(asked, tmp_path / "run", QUIET)
    before = weights(tmp_path / "run")
    assert train(asked, tmp_path / "run", QUIET, resume=True)
    assert_same(before, weights(tmp_path / "run"))


def test_a_new_run_never_overwrites_an_old_one(faces, tmp_path):
    asked, run = experiment(faces, steps=1), tmp_path / "run"
    train(asked, run, QUIET)
    with pytest.raises(UserError, match="--resume"):
        train(asked, run, QUIET)
    (run / checkpoint.FILE).unlink()
    with pytest.raises(UserError, match="--resume"):
        train(asked, run, QUIET)
    with pytest.raises(UserError, match=r"nothing to resume: checkpoint\.pt is missing"):
        train(asked, run, QUIET, resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_that_ended_before_it_saved_anything_begins_anew(faces, tmp_path, monkeypatch, resume):
    asked, run = experiment(faces, steps=2), tmp_path / "run"

    def diverged(self: MetricAccumulator) -> None:
        raise Diverged("'gan' became nan at step 0")

    with monkeypatch.context() as patched:
        patched.setattr(MetricAccumulator, "flush", diverged)
        with pytest.raises(UserError, match=r"'gan' became nan at step 0\. Nothing was saved"):
            train(asked, run, QUIET)
    assert train(asked, run, QUIET, resume=resume)
    assert checkpoint.load(run)["steps"] == 2


def test_settings_of_the_training_may_change_in_the_middle(faces, tmp_path):
    run = tmp_path / "run"
    train(experiment(faces, steps=2), run, QUIET)
    changed = experiment(faces, steps=3, ema=0.99, weight_decay=0.5, betas=(0.1, 0.2))
    before = weights(run)
    assert train(changed, run, QUIET, resume=True)
    state = checkpoint.load(run)
    (group,) = state["optimizers"]["G_xy"]["param_groups"]
    assert (group["weight_decay"], tuple(group["betas"])) == (0.5, (0.1, 0.2))
    for key, value in state["ema"].items():  # the average begins with what was learned so far
        torch.testing.assert_close(value, torch.lerp(state["method"][key], before[key], 4 / 13), msg=key)


def test_a_domain_that_came_or_went_is_told(faces, tmp_path):
    asked, run = experiment(faces, "stargan", steps=1), tmp_path / "run"
    train(asked, run, QUIET)
    (faces / "train" / "happy").rename(faces / "train" / "sad")
    moved = asked.model_copy(update={"data": asked.data.model_copy(update={"names": ("neutral", "sad")})})
    with pytest.raises(UserError, match="learned the domains neutral, happy, but its data are neutral, sad"):
        train(moved, run, QUIET, resume=True)


def test_two_trainings_never_write_to_one_folder(faces, tmp_path):
    asked, run = experiment(faces, steps=1), tmp_path / "run"
    with exclusive_lock(run), pytest.raises(UserError, match="another process writes here"):
        train(asked, run, QUIET)
    (run / ".killed.tmp").touch()
    assert train(asked, run, QUIET)
    assert not list(run.glob(".*"))


def test_a_file_that_two_write_is_one_of_theirs(tmp_path):
    def write(path: Path) -> None:
        path.write_text("first")
        write_atomic(tmp_path / "file", lambda other: other.write_text("second"))

    write_atomic(tmp_path / "file", write)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "first"


def test_too_little_memory_is_told_with_what_to_try(faces, tmp_path, monkeypatch):
    def full(self: Trainer) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:1] . DefaultCPUAllocator: can't allocate memory: you tried")

    monkeypatch.setattr(Trainer, "step", full)
    with pytest.raises(UserError, match=r"not enough memory for a step; try a smaller --training\.batch"):
        train(experiment(faces), tmp_path / "run", QUIET)


def test_a_full_disk_leaves_the_last_good_checkpoint(faces, tmp_path, monkeypatch):
    asked = experiment(faces, steps=6)
    run = tmp_path / "run"
    original, calls = torch.save, []

    def full(state, path):
        calls.append(path)
        if len(calls) > 1:
            Path(path).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        original(state, path)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match="No space left"):
        train(asked, run, QUIET)
    assert checkpoint.load(run)["steps"] == 3
    assert [p.name for p in run.glob(".*")] == []


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_a_checkpoint_that_cannot_be_read_is_one_sentence(tmp_path, content):
    if content is not None:
        (tmp_path / checkpoint.FILE).write_bytes(content)
    with pytest.raises(UserError, match=str(tmp_path)):
        checkpoint.load(tmp_path)


# --- watch ----------------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_stops_with_term_and_step_and_keeps_the_checkpoint(faces, tmp_path, monkeypatch):
    from aggan.methods import aggan

    original = aggan.l1
    calls = []

    def spoiled(a, b):
        calls.append(1)
        return original(a, b) * (float("nan") if len(calls) > 4 * 4 else 1)

    monkeypatch.setattr(aggan, "l1", spoiled)
    with pytest.raises(UserError, match=r"'cycle' became nan at step 4"):
        train(experiment(faces, steps=9), tmp_path / "run", QUIET)
    state = checkpoint.load(tmp_path / "run")
    assert state["steps"] == 3
    assert all(torch.isfinite(v).all() for v in state["method"].values() if isinstance(v, torch.Tensor))


def test_the_accumulator_names_the_first_step_that_went_wrong():
    accumulator = MetricAccumulator()
    accumulator.add(7, {"gan": torch.tensor(1.0), "cycle": torch.tensor(2.0)})
    accumulator.add(8, {"gan": torch.tensor(3.0), "cycle": torch.tensor(float("inf"))})
    with pytest.raises(Diverged, match="'cycle' became inf at step 8"):
        accumulator.flush()


def test_the_accumulator_returns_means_and_is_empty_then():
    accumulator = MetricAccumulator()
    accumulator.add(0, {"gan": torch.tensor(1.0)})
    accumulator.add(1, {"gan": torch.tensor(3.0)})
    assert accumulator.flush() == {"gan": 2.0}
    assert accumulator.flush() == {}


def test_a_collapsing_mask_is_reported_once_with_advice():
    watch = MaskWatch(shrunk("aggan").build(Task(("a", "b"), 32)).mask_advice)
    assert watch.check(10, {"M_y": 0.2, "M_x": 0.5}) == []
    (empty,) = watch.check(20, {"M_y": 0.01, "M_x": 0.5})
    assert "M_y collapses at step 20" in empty
    assert "--method.r-late" in empty
    assert watch.check(30, {"M_y": 0.001, "M_x": 0.5}) == []
    (full,) = watch.check(40, {"M_y": 0.2, "M_x": 0.99})
    assert "full" in full
    assert len(watch.check(50, {"M_y": 0.01, "M_x": 0.99})) == 1


def test_a_mask_that_collapses_in_training_is_in_the_journal(faces, tmp_path, monkeypatch):
    asked = experiment(faces, steps=4)
    from aggan.nn.generators import AttentionGenerator

    forward = AttentionGenerator.forward

    def fading(self: AttentionGenerator, image: Image) -> Translation:
        image, mask, content = forward(self, image).attended()
        return Translation(image, mask * 1e-3, content)

    monkeypatch.setattr(AttentionGenerator, "forward", fading)
    train(asked, tmp_path / "run", QUIET)
    lines = log.read(tmp_path / "run")
    assert any("collapses" in line.get("warning", "") for line in lines)
    assert lines[0]["memory"] > 50
    assert {"gan", "agan", "cycle", "pixel", "tv", "D_ya"} <= lines[0]["losses"].keys()
    assert lines[0]["masks"].keys() == {"M_y", "M_x"}
    assert lines[0]["masks"]["M_y"].keys() == {"mean", "std"}


# --- schedules ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "step", "seconds", "expected"),
    [
        ({}, 0, 0, 1.0),
        ({}, 999, 0, 1.0),
        ({}, 1000, 0, 1.0),
        ({}, 1019, 0, 0.99),  # by whole epochs of ten steps: epoch 101
        ({}, 1500, 0, 0.5),
        ({"steps": 100}, 49, 0, 1.0),
        ({"steps": 100}, 75, 0, 0.5),
        ({"minutes": 10}, 0, 450, 0.5),
        ({"epochs": 80, "decay_after": 40}, 600, 0, 0.5),
        ({"epochs": 80, "decay_after": 80}, 799, 0, 1.0),
    ],
)
def test_the_rate_is_constant_then_falls_to_zero(recipe, step, seconds, expected):
    assert TrainingConfig.model_validate(recipe).lr_factor(step, 10, float(seconds)) == pytest.approx(expected)


@pytest.mark.parametrize("processor_time", [False, True])
def test_the_processors_clock_stands_still_while_others_work(processor_time):
    engine = Engine(TrainingConfig(processor_time=processor_time, accelerator="cpu", threads=1))
    began = engine.now()
    time.sleep(0.2)
    assert (engine.now() - began < 0.1) == processor_time


def test_every_step_and_process_has_its_own_seed():
    seeds = {step_seed(s, t, r) for s in range(3) for t in range(200) for r in range(3)}
    assert len(seeds) == 1800
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_average_follows_the_weights(small):
    method = small.build(Task(("a", "b"), 32))
    average = EMA(method, 0.9)
    before = method.G_xy.head.bias.detach().clone()
    with torch.no_grad():
        method.G_xy.head.bias.add_(1)
    average.update(step=1000)
    torch.testing.assert_close(average.state["G_xy.head.bias"], before + 0.1)
    with average.applied():
        torch.testing.assert_close(method.G_xy.head.bias.detach(), before + 0.1)
    torch.testing.assert_close(method.G_xy.head.bias.detach(), before + 1)


def test_signals_act_as_usual_afterwards():
    usual = signal.getsignal(signal.SIGTERM)
    with interruptible() as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGTERM)
        assert interrupted()
        assert signal.getsignal(signal.SIGTERM) == usual
    assert signal.getsignal(signal.SIGTERM) == usual


def test_a_training_in_a_thread_leaves_signals_alone():
    found = []

    def inside() -> None:
        with interruptible() as interrupted:
            found.append(interrupted())

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [False]


# --- files ----------------------------------------------------------------------------------------


def test_a_run_folder_holds_what_it_promises(faces, tmp_path):
    asked = experiment(faces, steps=4, sample_every=4, score_every=2)
    train(asked, tmp_path / "run", QUIET, scorer=lambda test_set: lambda method: {"distance": float(len(test_set[0]))})
    run = tmp_path / "run"
    assert Experiment.load(run) == asked
    assert sorted(p.name for p in (run / "samples").iterdir()) == ["step-000004.png"]
    assert [line["scores"] for line in log.read(run) if "scores" in line] == [{"distance": 6.0}] * 2
    assert json.loads((run / "best" / "config.json").read_text())["steps"] == 2
    config = json.loads((run / "last" / "config.json").read_text())
    assert (config["version"], config["domains"], config["size"]) == (2, ["neutral", "happy"], 32)
    assert load(run / "last").domains == ("neutral", "happy")


def test_domains_may_have_different_and_few_held_out_images(faces, tmp_path):
    for domain, count in (("neutral", 1), ("happy", 3)):
        for file in sorted((faces / "test" / domain).iterdir())[count:]:
            file.unlink()
    asked = experiment(faces, steps=1, sample_every=1, score_every=1)
    console = Console(record=True, width=200, file=StringIO())
    assert train(asked, tmp_path / "run", console, scorer=lambda test_set: pytest.fail("scored one image"))
    assert "no scores and no best/" in console.export_text()
    assert (tmp_path / "run" / "samples" / "step-000001.png").exists()


@pytest.mark.parametrize(
    "wrong", [{"betas": (0.5, 1.5)}, {"seed": 10**23}, {"timeout": float("inf")}, {"timeout": float("nan")}]
)
def test_settings_that_torch_would_refuse_are_refused_before(wrong):
    with pytest.raises(ValidationError):
        TrainingConfig.model_validate(wrong)


@pytest.mark.parametrize("recipe", sorted(path.stem for path in RECIPES.glob("*.yaml")))
@pytest.mark.parametrize("method", METHODS)
def test_recipes_that_ship_suit_every_method(recipe, method):
    made = Experiment.of(method, recipe)
    if recipe in ("native", "paper", "faces64"):  # for all; others' batch may be too small, which is told
        made.method.require_batch(made.training.batch)
    kept = made.method.model_dump(include=METHODS[method].model_fields_set)
    assert kept == METHODS[method].model_dump(include=METHODS[method].model_fields_set)


# --- several processes ----------------------------------------------------------------------------


@pytest.mark.slow
def test_two_processes_learn_what_one_does_with_the_double_batch(faces, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text(experiment(faces, steps=1).model_dump_json(include={"method", "training"}))
    rest = ["--data.root", str(faces), "--data.names", "neutral", "happy", "--data.size", "32", "--method.pool", "0"]
    for name, options in (("one", ["--training.batch", "2"]), ("two", ["--training.batch", "1"])):
        devices = ["--training.devices", "2"] if name == "two" else []
        command = ["-m", "aggan", "train", "--recipe", str(settings), "--out", str(tmp_path / name)]
        subprocess.run([sys.executable, *command, *rest, *options, *devices], check=True, timeout=200)
    one, two = (checkpoint.load(tmp_path / name)["optimizers"] for name in ("one", "two"))
    for network, state in one.items():
        for index, moments in state["state"].items():
            # Adam's first moment is the gradient; its step would turn rounding errors into whole steps.
            other = two[network]["state"][index]["exp_avg"]
            torch.testing.assert_close(moments["exp_avg"], other, atol=1e-5, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, config in METHODS.items() if not name.startswith("aggan-")])
def test_every_method_trains_in_two_processes(faces, tmp_path, name):
    settings, run = tmp_path / "settings.yaml", tmp_path / "run"
    settings.write_text(experiment(faces, name, steps=4).model_dump_json(include={"method", "training"}))
    command = [sys.executable, "-m", "aggan", "train", name, "--recipe", str(settings), "--out", str(run)]
    command += ["--data.root", str(faces), "--data.names", "neutral", "happy", "--data.size", "64"]
    subprocess.run([*command, "--training.devices", "2"], check=True, timeout=200)
    assert checkpoint.load(run)["steps"] == 4
    assert len(checkpoint.load(run)["ranks"]) == 2
