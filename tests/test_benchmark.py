"""A benchmark from its plan to its page; nothing finished is repeated."""

import io
import json
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from tiny_models import shrunk

from aggan.cli.benchmark import status_table
from aggan.cli.main import run
from aggan.comparison import runner
from aggan.comparison.plan import PLANS, DataSet, Plan, Trial, list_trials, read_plan
from aggan.comparison.runner import Command, Direction, evaluation_command, training_command, training_root
from aggan.data.folders import DataConfig, require_outside
from aggan.errors import UserError


def planned(tmp_path: Path, faces: Path, methods: tuple[str, ...]) -> Path:
    """A plan of tiny trainings."""
    small = shrunk("aggan").model_dump(exclude_unset=True) | {"curriculum_epochs": 1}
    recipe = tmp_path / "small.yaml"
    recipe.write_text(yaml.safe_dump({"for": {"aggan": {"method": small}}, "training": {"accelerator": "cpu"}}))
    plan = {"methods": list(methods), "data": {"cartoons": {"root": str(faces)}}, "size": 32}
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump({**plan, "recipe": str(recipe), "epochs": 1}))
    return path


@pytest.mark.slow
def test_a_benchmark_goes_on_past_failures_and_repeats_nothing(tmp_path, faces, capsys):
    plan, out = planned(tmp_path, faces, ("stargan", "aggan")), tmp_path / "out"
    assert run(["benchmark", str(plan), "--out", str(out), "--only", "aggan"]) == 0
    results = out / "cartoons" / "aggan" / "seed-0" / "happy" / "results.json"
    first = results.stat().st_mtime_ns
    assert run(["benchmark", str(plan), "--out", str(out)]) == 1
    assert results.stat().st_mtime_ns == first
    failure = json.loads((out / "cartoons" / "stargan" / "seed-0" / "failure.json").read_text())
    assert "stargan needs images of 64, 128" in failure["error"]
    page = (out / "report.html").read_text()
    # Six images of each: inputs, one method and ground truth; its mask, content and translation.
    assert page.count("data:image/png;base64,") == 6 * 6
    assert "stargan needs images of 64, 128" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    table = (out / "tables.md").read_text()
    assert "| identity baseline (copy of the input) |" in table
    assert "| ground truth |" in table
    assert "Table III" in page
    commands = (results.parents[1] / "commands.txt").read_text().splitlines()
    assert [line.split()[:2] for line in commands] == [["aggan", verb] for verb in ("train", "evaluate")]


def test_trials_are_every_method_on_every_set_with_every_seed():
    plan = Plan(methods=("aggan", "cyclegan"), minutes=1, seeds=(0, 1), more_seeds={"aggan": (1, 2)})
    assert list_trials(plan) == [
        Trial("faces", method, seed)
        for method, seed in (("aggan", 0), ("cyclegan", 0), ("aggan", 1), ("cyclegan", 1), ("aggan", 2))
    ]


def test_methods_that_learn_from_pairs_get_them(tmp_path):
    plan = Plan(methods=("aggan", "pix2pix"), minutes=1)
    assert [training_root(plan, tmp_path, trial).name for trial in list_trials(plan)] == ["faces", "faces-pairs"]


def has_test_images(monkeypatch) -> None:
    """Pairs of test images seem to be there."""
    monkeypatch.setattr(runner, "find_test_folders", lambda root, domains: {name: root / name for name in domains})
    monkeypatch.setattr(runner, "has_pairs", lambda *_: True)


def test_after_an_interrupt_no_other_training_starts(tmp_path, monkeypatch):
    started = []

    def interrupted(commands, folder, environment, on_status) -> None:
        started.append(folder)
        time.sleep(0.05)
        raise runner.Interrupted

    monkeypatch.setattr(runner, "run_commands", interrupted)
    plan = Plan(methods=("aggan", "cyclegan", "dualgan", "discogan", "stargan"), minutes=1)
    has_test_images(monkeypatch)
    with pytest.raises(runner.Interrupted):
        runner.run_trials(plan, tmp_path, list_trials(plan), 2, lambda trial, status: None)
    assert len(started) == 2


