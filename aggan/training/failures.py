"""Why a training stopped early: one sentence, reported by one process, however many there are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from aggan.errors import AlreadyReported, UserError
from aggan.training import checkpoint
from aggan.training.fabric import ProcessLost
from aggan.training.watch import Diverged

FILE = "stopped.txt"
OUT_OF_MEMORY = (
    "there is not enough memory for a step; try a smaller --training.batch, or --training.activation-checkpointing"
)


@contextmanager
def report_once(run: Path, alone: bool) -> Iterator[None]:
    """What stops the training becomes a `UserError` in the first process that notices, and `AlreadyReported` in others.

    `alone` is whether there is a single process.
    """
    try:
        with _out_of_memory_as_user_error():
            yield
    except (Diverged, UserError) as error:
        sentence = _sentence(run, error)
        if alone or _is_first(run, sentence):
            raise UserError(sentence) from error
        raise AlreadyReported(sentence) from error


def _sentence(run: Path, error: Exception) -> str:
    if isinstance(error, ProcessLost):
        return (
            f"training stopped: {error}; {run} is as it was last saved: resume it with as many processes, "
            f"--resume {run}"
        )
    if isinstance(error, Diverged):
        saved = (run / checkpoint.FILE).exists()
        state = f"The checkpoint in {run} is from before" if saved else "Nothing was saved"
        return (
            f"training stopped: {error}. {state}; try a lower --training.learning-rate, or --training.precision 32-true"
        )
    return str(error)


@contextmanager
def _out_of_memory_as_user_error() -> Iterator[None]:
    """On a CPU torch has no error type of its own for this."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        raise UserError(f"training stopped: {OUT_OF_MEMORY}") from error


def _is_first(run: Path, sentence: str) -> bool:
    """Whether this process is the first to create the run's file: the run folder is all that processes surely share."""
    try:
        with (run / FILE).open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(sentence + "\n")
    except FileExistsError:
        return False
    except OSError:  # a full disk must not hide the reason
        return True
    return True
