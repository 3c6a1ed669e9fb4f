"""Detects the launcher (torchrun, SLURM or Ray) and which of its processes this one is. Imports no torch.

torchrun and Ray set RANK, WORLD_SIZE and their like; `srun` sets SLURM_PROCID and SLURM_NTASKS.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from aggan.errors import AlreadyReported, UserError


@dataclass(frozen=True)
class Launch:
    """What a launcher says about this process."""

    launcher: Literal["torchrun", "slurm"]
    rank: int
    """Among all processes."""
    world_size: int
    """Processes on all machines."""
    local_rank: int
    """Among the processes of its machine."""
    nodes: int
    """Machines; each runs the same number of processes."""
    restarted: bool = False
    """Whether the launcher started this command before and it was interrupted."""

    @property
    def devices(self) -> int:
        """Processes per machine."""
        return self.world_size // self.nodes


def detect_launcher(environment: Mapping[str, str] = os.environ) -> Launch | None:
    """What the launcher says; None if there is none, or SLURM runs a single process.

    Raises `UserError` if the machines run different numbers of processes.
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        launch = _torchrun(environment)
    elif int(environment.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in environment:
        launch = _slurm(environment)
    else:
        return None
    if launch.world_size % launch.nodes:
        raise UserError(
            f"{launch.world_size} processes on {launch.nodes} machines: start the same number on each machine"
        )
    return launch


@contextmanager
def report_once_per_machine() -> Iterator[None]:
    """An error that all processes raise alike is reported by the first on each machine only."""
    try:
        yield
    except UserError as error:
        if is_local_zero():
            raise
        raise AlreadyReported(error) from error


def is_local_zero() -> bool:
    """Whether this process is the first on its machine."""
    return int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0"))) == 0


def _torchrun(environment: Mapping[str, str]) -> Launch:
    def number(name: str, default: int) -> int:
        return int(environment.get(name, default))

    return Launch(
        launcher="torchrun",
        rank=number("RANK", 0),
        world_size=number("WORLD_SIZE", 1),
        local_rank=number("LOCAL_RANK", 0),
        nodes=number("GROUP_WORLD_SIZE", 1),
        restarted=number("TORCHELASTIC_RESTART_COUNT", 0) > 0,
    )


def _slurm(environment: Mapping[str, str]) -> Launch:
    if "SLURM_NTASKS_PER_NODE" not in environment:
        raise UserError("SLURM does not say how many processes each machine runs: use srun --ntasks-per-node=N")
    return Launch(
        launcher="slurm",
        rank=int(environment["SLURM_PROCID"]),
        world_size=int(environment["SLURM_NTASKS"]),
        local_rank=int(environment["SLURM_LOCALID"]),
        nodes=int(environment.get("SLURM_NNODES", "1")),
        restarted=int(environment.get("SLURM_RESTART_COUNT", "0")) > 0,
    )
