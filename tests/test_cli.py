"""The command line: what it says, how fast it says it, and how every mistake ends."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from tiny_models import shrunk

from aggan import __version__
from aggan.cli.main import VERBS, run
from aggan.cli.renamed import SPELLINGS, require_new_names
from aggan.cli.train import TRAINING_GROUPS
from aggan.data.folders import DataConfig, find
from aggan.data.sample_faces import unpack
from aggan.errors import UserError
from aggan.methods.registry import METHODS
from aggan.training.config import RECIPES, TrainingConfig
from aggan.training.experiment import Experiment


def refused(capsys, *arguments: str) -> str:
    """The one line with which a command line is refused."""
    code = run(list(arguments))
    told = capsys.readouterr()
    assert (code, told.out, told.err.count("\n")) == (2, "", 1), told
    assert told.err.startswith("aggan")
    return told.err


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_without_a_verb_the_verbs_are_listed(arguments, capsys):
    assert run(arguments) == 0
    told = capsys.readouterr()
    assert told.out.startswith("usage: aggan VERB")
    assert all(f"\n  {verb} " in told.out for verb in VERBS)
    assert told.err == ""


def test_the_version_is_the_packages(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"aggan {__version__}\n"


@pytest.mark.parametrize("verb", ["tranlate", "--verbose", ""])
def test_an_unknown_verb_names_what_there_is(verb, capsys):
    error = refused(capsys, verb)
    assert error == f"aggan: no verb {verb!r}; there are {', '.join(VERBS)}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb, capsys):
    try:
        code = run([verb, "--help"])
    except SystemExit as end:
        code = end.code
    assert code == 0
    told = capsys.readouterr()
    assert f"aggan {verb}" in told.out
    assert told.err == ""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["no-such-verb"], ["data", "--help"]])
def test_help_waits_for_no_heavy_import(arguments):
    heavy = {"torch"} if arguments[0] == "data" else {"torch", "numpy", "pydantic", "tyro", "rich"}
    program = f"""
