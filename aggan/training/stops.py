"""Why a training ended too early: one sentence, said by one process, however many there are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aggan.errors import AlreadySaid, UserError
from aggan.training.health import Diverged
from aggan.training.processes import Parted

FILE = "stopped.txt"


@contextmanager
def one_voice(run: Path, alone: bool) -> Iterator[None]:
    """What ends the training becomes a `UserError` in the process that notices first, in the others `AlreadySaid`."""
    try:
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
        return (
            f"training stopped: {why}. The checkpoint in {run} is from before; "
            f"try a lower --training.learning-rate, or --training.precision 32-true"
        )
    return str(why)


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
