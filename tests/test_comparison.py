"""From the results of trials to tables and a page, and the comparison of existing runs."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from cli_helpers import error_line
from PIL import Image as Pillow
from tiny_models import shrunk

from aggan.cli.main import run
from aggan.comparison import compare, report, runner
from aggan.comparison.figures import GAP, FigureData, Sheet, Strip, draw, embed_png, make_figures, run_folder
from aggan.comparison.migrate import COMPARISON
from aggan.comparison.plan import Plan
from aggan.comparison.rows import Estimate, Row, quality_table, read_study
from aggan.comparison.tables import Cell, Line, Table, latex, markdown, side_by_side
from aggan.data.folders import DataConfig
from aggan.errors import UserError
from aggan.evaluation.capacity import table_three
from aggan.images.convert import read
from aggan.methods.pretrained import ModelCard, save_model
from aggan.metric_table import RENAMED, RESULTS_VERSION, ROWS
from aggan.training.experiment import Experiment

BASELINE = "identity baseline (copy of the input)"


def results(**estimates: tuple[float, float, float]) -> str:
    intervals = {key: (float(low), float(high)) for key, (_, low, high) in estimates.items()}
    row = {key: float(mean) for key, (mean, _, _) in estimates.items()} | {"intervals": intervals}
    rows = dict.fromkeys(ROWS, row)
    return json.dumps({"version": RESULTS_VERSION, "rows": rows, "steps": 7, "each": {"name": []}})


def former_results(**estimates: tuple[float, float, float]) -> str:
    """The same in the names of version 2."""
    text = results(**estimates)
    for former, key in RENAMED.items():
        text = text.replace(f'"{key}"', f'"{former}"')
    return text.replace(f'"version": {RESULTS_VERSION}', '"version": 2')


@pytest.fixture
def compared(tmp_path, faces) -> Path:
    """Three methods: the second ties with the first, the third is worse. One has two seeds, one has failed.

    Some of the files have the keys of earlier versions.
    """
    seeds = {
        "aggan": [results(psnr=(30, 29, 31), mse=(70, 60, 80)), results(psnr=(32, 31, 33), mse=(60, 50, 70))],
        "cyclegan": [former_results(psnr=(30, 29, 32), mse=(200, 190, 210))],
        "aggan-no-ad": [results(psnr=(20, 19, 21), mse=(300, 290, 310))],
    }
    for method, texts in seeds.items():
        for seed, text in enumerate(texts):
            folder = tmp_path / "cartoons" / method / f"seed-{seed}" / "happy"
            folder.mkdir(parents=True)
            (folder / "results.json").write_text(text)
    (tmp_path / "cartoons" / "stargan" / "seed-0").mkdir(parents=True)
    (tmp_path / "cartoons" / "stargan" / "seed-0" / "failure.json").write_text('{"why": "no memory"}')
    study = {"version": 1, "systems": {"aggan": {"fooled": 0.25, "interval": [0.2, 0.3]}}}
    (tmp_path / "answers.json").write_text(json.dumps(study))
    data = {"cartoons": {"root": str(faces)}}
    settings = {"methods": [*seeds, "stargan", "diat"], "minutes": 1, "more_seeds": {"aggan": [1]}, "data": data}
    report.save(tmp_path, compare.describe_plan(Plan.model_validate(settings), tmp_path))
    comparison = json.loads((tmp_path / "comparison.json").read_text())
    for former, name in COMPARISON.items():
        comparison[former] = comparison.pop(name)
    (tmp_path / "comparison.json").write_text(json.dumps(comparison | {"version": 1}))
    compare.write(tmp_path, print, tmp_path / "answers.json")
    return tmp_path


def cells_of(text: str) -> dict[str, list[str]]:
    lines = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    return {first.strip(): [cell.strip() for cell in rest] for first, *rest in lines}


def test_the_best_is_bold_and_so_is_everything_that_ties_with_it(compared):
    first, second, *_ = (compared / "tables.md").read_text().split("\n## ")
    cells = cells_of(first)
    assert cells["aggan (2 seeds)"] == ["**25.0**", "**31.00**", "**65.0**"]
    assert cells["cyclegan"] == ["-", "**30.00**", "200.0"]
    assert cells[BASELINE] == ["-", "30.00", "70.0"]
    assert set(cells["stargan (no memory)"]) == set(cells["diat (not finished)"]) == {""}
    assert "aggan-no-ad" not in cells
    assert second.startswith("Table II")
    assert list(cells_of(second)) == ["", "---", "aggan (2 seeds)", "aggan-no-ad", BASELINE, "ground truth"]


def test_methods_that_hardly_translate_are_never_best_and_pairs_are_compared_with_pairs():
    def row(name: str, classified: float, psnr: float) -> Row:
        return Row(name, {key: Estimate(*(v,) * 3) for key, v in (("classified", classified), ("psnr", psnr))})

    rows = [row("aggan", 0.9, 28), row("cyclegan", 0.95, 22), row("ganimation", 0.1, 29)]
    table = quality_table("", "", [*rows, replace(row("pix2pix", 0.8, 30), learns_from_pairs=True)], "happy")
    best = {line.label: [cell.best for cell in line.cells] for line in table.lines}
    assert best == {
        "aggan": [False, True],
        "cyclegan": [True, False],
        "ganimation": [False, False],
        "pix2pix": [True, True],
    }
    assert [line.note for line in table.lines] == ["", "", "hardly translates", "from pairs"]


def test_tables_as_csv_and_latex(compared):
    header, first, *_ = (compared / "tables.csv").read_text().splitlines()
    values = dict(zip(header.split(","), first.split(","), strict=True))
    assert (values["row"], values["seeds"], values["psnr"]) == ("aggan", "2", "31.0")
    # people: +-1; two seeds that differ by 2: +-1.96
    assert float(values["psnr_low"]) == pytest.approx(31 - (1 + 1.96**2) ** 0.5, abs=1e-3)
    text = (compared / "tables.tex").read_text()
    assert r"\toprule" in text
    assert r"people fooled, \%" in text
    assert r"\textbf{31.00}" in text


def test_special_characters_of_latex_and_markdown_are_escaped():
    table = Table(
        "Table", "About.", ("a_b, %",), (Line("x_y & z", (Cell("50%", best=True),)), Line("w", (), error="no"))
    )
    assert r"x\_y \& z & \textbf{50\%} \\" in latex(table)
    assert "| x_y & z | **50%** |" in markdown(table)
    assert "| w (no) |  |" in markdown(table)
    table = Table("Table", "About.", ("a|b",), (Line("x|y", (Cell("-"),)), Line(r"{\alpha^$~}", (Cell("-"),))))
    assert r"| x\|y | - |" in markdown(table)
    assert r"| | a\|b |" in markdown(table)
    assert r"\{\textbackslash{}alpha\textasciicircum{}\$\textasciitilde{}\} & - \\" in latex(table)


def studied(folder: Path, data: list[str]) -> str:
    """The tables of a method with a study, for two targets on the given data sets."""
    for name in data:
        for to in ("happy", "sad"):
            results_of = folder / name / "aggan" / "seed-0" / to / "results.json"
            results_of.parent.mkdir(parents=True)
            results_of.write_text(results(classified=(0.9, 0.8, 1)))
    answers = {"aggan": {"fooled": 0.25, "interval": [0.2, 0.3]}, "cyclegan": {"fooled": None, "interval": [0, 1]}}
    (folder / "study.json").write_text(json.dumps({"methods": answers}))
    task = report.Comparison("neutral", ["happy", "sad"], 32, "", ["aggan"], ["aggan"], data, [], [])
    report.save(folder, task)
    report.write(folder, print)
    return (folder / "tables.md").read_text()


def test_a_study_is_about_one_data_set_and_the_first_target(tmp_path):
    main, other, *_ = studied(tmp_path / "one", ["cartoons"]).split("\n## ")
    assert "people fooled" in main
    assert other.startswith("To sad")
    assert "people fooled" not in other
    assert "people fooled" not in studied(tmp_path / "two", ["cartoons", "photographs"])
    assert list(read_study(tmp_path / "one" / "study.json")) == ["aggan"]


def test_a_missing_translation_leaves_the_other_images(tmp_path):
    for name in ("test/neutral", "test/happy", "aggan/seed-0/happy/images", "cyclegan/seed-0/happy/pictures"):
        image = tmp_path / "cartoons" / name / "00.png"
        image.parent.mkdir(parents=True)
        Pillow.new("RGB", (8, 8)).save(image)
    rows = [Row(name, {}, (Path("cartoons") / name / "seed-0",)) for name in ("aggan", "cyclegan")]
    for row in rows:
        text = json.dumps({"each": {"name": ["00"], "identity": [0.5]}})
        (tmp_path / row.folders[0] / "happy" / "results.json").write_text(text)
    data = FigureData(tmp_path, "cartoons", rows, "neutral", ("happy", "sad"), 8)
    sheets = {sheet.title: sheet for sheet in make_figures(data)}
    assert [strip.label for strip in sheets["The same people"].strips] == ["input", "aggan", "cyclegan", "ground truth"]
    assert [bool(image) for image in sheets["One person in every domain"].strips[0].images] == [True, True, False]


def test_the_run_of_a_target_is_the_one_that_its_results_name(tmp_path):
    for to in ("happy", "sad"):
        (tmp_path / "trial" / to).mkdir(parents=True)
        (tmp_path / "trial" / to / "results.json").write_text(json.dumps({"model": f"runs/{to}"}))
    assert [run_folder(tmp_path, Row("x", {}, (Path("trial"),)), to).name for to in ("happy", "sad")] == [
        "happy",
        "sad",
    ]


def test_tables_of_several_data_sets_stand_beside_each_other():
    left = Table("", "", ("a", "b"), (Line("x", (Cell("1", best=True), Cell("2"))), Line("y", (), error="no memory")))
    right = Table("", "", ("a",), (Line("x", (Cell("3"),)), Line("copy", (Cell("4"),), is_reference=True)))
    cells = cells_of(markdown(side_by_side("Table I", "Both.", {"arface": left, "celeba": right})))
    assert next(iter(cells.values())) == ["arface: a", "arface: b", "celeba: a"]
    assert (cells["x"], cells["y"], cells["copy"]) == (["**1**", "2", "3"], ["-"] * 3, ["-", "-", "4"])


def test_table_three_names_the_counts_that_agree_with_the_paper():
    agreement = {row["name"]: row["agreement"] for row in table_three()}
    agreeing = {name for name, text in agreement.items() if text == "the same"}
    assert agreeing == {"pix2pix", "encoder-decoder", "bicyclegan", "dualgan", "discogan", "combogan", "stargan"}
    assert "52,558,787" in agreement["cyclegan"]


# --- existing runs ------------------------------------------------------------------------------


def trained(folder: Path, root: Path, name: str = "aggan", size: int = 32, domains=("neutral", "happy")) -> Path:
    """A run as training leaves it, with untrained weights."""
    method = shrunk(name)
    Experiment(method=method, data=DataConfig(root=root, names=domains, size=size)).save(folder)
    card = ModelCard(method=method, domains=domains, size=size, steps=7)
    save_model(folder / "last", card, card.build().inference_state_dict())
    return folder


def test_existing_runs_make_the_same_report(faces, tmp_path, capsys):
    ours, plain = trained(tmp_path / "ours", faces), trained(tmp_path / "plain", faces, "aggan-no-ad-ag")
    named = [f"aggan={ours}", f"aggan={ours}", f"aggan-no-ad-ag={plain}"]
    assert run(["report", *named, "--out", str(tmp_path / "out")]) == 0
    first = (tmp_path / "out" / "tables.md").read_text().split("\n## ")[0]
    assert first.startswith("## Table II\n")  # Table I would have a single method
    names = [name.partition(" (") for name in list(cells_of(first))[2:]]
    assert [name for name, *_ in names] == ["aggan", "aggan-no-ad-ag", "identity baseline", "ground truth"]
    assert names[0][2].startswith("2 seeds")
    page = (tmp_path / "out" / "report.html").read_text()
    for title in ("The same people", "What aggan attends to", "The worst", "What it costs", "Table III"):
        assert title in page
    drawn = {path.name: read(path).size for path in (tmp_path / "out" / "figures").iterdir()}
    assert drawn.keys() == {"faces-the-same-people.png", "faces-what-aggan-attends-to.png", "faces-the-worst.png"}
    assert drawn["faces-the-same-people.png"][1] == 4 * (32 + 4)  # input, two methods, ground truth
    assert f"Report: {(tmp_path / 'out' / 'report.html').resolve().as_uri()}" in capsys.readouterr().out


def test_another_run_under_the_same_name_is_evaluated_again(faces, tmp_path):
    first, second = (trained(tmp_path / name, faces) for name in ("first", "second"))
    results = tmp_path / "out" / "faces" / "aggan" / "seed-0" / "happy" / "results.json"
    for folder in (first, second):
        assert run(["report", f"aggan={folder}", "--out", str(tmp_path / "out")]) == 0
        assert json.loads(results.read_text())["model"] == str(folder.resolve())


def test_without_pairs_there_is_no_psnr_and_a_sentence_says_why(faces, tmp_path):
    for file in sorted((faces / "test" / "happy").iterdir()):
        file.rename(file.with_stem(f"{file.stem}-of-another"))
    assert run(["report", str(trained(tmp_path / "ours", faces)), "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "tables.md").read_text()
    assert "are not pairs, so there is no PSNR" in text
    assert "PSNR, dB" not in text


@pytest.fixture
def commands(monkeypatch) -> list[list[str]]:
    """The commands that would evaluate runs; they are not run, and write the same results."""
    commands: list[list[str]] = []

    def run_command(argv: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
        commands.append(argv)
        out = Path(argv[argv.index("--out") + 1])
        out.parent.mkdir(exist_ok=True)
        out.write_text(json.dumps(json.loads(results(psnr=(30, 29, 31))) | {"model": argv[1]}))
        return 0, ""

    monkeypatch.setattr(runner, "_run", run_command)
    return commands


def redrawn(image: Path) -> list[str]:
    Pillow.new("RGB", (64, 64), "red").save(image)
    return []


def retrained(run_folder: Path) -> list[str]:
    with (run_folder / "last" / "model.safetensors").open("ab") as file:
        file.write(b"more")
    return []


def weights(path: Path) -> list[str]:
    path.write_bytes(b"weights")
    return ["--lpips", str(path)]


CHANGES = {
    "nothing": (lambda faces, ours: [], 0),
    "an input": (lambda faces, ours: redrawn(faces / "test" / "neutral" / "00.png"), 1),
    "ground truth": (lambda faces, ours: redrawn(faces / "test" / "happy" / "00.png"), 1),
    "the model": (lambda faces, ours: retrained(ours), 1),
    "weights": (lambda faces, ours: weights(faces / "weights"), 1),
    "the classifier": (lambda faces, ours: ["--classifier", "rendered-faces"], 1),
    "the source": (lambda faces, ours: ["--source", "angry"], 1),
}


@pytest.mark.parametrize(("change", "evaluations"), CHANGES.values(), ids=CHANGES.keys())
def test_results_are_kept_while_nothing_that_they_depend_on_changes(faces, tmp_path, commands, change, evaluations):
    for split in ("train", "test"):
        shutil.copytree(faces / split / "neutral", faces / split / "angry")
    ours = trained(tmp_path / "ours", faces, "combogan", domains=("neutral", "happy", "angry"))
    command = ["report", str(ours), "--to", "happy", "--out", str(tmp_path / "out")]
    assert run(command) == 0
    assert run([*command, *change(faces, ours)]) == 0
    assert len(commands) == 1 + evaluations


def test_other_data_of_the_same_name_replace_the_first(faces, tmp_path, commands):
    other = shutil.copytree(faces, tmp_path / "elsewhere" / "faces")
    redrawn(other / "test" / "neutral" / "00.png")
    (other / "test" / "neutral" / "01.png").unlink()
    command = ["report", str(trained(tmp_path / "ours", faces)), "--out", str(tmp_path / "out")]
    assert run(command) == 0
    images = tmp_path / "out" / "faces" / "ours" / "seed-0" / "happy" / "images"
    images.mkdir()
    shutil.copy(faces / "test" / "happy" / "01.png", images)
    assert run([*command, "--data", str(other)]) == 0
    assert read(tmp_path / "out" / "faces" / "test" / "neutral" / "00.png").getpixel((0, 0)) == (255, 0, 0)
    assert not images.exists()


def test_a_report_never_overwrites_the_images_that_it_reads(faces, tmp_path, commands):
    before = (faces / "test" / "neutral" / "00.png").read_bytes()
    command = ["report", str(trained(tmp_path / "ours", faces)), "--out", str(tmp_path)]
    assert [run(command), run(command)] == [0, 0]
    assert (faces / "test" / "neutral" / "00.png").read_bytes() == before


def test_fewer_runs_than_before_are_fewer_seeds(faces, tmp_path, commands):
    ours = f"ours={trained(tmp_path / 'ours', faces)}"
    assert run(["report", ours, ours, "--out", str(tmp_path / "out")]) == 0
    assert "ours (2 seeds)" in (tmp_path / "out" / "tables.md").read_text()
    assert run(["report", ours, "--out", str(tmp_path / "out")]) == 0
    assert "seeds" not in (tmp_path / "out" / "tables.md").read_text()


STUDIES = {"missing": None, "of another kind": '{"rows": {}}', "no JSON": "people said so"}


@pytest.mark.parametrize("content", STUDIES.values(), ids=STUDIES.keys())
def test_other_files_than_a_study_are_refused_before_anything_is_evaluated(faces, tmp_path, commands, capsys, content):
    study = tmp_path / "answers.json"
    if content:
        study.write_text(content)
    ours = trained(tmp_path / "ours", faces)
    assert run(["report", str(ours), "--study", str(study), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"aggan report: {study}: ")
    assert (commands, (tmp_path / "out").exists()) == ([], False)


def test_two_methods_are_not_one_row(faces, tmp_path, capsys):
    ours, other = trained(tmp_path / "a" / "run", faces), trained(tmp_path / "b" / "run", faces, "aggan-no-ad-ag")
    assert run(["report", str(ours), str(other), "--out", str(tmp_path / "out")]) == 2
    assert "are different methods, both called 'run': name them NAME=FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", ".", "..", "x/../../../esc", "a\\b"])
def test_names_stay_below_the_folder_of_the_report(faces, tmp_path, capsys, name):
    assert run(["report", f"{name}={trained(tmp_path / 'ours', faces)}", "--out", str(tmp_path / "out")]) == 2
    assert f"{name!r} cannot name a row" in capsys.readouterr().err


def test_names_are_printed_literally(faces, tmp_path, commands, capsys):
    assert run(["report", f"[b]={trained(tmp_path / 'ours', faces)}", "--out", str(tmp_path / "out")]) == 0
    assert "[b]: done" in capsys.readouterr().out


def test_a_report_needs_runs_and_a_new_folder(faces, tmp_path, capsys):
    assert run(["report", "--out", str(tmp_path / "out")]) == 2
    assert "nothing to compare: name the folders of runs" in capsys.readouterr().err
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "plan.json").touch()
    assert run(["report", str(trained(tmp_path / "ours", faces)), "--out", str(tmp_path / "out")]) == 2
    assert "holds a benchmark: choose another --out" in capsys.readouterr().err


def same_image(faces: Path) -> Path:
    root = faces.with_name("other")
    shutil.copytree(faces, root)
    shutil.copy(faces / "test" / "happy" / "00.png", root / "train" / "neutral" / "seen.png")
    return root


def same_people(faces: Path) -> Path:
    """The same set with another split, every image a little different."""
    root = faces.with_name("other")
    shutil.copytree(faces, root)
    for folder, split in ((faces, "test"), (root, "train")):
        (folder / "dataset.json").write_text('{"name": "cartoons", "seed": 3}')
        record = {"file": "x.png", "split": split, "person": "0007"}
        (folder / "images.jsonl").write_text(json.dumps(record) + "\n")
    for file in root.rglob("*.png"):
        read(file).resize((31, 31)).save(file)
    return root


REFUSALS = {
    "sizes": (lambda faces, to: trained(to, faces, size=64), "metrics at different sizes cannot be compared"),
    "domains": (lambda faces, to: trained(to, faces, domains=("neutral", "angry")), "has no domain 'happy'"),
    "an image": (lambda faces, to: trained(to, same_image(faces)), "seen.png, which is the test image"),
    "people": (lambda faces, to: trained(to, same_people(faces)), "was trained on 1 of the people in the test images"),
    "no run": (lambda faces, to: to, "not a run with a model"),
}


@pytest.mark.parametrize(("make", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_runs_that_cannot_be_compared_are_refused_with_the_reason(faces, tmp_path, capsys, make, message):
    shutil.copytree(faces / "train" / "happy", faces / "train" / "angry")
    ours, other = trained(tmp_path / "ours", faces), make(faces, tmp_path / "theirs")
    assert run(["report", str(ours), str(other), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_long_heads_of_a_figure_stay_above_their_images(tmp_path):
    Pillow.new("RGB", (64, 64), "white").save(tmp_path / "white.png")
    strip = Strip("", (embed_png(tmp_path / "white.png"),) * 2)
    for head in ("sad", "contemptuous"):
        draw(tmp_path / "sheet.png", Sheet("", "", (strip,), (head, "")))
        ink = np.asarray(Pillow.open(tmp_path / "sheet.png").convert("L")) < 200
        columns = np.flatnonzero(ink.any(axis=0))
        assert len(columns) > 0
        assert columns.max() < 64 + 2 * GAP


def renamed(folder: Path, old: str, new: bytes) -> None:
    (folder / old).rename(folder / os.fsdecode(new))


NAMES = {"two encodings of Unicode": ("José.png", "NFC", "NFD"), "no Unicode": (b"Jos\xe9.png", "", "")}


@pytest.mark.parametrize(("name", "first", "second"), NAMES.values(), ids=NAMES.keys())
def test_a_report_pairs_and_shows_the_images_of_every_name(faces, tmp_path, name, first, second):
    for domain, form in (("neutral", first), ("happy", second)):
        new = normalize(form, name).encode() if isinstance(name, str) else name
        for number in range(6):
            file = b"%d-" % number + new
            renamed(faces / "test" / domain, f"{number:02}.png", file)
    out = tmp_path / "out"
    assert run(["report", str(trained(tmp_path / "ours", faces)), "--out", str(out)]) == 0
    assert "PSNR, dB" in (out / "tables.md").read_text()
    # Of six images: inputs, translations, ground truth; mask, content and translation.
    assert (out / "report.html").read_text().count("data:image/png;base64,") == 6 * 6


def test_a_run_may_be_called_anything(faces, tmp_path):
    ours = trained(tmp_path / "ours", faces)
    name = os.fsdecode(b"Jos\xe9")
    data = shutil.copytree(faces, tmp_path / name)
    assert run(["report", f"{name}={ours}", "--data", str(data), "--out", str(tmp_path / "out")]) == 0
    assert "Jos\\xe9" in (tmp_path / "out" / "tables.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("moved", ["faces", "faces/test", "faces/test/happy"])
def test_a_run_whose_test_images_are_gone_can_be_given_others(faces, tmp_path, capsys, moved):
    ours, other = trained(tmp_path / "ours", faces), shutil.copytree(faces, tmp_path / "other")
    shutil.rmtree(tmp_path / moved)
    command = ["report", str(ours), "--out", str(tmp_path / "out")]
    assert run(command) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"aggan report: {ours}: its test images are not found: {faces}: no ")
    assert error.endswith("; name the folder of a data set with --data ROOT\n")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert run([*command, "--data", str(other)]) == 0


def test_a_report_says_that_it_could_not_look_at_training_images(faces, tmp_path, commands, capsys):
    ours, gone = trained(tmp_path / "ours", faces), trained(tmp_path / "gone", tmp_path / "nowhere")
    assert run(["report", str(ours), str(gone), "--out", str(tmp_path / "out")]) == 0
    reason = f"{tmp_path}/nowhere: no such folder"
    message = f"{gone}: whether it was trained on a test image cannot be checked: {reason}\n"
    assert message in capsys.readouterr().err
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Whether gone had\nbeen trained on them could not be checked" in page
    assert "none of them was trained on" not in page


def test_test_images_are_found_in_every_layout_that_a_training_finds(faces, tmp_path, commands):
    (faces / "train").rename(faces / "Train")
    (faces / "test").rename(faces / "Test")
    assert run(["report", str(trained(tmp_path / "ours", faces)), "--out", str(tmp_path / "out")]) == 0
    assert commands[0][commands[0].index("--ground-truth") + 1] == str(faces / "Test" / "happy")


DAMAGES = {
    "newer": (b'{"version": 9}', "written by a newer aggan (version 9): update aggan"),
    "damaged": (b"{", "damaged: it is not a JSON object"),
    "no text": (b"\xff", "damaged: it is not a JSON object"),
    "another thing": (b"[]", "damaged: it is not a JSON object"),
}


@pytest.mark.parametrize(("content", "message"), DAMAGES.values(), ids=DAMAGES.keys())
def test_results_that_cannot_be_read_are_refused_before_anything_is_evaluated(
    faces, tmp_path, commands, capsys, content, message
):
    command = ["report", str(trained(tmp_path / "ours", faces)), "--out", str(tmp_path / "out")]
    assert run(command) == 0
    commands.clear()
    results = tmp_path / "out" / "faces" / "ours" / "seed-0" / "happy" / "results.json"
    results.write_bytes(content)
    capsys.readouterr()
    assert error_line(capsys, run(command)) == f"aggan report: {results}: {message}; or choose another --out\n"
    assert (commands, results.read_bytes()) == ([], content)


@pytest.mark.parametrize(("content", "message"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_comparison_or_a_study_that_cannot_be_read_is_one_sentence(tmp_path, content, message):
    for name, read_file in (("comparison.json", lambda: report.write(tmp_path, print)), ("study.json", None)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"{name}: {re.escape(message)}"):
            read_file() if read_file else read_study(tmp_path / name)


def test_a_broken_image_of_a_report_is_one_sentence(faces, tmp_path, capsys):
    command = ["report", str(trained(tmp_path / "ours", faces)), "--out", str(tmp_path / "out")]
    assert run(command) == 0
    capsys.readouterr()
    results = tmp_path / "out" / "faces" / "ours" / "seed-0" / "happy"
    (results / "images" / "00.png").write_bytes(b"nonsense")
    error = error_line(capsys, run(command))
    assert f"images/00.png: a broken image: remove {results} and run the command again" in error
    shutil.rmtree(results)
    assert run(command) == 0


def test_missing_figures_are_named(faces, tmp_path, commands, capsys):
    out = tmp_path / "out"
    assert run(["report", str(trained(tmp_path / "ours", faces)), "--out", str(out)]) == 0
    error = f"no figures of faces, as no test image has a translation by every method below {out}/faces\n"
    assert capsys.readouterr().err == error


def test_only_pairs_are_measured_and_a_line_says_so(faces, tmp_path, commands, capsys):
    (faces / "test" / "happy" / "00.png").unlink()
    Pillow.new("RGB", (8, 8)).save(faces / "test" / "neutral" / "01.mask.png")
    assert run(["report", str(trained(tmp_path / "ours", faces)), "--out", str(tmp_path / "out")]) == 0
    output = capsys.readouterr()
    neutral, happy = faces / "test" / "neutral", faces / "test" / "happy"
    measured = f"of which those with ground truth in {happy} are measured (5)"
    assert output.out.splitlines()[0] == f"neutral to happy: images of {neutral} (6), {measured}"
    assert output.err.startswith(f"left out 1 (masks and contents of translations): {neutral}/01.mask.png\n")