def ends_with(monkeypatch, code: int) -> None:
    """Every command ends with that code."""
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], code))
    has_test_images(monkeypatch)


KILLED = {-9: "was killed by signal 9 (perhaps no memory was left)", -11: "was killed by signal 11"}


@pytest.mark.parametrize(("code", "error"), KILLED.items())
def test_a_killed_trial_has_failed_and_the_others_continue(tmp_path, monkeypatch, code, error):
    ends_with(monkeypatch, code)
    plan = Plan(methods=("aggan", "cyclegan"), minutes=1)
    runner.run_trials(plan, tmp_path, list_trials(plan), 1, lambda trial, status: None)
    assert [runner.trial_status(tmp_path, trial, plan.targets) for trial in list_trials(plan)] == [error, error]


@pytest.mark.parametrize("code", [130, -1, -2, -15])
def test_an_interrupted_trial_has_not_failed(tmp_path, monkeypatch, code):
    ends_with(monkeypatch, code)
    with pytest.raises(runner.Interrupted):
        runner.run_commands([Command("training", ["train"])], tmp_path, {}, lambda status: None)
    assert not (tmp_path / "failure.json").exists()


def test_a_started_training_is_resumed(tmp_path):
    plan, trial = Plan(methods=("aggan",), minutes=2.5, threads=1, processor_time=True), Trial("faces", "aggan", 3)
    argv = training_command(plan, tmp_path, trial).argv
    assert argv[argv.index("--training.seed") + 1] == "3"
    assert argv[-5:] == ["--training.threads", "1", "--training.processor-time", "--training.minutes", "2.5"]
    run_folder = trial.folder(tmp_path) / "run"
    run_folder.mkdir(parents=True)
    (run_folder / "experiment.json").touch()
    assert training_command(plan, tmp_path, trial).argv == ["train", "--resume", str(run_folder)]


def test_methods_are_evaluated_against_the_ground_truth_or_else_against_other_images(tmp_path, faces):
    folders = faces / "test" / "neutral", faces / "test" / "happy"
    argv = evaluation_command(tmp_path / "run", tmp_path, Direction(*folders, "neutral", "happy")).argv
    assert argv[argv.index("--ground-truth") + 1] == str(faces / "test" / "happy")
    assert "--classifier" not in argv
    for file in sorted((faces / "test" / "happy").iterdir()):
        file.rename(file.with_stem(f"{file.stem}-of-another"))
    argv = evaluation_command(tmp_path / "run", tmp_path, Direction(*folders, "neutral", "happy", "none")).argv
    assert argv[argv.index("--real") + 1] == str(faces / "test" / "happy")
    assert argv[argv.index("--classifier") + 1] == "none"


