"""Long work checks its destination before it begins: evaluate, report, benchmark and study."""

import errno
import json
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from cli_helpers import error_line, files_below
from PIL import Image as Pillow
from studies import small_study, write_images
from test_benchmark import planned
from test_comparison import trained

from aggan import io
from aggan.cli.main import run
from aggan.errors import UserError


def command(verb: str, tmp_path: Path, faces: Path, out: Path) -> list[str]:
    """A command line whose only mistake may be its `--out`."""
    if verb == "evaluate":
        inputs = ["--inputs", str(faces / "test" / "neutral"), "--to", "happy"]
        return ["evaluate", str(trained(tmp_path / "run", faces)), *inputs, "--out", str(out)]
    if verb == "report":
        return ["report", str(trained(tmp_path / "run", faces)), "--out", str(out)]
    if verb == "benchmark":
        return ["benchmark", str(planned(tmp_path, faces, ("aggan",))), "--out", str(out)]
    folders = faces / "test" / "happy", faces / "test" / "neutral"
    return ["study", "create", "--real", str(folders[0]), "--fake", f"x={folders[1]}", "--out", str(out)]


VERBS = ("evaluate", "report", "benchmark", "study create")


@pytest.fixture
def _nothing_is_read(monkeypatch) -> None:
    for function in ("aggan.evaluation.test_set.decode", "aggan.comparison.runner.read", "aggan.study.images.read"):
        monkeypatch.setattr(function, lambda *_: pytest.fail("an image was read"))


@pytest.mark.usefixtures("_nothing_is_read")
@pytest.mark.parametrize("verb", VERBS)
def test_a_file_as_a_parent_of_the_output_is_refused(tmp_path, faces, capsys, verb):
    (tmp_path / "file").write_text("mine")
    argv = command(verb, tmp_path, faces, tmp_path / "file" / "x.json")
    assert f"{tmp_path}/file is not a folder" in error_line(capsys, run(argv))
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.usefixtures("_nothing_is_read")
@pytest.mark.parametrize("verb", VERBS)
def test_an_unwritable_disk_is_refused(tmp_path, faces, capsys, monkeypatch, verb):
    def read_only(**_) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    argv = command(verb, tmp_path, faces, tmp_path / "new" / "x.json")
    monkeypatch.setattr(io, "TemporaryFile", read_only)
    assert f"--out: nothing can be written to {tmp_path} (Read-only file system)" in error_line(capsys, run(argv))
    assert not (tmp_path / "new").exists()


AMONG_IMAGES = [("report", "train"), ("report", "test"), ("benchmark", "train"), ("benchmark", "test")]


@pytest.mark.usefixtures("_nothing_is_read")
@pytest.mark.parametrize(("verb", "split"), [*AMONG_IMAGES, ("study create", "test")])
def test_an_output_among_the_images_that_are_read_is_refused(tmp_path, faces, capsys, verb, split):
    before = files_below(faces)
    argv = command(verb, tmp_path, faces, faces / split / "happy" / "new")
    assert f"lies in {faces}/{split}/happy, whose images are read" in error_line(capsys, run(argv))
    assert files_below(faces) == before


@pytest.mark.parametrize("verb", VERBS)
def test_a_disk_without_room_is_refused(tmp_path, faces, capsys, monkeypatch, verb):
    argv = command(verb, tmp_path, faces, tmp_path / "out")
    argv += ["--save-images", str(tmp_path / "images")] if verb == "evaluate" else []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "free")(100))
    assert "but only 0.0 MB are free: make room" in error_line(capsys, run(argv))
    assert not {"out", "images"} & {path.name for path in tmp_path.iterdir()}


KEPT = {"a folder": "is a folder: name a file, for example", "an image": "holds something other than results"}


@pytest.mark.usefixtures("_nothing_is_read")
@pytest.mark.parametrize(("kind", "message"), KEPT.items())
def test_what_is_no_results_file_is_refused_as_the_file_of_results(tmp_path, faces, capsys, kind, message):
    out = tmp_path if kind == "a folder" else faces / "test" / "neutral" / "00.png"
    before = None if kind == "a folder" else out.read_bytes()
    assert message in error_line(capsys, run(command("evaluate", tmp_path, faces, out)))
    assert kind == "a folder" or out.read_bytes() == before


def test_a_device_is_refused_as_the_file_of_results(tmp_path, faces, capsys):
    argv = command("evaluate", tmp_path, faces, Path(os.devnull))
    assert f"--out: {os.devnull} is not a file" in error_line(capsys, run(argv))
    assert Path(os.devnull).is_char_device()


def test_results_may_be_replaced_and_missing_folders_are_made(tmp_path, faces):
    out = tmp_path / "new" / "deep" / "results.json"
    argv = command("evaluate", tmp_path, faces, out)
    assert run(argv) == 0
    first = out.read_text()
    assert run(argv) == 0
    assert json.loads(out.read_text())["rows"] == json.loads(first)["rows"]
    out.write_text("")
    assert run(argv) == 0


