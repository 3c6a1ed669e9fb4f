"""Past one process: launchers, hosts, deaths, and shares of a folder."""

import contextlib
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from conftest import draw_face
from rich.console import Console
from test_training import assert_same, experiment

from aggan.cli.main import run as command_line
from aggan.errors import AlreadyReported, UserError
from aggan.training import checkpoint
from aggan.training.experiment import Experiment
from aggan.training.fabric import ProcessLost
from aggan.training.failures import report_once
from aggan.training.launch import Launch, detect_launcher
from aggan.training.run import train
from aggan.training.watch import Diverged

QUIET = Console(quiet=True)
TORCHRUN = (sys.executable, "-m", "torch.distributed.run")
TWO_HERE = ("--standalone", "--nproc-per-node", "2")
STOPPED = "aggan train: training stopped: another process is gone or does not answer"


class Task:
    """The command line `aggan ...` in a forked process, with other variables and its output in a file."""

    def __init__(self, environment: dict[str, str], arguments: Sequence[str]) -> None:
        self.log = Path(tempfile.mkstemp()[1])
        self.process = multiprocessing.get_context("fork").Process(target=self._run, args=(environment, arguments))
        self.process.start()

    def _run(self, environment: dict[str, str], arguments: Sequence[str]) -> None:
        os.environ.update(environment)
        sys.stdout = sys.stderr = self.log.open("w")
        code = command_line(list(arguments))
        sys.stdout.flush()
        os._exit(code)

    def finish(self, code: int = 0) -> str:
        self.process.join(300)
        said = self.log.read_text()
        self.log.unlink()
        assert self.process.exitcode == code, said
        return said


