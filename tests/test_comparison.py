"""From measured cells to tables and a page; and runs that exist, compared."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from worlds import shrunk

from aggan.benchmark import compare
from aggan.benchmark.plan import Plan
from aggan.cli import run
from aggan.data.folders import Data
from aggan.data.images import read
from aggan.evaluation.capacity import table_three
from aggan.reports import comparison
from aggan.reports.rows import Figure, Row, quality
from aggan.reports.tables import Cell, Line, Table, beside, latex, markdown
from aggan.systems.files import ModelCard, save_model
from aggan.training.experiment import Experiment


def results(**figures: tuple[float, float, float]) -> str:
    intervals = {name: (low, high) for name, (_, low, high) in figures.items()}
    row = {name: mean for name, (mean, _, _) in figures.items()} | {"intervals": intervals}
    rows = dict.fromkeys(("translation", "copy the input", "true answer"), row)
    return json.dumps({"rows": rows, "steps": 7, "each": {"name": []}})


@pytest.fixture
def compared(tmp_path, faces) -> Path:
    """Three systems: the second ties with the first, the third is worse; one has two seeds, one has failed."""
    seeds = {
        "aggan": [results(psnr=(30, 29, 31), mse=(70, 60, 80)), results(psnr=(32, 31, 33), mse=(60, 50, 70))],
        "cyclegan": [results(psnr=(30, 29, 32), mse=(200, 190, 210))],
        "aggan-no-ad": [results(psnr=(20, 19, 21), mse=(300, 290, 310))],
    }
    for system, texts in seeds.items():
        for seed, text in enumerate(texts):
            folder = tmp_path / "cartoons" / system / f"seed-{seed}" / "happy"
            folder.mkdir(parents=True)
            (folder / "results.json").write_text(text)
    (tmp_path / "cartoons" / "stargan" / "seed-0").mkdir(parents=True)
    (tmp_path / "cartoons" / "stargan" / "seed-0" / "failure.json").write_text('{"why": "no memory"}')
    study = {"version": 1, "systems": {"aggan": {"fooled": 0.25, "interval": [0.2, 0.3]}}}
    (tmp_path / "told.json").write_text(json.dumps(study))
    data = {"cartoons": {"root": str(faces)}}
    settings = {"systems": [*seeds, "stargan", "diat"], "minutes": 1, "more_seeds": {"aggan": [1]}, "data": data}
    comparison.note(tmp_path, compare.of_plan(Plan.model_validate(settings), tmp_path))
    compare.write(tmp_path, tmp_path / "told.json")
    return tmp_path


def cells_of(text: str) -> dict[str, list[str]]:
    lines = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    return {first.strip(): [cell.strip() for cell in rest] for first, *rest in lines}


def test_the_best_is_bold_and_so_is_what_ties_with_it(compared):
    first, second, *_ = (compared / "tables.md").read_text().split("\n## ")
    told = cells_of(first)
    assert told["aggan (2 seeds)"] == ["**25.0**", "**31.00**", "**65.0**"]
    assert told["cyclegan"] == ["-", "**30.00**", "200.0"]
    assert told["copy the input"] == ["-", "30.00", "70.0"]
    assert set(told["stargan (no memory)"]) == set(told["diat (not finished)"]) == {""}
    assert "aggan-no-ad" not in told
    assert second.startswith("Table II")
    assert list(cells_of(second)) == ["", "---", "aggan (2 seeds)", "aggan-no-ad", "copy the input", "true answer"]


def test_what_hardly_translates_is_never_best_and_pairs_compete_with_pairs():
    def row(name: str, judged: float, psnr: float) -> Row:
        return Row(name, {"judged": Figure(judged, judged, judged), "psnr": Figure(psnr, psnr, psnr)})

    rows = [row("aggan", 0.9, 28), row("cyclegan", 0.95, 22), row("ganimation", 0.1, 29)]
    told = quality("", "", [*rows, replace(row("pix2pix", 0.8, 30), by_pairs=True)], "happy")
    best = {line.label: [cell.best for cell in line.cells] for line in told.lines}
    assert best == {
        "aggan": [False, True],
        "cyclegan": [True, False],
        "ganimation": [False, False],
        "pix2pix": [True, True],
    }
    assert [line.note for line in told.lines] == ["", "", "hardly translates", "from pairs"]


def test_tables_for_calculators_and_for_papers(compared):
    header, first, *_ = (compared / "tables.csv").read_text().splitlines()
    values = dict(zip(header.split(","), first.split(","), strict=True))
    assert (values["row"], values["seeds"], values["psnr"], values["psnr low"]) == ("aggan", "2", "31.0", "30.0")
    text = (compared / "tables.tex").read_text()
    assert r"\toprule" in text
    assert r"people fooled, \%" in text
    assert r"\textbf{31.00}" in text


def test_tables_keep_what_the_formats_could_take_for_their_own():
    table = Table("Table", "About.", ("a_b, %",), (Line("x_y & z", (Cell("50%", best=True),)), Line("w", (), why="no")))
    assert r"x\_y \& z & \textbf{50\%} \\" in latex(table)
    assert "| x_y & z | **50%** |" in markdown(table)
    assert "| w (no) |  |" in markdown(table)


def test_tables_of_several_data_sets_stand_beside_each_other():
    left = Table("", "", ("a", "b"), (Line("x", (Cell("1", best=True), Cell("2"))), Line("y", (), why="no memory")))
    right = Table("", "", ("a",), (Line("x", (Cell("3"),)), Line("copy", (Cell("4"),), fixed=True)))
    told = cells_of(markdown(beside("Table I", "Both.", {"arface": left, "celeba": right})))
    assert next(iter(told.values())) == ["arface: a", "arface: b", "celeba: a"]
    assert (told["x"], told["y"], told["copy"]) == (["**1**", "2", "3"], ["-"] * 3, ["-", "-", "4"])


def test_table_three_says_where_our_counts_meet_the_papers():
    verdicts = {row["name"]: row["verdict"] for row in table_three()}
    same = {name for name, verdict in verdicts.items() if verdict == "the same"}
    assert same == {"pix2pix", "encoder-decoder", "bicyclegan", "dualgan", "discogan", "combogan", "stargan"}
    assert "52,558,787" in verdicts["cyclegan"]


# --- runs that exist ------------------------------------------------------------------------------


def trained(folder: Path, root: Path, name: str = "aggan", size: int = 32, domains=("neutral", "happy")) -> Path:
    """A run as training leaves it, with weights as they start."""
    system = shrunk(name)
    Experiment(system=system, data=Data(root=root, names=domains, size=size)).save(folder)
    card = ModelCard(system=system, domains=domains, size=size, steps=7)
    save_model(folder / "last", card, card.build().translators_state())
    return folder


def test_runs_that_exist_make_the_same_report(faces, tmp_path, capsys):
    ours, plain = trained(tmp_path / "ours", faces), trained(tmp_path / "plain", faces, "aggan-no-ad-ag")
    named = [f"aggan={ours}", f"aggan={ours}", f"aggan-no-ad-ag={plain}"]
    assert run(["report", *named, "--out", str(tmp_path / "out")]) == 0
    first = (tmp_path / "out" / "tables.md").read_text().split("\n## ")[0]
    assert first.startswith("## Table II\n")  # there is but one system for Table I
    told = cells_of(first)
    names = [name.partition(" (") for name in list(told)[2:]]
    assert [name for name, *_ in names] == ["aggan", "aggan-no-ad-ag", "copy the input", "true answer"]
    assert names[0][2].startswith("2 seeds")
    page = (tmp_path / "out" / "report.html").read_text()
    for title in ("The same people", "What aggan attends to", "The worst", "What it costs", "Table III"):
        assert title in page
    drawn = {path.name: read(path).size for path in (tmp_path / "out" / "figures").iterdir()}
    assert drawn.keys() == {"faces-the-same-people.png", "faces-what-aggan-attends-to.png", "faces-the-worst.png"}
    assert drawn["faces-the-same-people.png"][1] == 4 * (32 + 4)  # input, two systems, true answer
    assert f"Report: {(tmp_path / 'out' / 'report.html').resolve().as_uri()}" in capsys.readouterr().out


def test_another_run_under_the_same_name_is_measured_anew(faces, tmp_path):
    first, second = (trained(tmp_path / name, faces) for name in ("first", "second"))
    results = tmp_path / "out" / "faces" / "aggan" / "seed-0" / "happy" / "results.json"
    for run_folder in (first, second):
        assert run(["report", f"aggan={run_folder}", "--out", str(tmp_path / "out")]) == 0
        assert json.loads(results.read_text())["model"] == str(run_folder.resolve())


def test_without_pairs_there_is_no_ratio_and_a_sentence_says_why(faces, tmp_path):
    for file in sorted((faces / "test" / "happy").iterdir()):
        file.rename(file.with_stem(f"{file.stem}-of-another"))
    assert run(["report", str(trained(tmp_path / "ours", faces)), "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "tables.md").read_text()
    assert "have no true answers, so there is no PSNR" in text
    assert "PSNR, dB" not in text


def same_picture(faces: Path) -> Path:
    root = faces.with_name("other")
    shutil.copytree(faces, root)
    shutil.copy(faces / "test" / "happy" / "00.png", root / "train" / "neutral" / "seen.png")
    return root


def same_people(faces: Path) -> Path:
    """The same set with another split, every picture a little different."""
    root = faces.with_name("other")
    shutil.copytree(faces, root)
    for place, split in ((faces, "test"), (root, "train")):
        (place / "dataset.json").write_text('{"name": "cartoons", "seed": 3}')
        record = {"file": "x.png", "split": split, "person": "0007"}
        (place / "pictures.jsonl").write_text(json.dumps(record) + "\n")
    for file in root.rglob("*.png"):
        read(file).resize((31, 31)).save(file)
    return root


REFUSALS = {
    "sizes": (lambda faces, to: trained(to, faces, size=64), "figures at different sizes do not compare"),
    "domains": (lambda faces, to: trained(to, faces, domains=("neutral", "angry")), "knows no 'happy'"),
    "a picture": (lambda faces, to: trained(to, same_picture(faces)), "seen.png, which is the test picture"),
    "people": (lambda faces, to: trained(to, same_people(faces)), "1 of the people that it would be tested on"),
    "no run": (lambda faces, to: to, "not a run with a model"),
}


@pytest.mark.parametrize(("make", "told"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_does_not_compare_is_refused_with_the_reason(faces, tmp_path, capsys, make, told):
    shutil.copytree(faces / "train" / "happy", faces / "train" / "angry")
    ours, other = trained(tmp_path / "ours", faces), make(faces, tmp_path / "theirs")
    assert run(["report", str(ours), str(other), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
