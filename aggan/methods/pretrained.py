"""A trained model on disk: `model.safetensors`, and a `config.json` with everything that loading needs."""

import json
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from aggan.errors import UserError
from aggan.io import is_file_name, write_atomic, write_text_atomic
from aggan.methods.base import Method, Task
from aggan.methods.registry import AnyMethodConfig
from aggan.migrate import CARD_VERSION, migrate_card

WEIGHTS, CONFIG = "model.safetensors", "config.json"
SHIPPED = Path(__file__).parents[1] / "models"


def _require_file_name(domain: str) -> str:
    if not is_file_name(domain):
        raise UserError(f"a domain cannot be called {domain!r}: files are named after it")
    return domain


class ModelCard(BaseModel):
    """The content of `config.json`. Raises `UserError` if a domain's name cannot be the name of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["aggan-model"] = "aggan-model"
    version: Literal[2] = CARD_VERSION
    method: AnyMethodConfig
    domains: tuple[Annotated[str, AfterValidator(_require_file_name)], ...]
    size: int = Field(description="Side of the training images in pixels.")
    codes: tuple[tuple[float, ...], ...] = Field(
        default=(), description="Mean code of each domain, if images have codes."
    )
    face: tuple[tuple[float, float], ...] = Field(
        default=(), description="A face's landmarks in the training images, in fractions of the side, if known."
    )
    bits: int | None = Field(default=None, description="Bits that 16-bit training images use, if that is known.")
    steps: int = Field(default=0, description="Steps of training.")

    def build(self) -> Method:
        return self.method.build(Task(self.domains, self.size, self.codes))


def save_model(folder: Path, card: ModelCard, state: dict[str, Tensor]) -> None:
    """Write both files; `state` is what `Method.inference_state_dict` returns."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    # Not `save_file`: its files are readable by their owner only, whatever the umask.
    write_atomic(folder / WEIGHTS, lambda path: path.write_bytes(save(tensors, {"format": "pt"})))
    write_text_atomic(folder / CONFIG, card.model_dump_json(indent=2) + "\n")


def find_model(path: Path) -> Path | None:
    """The folder of a model, or None: `path` itself, a run's best or last model, or a model that ships."""
    folders = (path, path / "best", path / "last", SHIPPED / path)
    return next((folder for folder in folders if (folder / CONFIG).is_file()), None)


def load_model(folder: Path) -> tuple[Method, ModelCard]:
    """The method in eval mode, with trained inference networks, and its card. Raises `UserError`."""
    card = read_card(folder / CONFIG)
    method = card.build()
    try:
        state = load_file(folder / WEIGHTS)
        method.load_inference_state_dict({key: value.float() for key, value in state.items()})
    except FileNotFoundError:
        raise UserError(f"{folder}: {WEIGHTS} is missing beside {CONFIG}") from None
    except (SafetensorError, RuntimeError) as error:
        raise UserError(f"{folder / WEIGHTS}: not the weights that {CONFIG} describes: {_one_line(error)}") from error
    return method.eval(), card


def read_card(path: Path) -> ModelCard:
    """Read a `config.json`, also of version 1. Raises `UserError`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.get("version") if isinstance(content, dict) else None
        if isinstance(version, int) and version > CARD_VERSION:
            raise UserError(f"written by a newer aggan (version {version}): update aggan")
        return ModelCard.model_validate(migrate_card(content) if isinstance(content, dict) else content)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {_one_line(error)}") from error
    except ValidationError as error:
        raise UserError(f"{path}: not the config of a model: {_one_line(error.errors()[0]['msg'])}") from error
    except KeyError as error:
        raise UserError(f"{path}: not the config of a model: {error} is missing") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a `.pth` or `.safetensors` file. Raises `UserError`. No pickle is ever run."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (SafetensorError, RuntimeError, ValueError, EOFError, OSError, KeyError) as error:
        raise UserError(f"{path}: not a file of weights ({_one_line(error)[:120]})") from error
    except Exception as error:  # pickle raises errors of many types, which all mean the same here
        raise UserError(f"{path}: holds more than weights, so it was not opened ({type(error).__name__})") from error
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: not a state dict: it must map names to tensors and nothing else")
    return state


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:200]
