"""What a run is: a system, its data and a recipe. `experiment.json` in the run folder keeps it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aggan.data.folders import Data
from aggan.errors import UserError
from aggan.io import write_whole
from aggan.methods.registry import AnyConfig
from aggan.training.config import Recipe

FILE = "experiment.json"


class Experiment(BaseModel):
    """Everything that a run depends on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(default=1, ge=1, le=1)
    system: AnyConfig
    data: Data = Data()
    training: Recipe = Recipe()

    def save(self, run: Path) -> None:
        write_whole(run / FILE, lambda path: path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8"))

    @staticmethod
    def load(run: Path) -> "Experiment":
        """The experiment of a run folder; raises `UserError` where there is none."""
        try:
            return Experiment.model_validate_json((run / FILE).read_text(encoding="utf-8"))
        except OSError as why:
            raise UserError(f"{run}: not a run: {FILE} cannot be read ({why.strerror})") from why
        except UnicodeDecodeError as why:
            raise UserError(f"{run / FILE}: not UTF-8: {why}") from why
        except ValidationError as why:
            raise UserError(f"{run / FILE}: {mistakes(why)}") from why


def mistakes(why: ValidationError) -> str:
    """All that pydantic found, in one line."""
    return "; ".join(f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in why.errors())