import sys
from aggan.cli.main import run
run({arguments})
found = {heavy} & sys.modules.keys()
sys.exit(f"imported {{found}}" if found else 0)
"""
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


def test_the_package_runs_as_a_module():
    made = subprocess.run([sys.executable, "-m", "aggan", "--version"], capture_output=True, text=True, check=False)
    assert (made.returncode, made.stdout, made.stderr) == (0, f"aggan {__version__}\n", "")


def test_an_interrupt_ends_quietly(monkeypatch, capsys):
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("aggan.cli.methods.main", interrupted)
    assert run(["methods"]) == 130
    assert capsys.readouterr().err == ""


@pytest.fixture(scope="module", params=[64, 128])
def unpacked(request, tmp_path_factory) -> tuple[Path, int]:
    out = tmp_path_factory.mktemp("faces") / str(request.param)
    assert run(["data", "faces", "--out", str(out), "--size", str(request.param)]) == 0
    return out, request.param


def test_the_hint_after_unpacking_is_a_command_that_would_start(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("aggan.cli.data.unpack", lambda out, size, pairs: 7)
    out = tmp_path / "my faces"
    out.mkdir()
    assert run(["data", "faces", "--out", str(out), "--size", "64"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"7 images in {out}. Train with: aggan train ")
    hint = shlex.split(told.split("aggan train ")[1])
    assert f"{out}: no folder for the domain" in refused(capsys, "train", *hint)


def people(root: Path, folder: str) -> set[str]:
    return {file.name for file in (root / folder).iterdir()}


def test_the_training_domains_share_nobody_and_the_test_is_paired(unpacked):
    root, _ = unpacked
    neutral, happy = people(root, "train/neutral"), people(root, "train/happy")
    test_set = people(root, "test/neutral")
    assert len(test_set) == 100
    assert people(root, "test/happy") == test_set
    assert min(len(neutral), len(happy)) >= 200
    assert not neutral & happy
    assert not (neutral | happy) & test_set
    split = find(DataConfig(root=root, names=("neutral", "happy")))
    assert [len(domain.files) for domain in split.test] == [100, 100]


def test_the_faces_come_at_the_size_asked_for(unpacked):
    root, size = unpacked
    for file in list(root.rglob("*.png"))[::40]:
        with Pillow.open(file) as image:
            assert (image.size, image.mode) == ((size, size), "RGB")
            assert np.array(image).std() > 10
    assert {file.name for file in root.iterdir() if file.is_file()} == {"images.jsonl", "dataset.json"}
    assert {file.suffix for file in root.glob("*/**/*") if file.is_file()} == {".png"}


def test_mistakes_about_the_faces(tmp_path, capsys):
    assert "no action 'cats'; there are faces, sort, draw, render, prepare" in refused(capsys, "data", "cats")
    (tmp_path / "file").touch()
    assert "/file: is a file: choose a folder" in refused(capsys, "data", "faces", "--out", str(tmp_path / "file"))
    with pytest.raises(UserError, match="the faces come at 64 and 128 px, not 100"):
        unpack(tmp_path / "out", 100)
    for bad in (["--out", str(tmp_path / "out"), "--size", "100"], []):
        with pytest.raises(SystemExit, match="2"):
            run(["data", "faces", *bad])
    assert not (tmp_path / "out").exists()


def recipe(tmp_path: Path, content: str) -> str:
    (tmp_path / "mine.yaml").write_text(content)
    return str(tmp_path / "mine.yaml")


def test_a_recipe_with_three_mistakes_is_told_of_all_three(tmp_path, capsys):
    mine = recipe(tmp_path, "method: {lambda_tvv: 1}\ndata: {size: 4}\ntraining: {batch: many}\n")
    error = refused(capsys, "train", "--recipe", mine, "--out", str(tmp_path / "run"))
    for place in (f"recipe {mine}: ", "lambda_tvv: ", "data.size: ", "training.batch: "):
        assert place in error


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("model: {}", "no 'model'; there are method, data, training"),
        ("training: 5", "a recipe has the sections method, data and training, each with settings"),
        ("for:\n  aggan:", "a recipe has the sections method, data and training, each with settings"),
        ("for: {aggan: {training: }}", "a recipe has the sections method, data and training, each with settings"),
        ("- 1", "a recipe has the sections method, data and training, each with settings"),
        ("a: [", "not YAML: "),
    ],
)
def test_what_is_no_recipe_is_told_what_one_is(tmp_path, capsys, content, expected):
    assert expected in refused(capsys, "train", "--recipe", recipe(tmp_path, content), "--out", "run")


def test_an_unknown_recipe_or_system_names_what_there_is(tmp_path, capsys):
    known = ", ".join(sorted(file.stem for file in RECIPES.glob("*.yaml")))
    assert f"nope: no such recipe; give a YAML file or one of {known}" in refused(capsys, "train", "--recipe", "nope")
    missing = str(tmp_path / "mine.yaml")
    assert f"{missing}: no such recipe" in refused(capsys, "train", "--recipe", missing)
    assert f"no method 'gan'; there are {', '.join(METHODS)}" in refused(capsys, "train", "gan")


@pytest.mark.parametrize("name", METHODS)
def test_every_recipe_that_ships_fits_every_system_and_leaves_what_makes_it_one(name):
    own = METHODS[name].model_dump(exclude_unset=True)
    for file in RECIPES.glob("*.yaml"):
        assert Experiment.of(name, file.stem).method.model_dump(include=set(own)) == own


@pytest.mark.parametrize(
    ("words", "length"),
    [
        ([], (200, None, 14.5)),
        (["--training.epochs", "200"], (200, None, None)),
        (["--training.steps=7"], (200, 7, None)),
        (["--training.minutes", "2", "--training.steps", "7"], (200, 7, 2)),
    ],
)
def test_the_length_that_is_asked_for_replaces_the_recipes(monkeypatch, words, length):
    trained = []
    monkeypatch.setattr("aggan.training.run.train", lambda experiment, *_, **__: trained.append(experiment) or True)
    assert run(["train", "--recipe", "faces64", "--out", "run", *words]) == 0
    recipe = trained[0].training
    assert (recipe.epochs, recipe.steps, recipe.minutes) == length


def test_training_refuses_what_it_cannot_start_with(tmp_path, faces, capsys):
    root, run_folder = f"--data.root={faces}", str(tmp_path / "run")
    Experiment.of("aggan", recipe=None).save(tmp_path / "old")
    (tmp_path / "old" / "checkpoint.pt").touch()
    for arguments, expected in [
        (["--out", run_folder], "name the images: --data.x DIR --data.y DIR, or --data.root DIR"),
        ([root], "no output folder: pass --out DIR"),
        (
            [root, "--out", str(tmp_path / "old")],
            f"{tmp_path}/old already holds a run: resume it with --resume {tmp_path}/old",
        ),
        (["--resume", run_folder], f"{run_folder}: not a run: it has no experiment.json"),
        (["--resume", str(tmp_path / "old"), "--data.size", "64"], "a resumed run keeps its method and data"),
        (
            ["--resume", str(tmp_path / "old"), "--training.optimizer", "rmsprop"],
            "a resumed run cannot change --training.optimizer",
        ),
        (
            ["--resume", str(tmp_path / "old"), "--training.init-from", "m"],
            "a resumed run cannot change --training.init-from",
        ),
        (["--resume", str(tmp_path / "old"), "--out", run_folder], f"leave out --out {run_folder}"),
        (["--resume", str(tmp_path / "old"), "--recipe", "faces64"], "leave out the method and --recipe"),
        (["pix2pix", "--resume", str(tmp_path / "old")], "leave out the method and --recipe"),
        (["pix22pix", "--resume", str(tmp_path / "old")], "no method 'pix22pix'"),
        (["--data.root", str(tmp_path / "gone"), "--out", run_folder], "/gone: no such folder"),
    ]:
        assert expected in refused(capsys, "train", *arguments)
    assert not Path(run_folder).exists()


def test_what_was_understood_of_the_data_is_said_before_the_method_refuses_them(tmp_path, faces, capsys):
    out = str(tmp_path / "run")
    assert run(["train", f"--data.root={faces}", "--out", out, "--data.size", "16"]) == 2
    told = capsys.readouterr()
    assert told.out.startswith("data    training images: 6 happy, 6 neutral in ")
    assert told.err == "aggan train: the discriminators need at least 32 px: raise --data.size 16\n"
    assert not Path(out).exists()


def test_values_out_of_range_are_one_sentence(capsys):
    error = refused(
        capsys, "train", "--out=run", "--training.batch=0", "--data.size=3", "--training.augment=3",
        "--training.betas", "0.5", "2",
    )  # fmt: skip
    for expected in (
        "--training.batch 0: Input should be greater than or equal to 1",
        "--data.size 3: Input should be greater than or equal to 8",
        "--training.augment 3.0: Input should be less than or equal to 1",
        "--training.betas 2.0: Input should be less than 1",
    ):
        assert expected in error
    assert "pydantic" not in error


@pytest.mark.parametrize(
    ("words", "ours"),
    [
        (["--batch_size", "4"], "--training.batch"),
        (["--batch-size=4"], "--training.batch"),
        (["--training.batch_size", "4"], "--training.batch"),
        (["--lr", "0.1"], "--training.learning-rate"),
        (["--training.lr", "0.1"], "--training.learning-rate"),
        (["--epochs", "4"], "--training.epochs"),
        (["--n_epochs", "4"], "--training.epochs"),
        (["--gpu_ids", "0"], "--training.devices"),
        (["--dataroot", "faces"], "--data.root"),
        (["--training.accelerator", "cuda"], "--training.accelerator gpu"),
        (["--training.precision=bf16"], "--training.precision bf16-mixed"),
    ],
)
def test_spellings_of_other_programs_are_answered_with_ours(capsys, words, ours):
    assert refused(capsys, "train", *words).endswith(f"here it is {ours}\n")


def options_in_help(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit, match="0"):
        run(["train", *arguments, "--help"])
    return capsys.readouterr().out


def test_spellings_name_options_that_exist(capsys):
    text = options_in_help(capsys)
    for ours in SPELLINGS.values():
        assert f"{ours} " in text or f"{ours}," in text, ours
        require_new_names("train", [ours])


def test_the_help_of_training_is_grouped_and_without_internal_words(capsys):
    grouped = [name for _, names in TRAINING_GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(TrainingConfig.model_fields)
    for method, *titles in (("", "data"), ("stargan", "data", "method"), ("aggan", "method", "method.remedies")):
        text = options_in_help(capsys, *filter(None, [method]))
        for title in (*TRAINING_GROUPS, *titles):
            assert f" {title} options " in text
        for name in (*TrainingConfig.model_fields, *DataConfig.model_fields):
            assert f".{name.replace('_', '-')} " in text or f".{name.replace('_', '-')}," in text
        for word in ("None", "type:", "<class", "pydantic", "--method.method", "Fraction", "Absolute"):
            assert word not in text


def test_a_run_is_resumed_with_its_images_where_they_were_moved(tmp_path, faces, monkeypatch, capsys):
    trained = []
    monkeypatch.setattr("aggan.training.run.train", lambda experiment, *_, **__: trained.append(experiment) or True)
    start = Experiment.of("aggan", "faces64").model_copy(update={"data": DataConfig(root=faces, size=64)})
    start.save(tmp_path / "old")
    new = tmp_path / "new"
    for words, expected in (
        ([], {"root": faces}),
        (["--data.root", str(new)], {"root": new}),
        (["--data.x", str(new / "a"), "--data.y", str(new / "b")], {"x": new / "a", "y": new / "b"}),
        (["--data.pairs", str(new)], {"pairs": new}),
    ):
        assert run(["train", "--resume", str(tmp_path / "old"), *words]) == 0
        assert trained[-1] == start.model_copy(update={"data": DataConfig(size=64, **expected)})
    assert "a resumed run keeps its method and data" in refused(
        capsys, "train", "--resume", str(tmp_path / "old"), "--data.root", str(new), "--data.no-flip"
    )


def ended(*arguments: str, stdout: int = subprocess.PIPE, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    command, env = [sys.executable, "-m", "aggan", *arguments], {**os.environ, **environment}
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, check=False, text=True, env=env)


@pytest.mark.parametrize("arguments", ["train --help", "methods", "--help"])
def test_a_reader_that_goes_away_ends_the_command_without_a_traceback(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    process = ended(*arguments.split(), stdout=writing)
    os.close(writing)
    assert (process.returncode, process.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", ["train --help", "methods", "--version"])
def test_a_full_disk_under_the_output_is_one_sentence(arguments):
    with Path("/dev/full").open("w") as full:
        process = ended(*arguments.split(), stdout=full.fileno())
    assert (process.returncode, process.stderr) == (1, "aggan: cannot write the output: No space left on device\n")


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])
def test_names_that_the_output_cannot_show_stop_no_command(tmp_path, faces, encoding):
    root = tmp_path / os.fsdecode("gesichter-ä".encode() + b"\xe9")
    faces.rename(root)
    settings = recipe(tmp_path, Experiment(method=shrunk("aggan")).model_dump_json(include={"method"}))
    out = tmp_path / os.fsdecode(b"r\xfcn")
    words = [f"--data.root={root}", "--data.size=32", "--recipe", settings, "--out", str(out), "--training.steps=1"]
    first = ended("train", *words, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert (first.returncode, first.stderr) == (0, "")
    assert "\\udce9" in first.stdout
    assert Experiment.load(out).data.root == root
    second = ended("train", *words, PYTHONIOENCODING=encoding)
    assert second.returncode == 2
    assert "already holds a run" in second.stderr


@pytest.mark.parametrize("flags", [["--training.batch", "x"], ["--data.size", "x"], ["--method.bogus", "1"]])
def test_a_wrong_flag_ends_with_two(flags, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(["train", "--out", "run", *flags])
    assert flags[0].split(".")[1] in capsys.readouterr().err