@pytest.mark.parametrize("name", sorted(path.stem for path in PLANS.glob("*.yaml")))
def test_plans_that_ship_can_be_read(name):
    assert list_trials(read_plan(name))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("methods: [lfw]\nminutes: 1", "no method 'lfw'; there are aggan"),
        ("methods: [aggan]", "a budget is either minutes or epochs"),
        ("methods: [aggan]\nminutes: 1\nepochs: 2", "a budget is either minutes or epochs"),
        ("methods: [aggan]\nminutes: 1\nsize: 32", "the faces that ship come at 64 and 128 px, not 32"),
        ("methods: [aggan]\nminutes: 1\ncolour: red", "colour: Extra inputs are not permitted"),
        ("methods: [aggan]\nminutes: 1\ndata: {../up: {}}", "a data set cannot be called '../up'"),
        ("systems: [aggan]\nminutes: 1", "the key systems is called methods now"),
        ("- [", "not YAML"),
    ],
)
def test_mistakes_in_a_plan_are_one_sentence(tmp_path, capsys, content, message):
    (tmp_path / "plan.yaml").write_text(content)
    assert run(["benchmark", str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_results_of_another_plan_are_left_alone(tmp_path, faces, capsys):
    (tmp_path / "out").mkdir()
    other = Plan(methods=("aggan",), minutes=9)
    (tmp_path / "out" / "plan.json").write_text(other.model_dump_json())
    plan = planned(tmp_path, faces, ("aggan",))
    assert run(["benchmark", str(plan), "--out", str(tmp_path / "out")]) == 2
    assert "holds results of another plan" in capsys.readouterr().err
    assert run(["benchmark", str(plan), "--out", str(tmp_path / "new"), "--only", "dualgan"]) == 2
    assert "--only dualgan: not in the plan" in capsys.readouterr().err


def test_a_plan_of_version_1_is_resumed(tmp_path, faces):
    plan = Plan(methods=("aggan",), minutes=1, size=32, data={"cartoons": DataSet(root=faces)})
    content = json.loads(plan.model_dump_json(exclude={"classifier"})) | {"version": 1}
    content["systems"] = content.pop("methods")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "plan.json").write_text(json.dumps(content))
    runner.prepare(plan, tmp_path / "out", print, print)
    assert json.loads((tmp_path / "out" / "plan.json").read_text())["methods"] == ["aggan"]


@pytest.mark.parametrize("content", [b"{", b'{"version": 9}', b"\xff"])
def test_an_unreadable_plan_is_left_alone(tmp_path, faces, capsys, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "plan.json").write_bytes(content)
    assert run(["benchmark", str(planned(tmp_path, faces, ("aggan",))), "--out", str(tmp_path / "out")]) == 2
    assert "plan.json: damaged, or of another version of aggan: choose another --out" in capsys.readouterr().err
    assert (tmp_path / "out" / "plan.json").read_bytes() == content


def test_missing_files_of_a_plan_can_be_corrected(tmp_path, faces):
    plan = Plan(methods=("aggan",), minutes=1, size=32, data={"cartoons": DataSet(root=faces)})
    (faces.with_name("untested") / "train").parent.mkdir()
    (faces.with_name("untested") / "train").symlink_to(faces / "train")
    gone = tmp_path / "gone"
    for wrong in (
        {"data": {"cartoons": DataSet(root=gone)}},
        {"data": {"cartoons": DataSet(root=faces.with_name("untested"))}},
        {"lpips": gone},
        {"recipe": f"{gone}.yaml"},
    ):
        with pytest.raises(UserError, match=r"gone(.yaml)?: no such|untested: no test images of 'neutral'"):
            runner.prepare(plan.model_copy(update=wrong), tmp_path / "out", print, print)
    assert not (tmp_path / "out").exists()
    runner.prepare(plan, tmp_path / "out", print, print)
    assert len(list((tmp_path / "out" / "cartoons" / "test" / "happy").iterdir())) == 6


def test_a_failed_trial_is_named_with_its_log_and_its_reason(tmp_path, faces, monkeypatch, capsys):
    reason = "aggan train: the disk is on fire"
    monkeypatch.setattr(runner, "_run", lambda *_: (2, reason))
    out = tmp_path / "out"
    assert run(["benchmark", str(planned(tmp_path, faces, ("aggan", "cyclegan"))), "--out", str(out)]) == 1
    output = capsys.readouterr()
    trials = [out / "cartoons" / name / "seed-0" for name in ("aggan", "cyclegan")]
    assert output.err.splitlines() == [
        f"failed: {trial.parent.name} on cartoons, seed 0: {reason} ({trial}/log.txt)" for trial in trials
    ]
    assert json.loads((trials[0] / "failure.json").read_text())["error"] == reason
    assert reason in (out / "tables.md").read_text()


def test_a_benchmark_says_first_what_it_measures(tmp_path, faces, monkeypatch, capsys):
    monkeypatch.setattr(runner, "_run", lambda *_: (2, "no"))
    run(["benchmark", str(planned(tmp_path, faces, ("aggan",))), "--out", str(tmp_path / "out")])
    neutral, happy = faces / "test" / "neutral", faces / "test" / "happy"
    expected = f"neutral to happy: images of {neutral} (6), ground truth of each in {happy}"
    assert capsys.readouterr().out.splitlines()[0] == expected


def test_an_error_of_the_disk_stops_the_other_trials(tmp_path, monkeypatch):
    has_test_images(monkeypatch)
    started = []

    def full(commands, folder, environment, on_status) -> None:
        started.append(folder)
        raise UserError("no space left")

    monkeypatch.setattr(runner, "run_commands", full)
    plan = Plan(methods=("aggan", "cyclegan", "dualgan"), minutes=1)
    with pytest.raises(UserError, match="no space left"):
        runner.run_trials(plan, tmp_path, list_trials(plan), 1, lambda trial, status: None)
    assert len(started) == 1


def test_results_of_a_newer_version_are_left_alone(tmp_path, faces, capsys):
    results = tmp_path / "out" / "cartoons" / "aggan" / "seed-0" / "happy" / "results.json"
    results.parent.mkdir(parents=True)
    results.write_text('{"version": 9}')
    assert run(["benchmark", str(planned(tmp_path, faces, ("aggan",))), "--out", str(tmp_path / "out")]) == 2
    assert f"{results}: written by a newer aggan (version 9): update aggan" in capsys.readouterr().err
    assert not (tmp_path / "out" / "plan.json").exists()


def test_the_runs_of_the_faces_that_ship_lie_beside_their_images(tmp_path):
    plan = Plan(methods=("aggan",), minutes=1)
    runner.prepare(plan, tmp_path / "out", print, print)
    trial = list_trials(plan)[0]
    data = DataConfig(root=training_root(plan, tmp_path / "out", trial), names=("neutral", "happy"))
    require_outside(data, trial.folder(tmp_path / "out") / "run")


def test_an_error_is_printed_literally():
    output = io.StringIO()
    Console(file=output, width=80).print(status_table({Trial("faces", "aggan", 0): "[bold]a[/b] is missing"}))
    assert "[bold]a[/b] is missing" in output.getvalue()


def test_a_broken_test_image_is_named_at_once_and_on_the_page(tmp_path, faces, monkeypatch, capsys):
    monkeypatch.setattr(runner, "_run", lambda *_: (2, "no"))
    broken = faces / "test" / "neutral" / "broken.jpg"
    broken.write_bytes(b"nonsense")
    out = tmp_path / "out"
    run(["benchmark", str(planned(tmp_path, faces, ("aggan",))), "--out", str(out)])
    sentence = f"left out {broken}: not an image"
    assert sentence in capsys.readouterr().err.splitlines()
    assert sentence in (out / "report.html").read_text()


@pytest.mark.slow
def test_the_estimate_of_disk_space_holds_checkpoint_and_model(tmp_path, faces):
    recipe = tmp_path / "small.yaml"
    recipe.write_text(yaml.safe_dump({"method": shrunk("pix2pix").model_dump(exclude_unset=True)}))
    plan = Plan(methods=("pix2pix",), epochs=1, size=256, data={"x": DataSet(root=faces)}, recipe=str(recipe))
    (trial,) = list_trials(plan)
    command = training_command(plan, tmp_path / "out", trial)
    assert run([*command.argv, "--training.accelerator", "cpu", "--training.sample-every", "0"]) == 0
    folder = trial.folder(tmp_path / "out") / "run"
    actual = sum(file.stat().st_size for file in (folder / "checkpoint.pt", folder / "last" / "model.safetensors"))
    assert 0.8 * actual < runner._run_size(plan, trial) < 1.3 * actual
