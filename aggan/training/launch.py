"""Which of how many processes this one is, where torchrun, SLURM or Ray started it.

torchrun and Ray tell it in RANK, WORLD_SIZE and their like, `srun` in SLURM_PROCID and SLURM_NTASKS.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from aggan.errors import AlreadySaid, UserError


@dataclass(frozen=True)
class Launch:
    """What a launcher says of this process."""

    by: Literal["torchrun", "slurm"]
    rank: int
    """Number of the process among all."""
    world: int
    """Processes on all machines."""
    local: int
    """Number of the process on its machine."""
    nodes: int
    """Machines, each with as many processes."""
    again: bool = False
    """Whether the launcher started the same command before and it was cut off."""

    @property
    def devices(self) -> int:
        """Processes on each machine."""
        return self.world // self.nodes


def launched(environment: Mapping[str, str] = os.environ) -> Launch | None:
    """What the launcher says; None where there is none, or one with a single process under SLURM.

    Raises `UserError` where the machines have not as many processes each.
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        found = _torchrun(environment)
    elif int(environment.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in environment:
        found = _slurm(environment)
    else:
        return None
    if found.world % found.nodes:
        raise UserError(f"{found.world} processes on {found.nodes} machines: start as many on each")
    return found


@contextmanager
def one_voice_a_machine() -> Iterator[None]:
    """What every process complains of alike, only the first on each machine says."""
    try:
        yield
    except UserError as why:
        if speaks():
            raise
        raise AlreadySaid(why) from why


def speaks() -> bool:
    """Whether this process is the first on its machine; also where a launcher's variables make no sense."""
    return int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0"))) == 0


def _torchrun(environment: Mapping[str, str]) -> Launch:
    def number(name: str, otherwise: int) -> int:
        return int(environment.get(name, otherwise))

    return Launch(
        by="torchrun",
        rank=number("RANK", 0),
        world=number("WORLD_SIZE", 1),
        local=number("LOCAL_RANK", 0),
        nodes=number("GROUP_WORLD_SIZE", 1),
        again=number("TORCHELASTIC_RESTART_COUNT", 0) > 0,
    )


def _slurm(environment: Mapping[str, str]) -> Launch:
    if "SLURM_NTASKS_PER_NODE" not in environment:
        raise UserError("SLURM does not say how many processes a machine has: start with srun --ntasks-per-node=N")
    return Launch(
        by="slurm",
        rank=int(environment["SLURM_PROCID"]),
        world=int(environment["SLURM_NTASKS"]),
        local=int(environment["SLURM_LOCALID"]),
        nodes=int(environment.get("SLURM_NNODES", "1")),
        again=int(environment.get("SLURM_RESTART_COUNT", "0")) > 0,
    )
