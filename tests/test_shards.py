"""A folder shared among processes: nothing twice, nothing lost, whatever is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from translating import picture, saved
from worlds import SMALL

from aggan.cli.main import run
from aggan.inference.paths import Results
from aggan.inference.pipeline import share, unfinished
from aggan.methods import aggan

PICTURES = 40


def plan(count: int, out: Path) -> list[Results]:
    return [Results(Path(f"{k}.jpg"), out / str(k), ".jpg") for k in range(count)]


@given(st.integers(0, 40), st.integers(1, 9))
def test_processes_share_everything_and_nothing_twice(count, world):
    planned = plan(count, Path("out"))
    parts = [share(planned, rank, world) for rank in range(world)]
    assert sorted(results for part in parts for results in part) == sorted(planned)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_picture_is_finished_when_all_its_results_are_there(tmp_path):
    planned = plan(3, tmp_path)
    for name in ("0.jpg", "0.mask.png", "1.jpg"):
        (tmp_path / name).touch()
    assert unfinished(planned, [""], []) == planned[2:]
    assert unfinished(planned, [""], [".mask"]) == planned[1:]


@pytest.fixture
def command(tmp_path) -> list[str]:
    for index in range(PICTURES):
        picture(tmp_path / "in" / f"{index:02}.png", 300, 400)
    model = saved(tmp_path / "model", aggan.Config.model_validate(SMALL))
    return ["translate", str(model), str(tmp_path / "in"), "--to", "happy", "--out", str(tmp_path / "out")]


def test_each_process_takes_its_share(command, tmp_path, monkeypatch, capsys):
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert run(command) == 0
    assert sorted(path.stem for path in (tmp_path / "out").iterdir()) == [f"{k:02}" for k in range(1, PICTURES, 4)]
    monkeypatch.setenv("RANK", "2")
    assert run([*command, "--missing"]) == 0
    assert "10 translated" in capsys.readouterr().out


def test_a_share_of_broken_files_does_not_end_the_other_processes(tmp_path, model, monkeypatch, capsys):
    picture(tmp_path / "in" / "b.png")
    (tmp_path / "in" / "a.png").write_bytes(b"nonsense")
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    assert run(["translate", str(model), str(tmp_path / "in"), "--to", "happy", "--out", str(tmp_path / "out")]) == 0
    assert "a.png: not a picture" in capsys.readouterr().err


def test_processes_that_begin_later_find_results_of_others_beside_the_pictures(tmp_path, model, monkeypatch):
    for name in "ab":
        picture(tmp_path / "in" / f"{name}.bmp")
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    pictures = [str(tmp_path / "in" / f"{name}.bmp") for name in "ab"]
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        assert run(["translate", str(model), *pictures, "--to", "happy", "--out", str(tmp_path / "in")]) == 0
    assert len(list((tmp_path / "in").glob("*.png"))) == 2


@pytest.mark.slow
def test_a_killed_translation_goes_on_and_does_no_picture_twice(command, tmp_path, capsys):
    out = tmp_path / "out"
    begun = subprocess.Popen([sys.executable, "-m", "aggan", *command, "--jobs", "1"], stderr=subprocess.DEVNULL)
    while len(list(out.glob("*.png"))) < 3:
        time.sleep(0.01)
    os.kill(begun.pid, signal.SIGKILL)
    begun.wait()
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert 3 <= len(before) < PICTURES
    assert run([*command, "--missing"]) == 0
    assert f"{len(before)} there already" in capsys.readouterr().out
    after = {path: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert len(after) == PICTURES
    assert before.items() <= after.items()
    assert run([*command, "--missing"]) == 0
    assert f"0 translated to {out}, {PICTURES} there already" in capsys.readouterr().out
