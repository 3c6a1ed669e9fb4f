"""A folder shared among processes: nothing twice, nothing lost, whatever is killed."""

import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggan.inference.shards import Planned, share
from aggan.writing import write_whole

PICTURES = 60


@given(st.integers(0, 40), st.integers(1, 9), st.sets(st.integers(0, 39)))
def test_processes_share_all_that_is_not_finished_and_nothing_twice(tmp_path_factory, count, world, finished):
    out = tmp_path_factory.mktemp("out")
    planned = [(Path(f"{k}.jpg"), out / f"{k}.png") for k in range(count)]
    for k in finished:
        (out / f"{k}.png").touch()
    shares = [list(share(planned, rank=rank, world=world)) for rank in range(world)]
    done = [pair for part in shares for pair in part]
    assert sorted(done) == sorted(planned[k] for k in range(count) if k not in finished)
    sizes = [len(planned[rank::world]) for rank in range(world)]
    assert max(sizes) - min(sizes) <= 1


def test_a_picture_is_finished_when_all_its_results_are_there(tmp_path):
    planned = [(Path("a.jpg"), tmp_path / "a.png"), (Path("b.jpg"), tmp_path / "b.png")]
    for name in ("a.png", "a.mask.png", "b.png"):
        (tmp_path / name).touch()
    assert list(share(planned, ("", ".mask"))) == planned[1:]


def test_what_another_process_finished_meanwhile_is_left_out(tmp_path):
    planned = [(Path(f"{k}.jpg"), tmp_path / f"{k}.png") for k in range(3)]
    work = share(planned)
    assert next(work) == planned[0]
    planned[1][1].touch()
    assert list(work) == planned[2:]


def copy(planned: Sequence[Planned], rank: int, world: int) -> None:
    """What stands for a translation: slow, whole, and with the process's name in it."""
    for source, target in share(planned, rank=rank, world=world):
        time.sleep(0.005)
        write_whole(target, lambda partial, name=source.name: partial.write_text(f"{name} by {os.getpid()}"))


@pytest.mark.slow
def test_a_killed_translation_started_again_by_more_processes_does_no_picture_twice_and_loses_none(tmp_path):
    planned = [(Path(f"{k:02}.jpg"), tmp_path / f"{k:02}.png") for k in range(PICTURES)]
    fork = multiprocessing.get_context("fork")
    first = [fork.Process(target=copy, args=(planned, rank, 2)) for rank in range(2)]
    for process in first:
        process.start()
    while len(list(tmp_path.glob("*.png"))) < PICTURES // 4:
        time.sleep(0.001)
    for process in first:
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    before = {path: path.read_text() for path in tmp_path.glob("*.png")}
    assert 0 < len(before) < PICTURES
    second = [fork.Process(target=copy, args=(planned, rank, 3)) for rank in range(3)]
    for process in second:
        process.start()
    for process in second:
        process.join(60)
        assert process.exitcode == 0
    after = {path: path.read_text() for path in tmp_path.iterdir()}
    assert sorted(after) == [target for _, target in planned]
    assert before.items() <= after.items()
    assert all(text.startswith(path.stem) for path, text in after.items())
