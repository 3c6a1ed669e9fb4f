"""A benchmark from its plan to its page; what is finished is never done again."""

import io
import json
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from worlds import shrunk

from aggan.cli.benchmark import _shown
from aggan.cli.main import run
from aggan.comparison import runner
from aggan.comparison.plan import PLANS, Cell, Plan, Source, cells, read_plan
from aggan.comparison.runner import Command, root_of, training
from aggan.errors import UserError


def planned(tmp_path: Path, faces: Path, systems: tuple[str, ...]) -> Path:
    """A plan of a moment's work; all systems share the settings of AGGAN's small networks."""
    small = shrunk("aggan").model_dump(exclude_unset=True) | {"curriculum_epochs": 1}
    recipe = tmp_path / "small.yaml"
    recipe.write_text(yaml.safe_dump({"for": {"aggan": {"system": small}}, "training": {"accelerator": "cpu"}}))
    plan = {"systems": list(systems), "data": {"cartoons": {"root": str(faces)}}, "size": 32}
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
    assert "stargan needs pictures of 64, 128" in failure["why"]
    page = (out / "report.html").read_text()
    # six people: inputs, one system and answers; its mask, content and translation
    assert page.count("data:image/png;base64,") == 6 * 6
    assert "stargan needs pictures of 64, 128" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    table = (out / "tables.md").read_text()
    assert "| copy the input |" in table
    assert "| true answer |" in table
    assert "Table III" in page
    said = (results.parents[1] / "commands.txt").read_text().splitlines()
    assert [line.split()[:2] for line in said] == [["aggan", verb] for verb in ("train", "evaluate")]


def test_cells_are_every_system_on_every_set_with_every_seed():
    plan = Plan(systems=("aggan", "cyclegan"), minutes=1, seeds=(0, 1), more_seeds={"aggan": (1, 2)})
    assert cells(plan) == [
        Cell("faces", system, seed)
        for system, seed in (("aggan", 0), ("cyclegan", 0), ("aggan", 1), ("cyclegan", 1), ("aggan", 2))
    ]


def test_systems_that_learn_from_pairs_get_them(tmp_path):
    plan = Plan(systems=("aggan", "pix2pix"), minutes=1)
    assert [root_of(plan, tmp_path, cell).name for cell in cells(plan)] == ["faces", "faces-pairs"]


def test_after_an_interrupt_no_other_training_begins(tmp_path, monkeypatch):
    begun = []

    def interrupted(commands, folder, environment, tell) -> None:
        begun.append(folder)
        time.sleep(0.05)
        raise runner.Stopped

    monkeypatch.setattr(work, "carry_out", interrupted)
    plan = Plan(systems=("aggan", "cyclegan", "dualgan", "discogan", "stargan"), minutes=1)
    monkeypatch.setattr(steps, "paired", lambda *_: True)
    with pytest.raises(runner.Stopped):
        runner.work(plan, tmp_path, cells(plan), 2, lambda cell, what: None)
    assert len(begun) == 2


def ends_with(monkeypatch, code: int) -> None:
    """Every command of a cell ends with that code."""
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], code))
    monkeypatch.setattr(steps, "paired", lambda *_: True)


KILLED = {-9: "was killed by signal 9 (perhaps no memory was left)", -11: "was killed by signal 11"}


@pytest.mark.parametrize(("code", "why"), KILLED.items())
def test_what_the_system_kills_has_failed_and_the_others_go_on(tmp_path, monkeypatch, code, why):
    ends_with(monkeypatch, code)
    plan = Plan(systems=("aggan", "cyclegan"), minutes=1)
    runner.work(plan, tmp_path, cells(plan), 1, lambda cell, what: None)
    assert [runner.state(tmp_path, cell, plan.targets) for cell in cells(plan)] == [why, why]


@pytest.mark.parametrize("code", [130, -1, -2, -15])
def test_what_somebody_ends_has_not_failed(tmp_path, monkeypatch, code):
    ends_with(monkeypatch, code)
    with pytest.raises(runner.Stopped):
        runner.carry_out([Command("training", ["train"])], tmp_path, {}, lambda what: None)
    assert not (tmp_path / "failure.json").exists()


