"""A trained system on disk: `model.safetensors` and a `config.json` that says all that loading needs."""

import json
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from aggan.errors import UserError
from aggan.io import can_be_a_file, write_whole
from aggan.methods.base import System, Task
from aggan.methods.registry import AnyConfig

WEIGHTS, CONFIG = "model.safetensors", "config.json"
VERSION = 1
SHIPPED = Path(__file__).parents[1] / "models"


def _name_of_files(domain: str) -> str:
    if not can_be_a_file(domain):
        raise UserError(f"a domain cannot be called {domain!r}: files are named after it")
    return domain


class ModelCard(BaseModel):
    """What `config.json` holds; raises `UserError` where no file can be named after a domain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["aggan-model"] = "aggan-model"
    version: Literal[1] = VERSION
    system: AnyConfig
    domains: tuple[Annotated[str, AfterValidator(_name_of_files)], ...]
    size: int = Field(description="Side in pixels of the pictures it was trained on.")
    codes: tuple[tuple[float, ...], ...] = Field(default=(), description="Mean code of each domain, if pictures have.")
    face: tuple[tuple[float, float], ...] = Field(
        default=(), description="Where a face's landmarks lie in its pictures (`aggan.inference.landmarks`), if known."
    )
    steps: int = Field(default=0, description="Steps of training.")

    def build(self) -> System:
        return self.system.build(Task(self.domains, self.size, self.codes))


def save_model(folder: Path, card: ModelCard, state: dict[str, torch.Tensor]) -> None:
    """Write both files; `state` is what `System.translators_state` gives."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    # Not `save_file`: it makes files that only their owner can read, whatever the umask says.
    write_whole(folder / WEIGHTS, lambda path: path.write_bytes(save(tensors, {"format": "pt"})))
    write_whole(folder / CONFIG, lambda path: path.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8"))


def find_model(path: Path) -> Path | None:
    """The folder of the model that is meant, or None: `path`, in a run the best or the last, or one that ships."""
    folders = (path, path / "best", path / "last", SHIPPED / path)
    return next((folder for folder in folders if (folder / CONFIG).is_file()), None)


def load_model(folder: Path) -> tuple[System, ModelCard]:
    """The system in eval mode (only its translators are trained) and its card; raises `UserError`."""
    card = read_card(folder / CONFIG)
    system = card.build()
    try:
        state = load_file(folder / WEIGHTS)
        system.load_translators({key: value.float() for key, value in state.items()})
    except FileNotFoundError:
        raise UserError(f"{folder}: {WEIGHTS} is missing beside {CONFIG}") from None
    except (SafetensorError, RuntimeError) as why:
        raise UserError(f"{folder / WEIGHTS}: not the weights that {CONFIG} describes: {_first_line(why)}") from why
    return system.eval(), card


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a `.pth` or `.safetensors` file; raises `UserError`. No pickle is run."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (SafetensorError, RuntimeError, ValueError, EOFError, OSError, KeyError) as why:
        raise UserError(f"{path}: not a file of weights ({' '.join(str(why).split())[:120]})") from why
    except Exception as why:  # pickle errors are of many kinds; all mean the same here
        raise UserError(f"{path}: holds more than weights, so it was not opened ({type(why).__name__})") from why
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: not a state dict: it must map names to tensors and nothing else")
    return state


def read_card(path: Path) -> ModelCard:
    """Read a `config.json`; raises `UserError` where it is none, or of a later version."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.get("version") if isinstance(content, dict) else None
        if isinstance(version, int) and version > VERSION:
            raise UserError(f"written by a newer aggan (version {version}): update aggan")
        return ModelCard.model_validate(content)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as why:
        raise UserError(f"{path}: cannot be read: {_first_line(why)}") from why
    except ValidationError as why:
        raise UserError(f"{path}: not a model's description: {_first_line(why.errors()[0]['msg'])}") from why
    except UserError as why:
        raise UserError(f"{path}: {why}") from why


def _first_line(why: object) -> str:
    return " ".join(str(why).split())[:200]