@pytest.mark.parametrize("images", ["test/neutral", "test/neutral/new", "link"])
def test_translations_among_the_inputs_are_refused(tmp_path, faces, capsys, images):
    (faces / "link").symlink_to(faces / "test" / "neutral")
    argv = [*command("evaluate", tmp_path, faces, tmp_path / "r.json"), "--save-images", str(faces / images)]
    assert "whose images are read" in error_line(capsys, run(argv))
    assert not (tmp_path / "r.json").exists()


def test_an_impossible_name_is_the_only_one_that_is_not_saved(tmp_path, faces, capsys):
    long = "x" * 249  # with .png it fits into the usual 255 bytes, with .mask.png it does not
    (faces / "test" / "neutral" / "03.png").rename(faces / "test" / "neutral" / f"{long}.png")
    out, images = tmp_path / "results.json", tmp_path / "images"
    assert run([*command("evaluate", tmp_path, faces, out), "--save-images", str(images)]) == 0
    assert f"not saved: {images}/{long}.mask.png: a name of 258 bytes is too long" in capsys.readouterr().err
    saved = files_below(images)
    assert f"{long}.png" in saved
    assert len(saved) == 3 * 6 - 2
    assert long in json.loads(out.read_text())["each"]["name"]


def test_a_report_on_a_test_set_with_an_impossible_name_is_complete(tmp_path, faces):
    for name in ("neutral", "happy"):
        (faces / "test" / name / "03.png").rename(faces / "test" / name / f"{'x' * 249}.png")
    assert run(command("report", tmp_path, faces, tmp_path / "out")) == 0
    assert "The same people" in (tmp_path / "out" / "report.html").read_text()


def test_a_report_beside_its_data_adds_nothing_to_the_test_images(tmp_path, faces):
    for name in ("neutral", "happy"):
        for file in (faces / "test" / name).iterdir():
            Pillow.open(file).save(file.with_suffix(".bmp"))
            file.unlink()
    before = files_below(faces / "test")
    assert run(command("report", tmp_path, faces, tmp_path)) == 0
    assert files_below(faces / "test") == before


@pytest.mark.parametrize("option", ["--json", "--csv", "--participants"])
def test_results_of_a_study_that_cannot_be_written_are_refused(tmp_path, capsys, option):
    study = small_study(tmp_path)
    name = {"--json": "study.json", "--csv": "answers.csv", "--participants": "participants.csv"}[option]
    (study / name).mkdir()
    error = error_line(capsys, run(["study", "results", str(study), option]))
    assert error == f"aggan study: {option}: {study / name} cannot be written: there is a folder of this name\n"
    assert not (study / "answers.sqlite").exists()


def test_a_study_of_an_impossible_name_is_refused(tmp_path, capsys):
    real = str(write_images(tmp_path / "real", range(6), 9))
    out = tmp_path / ("x" * 300)
    error = error_line(capsys, run(["study", "create", "--real", real, "--fake", f"x={real}", "--out", str(out)]))
    assert "a name of 300 bytes is too long for this file system" in error


@pytest.mark.parametrize("verb", ["evaluate", "train", "quickstart"])
def test_a_name_that_is_too_long_is_one_sentence(tmp_path, faces, capsys, verb):
    out = tmp_path / ("y" * 256)
    argv = {
        "evaluate": ["evaluate", "faces64", "--inputs", str(faces / "test" / "neutral"), "--to", "happy"],
        "train": ["train", "--data.root", str(faces), "--training.steps", "1"],
        "quickstart": ["quickstart", "--minutes", "1.5"],
    }[verb]
    error = error_line(capsys, run([*argv, "--out", str(out)]))
    assert "too long" in error
    assert out.name in error


def test_a_quickstart_checks_its_destination_before_it_unpacks(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    code = run(["quickstart", "--minutes", "1.5", "--out", str(tmp_path / "file")])
    output = capsys.readouterr()
    assert code == 2
    assert (
        output.err
        == f"aggan quickstart: --out: nothing can be written to {tmp_path}/file: {tmp_path}/file is not a folder\n"
    )
    assert output.out == ""


@pytest.mark.usefixtures("_nothing_is_read")
def test_a_benchmark_beside_the_domains_of_its_training_images_is_refused_at_once(tmp_path, faces, capsys):
    argv = command("benchmark", tmp_path, faces, faces / "train" / "new")
    assert f"lies inside the training images, {faces}/train" in error_line(capsys, run(argv))
    assert not (faces / "train" / "new").exists()


def test_a_full_disk_is_named_whatever_a_library_says(tmp_path, monkeypatch):
    def write(path: Path) -> None:
        path.write_bytes(b"part")
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 1027520 vs 1027412")

    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "free")(100))
    with pytest.raises(UserError, match=f"cannot write {tmp_path}/a: No space left on device; what was there"):
        io.write_atomic(tmp_path / "a", write)
    assert not files_below(tmp_path)
