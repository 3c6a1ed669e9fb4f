"""Several processes share a folder: nothing is translated twice or lost, whichever of them is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_helpers import save_small_model, write_image
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import SMALL

from aggan.cli.main import run
from aggan.inference.paths import OutputPaths, shard, unfinished
from aggan.methods import aggan

IMAGES = 40


def make_plan(count: int, out: Path) -> list[OutputPaths]:
    return [OutputPaths(Path(f"{k}.jpg"), out / str(k), ".jpg") for k in range(count)]


@given(st.integers(0, 40), st.integers(1, 9))
def test_the_shards_are_a_partition_of_the_plan(count, world_size):
    plan = make_plan(count, Path("out"))
    shards = [shard(plan, rank, world_size) for rank in range(world_size)]
    assert sorted(paths for part in shards for paths in part) == sorted(plan)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_an_image_is_finished_when_all_its_results_exist(tmp_path):
    plan = make_plan(3, tmp_path)
    for name in ("0.jpg", "0.mask.png", "1.jpg"):
        (tmp_path / name).touch()
    assert unfinished(plan, [""], []) == plan[2:]
    assert unfinished(plan, [""], [".mask"]) == plan[1:]


@pytest.fixture
def command(tmp_path) -> list[str]:
    for index in range(IMAGES):
        write_image(tmp_path / "in" / f"{index:02}.png", 300, 400)
    model = save_small_model(tmp_path / "model", aggan.Config.model_validate(SMALL))
    return ["translate", str(model), str(tmp_path / "in"), "--to", "happy", "--out", str(tmp_path / "out")]


def test_each_process_translates_its_shard(command, tmp_path, monkeypatch, capsys):
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert run(command) == 0
    assert sorted(path.stem for path in (tmp_path / "out").iterdir()) == [f"{k:02}" for k in range(1, IMAGES, 4)]
    monkeypatch.setenv("RANK", "2")
    assert run([*command, "--skip-existing"]) == 0
    assert "10 translated" in capsys.readouterr().out


def test_a_shard_of_broken_files_is_no_failure(tmp_path, model, monkeypatch, capsys):
    write_image(tmp_path / "in" / "b.png")
    (tmp_path / "in" / "a.png").write_bytes(b"nonsense")
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    assert run(["translate", str(model), str(tmp_path / "in"), "--to", "happy", "--out", str(tmp_path / "out")]) == 0
    assert "a.png: not an image" in capsys.readouterr().err


def test_processes_that_start_later_accept_results_of_others_beside_the_sources(tmp_path, model, monkeypatch):
    for name in "ab":
        write_image(tmp_path / "in" / f"{name}.bmp")
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    images = [str(tmp_path / "in" / f"{name}.bmp") for name in "ab"]
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        assert run(["translate", str(model), *images, "--to", "happy", "--out", str(tmp_path / "in")]) == 0
    assert len(list((tmp_path / "in").glob("*.png"))) == 2


@pytest.mark.slow
def test_a_killed_translation_continues_and_translates_no_image_twice(command, tmp_path, capsys):
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-m", "aggan", *command, "--jobs", "1"], stderr=subprocess.DEVNULL)
    while len(list(out.glob("*.png"))) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert 3 <= len(before) < IMAGES
    assert run([*command, "--skip-existing"]) == 0
    assert f"{len(before)} already there" in capsys.readouterr().out
    after = {path: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert len(after) == IMAGES
    assert before.items() <= after.items()
    assert run([*command, "--skip-existing"]) == 0
    assert f"0 translated to {out}, {IMAGES} already there" in capsys.readouterr().out