def test_a_training_that_was_begun_is_resumed(tmp_path):
    plan, cell = Plan(systems=("aggan",), minutes=2.5, threads=1, processor_time=True), Cell("faces", "aggan", 3)
    words = training(plan, tmp_path, cell).words
    assert words[words.index("--training.seed") + 1] == "3"
    assert words[-5:] == ["--training.threads", "1", "--training.processor-time", "--training.minutes", "2.5"]
    begun = cell.folder(tmp_path) / "run"
    begun.mkdir(parents=True)
    (begun / "experiment.json").touch()
    assert training(plan, tmp_path, cell).words == ["train", "--resume", str(begun)]


def test_systems_are_measured_against_the_answers_or_else_against_other_pictures(tmp_path, faces):
    words = runner.test(tmp_path / "run", tmp_path, runner.Way(faces, "neutral", "happy")).words
    assert words[words.index("--answers") + 1] == str(faces / "test" / "happy")
    for file in sorted((faces / "test" / "happy").iterdir()):
        file.rename(file.with_stem(f"{file.stem}-of-another"))
    words = runner.test(tmp_path / "run", tmp_path, runner.Way(faces, "neutral", "happy")).words
    assert words[words.index("--real") + 1] == str(faces / "test" / "happy")


@pytest.mark.parametrize("name", sorted(path.stem for path in PLANS.glob("*.yaml")))
def test_plans_that_ship_can_be_read(name):
    assert cells(read_plan(name))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("systems: [lfw]\nminutes: 1", "no system 'lfw'; there are aggan"),
        ("systems: [aggan]", "a budget is either minutes or epochs"),
        ("systems: [aggan]\nminutes: 1\nepochs: 2", "a budget is either minutes or epochs"),
        ("systems: [aggan]\nminutes: 1\nsize: 32", "the faces that ship come at 64 and 128 px, not 32"),
        ("systems: [aggan]\nminutes: 1\ncolour: red", "colour: Extra inputs are not permitted"),
        ("- [", "not YAML"),
    ],
)
def test_mistakes_in_a_plan_are_one_sentence(tmp_path, capsys, content, told):
    (tmp_path / "plan.yaml").write_text(content)
    assert run(["benchmark", str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_other_plans_results_are_left_alone(tmp_path, faces, capsys):
    (tmp_path / "out").mkdir()
    other = Plan(systems=("aggan",), minutes=9)
    (tmp_path / "out" / "plan.json").write_text(other.model_dump_json())
    plan = planned(tmp_path, faces, ("aggan",))
    assert run(["benchmark", str(plan), "--out", str(tmp_path / "out")]) == 2
    assert "holds results of another plan" in capsys.readouterr().err
    assert run(["benchmark", str(plan), "--out", str(tmp_path / "new"), "--only", "dualgan"]) == 2
    assert "--only dualgan: not in the plan" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"{", b'{"version": 9}', b"\xff"])
def test_a_plan_that_cannot_be_read_any_more_is_left_alone(tmp_path, faces, capsys, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "plan.json").write_bytes(content)
    assert run(["benchmark", str(planned(tmp_path, faces, ("aggan",))), "--out", str(tmp_path / "out")]) == 2
    assert "plan.json: damaged, or of another version of aggan: choose another --out" in capsys.readouterr().err
    assert (tmp_path / "out" / "plan.json").read_bytes() == content


def test_what_a_plan_names_and_is_not_there_can_be_corrected(tmp_path, faces):
    plan = Plan(systems=("aggan",), minutes=1, size=32, data={"cartoons": Source(root=faces)})
    (faces.with_name("untested") / "train").parent.mkdir()
    (faces.with_name("untested") / "train").symlink_to(faces / "train")
    gone = tmp_path / "gone"
    for wrong in (
        {"data": {"cartoons": Source(root=gone)}},
        {"data": {"cartoons": Source(root=faces.with_name("untested"))}},
        {"lpips": gone},
        {"recipe": f"{gone}.yaml"},
    ):
        with pytest.raises(UserError, match=r"gone(.yaml)?: no such|untested/test/neutral: no such folder"):
            runner.begin(plan.model_copy(update=wrong), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    runner.begin(plan, tmp_path / "out")
    assert len(list((tmp_path / "out" / "cartoons" / "test" / "happy").iterdir())) == 6


def test_a_failure_is_shown_as_it_was_said():
    shown = io.StringIO()
    Console(file=shown, width=80).print(_shown({Cell("faces", "aggan", 0): "[bold]a[/b] is missing"}))
    assert "[bold]a[/b] is missing" in shown.getvalue()