class World(NamedTuple):
    """A folder in which small trainings of fifteen steps run, one image a process and step."""

    root: Path

    def train(self, run: str, *options: str) -> list[str]:
        return ["-m", "aggan", *self.command(run, *options)]

    def command(self, run: str, *options: str) -> list[str]:
        given = ["--recipe", str(self.root / "settings.yaml"), "--data.root", str(self.root / "faces")]
        given += ["--data.names", "neutral", "happy", "--data.size", "32", "--out", str(self.root / run)]
        return ["train", *given, *options]

    def start(self, command: Sequence[str], **environment: str) -> subprocess.Popen[str]:
        ours = {"AGGAN_CACHE": str(self.root / "cache"), "OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, env={**os.environ, **ours, **environment}, **pipes)

    def slurm(self, *options: str) -> list["Task"]:
        """Two tasks as `srun` would start them; forked, which spares them torch's import."""
        says = {"NTASKS": 2, "NTASKS_PER_NODE": 2, "NNODES": 1, "NODEID": 0, "JOB_ID": os.getpid(), "JOB_NAME": "smile"}
        tasks = [says | {"PROCID": task, "LOCALID": task} for task in range(2)]
        return [Task({f"SLURM_{name}": str(value) for name, value in task.items()}, options) for task in tasks]

    def wait_for_checkpoint(self, run: str) -> None:
        end = time.monotonic() + 300
        while not (self.root / run / checkpoint.FILE).exists():
            assert time.monotonic() < end
            time.sleep(0.01)

    def state(self, run: str) -> dict:
        return checkpoint.load(self.root / run)


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    said, _ = process.communicate(timeout=300)
    assert process.returncode == code, said
    return said


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    root = tmp_path_factory.mktemp("world")
    for name in ("neutral", "happy"):
        folder = root / "faces" / name
        folder.mkdir(parents=True)
        for person in range(6):
            draw_face(64, name == "happy", person).save(folder / f"{person}.png")
    asked = experiment(root / "faces", steps=15, batch=1)
    # A pool that never fills up gives one process and two the same.
    asked = asked.model_copy(update={"method": asked.method.model_copy(update={"pool": 50})})
    (root / "settings.yaml").write_text(asked.model_dump_json(include={"method", "training"}))
    return World(root)


@pytest.fixture(scope="module")
def whole(world) -> str:
    """The run of two processes that nobody interrupts; the others are held against it."""
    first, second = [task.finish() for task in world.slurm(*world.command("whole"))]
    assert ", processes: 2, " in first
    assert first.splitlines()[-1].startswith("Done.")
    assert first.count("data    ") == first.count("run     ") == 1
    assert second == ""
    return "whole"


def assert_same_run(world: World, run: str, whole: str) -> None:
    ours, theirs = world.state(run), world.state(whole)
    assert ours["steps"] == theirs["steps"] == 15
    assert_same(ours["method"], theirs["method"])
    for mine, other in zip(ours["ranks"], theirs["ranks"], strict=True):
        assert_same(mine, other)
    for name, optimizer in ours["optimizers"].items():
        for index, moments in optimizer["state"].items():
            assert_same(moments, theirs["optimizers"][name]["state"][index])


# --- launchers ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_processes_under_slurm_end_where_one_does_with_the_double_batch(world, whole):
    asked = Experiment.load(world.root / whole)
    double = asked.model_copy(update={"training": asked.training.model_copy(update={"batch": 2})})
    assert train(double, world.root / "one", QUIET)
    one, two = world.state("one")["method"], world.state(whole)["method"]
    # Biases before an instance norm have no effect and no gradient but rounding errors, on which Adam walks.
    weights = {name: value for name, value in one.items() if name.endswith("weight")}
    assert len(weights) > 20
    for name, value in weights.items():
        torch.testing.assert_close(value, two[name], atol=1e-4, rtol=0, msg=name)


@pytest.mark.slow
def test_a_run_of_two_processes_is_not_resumed_by_one(world, whole):
    with pytest.raises(UserError, match="trained by 2 processes, but there are 1 now"):
        train(Experiment.load(world.root / whole), world.root / whole, QUIET, resume=True)


@pytest.fixture
def hosts() -> Iterator[list[tuple[str, str, str]]]:
    """Two network namespaces that one cable joins: of each its name, its end of the cable and its address."""
    number = os.getpid() % 100_000
    made = [(f"aggan-{number}-{k}", f"aggan{number}{k}", f"10.213.77.{k + 1}") for k in range(2)]

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    try:
        try:
            for name, _, _ in made:
                ip("netns", "add", name)
            ip("link", "add", made[0][1], "type", "veth", "peer", "name", made[1][1])
        except (OSError, subprocess.CalledProcessError) as why:
            pytest.skip(f"two hosts need network namespaces, and root to make them: {getattr(why, 'stderr', why)}")
        for name, cable, address in made:
            ip("link", "set", cable, "netns", name)
            ip("-n", name, "address", "add", f"{address}/24", "dev", cable)
            ip("-n", name, "link", "set", cable, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield made
    finally:
        for name, _, _ in made:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


@pytest.mark.slow
def test_torchrun_on_two_hosts_ends_where_one_does(world, whole, hosts):
    master = ["--nnodes", "2", "--nproc-per-node", "1", "--master-addr", hosts[0][2], "--master-port", "29511"]
    started = []
    for k, (name, cable, _) in enumerate(hosts):
        agent = ["ip", "netns", "exec", name, *TORCHRUN, *master, "--node-rank", str(k)]
        started.append(world.start([*agent, *world.train("hosts")], GLOO_SOCKET_IFNAME=cable))
    said = [finish(process) for process in started]
    assert [text.count("Done.") for text in said] == [1, 0]
    assert_same_run(world, "hosts", whole)


@pytest.fixture
def ray(world) -> Iterator[Any]:
    ray = pytest.importorskip("ray", reason="needs the extra `ray`")
    ours = {"AGGAN_CACHE": str(world.root / "cache"), "OMP_NUM_THREADS": "1"}
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20, runtime_env={"env_vars": ours})
    yield ray
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Ray's own
def test_ray_ends_where_slurm_does_and_says_one_sentence_otherwise(world, whole, ray):
    from aggan.training.ray import train_on_ray

    asked = Experiment.load(world.root / whole)
    train_on_ray(asked, world.root / "ray", workers=2)
    assert_same_run(world, "ray", whole)
    longer = asked.model_copy(update={"training": asked.training.model_copy(update={"steps": 16})})
    with pytest.raises(UserError, match="already holds a run"):
        train_on_ray(longer, world.root / "ray", workers=2)


# --- deaths ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_torchrun_goes_on_exactly_after_a_process_was_killed(world, whole):
    agent = [*TORCHRUN, *TWO_HERE, "--max-restarts", "1", *world.train("killed")]
    process = world.start(agent, TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1")
    world.wait_for_checkpoint("killed")
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(workers[1]), signal.SIGKILL)
    said = finish(process)
    assert said.count("aggan train:") == said.count(STOPPED) == said.count("Done.") == 1
    assert "Traceback" not in said
    assert_same_run(world, "killed", whole)
    assert not (world.root / "killed" / "stopped.txt").exists()


@pytest.mark.slow
def test_under_slurm_one_line_tells_that_a_process_hangs_and_resume_goes_on_exactly(world, whole):
    first, second = world.slurm(*world.command("hung", "--training.timeout", "0.25"))
    world.wait_for_checkpoint("hung")
    assert second.process.pid
    os.kill(second.process.pid, signal.SIGSTOP)
    said = first.finish(code=2)
    second.process.kill()
    assert second.finish(code=-signal.SIGKILL) == ""
    (line,) = [line for line in said.splitlines(keepends=True) if line.startswith("aggan train:")]
    assert said.endswith(line)
    assert line.startswith(STOPPED)
    assert world.state("hung")["steps"] < 15
    assert line.removeprefix("aggan train: ") == (world.root / "hung" / "stopped.txt").read_text()
    again = world.slurm("train", "--resume", str(world.root / "hung"))
    first, second = [task.finish() for task in again]
    assert "resumes at step " in first
    assert first.splitlines()[-1].startswith("Done.")
    assert second == ""
    assert_same_run(world, "hung", whole)


def test_of_all_processes_one_says_why_the_training_ended(tmp_path):
    with pytest.raises(UserError, match=r"stopped: 'cycle' became nan.*--training\.learning-rate"), told(tmp_path):
        raise Diverged("'cycle' became nan")
    with pytest.raises(AlreadyReported), told(tmp_path):
        raise ProcessLost("another process is gone")
    assert re.match("training stopped: 'cycle'", (tmp_path / "stopped.txt").read_text())


def told(run: Path):
    return report_once(run, alone=False)


def test_alone_a_process_always_says_why(tmp_path):
    (tmp_path / "stopped.txt").touch()
    with pytest.raises(UserError, match="disk") as caught, report_once(tmp_path, alone=True):
        raise UserError("the disk is full")
    assert not isinstance(caught.value, AlreadyReported)


# --- what launchers say ---------------------------------------------------------------------------


def test_launchers_say_which_process_this_is():
    assert detect_launcher({}) is None
    assert detect_launcher({"SLURM_NTASKS": "4"}) is None  # a shell in an allocation is no task of it
    assert detect_launcher({"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}) is None
    elastic = {"TORCHELASTIC_RUN_ID": "x", "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "GROUP_WORLD_SIZE": "2"}
    assert detect_launcher(elastic) == Launch("torchrun", rank=5, world_size=8, local_rank=1, nodes=2)
    again = detect_launcher(elastic | {"TORCHELASTIC_RESTART_COUNT": "1"})
    assert again == Launch("torchrun", rank=5, world_size=8, local_rank=1, nodes=2, restarted=True)
    slurm = {"SLURM_NTASKS": "6", "SLURM_PROCID": "4", "SLURM_LOCALID": "1", "SLURM_NNODES": "2"}
    assert detect_launcher(slurm | {"SLURM_NTASKS_PER_NODE": "3"}) == Launch(
        "slurm", rank=4, world_size=6, local_rank=1, nodes=2
    )
    with pytest.raises(UserError, match="--ntasks-per-node"):
        detect_launcher(slurm)
    with pytest.raises(UserError, match="8 processes on 3 machines"):
        detect_launcher(elastic | {"GROUP_WORLD_SIZE": "3"})


@pytest.mark.parametrize("mistake", [["--no-such-flag"], ["--recipe", "none"], ["no-such-method"], []])
@pytest.mark.parametrize("local", [0, 1])
def test_only_the_first_process_of_a_machine_complains_of_the_command_line(monkeypatch, capsys, mistake, local):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("LOCAL_RANK", str(local))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with contextlib.suppress(SystemExit):
        assert command_line(["train", *mistake]) == 2
    output = capsys.readouterr()
    assert bool(output.out + output.err) == (local == 0)


def test_a_shell_in_an_allocation_trains_alone(faces, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert train(experiment(faces, steps=1), tmp_path / "run", QUIET)


def test_a_command_that_its_launcher_starts_again_goes_on_with_its_own_run_only(faces, tmp_path, monkeypatch):
    asked, run = experiment(faces, steps=3), tmp_path / "run"
    asked.save(run)  # begun, and cut off before the first checkpoint
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert train(asked, run, QUIET)
    assert train(asked, run, QUIET)
    assert checkpoint.load(run)["steps"] == 3
    with pytest.raises(UserError, match="already holds a run"):
        train(experiment(faces, steps=4), run, QUIET)
