"""How a training begins where it does not begin from nothing."""

from pathlib import Path

from aggan.errors import UserError
from aggan.system import System
from aggan.systems.files import find_model, load_model


def begin_with(model: Path, system: System) -> None:
    """Take over the translators of a model; raises `UserError` where they are of another make."""
    folder = find_model(model)
    if folder is None:
        raise UserError(f"--training.begin-with {model}: no model here")
    state = load_model(folder)[0].translators_state()
    try:
        system.load_translators(state)
    except RuntimeError as why:
        first = str(why).splitlines()[1].strip() if "\n" in str(why) else str(why)
        raise UserError(
            f"--training.begin-with {model}: its networks differ from those to be trained: {first}"
        ) from why
