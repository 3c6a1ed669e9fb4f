"""Why a training ended too early: one sentence, said by one process, however many there are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from aggan.errors import AlreadySaid, UserError
from aggan.training import checkpoint
from aggan.training.fabric import Parted
from aggan.training.watch import Diverged

FILE = "stopped.txt"
TOO_LARGE = "there is not enough memory for a step; try a smaller --training.batch, or --training.recompute"


@contextmanager
def one_voice(run: Path, alone: bool) -> Iterator[None]:
    """What ends the training becomes a `UserError` in the process that notices first, in the others `AlreadySaid`."""
    try:
        with _enough_memory():
            yield
    except (Diverged, UserError) as why:
        sentence = _sentence(run, why)
        if alone or _claimed(run, sentence):
            raise UserError(sentence) from why
        raise AlreadySaid(sentence) from why


def _sentence(run: Path, why: Exception) -> str:
    if isinstance(why, Parted):
        return f"training stopped: {why}; {run} is as it was last saved: go on with as many processes, --resume {run}"
    if isinstance(why, Diverged):
        before = f"The checkpoint in {run} is from before" if (run / checkpoint.FILE).exists() else "Nothing was saved"
        return (
            f"training stopped: {why}. {before}; try a lower --training.learning-rate, or --training.precision 32-true"
        )
    return str(why)


@contextmanager
def _enough_memory() -> Iterator[None]:
    """Where torch finds no memory, it is told what to try; on a CPU torch has no error of its own for that."""
    try:
        yield
    except RuntimeError as why:
        if not isinstance(why, torch.OutOfMemoryError) and "can't allocate memory" not in str(why):
            raise
        raise UserError(f"training stopped: {TOO_LARGE}") from why


def _claimed(run: Path, sentence: str) -> bool:
    """Whether this process is the first to write the run's file; all see the same folder, and nothing else for sure."""
    try:
        with (run / FILE).open("x", encoding="utf-8") as file:
            file.write(sentence + "\n")
    except FileExistsError:
        return False
    except OSError:  # a full disk must not silence what it caused
        return True
    return True
