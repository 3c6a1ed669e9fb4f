"""A benchmark from its plan to its page; what is finished is never done again."""

import json
from pathlib import Path

import pytest
import yaml
from worlds import shrunk

from aggan.benchmark.plan import PLANS, Cell, Plan, cells, read_plan
from aggan.benchmark.work import commands, root_of
from aggan.cli import run
from aggan.reports import comparison


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
    results = out / "cartoons" / "aggan" / "seed-0" / "results.json"
    first = results.stat().st_mtime_ns
    assert run(["benchmark", str(plan), "--out", str(out)]) == 1
    assert results.stat().st_mtime_ns == first
    failure = json.loads((out / "cartoons" / "stargan" / "seed-0" / "failure.json").read_text())
    assert "stargan needs pictures of 64, 128" in failure["why"]
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3 * 6  # inputs, one system, answers
    assert "stargan needs pictures of 64, 128" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    table = (out / "tables.md").read_text()
    assert "| copy the input |" in table
    assert "| true answer |" in table
    said = (results.parent / "commands.txt").read_text().splitlines()
    assert [line.split()[:2] for line in said] == [["aggan", verb] for verb in ("train", "translate", "evaluate")]


def test_cells_are_every_system_on_every_set_with_every_seed():
    plan = Plan(systems=("aggan", "cyclegan"), minutes=1, seeds=(0, 1), more_seeds={"aggan": (1, 2)})
    assert cells(plan) == [
        Cell("faces", system, seed)
        for system, seed in (("aggan", 0), ("cyclegan", 0), ("aggan", 1), ("cyclegan", 1), ("aggan", 2))
    ]


def test_systems_that_learn_from_pairs_get_them(tmp_path):
    plan = Plan(systems=("aggan", "pix2pix"), minutes=1)
    assert [root_of(plan, tmp_path, cell).name for cell in cells(plan)] == ["faces", "faces-pairs"]


def test_a_training_that_was_begun_is_resumed(tmp_path):
    plan, cell = Plan(systems=("aggan",), minutes=2.5), Cell("faces", "aggan", 3)
    (tmp_path / "faces" / "people" / "inputs").mkdir(parents=True)
    train = commands(plan, tmp_path, cell)[0]
    assert train[train.index("--training.seed") + 1] == "3"
    assert train[-2:] == ["--training.minutes", "2.5"]
    begun = cell.folder(tmp_path) / "run"
    begun.mkdir(parents=True)
    (begun / "experiment.json").touch()
    assert commands(plan, tmp_path, cell)[0] == ["train", "--resume", str(begun)]


@pytest.mark.parametrize("name", sorted(path.stem for path in PLANS.glob("*.yaml")))
def test_plans_that_ship_can_be_read(name):
    assert cells(read_plan(name))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("systems: [lfw]\nminutes: 1", "no system 'lfw'; there are aggan"),
        ("systems: [aggan]", "a budget is either minutes or epochs"),
        ("systems: [aggan]\nminutes: 1\nepochs: 2", "a budget is either minutes or epochs"),
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


def results(**figures: tuple[float, float, float]) -> str:
    intervals = {name: (low, high) for name, (_, low, high) in figures.items()}
    row = {name: mean for name, (mean, _, _) in figures.items()} | {"intervals": intervals}
    return json.dumps({"rows": dict.fromkeys(("translation", "copy the input", "true answer"), row)})


@pytest.fixture
def compared(tmp_path) -> dict[str, comparison.Row]:
    """Three systems: the second ties with the first, the third is worse; one has two seeds, one has failed."""
    seeds = {
        "aggan": [results(psnr=(30, 29, 31), mse=(70, 60, 80)), results(psnr=(32, 31, 33), mse=(60, 50, 70))],
        "cyclegan": [results(psnr=(30, 29, 32), mse=(200, 190, 210))],
        "dualgan": [results(psnr=(20, 19, 21), mse=(300, 290, 310))],
    }
    for system, texts in seeds.items():
        for seed, text in enumerate(texts):
            folder = tmp_path / "faces" / system / f"seed-{seed}"
            folder.mkdir(parents=True)
            (folder / "results.json").write_text(text)
    (tmp_path / "faces" / "stargan" / "seed-0").mkdir(parents=True)
    (tmp_path / "faces" / "stargan" / "seed-0" / "failure.json").write_text('{"why": "no memory"}')
    plan = Plan(systems=(*seeds, "stargan", "diat"), minutes=1, more_seeds={"aggan": (1,)})
    (tmp_path / "plan.json").write_text(plan.model_dump_json())
    comparison.write(tmp_path)
    return tmp_path


def test_the_best_is_bold_and_so_is_what_ties_with_it(compared):
    lines = (compared / "tables.md").read_text().splitlines()
    cells_of = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in lines[2:]}
    assert cells_of["aggan (2 seeds)"][2:4] == ["**31.00**", "**65.0**"]
    assert cells_of["cyclegan"][2:4] == ["**30.00**", "200.0"]
    assert cells_of["dualgan"][2:4] == ["20.00", "300.0"]
    assert cells_of["copy the input"][2:4] == ["30.00", "70.0"]
    assert set(cells_of["stargan (no memory)"]) == set(cells_of["diat (not finished)"]) == {"-"}


def test_tables_for_calculators_and_for_papers(compared):
    header, first, *_ = (compared / "tables.csv").read_text().splitlines()
    values = dict(zip(header.split(","), first.split(","), strict=True))
    assert (values["row"], values["seeds"], values["psnr"], values["psnr low"]) == ("aggan", "2", "31.0", "30.0")
    text = (compared / "tables.tex").read_text()
    assert r"\toprule" in text
    assert r"judged happy, \%" in text
    assert r"\textbf{31.00}" in text
